# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem, exactly, on the original generators.
#
#     minimise  1/2 ||A x - b||^2 + l1'x   over x >= 0                    float64 only
#
# Support    P grows by the generator with the largest w_j / ||a_j||,  w = A'r - l1, and shrinks when
#            the minimiser on P leaves the orthant; the objective falls strictly from P to P, so no
#            support comes back, and an entry that fails to lower it is barred until one succeeds
# Factors    A_P = Q R, thin, by Gram-Schmidt twice; a column leaves by Givens rotations
# On P       R x_P = t,  t = Q'b - R^-T l1_P,   r = b - Q t
# Barred     a generator within its rounding error of span(A_P), or one whose entry would be negative
# Cost       2 m n + 6 m k flops per step, k = |P|
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23;
#            Daniel, Gragg, Kaufman, Stewart, Math. Comp. 30, 1976 (the factor updates)
#
#   A         n generators of m, contiguous, ||a_j|| of order 1 (scaled); read only
#   b         m; read only            norm: n, ||a_j||; read only         l1: n, >= 0; read only
#   x         n, written: >= 0, exactly 0 off the support
#   max_steps limit of the entries tried
#   work      active_set_work(m, n) doubles, no meaning on entry or return
#   index     2 n integers, likewise
#   returns   steps used, or -1 - steps where max_steps came first (x is then feasible, not optimal)
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport hypot, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.tables cimport ActiveSetTable

cdef enum:
    PARTS = 16              # partial sums of an inner product: independent chains, fixed order

cdef double UNIT = 1.1102230246251565e-16       # unit roundoff of float64


cdef struct Factors:
    Py_ssize_t m, n, k      # A is m x n; k = |P|
    double* Q               # n x m: row i is the i-th orthonormal direction (k in use)
    double* R               # n x n: row i is column i of R, entries 0..i (k in use)
    double* qb              # n: Q'b
    double* t               # n: R x_P
    double* z               # n: the minimiser on P
    double* h               # n: coefficients of a Gram-Schmidt pass
    double* r               # m: residual
    Py_ssize_t* P           # n: the support, in the order of the factors


