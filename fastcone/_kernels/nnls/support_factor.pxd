# SPDX-License-Identifier: BSD-3-Clause
"""The support P of one problem and W = L^-1, G_PP = L L': generators that enter and leave.

With bounds P holds the generators between them, and `target` is c without what those at their
upper bound explain. With a sum the minimiser on P is z = W'(W target_P + mu W weight_P).
"""

from libc.math cimport sqrt
from libc.string cimport memset

from fastcone._kernels.common.dense cimport dot, gather, padded, zero
from fastcone._kernels.common.lanes cimport BYTES, lane64, spread, total64
from fastcone._kernels.nnls.support_room cimport row_of

cdef extern from *:
    """
    #define FC_DEPENDENT 1e-13  /* of G_jj: a squared distance from the span that may be rounding */
    """
    const double DEPENDENT "FC_DEPENDENT"

cdef enum:
    PAIR = 2                # vectors of entries that a sum over rows of W forms at a time
    CHAINS = 2              # partial sums of each


cdef struct Problem:
    Py_ssize_t n, ld, k     # k = |P|
    Py_ssize_t row          # length of a row of W
    const double* G
    const double* c
    const double* rootinv
    const double* norm
    double* W               # n x row: L^-1, k rows in use, zeros from the diagonal to row_of(k)
    double* columns         # n x row: W'
    const double* upper     # n, or NULL
    const double* weight    # n, or NULL: of the sum weight'x
    double rest             # what is left of the sum for P
    double mu               # multiplier of the sum, 0 without one
    const double* target    # ld: c, or `reduced`
    double* reduced         # ld: c without what generators at their upper bound explain
    double* y               # row: W target_P, padded with zeros
    double* z               # row: the minimiser on P, padded with zeros
    double* free            # row: W'y; it is z without a sum
    double* t               # row: W weight_P, padded with zeros
    double* slope           # row: W't: how z changes with mu
    double* score           # row: scores of generators
    double* part            # row: entries of G, or scratch
    double* entering        # row: the next row of L
    double* outside         # row: 1 for a generator that may enter, -1 from its bound, else 0
    double* left            # row: what a step leaves of the coefficients
    double* x               # ld
    double* g               # ld
    Py_ssize_t* P           # n: the support, in the order of L


