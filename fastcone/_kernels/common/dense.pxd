# SPDX-License-Identifier: BSD-3-Clause
"""Small dense algebra in float64 for the kernels that solve one problem at a time.

The lanes of a vector are rows here. Lengths told as `ld` are multiples of 64, other padded lengths
multiples of 8; arrays of padded length are 64-byte aligned. An explicit inverse M is k x k, row
stride ldm, its entries beyond k finite.
"""

from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport BYTES, lane64, unaligned64, maximum, spread, total64

cdef extern from *:
    """
    #define fc_zero ((lane64){0})
    """
    const lane64 zero "fc_zero"

cdef enum:
    CHAINS = 4              # independent partial sums, each a lane vector
    VECTORS = 8             # lane vectors of rows per register block


cdef inline Py_ssize_t padded(Py_ssize_t k) noexcept nogil:
    """k rounded up to a multiple of 8"""
    return (k + 7) // 8 * 8


cdef inline double dot(Py_ssize_t length, const double* a, const double* b) noexcept nogil:
    """a'b over a padded length, at any address"""
    cdef lane64 part[CHAINS]
    cdef const unaligned64* x = <const unaligned64*> a
    cdef const unaligned64* y = <const unaligned64*> b
    cdef Py_ssize_t i, vectors = length * sizeof(double) // BYTES
    cdef int c
    for c in range(CHAINS):
        part[c] = zero
    for i in range(vectors // CHAINS):
        for c in range(CHAINS):
            part[c] = part[c] + x[i * CHAINS + c] * y[i * CHAINS + c]
    for i in range(vectors - vectors % CHAINS, vectors):
        part[0] = part[0] + x[i] * y[i]
    return total64((part[0] + part[1]) + (part[2] + part[3]))


cdef inline double asum(Py_ssize_t ld, const double* a) noexcept nogil:
    """||a||_1"""
    cdef lane64 part[CHAINS]
    cdef const lane64* x = <const lane64*> a
    cdef Py_ssize_t i
    cdef int c
    for c in range(CHAINS):
        part[c] = zero
    for i in range(ld * <Py_ssize_t> sizeof(double) // (BYTES * CHAINS)):
        for c in range(CHAINS):
            part[c] = part[c] + maximum(x[i * CHAINS + c], -x[i * CHAINS + c])
    return total64((part[0] + part[1]) + (part[2] + part[3]))


cdef inline void axpy(Py_ssize_t length, double alpha, const double* a, double* y) noexcept nogil:
    """y += alpha a"""
    cdef Py_ssize_t i
    for i in range(length):
        y[i] += alpha * a[i]


cdef inline void gemv_n(Py_ssize_t ld, const double* A, Py_ssize_t count, const Py_ssize_t* which,
                        const double* weight, double* out) noexcept nogil:
    """out = sum_k weight_k A[which_k], rows of ld, a register block at a time"""
    cdef lane64 acc[VECTORS]
    cdef lane64 w
    cdef const lane64* a
    cdef Py_ssize_t block, k, rows = VECTORS * BYTES // sizeof(double)
    cdef int v
    for block in range(ld // rows):
        for v in range(VECTORS):
            acc[v] = zero
        for k in range(count):
            a = <const lane64*> (A + which[k] * ld + block * rows)
            w = spread(<const lane64*> weight, k)
            for v in range(VECTORS):
                acc[v] = acc[v] + a[v] * w
        for v in range(VECTORS):
            (<lane64*> (out + block * rows))[v] = acc[v]


cdef inline void gemv_add(Py_ssize_t length, const double* R, Py_ssize_t stride, Py_ssize_t count,
                          const Py_ssize_t* which, const double* weight, double* y) noexcept nogil:
    """y += sum_k weight_k R[which_k] over a padded length, or R[k] where `which` is NULL"""
    cdef lane64 acc[VECTORS]
    cdef lane64 w
    cdef const lane64* a
    cdef lane64* out = <lane64*> y
    cdef Py_ssize_t i, k, vectors = length * sizeof(double) // BYTES
    cdef int v
    for i in range(vectors // VECTORS):
        for v in range(VECTORS):
            acc[v] = out[i * VECTORS + v]
        for k in range(count):
            a = <const lane64*> (R + (which[k] if which else k) * stride) + i * VECTORS
            w = spread(<const lane64*> weight, k)
            for v in range(VECTORS):
                acc[v] = acc[v] + a[v] * w
        for v in range(VECTORS):
            out[i * VECTORS + v] = acc[v]
    for i in range(vectors - vectors % VECTORS, vectors):
        acc[0] = out[i]
        for k in range(count):
            a = <const lane64*> (R + (which[k] if which else k) * stride) + i
            acc[0] = acc[0] + a[0] * spread(<const lane64*> weight, k)
        out[i] = acc[0]


cdef inline void gather(Py_ssize_t k, const double* values, const Py_ssize_t* which,
                        double* out) noexcept nogil:
    """out = values[which], padded with zeros"""
    cdef Py_ssize_t i
    for i in range(k):
        out[i] = values[which[i]]
    for i in range(k, padded(k)):
        out[i] = 0


cdef inline void gemv(Py_ssize_t k, Py_ssize_t ldm, const double* M, const double* v,
                      double* out) noexcept nogil:
    """out = M v; v padded with zeros"""
    cdef Py_ssize_t i
    for i in range(k):
        out[i] = dot(padded(k), M + i * ldm, v)


cdef inline void gemv_t(Py_ssize_t k, Py_ssize_t ldm, const double* M, const double* v,
                        double* out) noexcept nogil:
    """out = M'v, padded with zeros"""
    cdef Py_ssize_t i
    memset(out, 0, padded(k) * sizeof(double))
    gemv_add(padded(k), M, ldm, k, NULL, v, out)
    for i in range(k, padded(k)):
        out[i] = 0


cdef inline void take_row(Py_ssize_t k, Py_ssize_t ldm, const double* M, Py_ssize_t row,
                          double* out) noexcept nogil:
    """out = a row of M, padded with zeros"""
    memset(out, 0, padded(k) * sizeof(double))
    memcpy(out, M + row * ldm, k * sizeof(double))


cdef inline void ger(Py_ssize_t k, Py_ssize_t ldm, double* M, const double* alpha,
                     const double* beta, double pivot) noexcept nogil:
    """M <- M - alpha beta' / pivot; beta padded with zeros"""
    cdef Py_ssize_t i
    for i in range(k):
        axpy(padded(k), -alpha[i] / pivot, beta, M + i * ldm)


cdef inline void border(Py_ssize_t k, Py_ssize_t ldm, double* M, const double* alpha,
                        const double* beta, double pivot) noexcept nogil:
    """The inverse of [K a; b' c] from M = K^-1: alpha = M a, beta = M'b, pivot = c - b'M a"""
    cdef Py_ssize_t i
    ger(k, ldm, M, alpha, beta, -pivot)
    for i in range(k):
        M[i * ldm + k] = -alpha[i] / pivot
        M[k * ldm + i] = -beta[i] / pivot
    M[k * ldm + k] = 1 / pivot


cdef inline void unborder(Py_ssize_t k, Py_ssize_t ldm, double* M, Py_ssize_t row,
                          Py_ssize_t column) noexcept nogil:
    """Row and column leave M, the last ones take their places"""
    cdef Py_ssize_t i
    memcpy(M + row * ldm, M + (k - 1) * ldm, k * sizeof(double))
    for i in range(k - 1):
        M[i * ldm + column] = M[i * ldm + k - 1]
