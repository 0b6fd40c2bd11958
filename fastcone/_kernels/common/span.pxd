# SPDX-License-Identifier: BSD-3-Clause
"""Products with the rows of a matrix, float64, at any address: the algebra of the exact solver.

The lanes of a vector are entries of a row, whole vectors of them as `length` is a multiple of 8. In
`gradient` they are columns. Every sum has one order per level.
"""

from fastcone._kernels.common.dense cimport zero
from fastcone._kernels.common.lanes cimport (
    BYTES, SHARE, lane64, maximum, spread, total64, unaligned64)

cdef enum:
    GROUP = 4           # rows that share each load of a vector
    CHAINS = 2          # partial sums of a row
    WIDE = 4            # vectors of columns per register block of `gradient`
    NARROW = 4          # partial sums of a single vector of columns


cdef inline double* aligned(double* p) noexcept nogil:
    """The first address from p on that is a multiple of 64 bytes"""
    return <double*> ((<size_t> p + 63) & ~(<size_t> 63))


cdef inline void inner(Py_ssize_t length, Py_ssize_t count, const double* A, const double* v,
                       double* out) noexcept nogil:
    """out_i = a_i'v for `count` rows, `length` apart"""
    cdef lane64 part[GROUP * CHAINS]
    cdef const unaligned64* a[GROUP]
    cdef const unaligned64* x = <const unaligned64*> v
    cdef double total[GROUP]
    cdef Py_ssize_t first, i, group, vectors = length * sizeof(double) // BYTES
    cdef int c, h
    for group in range((count + GROUP - 1) // GROUP):
        first = group * GROUP
        for c in range(GROUP):                  # the last group repeats a row to stay full
            a[c] = <const unaligned64*> (A + min(first + c, count - 1) * length)
        for c in range(GROUP * CHAINS):
            part[c] = zero
        for i in range(vectors // CHAINS):
            for h in range(CHAINS):
                for c in range(GROUP):
                    part[h * GROUP + c] = (
                        part[h * GROUP + c] + a[c][i * CHAINS + h] * x[i * CHAINS + h])
        for i in range(vectors - vectors % CHAINS, vectors):
            for c in range(GROUP):
                part[c] = part[c] + a[c][i] * x[i]
        for c in range(GROUP):
            total[c] = total64(part[c] + part[GROUP + c])
        for c in range(<int> min(<Py_ssize_t> GROUP, count - first)):
            out[first + c] = total[c]


cdef inline void subtract(Py_ssize_t length, Py_ssize_t count, const double* A,
                          const Py_ssize_t* which, const double* weight, double* v) noexcept nogil:
    """v -= sum_i weight_i a_i for `count` rows, `length` apart, or those in `which` unless NULL"""
    cdef const unaligned64* a[GROUP]
    cdef lane64 w[GROUP]
    cdef lane64 acc
    cdef unaligned64* x = <unaligned64*> v
    cdef double none = 0
    cdef Py_ssize_t i, k, group, vectors = length * sizeof(double) // BYTES
    cdef int c
    for group in range((count + GROUP - 1) // GROUP):
        for c in range(GROUP):
            k = min(group * GROUP + c, count - 1)
            w[c] = spread(<const lane64*> (weight if group * GROUP + c < count else &none),
                          k if group * GROUP + c < count else 0)
            a[c] = <const unaligned64*> (A + (which[k] if which else k) * length)
        for i in range(vectors):
            acc = x[i]
            for c in range(GROUP):
                acc = acc - a[c][i] * w[c]
            x[i] = acc


cdef inline void inner_several(Py_ssize_t length, Py_ssize_t count, const double* A,
                               const double** v, double** out) noexcept nogil:
    """out[h]_i = a_i'v[h] for `count` rows and SHARE vectors"""
    cdef lane64 part[GROUP * SHARE]
    cdef const unaligned64* a[GROUP]
    cdef double total[GROUP * SHARE]
    cdef lane64 x
    cdef Py_ssize_t first, i, group, vectors = length * sizeof(double) // BYTES
    cdef int c, h
    for group in range((count + GROUP - 1) // GROUP):
        first = group * GROUP
        for c in range(GROUP):
            a[c] = <const unaligned64*> (A + min(first + c, count - 1) * length)
        for c in range(GROUP * SHARE):
            part[c] = zero
        for i in range(vectors):
            for h in range(SHARE):
                x = (<const unaligned64*> v[h])[i]
                for c in range(GROUP):
                    part[h * GROUP + c] = part[h * GROUP + c] + a[c][i] * x
        for c in range(GROUP * SHARE):
            total[c] = total64(part[c])
        for h in range(SHARE):
            for c in range(<int> min(<Py_ssize_t> GROUP, count - first)):
                out[h][first + c] = total[h * GROUP + c]


cdef inline void subtract_several(Py_ssize_t length, Py_ssize_t count, const double* A,
                                  int several, double** weight, double** v) noexcept nogil:
    """v[h] -= sum_i weight[h]_i a_i for `count` rows; v[h] with h >= `several` stay as they are"""
    cdef const unaligned64* a[GROUP]
    cdef lane64 w[GROUP * SHARE]
    cdef lane64 acc
    cdef Py_ssize_t i, k, group, vectors = length * sizeof(double) // BYTES
    cdef int c, h
    for group in range((count + GROUP - 1) // GROUP):
        for c in range(GROUP):
            k = group * GROUP + c
            a[c] = <const unaligned64*> (A + min(k, count - 1) * length)
            for h in range(SHARE):
                w[h * GROUP + c] = (
                    spread(<const lane64*> weight[h], k) if k < count and h < several else zero)
        for i in range(vectors):
            for h in range(SHARE):
                acc = (<unaligned64*> v[h])[i]
                for c in range(GROUP):
                    acc = acc - a[c][i] * w[h * GROUP + c]
                (<unaligned64*> v[h])[i] = acc


cdef inline void wide(Py_ssize_t m, Py_ssize_t n, const double* rows, const double* r,
                      double* w) noexcept nogil:
    """w = A'r for WIDE vectors of columns"""
    cdef lane64 part[CHAINS * WIDE]
    cdef lane64 t
    cdef const unaligned64* a
    cdef Py_ssize_t i
    cdef int c, h
    for c in range(CHAINS * WIDE):
        part[c] = zero
    for i in range(m // CHAINS):
        for h in range(CHAINS):
            a = <const unaligned64*> (rows + (i * CHAINS + h) * n)
            t = spread(<const lane64*> r, i * CHAINS + h)
            for c in range(WIDE):
                part[h * WIDE + c] = part[h * WIDE + c] + a[c] * t
    for i in range(m - m % CHAINS, m):
        a = <const unaligned64*> (rows + i * n)
        t = spread(<const lane64*> r, i)
        for c in range(WIDE):
            part[c] = part[c] + a[c] * t
    for c in range(WIDE):
        (<unaligned64*> w)[c] = part[c] + part[WIDE + c]


cdef inline void narrow(Py_ssize_t m, Py_ssize_t n, const double* rows, const double* r,
                        double* w) noexcept nogil:
    """w = A'r for one vector of columns"""
    cdef lane64 part[NARROW]
    cdef Py_ssize_t i
    cdef int h
    for h in range(NARROW):
        part[h] = zero
    for i in range(m // NARROW):
        for h in range(NARROW):
            part[h] = part[h] + (<const unaligned64*> (rows + (i * NARROW + h) * n))[0] * spread(
                <const lane64*> r, i * NARROW + h)
    for i in range(m - m % NARROW, m):
        part[0] = part[0] + (<const unaligned64*> (rows + i * n))[0] * spread(<const lane64*> r, i)
    (<unaligned64*> w)[0] = (part[0] + part[1]) + (part[2] + part[3])


cdef inline void stream(Py_ssize_t m, Py_ssize_t n, const double* rows, const double* r,
                        double* w) noexcept nogil:
    """w = A'r, GROUP whole rows at a time: long rows are read in the order of memory"""
    cdef const unaligned64* a[GROUP]
    cdef lane64 t[GROUP]
    cdef lane64 acc
    cdef unaligned64* out = <unaligned64*> w
    cdef Py_ssize_t i, j, group, vectors = n * sizeof(double) // BYTES
    cdef int c
    for j in range(n):
        w[j] = 0
    for group in range((m + GROUP - 1) // GROUP):
        for c in range(GROUP):
            i = group * GROUP + c
            a[c] = <const unaligned64*> (rows + min(i, m - 1) * n)
            t[c] = spread(<const lane64*> r, i) if i < m else zero
        for j in range(vectors):
            acc = out[j]
            for c in range(GROUP):
                acc = acc + a[c][j] * t[c]
            out[j] = acc
        for c in range(GROUP):
            i = group * GROUP + c
            for j in range(vectors * BYTES // <Py_ssize_t> sizeof(double), n if i < m else 0):
                w[j] += rows[i * n + j] * r[i]


cdef inline void gradient(Py_ssize_t m, Py_ssize_t n, const double* rows, const double* r,
                          double* w) noexcept nogil:
    """w = A'r for m rows of n numbers; the last register block overlaps the one before"""
    cdef Py_ssize_t i, j, block, lanes = BYTES // sizeof(double)
    if n > 2 * WIDE * lanes:
        stream(m, n, rows, r, w)
    elif n >= WIDE * lanes:
        for block in range((n + WIDE * lanes - 1) // (WIDE * lanes)):
            j = min(block * WIDE * lanes, n - WIDE * lanes)
            wide(m, n, rows + j, r, w + j)
    elif n >= lanes:
        for block in range((n + lanes - 1) // lanes):
            j = min(block * lanes, n - lanes)
            narrow(m, n, rows + j, r, w + j)
    else:
        for j in range(n):
            w[j] = 0
        for i in range(m):
            for j in range(n):
                w[j] += rows[i * n + j] * r[i]


cdef inline Py_ssize_t largest(Py_ssize_t n, const double* w) noexcept nogil:
    """The place of the largest number above 0, or -1."""
    cdef lane64 part = zero
    cdef double most = 0
    cdef Py_ssize_t j, lanes = BYTES // sizeof(double), vectors = n // lanes
    for j in range(vectors):
        part = maximum((<const unaligned64*> w)[j], part)
    for j in range(lanes):
        most = max(most, (<double*> &part)[j])
    for j in range(lanes * vectors, n):
        most = max(most, w[j])
    if most > 0:
        for j in range(n):
            if w[j] == most:
                return j
    return -1