cdef inline void combine(Py_ssize_t k, Py_ssize_t row, const double* rows, bint lower,
                         const double* weight, double* out) noexcept nogil:
    """out = sum_i weight_i rows_i, the k entries and what fills their last vectors up.

    A row of W is zero behind entry i (`lower`), one of W' before it.
    """
    cdef lane64 acc[CHAINS * PAIR]
    cdef lane64 w
    cdef const lane64* a
    cdef lane64* to = <lane64*> out
    cdef Py_ssize_t block, i, first, last, width = BYTES // sizeof(double), entries = PAIR * width
    cdef int h, v
    for block in range((k + entries - 1) // entries):
        first = block * entries if lower else 0
        last = k if lower else min(k, (block + 1) * entries)
        for v in range(CHAINS * PAIR):
            acc[v] = zero
        for i in range((last - first) // CHAINS):
            for h in range(CHAINS):
                a = <const lane64*> (rows + (first + CHAINS * i + h) * row) + PAIR * block
                w = spread(<const lane64*> weight, first + CHAINS * i + h)
                for v in range(PAIR):
                    acc[PAIR * h + v] = acc[PAIR * h + v] + a[v] * w
        if (last - first) % CHAINS:
            a = <const lane64*> (rows + (last - 1) * row) + PAIR * block
            w = spread(<const lane64*> weight, last - 1)
            for v in range(PAIR):
                acc[v] = acc[v] + a[v] * w
        for v in range(PAIR):
            to[PAIR * block + v] = acc[v] + acc[PAIR + v]


cdef inline void less_dots(Py_ssize_t length, const double* a, const double* b, double* of_a,
                           double* of_b) noexcept nogil:
    """of_a -= a'a, of_b -= a'b over a padded length"""
    cdef lane64 aa[2]
    cdef lane64 ab[2]
    cdef const lane64* x = <const lane64*> a
    cdef const lane64* y = <const lane64*> b
    cdef Py_ssize_t i, vectors = length * sizeof(double) // BYTES
    cdef int c
    for c in range(2):
        aa[c], ab[c] = zero, zero
    for i in range(vectors // 2):
        for c in range(2):
            aa[c] = aa[c] + x[2 * i + c] * x[2 * i + c]
            ab[c] = ab[c] + x[2 * i + c] * y[2 * i + c]
    if vectors % 2:
        aa[0] = aa[0] + x[vectors - 1] * x[vectors - 1]
        ab[0] = ab[0] + x[vectors - 1] * y[vectors - 1]
    of_a[0] -= total64(aa[0] + aa[1])
    of_b[0] -= total64(ab[0] + ab[1])


cdef inline void minimiser(Problem* f) noexcept nogil:
    """mu and z, from W'y and W't."""
    cdef Py_ssize_t i
    if f.weight == NULL:
        return
    f.mu = (f.rest - dot(padded(f.k), f.t, f.y)) / dot(padded(f.k), f.t, f.t)
    for i in range(f.k):
        f.z[i] = f.free[i] + f.mu * f.slope[i]


cdef inline bint enter(Problem* f, Py_ssize_t j) noexcept nogil:
    """Append row k of W; False, with nothing changed, if a_j lies in span(A_P) within rounding."""
    cdef const double* column = f.G + j * f.ld
    cdef double* a = f.part
    cdef double* w = f.W + f.k * f.row
    cdef double rest = column[j], y = f.target[j], t, pivot
    cdef Py_ssize_t i, k = f.k
    gather(k, column, f.P, a)
    combine(k, f.row, f.columns, False, a, f.entering)      # row of L = W G_Pj
    for i in range(k, padded(k)):
        f.entering[i] = 0
    less_dots(padded(k), f.entering, f.y, &rest, &y)
    if not rest > DEPENDENT * column[j]:
        return False
    pivot = 1 / sqrt(rest)
    y *= pivot
    combine(k, f.row, f.W, True, f.entering, a)
    if k % row_of(1) == 0:                      # the rows before reach into a new block
        for i in range(k):
            memset(f.W + i * f.row + k, 0, row_of(1) * sizeof(double))
            memset(f.columns + i * f.row + k, 0, row_of(1) * sizeof(double))
    memset(w, 0, row_of(k + 1) * sizeof(double))
    memset(f.columns + k * f.row, 0, row_of(k + 1) * sizeof(double))
    for i in range(k):
        w[i] = -a[i] * pivot
        f.columns[i * f.row + k] = w[i]
        f.free[i] += y * w[i]
    w[k] = f.columns[k * f.row + k] = pivot
    f.y[k], f.free[k] = y, y * pivot
    if f.weight != NULL:
        t = (f.weight[j] - dot(padded(k), f.entering, f.t)) * pivot
        for i in range(k):
            f.slope[i] += t * w[i]
        f.t[k], f.slope[k] = t, t * pivot
    f.P[k] = j
    f.outside[j] = 0
    f.k += 1
    return True


cdef inline void leave(Problem* f, const double* keep) noexcept nogil:
    """Drop the generators at the places where `keep` is not above 0; those after enter anew."""
    cdef Py_ssize_t i = 0, j, first, k = f.k
    while i < k and keep[i] > 0:
        i += 1
    f.k = first = i
    for i in range(first, k):
        f.y[i] = f.t[i] = 0
    combine(first, f.row, f.W, True, f.y, f.free)
    if f.weight != NULL:
        combine(first, f.row, f.W, True, f.t, f.slope)
    for i in range(first, padded(k)):
        f.free[i] = f.z[i] = 0
    for i in range(first, k):
        j = f.P[i]
        f.outside[j] = -1 if f.upper != NULL and f.x[j] >= f.upper[j] else 1
        if keep[i] > 0 and not enter(f, j):     # P[f.k] is written, f.k <= i
            f.x[j] = 0
