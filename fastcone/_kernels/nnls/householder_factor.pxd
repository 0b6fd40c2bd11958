# SPDX-License-Identifier: BSD-3-Clause
"""The factors T = Q'A and d = Q'b of a support P, updated as generators enter and leave.

Inlined into the Householder kernel, whose head tells what the arrays of the caller hold.
"""

from libc.math cimport fabs, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.nnls.reflections cimport (
    exchange, flush, grow, largest_row, reflect, reflection, rotate_rows, rotate_sizes,
    stands_out, tail,
)


cdef struct Problem:
    Py_ssize_t m, n, ld, k  # A is m x n; k = |P|
    bint penalised
    double dependence_tol
    const double* A
    const double* b
    const double* l1
    double* T               # n x ld: Q'A
    double* d               # ld: Q'b
    double* row_size        # ld: the largest entry that a generator of P ever had in a row
    double* d_size          # ld: the largest that an entry of d ever was
    double* x
    double* z               # n: minimiser on P
    double* h               # n: R^-T l1_P
    double* w               # n: weighted gradient
    double* kept            # n: x before a step
    double* best            # n: x before entries that are tried for what rounding may hide
    double* is_open         # n: 1 where a generator may enter, else 0
    Py_ssize_t* P           # n: the support, in the order of R
    Py_ssize_t* before      # n: P before a step
    Py_ssize_t* inside      # n: whether a generator is in P


cdef inline void eliminate(Problem* f, Py_ssize_t j) noexcept nogil:
    """Make generator j the next of R: Q gains a reflection, and every generator outside P."""
    cdef Py_ssize_t k = f.k, i, q, row = largest_row(k, f.m, f.T + j * f.ld)
    cdef double* v = f.T + j * f.ld
    cdef double head, scale = 0, pivot = 0
    exchange(f.d, k, row)
    exchange(f.row_size, k, row)
    exchange(f.d_size, k, row)
    for q in range(f.n):
        if not f.inside[q]:
            exchange(f.T + q * f.ld, k, row)
    grow(k, f.ld, v, f.row_size)
    head = reflection(k, f.ld, v, &pivot, &scale)
    f.P[k] = j
    f.inside[j] = True
    f.k += 1
    for q in range(f.n):
        if not f.inside[q]:
            reflect(k, f.ld, v, head, scale, f.T + q * f.ld)
            flush(k + 1, f.ld, f.row_size, f.T + q * f.ld)
    reflect(k, f.ld, v, head, scale, f.d)
    flush(k + 1, f.ld, f.d_size, f.d)
    v[k] = pivot
    memset(v + k + 1, 0, (f.ld - k - 1) * sizeof(double))
    for i in range(f.m):
        f.d_size[i] = max(f.d_size[i], fabs(f.d[i]))


cdef inline void factorise(Problem* f, const Py_ssize_t* support, Py_ssize_t count) noexcept nogil:
    """T and d anew from A and b for a support, what is longest first; drops what is dependent."""
    cdef Py_ssize_t i, j, q, best
    cdef double most, left
    memcpy(f.T, f.A, f.n * f.ld * sizeof(double))
    memcpy(f.d, f.b, f.ld * sizeof(double))
    memset(f.row_size, 0, f.ld * sizeof(double))
    memset(f.inside, 0, f.n * sizeof(Py_ssize_t))
    for i in range(f.ld):
        f.d_size[i] = fabs(f.b[i])
    f.k = 0
    while f.k < min(count, f.m):
        best, most = -1, -1
        for q in range(count):
            j = support[q]
            if not f.inside[j]:
                left = tail(f.k, f.ld, f.T + j * f.ld, f.T + j * f.ld)
                if left > most:
                    best, most = j, left
        if best < 0 or not stands_out(f.k, f.ld, f.T + best * f.ld, f.row_size, f.dependence_tol):
            break
        eliminate(f, best)
    for q in range(count):
        if not f.inside[support[q]]:
            f.x[support[q]] = 0


cdef inline void minimise(Problem* f) noexcept nogil:
    """z = argmin on the support: R'h = l1_P, R z = d - h."""
    cdef Py_ssize_t i, j
    cdef double total
    cdef const double* column
    memcpy(f.z, f.d, f.k * sizeof(double))
    for i in range(f.k if f.penalised else 0):
        column = f.T + f.P[i] * f.ld
        total = f.l1[f.P[i]]
        for j in range(i):
            total -= column[j] * f.h[j]
        f.h[i] = total / column[i]
        f.z[i] -= f.h[i]
    for i in range(f.k - 1, -1, -1):
        column = f.T + f.P[i] * f.ld
        f.z[i] /= column[i]
        for j in range(i):
            f.z[j] -= f.z[i] * column[j]


cdef inline void rotate(Problem* f, Py_ssize_t i, Py_ssize_t from_place, double c,
                        double s) noexcept nogil:
    """Rows i and i + 1 of the generators outside P, of those in P from a place on, and of d."""
    cdef Py_ssize_t q
    for q in range(-1, f.n):
        if q < 0 or not f.inside[q]:
            rotate_rows(f.d if q < 0 else f.T + q * f.ld, i, c, s)
    for q in range(from_place, f.k):
        rotate_rows(f.T + f.P[q] * f.ld, i, c, s)
    rotate_sizes(f.row_size, i, fabs(c), fabs(s))
    rotate_sizes(f.d_size, i, fabs(c), fabs(s))


cdef inline void leave(Problem* f, Py_ssize_t out) noexcept nogil:
    """Drop the generator at a place of P; rotations make R triangular again."""
    cdef Py_ssize_t i
    cdef double rho
    cdef double* column
    f.inside[f.P[out]] = False
    for i in range(out, f.k - 1):
        f.P[i] = f.P[i + 1]
    f.k -= 1
    for i in range(out, f.k):
        column = f.T + f.P[i] * f.ld
        rho = sqrt(column[i] ** 2 + column[i + 1] ** 2)
        rotate(f, i, i, column[i] / rho, column[i + 1] / rho)
        column[i + 1] = 0