cdef inline double dot(Py_ssize_t m, const double* a, const double* b) noexcept nogil:
    """a'b in PARTS interleaved partial sums"""
    cdef double part[PARTS]
    cdef double total = 0
    cdef Py_ssize_t i
    cdef int q
    for q in range(PARTS):
        part[q] = 0
    for i in range(m // PARTS):
        for q in range(PARTS):
            part[q] += a[i * PARTS + q] * b[i * PARTS + q]
    for i in range(m - m % PARTS, m):
        total += a[i] * b[i]
    for q in range(PARTS):
        total += part[q]
    return total


cdef inline void axpy(Py_ssize_t m, double alpha, const double* a, double* y) noexcept nogil:
    """y += alpha a"""
    cdef Py_ssize_t i
    for i in range(m):
        y[i] += alpha * a[i]


cdef bint enter(Factors* f, const double* a, double norm, const double* b) noexcept nogil:
    """Append a = Q h + rho q to the factors; False, and nothing appended, if rho is rounding."""
    cdef double* q = f.Q + f.k * f.m
    cdef double* column = f.R + f.k * f.n
    cdef double rho, coefficient
    cdef Py_ssize_t i
    cdef int sweep
    memcpy(q, a, f.m * sizeof(double))
    memset(column, 0, f.n * sizeof(double))
    for sweep in range(2):
        for i in range(f.k):
            coefficient = dot(f.m, f.Q + i * f.m, q)
            column[i] += coefficient
            axpy(f.m, -coefficient, f.Q + i * f.m, q)
    rho = sqrt(dot(f.m, q, q))
    if rho <= 8 * (f.k + 1) * UNIT * norm or f.k == f.m:
        return False
    for i in range(f.m):
        q[i] /= rho
    column[f.k] = rho
    f.qb[f.k] = dot(f.m, q, b)
    f.k += 1
    return True


cdef void leave(Factors* f, Py_ssize_t out) noexcept nogil:
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
        rho = hypot(f.R[i * f.n + i], f.R[i * f.n + i + 1])
        c = f.R[i * f.n + i] / rho
        s = f.R[i * f.n + i + 1] / rho
        for j in range(i, f.k):
            upper = f.R[j * f.n + i]
            f.R[j * f.n + i] = c * upper + s * f.R[j * f.n + i + 1]
            f.R[j * f.n + i + 1] = c * f.R[j * f.n + i + 1] - s * upper
        q0 = f.Q + i * f.m
        q1 = q0 + f.m
        for row in range(f.m):
            upper = q0[row]
            q0[row] = c * upper + s * q1[row]
            q1[row] = c * q1[row] - s * upper
        upper = f.qb[i]
        f.qb[i] = c * upper + s * f.qb[i + 1]
        f.qb[i + 1] = c * f.qb[i + 1] - s * upper


cdef void minimise(Factors* f, const double* l1) noexcept nogil:
    """z = argmin on the support: R't = R'Q'b - l1_P, R z = t."""
    cdef Py_ssize_t i, j
    cdef double total
    for i in range(f.k):
        total = l1[f.P[i]]
        for j in range(i):
            total -= f.R[i * f.n + j] * f.h[j]
        f.h[i] = total / f.R[i * f.n + i]
        f.t[i] = f.qb[i] - f.h[i]
        f.z[i] = f.t[i]
    for i in range(f.k - 1, -1, -1):
        f.z[i] /= f.R[i * f.n + i]
        for j in range(i):
            f.z[j] -= f.R[i * f.n + j] * f.z[i]


cdef double step_length(Factors* f, const double* x, Py_ssize_t* wall) noexcept nogil:
    """The largest alpha <= 1 with x + alpha (z - x) >= 0 on P; wall: who stops it, or -1."""
    cdef double alpha = 1, to_wall
    cdef Py_ssize_t i
    wall[0] = -1
    for i in range(f.k):
        if f.z[i] <= 0:
            to_wall = x[f.P[i]] / (x[f.P[i]] - f.z[i])
            if wall[0] < 0 or to_wall < alpha:
                alpha = to_wall
                wall[0] = i
    return alpha


cdef void settle(Factors* f, const double* l1, double* x) noexcept nogil:
    """Move to the minimiser on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, wall
    cdef double alpha
    while f.k > 0:
        minimise(f, l1)
        alpha = step_length(f, x, &wall)
        for i in range(f.k - 1, -1, -1):
            j = f.P[i]
            x[j] = f.z[i] if wall < 0 else x[j] + alpha * (f.z[i] - x[j])
            if i == wall or x[j] <= 0:
                x[j] = 0
                leave(f, i)
        if wall < 0:
            return


cdef double residual(Factors* f, const double* b, const double* l1,
                     const double* x) noexcept nogil:
    """r = b - Q t; returns the objective 1/2 ||r||^2 + l1'x."""
    cdef double total
    cdef Py_ssize_t i
    memcpy(f.r, b, f.m * sizeof(double))
    for i in range(f.k):
        axpy(f.m, -f.t[i], f.Q + i * f.m, f.r)
    total = dot(f.m, f.r, f.r) / 2
    for i in range(f.k):
        total += l1[f.P[i]] * x[f.P[i]]
    return total


cdef Py_ssize_t steepest(Factors* f, const double* A, const double* norm, const double* l1,
                         double size, const Py_ssize_t* barred) noexcept nogil:
    """The generator with the largest w_j / ||a_j|| above its rounding error, -1 if there is none."""
    cdef Py_ssize_t j, best = -1
    cdef double w, most = 0
    for j in range(f.n):
        if barred[j] or norm[j] == 0:
            continue
        w = (dot(f.m, A + j * f.m, f.r) - l1[j]) / norm[j]
        if w > 8 * UNIT * (size + l1[j] / norm[j]) and w > most:
            most = w
            best = j
    return best


cdef Py_ssize_t active_set(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b,
                           const double* norm, const double* l1, double* x,
                           Py_ssize_t max_steps, double* work, Py_ssize_t* index) noexcept nogil:
    cdef Factors f
    cdef Py_ssize_t* barred = index + n         # 1: tried without success, 2: in the support
    cdef Py_ssize_t i, j, steps = 0
    cdef double size = sqrt(dot(m, b, b))
    cdef double objective, before
    f.m, f.n, f.k = m, n, 0
    f.Q, f.R = work, work + m * n
    f.qb, f.t, f.z, f.h = f.R + n * n, f.R + n * n + n, f.R + n * n + 2 * n, f.R + n * n + 3 * n
    f.r, f.P = f.h + n, index
    memset(x, 0, n * sizeof(double))
    memset(barred, 0, n * sizeof(Py_ssize_t))
    before = residual(&f, b, l1, x)
    while True:
        j = steepest(&f, A, norm, l1, size, barred)
        if j < 0:
            return steps
        if steps == max_steps:
            return -1 - steps
        steps += 1
        barred[j] = 1
        if not enter(&f, A + j * m, norm[j], b):
            continue
        f.P[f.k - 1] = j
        minimise(&f, l1)
        if f.z[f.k - 1] <= 0:                   # rounding: in exact arithmetic it enters positive
            f.k -= 1
            continue
        settle(&f, l1, x)
        objective = residual(&f, b, l1, x)
        if objective < before:
            memset(barred, 0, n * sizeof(Py_ssize_t))
        before = objective
        for i in range(f.k):
            barred[f.P[i]] = 2


cdef ActiveSetTable TABLE
TABLE.solve = active_set
table = PyCapsule_New(&TABLE, "fastcone.ActiveSetTable", NULL)
