# SPDX-License-Identifier: BSD-3-Clause
"""The thin factorisation A_P = Q R of a support P, updated as generators enter and leave.

Inlined into the active-set kernel, whose head tells what the arrays of the caller hold.
"""

from libc.math cimport sqrt
from libc.string cimport memcpy

from fastcone._kernels.common.dense cimport axpy, dot
from fastcone._kernels.common.lanes cimport SHARE
from fastcone._kernels.common.span cimport inner, inner_several, subtract, subtract_several

cdef extern from *:
    """
    #define FC_UNIT 1.1102230246251565e-16      /* unit roundoff of float64 */
    #define FC_TWICE 0.3    /* of a norm: what is left below that is made orthogonal again */
    """
    const double UNIT "FC_UNIT"
    const double TWICE "FC_TWICE"


cdef struct Factors:
    Py_ssize_t m, n, k      # A is m x n; k = |P|
    Py_ssize_t ld           # m rounded up to a multiple of 8: the length of a column
    double dependence_tol             # see the head
    bint penalised          # some l1_j > 0
    const double* rows      # see the head
    double* columns
    Py_ssize_t* fetched
    const double* norm
    double* Q               # n x ld: row i is the i-th orthonormal direction (k in use)
    double* R               # n x n: row i is column i of R, entries 0..i (k in use)
    double* qb              # n: Q'b
    double* z               # n: the minimiser on P
    double* h               # n: R^-T l1_P, from `minimise` on
    double* s               # n: scratch
    const double* l1        # n
    double* x               # n: the coefficients
    double* b               # ld: the target
    double size             # ||b||
    double* r               # ld: residual
    double* w               # n: A'r
    Py_ssize_t* P           # n: the support, in the order of the factors


cdef inline const double* generator(Factors* f, Py_ssize_t j) noexcept nogil:
    """a_j, contiguous, padded with zeros"""
    cdef double* a = f.columns + j * f.ld
    cdef Py_ssize_t i
    if not f.fetched[j]:
        f.fetched[j] = True
        for i in range(f.m):
            a[i] = f.rows[i * f.n + j]
        for i in range(f.m, f.ld):
            a[i] = 0
    return a


cdef inline bint append(Factors* f, Py_ssize_t j, Py_ssize_t done) noexcept nogil:
    """Append a_j = Q R_k + rho q to the factors; False, with nothing appended, if rho is noise.

    Row k of Q holds a_j, already made orthogonal to the first `done` directions; row k of R what
    that took.
    """
    cdef double* q = f.Q + f.k * f.ld
    cdef double* column = f.R + f.k * f.n
    cdef double rho
    cdef Py_ssize_t i
    inner(f.ld, f.k - done, f.Q + done * f.ld, q, column + done)
    subtract(f.ld, f.k - done, f.Q + done * f.ld, NULL, column + done, q)
    rho = sqrt(dot(f.ld, q, q))
    if rho < TWICE * f.norm[j]:
        inner(f.ld, f.k, f.Q, q, f.s)
        subtract(f.ld, f.k, f.Q, NULL, f.s, q)
        for i in range(f.k):
            column[i] += f.s[i]
        rho = sqrt(dot(f.ld, q, q))
    if rho <= f.dependence_tol * (f.k + 1) * UNIT * f.norm[j] or f.k == f.m:
        return False
    for i in range(f.ld):
        q[i] /= rho
    column[f.k] = rho
    f.qb[f.k] = dot(f.ld, q, f.b)
    f.P[f.k] = j
    f.k += 1
    return True


cdef inline bint enter(Factors* f, Py_ssize_t j) noexcept nogil:
    """Let a_j enter; False, with nothing changed, if it lies in span(A_P) within rounding."""
    memcpy(f.Q + f.k * f.ld, generator(f, j), f.ld * sizeof(double))
    return append(f, j, 0)


cdef inline void place_several(Factors* f, Py_ssize_t count, const Py_ssize_t* J) noexcept nogil:
    """Bring up to SHARE generators into the rows from k on, orthogonal to Q, with shared loads."""
    cdef double* v[SHARE]
    cdef double* column[SHARE]
    cdef Py_ssize_t row
    cdef int h
    for h in range(SHARE):                      # the last generator is repeated to stay full
        row = f.k + min(<Py_ssize_t> h, count - 1)
        v[h] = f.Q + row * f.ld
        column[h] = f.R + row * f.n
        if h < count:
            memcpy(v[h], generator(f, J[h]), f.ld * sizeof(double))
    inner_several(f.ld, f.k, f.Q, <const double**> v, column)
    subtract_several(f.ld, f.k, f.Q, <int> count, column, v)


cdef inline void enter_several(Factors* f, Py_ssize_t count, const Py_ssize_t* J) noexcept nogil:
    """Let those of up to SHARE generators enter that can; r follows."""
    cdef Py_ssize_t c, k = f.k
    cdef bint entered
    if count > 1:
        place_several(f, count, J)
    for c in range(count):
        if f.k < k + c:
            memcpy(f.Q + f.k * f.ld, f.Q + (k + c) * f.ld, f.ld * sizeof(double))
            memcpy(f.R + f.k * f.n, f.R + (k + c) * f.n, k * sizeof(double))
        entered = append(f, J[c], k) if count > 1 else enter(f, J[c])
        if entered:
            subtract(f.ld, 1, f.Q + (f.k - 1) * f.ld, NULL, f.qb + f.k - 1, f.r)


cdef inline void leave(Factors* f, Py_ssize_t out) noexcept nogil:
    """Drop the column at position `out`; rotations make R triangular again."""
    cdef Py_ssize_t i, j, row
    cdef double c, s, rho, upper
    cdef double* q0
    cdef double* q1
    for j in range(out, f.k - 1):
        memcpy(f.R + j * f.n, f.R + (j + 1) * f.n, (j + 2) * sizeof(double))
        f.P[j] = f.P[j + 1]
    f.k -= 1
    for i in range(out, f.k):
        rho = sqrt(f.R[i * f.n + i] ** 2 + f.R[i * f.n + i + 1] ** 2)
        c = f.R[i * f.n + i] / rho
        s = f.R[i * f.n + i + 1] / rho
        for j in range(i, f.k):
            upper = f.R[j * f.n + i]
            f.R[j * f.n + i] = c * upper + s * f.R[j * f.n + i + 1]
            f.R[j * f.n + i + 1] = c * f.R[j * f.n + i + 1] - s * upper
        q0 = f.Q + i * f.ld
        q1 = q0 + f.ld
        for row in range(f.ld):
            upper = q0[row]
            q0[row] = c * upper + s * q1[row]
            q1[row] = c * q1[row] - s * upper
        upper = f.qb[i]
        f.qb[i] = c * upper + s * f.qb[i + 1]
        f.qb[i + 1] = c * f.qb[i + 1] - s * upper


cdef inline void minimise(Factors* f) noexcept nogil:
    """z = argmin on the support: R'h = l1_P, R z = Q'b - h."""
    cdef Py_ssize_t i, j
    cdef double total
    for i in range(f.k):
        f.z[i] = f.qb[i]
    if f.penalised:
        for i in range(f.k):
            total = f.l1[f.P[i]]
            for j in range(i):
                total -= f.R[i * f.n + j] * f.h[j]
            f.h[i] = total / f.R[i * f.n + i]
            f.z[i] -= f.h[i]
    for i in range(f.k - 1, -1, -1):
        f.z[i] /= f.R[i * f.n + i]
        axpy(i, -f.z[i], f.R + i * f.n, f.z)
