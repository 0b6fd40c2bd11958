# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem on its Gram matrix: exchange after exchange of the support.
#
#     minimise  1/2 x'Gx - c'x   over x >= 0                           float64 only
#
# On P       G_PP = L L',  L y = c_P,  L' z = y;  the objective at z is -y'y / 2
# Support    P grows by the generators with the largest weighted -g, g = Gx - c, and shrinks where
#            z leaves the orthant on the way from x: the objective never rises
# Several    as many enter at once as have entered before, less two for each that had to leave
# Ends       when no gradient entry is below -slack, or PATIENCE exchanges did not lower the
#            objective: then what is left is rounding. Generators within rounding of span(A_P) stay
#            outside
# Cost       k^2 flops for an entry, k (n - k) for the gradients, k = |P|
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23;
#            Bro, de Jong, J. Chemometrics 11, 1997 (on the Gram matrix)
#
#   G         n x ld, rows of n padded with zeros to ld, whole vectors; aligned; read only
#   c         ld, read only         rootinv  n: 1 / sqrt(G_jj), 0 where that is 0; read only
#   norm      n: ||a_j||, without any ridge; read only
#   slack     a gradient entry above -slack ||a_j|| is rounding
#   x         ld, in: a start >= 0, whose support is taken over; out: >= 0, exactly 0 off the
#             support
#   g         ld, aligned: Gx - c, written
#   max_steps limit of the entries tried
#   work      2 n padded(n) + 6 padded(n) + 7 doubles; index  n integers
#   returns   entries tried, or -1 - steps where max_steps came first
# polish     one step of refinement on the support of x: x_P <- x_P - G_PP^-1 g_P, for a gradient g
#            that is known better than G and c tell; g follows. Arrays as above.
#   returns   the largest |change| / x_j, or -1 with x and g as they were where a coefficient would
#             leave the orthant
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.common.dense cimport dot, gemv_add, padded
from fastcone._kernels.common.lanes cimport BYTES, lane64, spread
from fastcone._kernels.common.span cimport aligned, largest
from fastcone._kernels.common.tables cimport SupportTable

cdef enum:
    BATCH = 16              # generators that may enter in one step
    TRUST = 2               # entries without a loss before several may
    PATIENCE = 4            # exchanges that gain nothing in this precision before the end

cdef extern from *:
    """
    #define FC_DEPENDENT 1e-13  /* of G_jj: a squared distance from the span that may be rounding */
    """
    const double DEPENDENT "FC_DEPENDENT"


cdef struct Problem:
    Py_ssize_t n, ld, k     # k = |P|
    Py_ssize_t row          # length of a row of L: n padded
    const double* G
    const double* c
    const double* rootinv
    const double* norm
    double* L               # n x row, k rows in use
    double* columns         # n x row: L', for the forward substitution
    double* inverse         # row: 1 / L_ii
    double* y               # row: L^-1 c_P
    double* z               # row: the minimiser on P
    double* score           # row: scores of generators, or scratch
    double* outside         # row: 0 for a generator in P, else 1
    double* left            # row: what a step leaves of the coefficients
    double* x               # ld
    double* g               # ld
    Py_ssize_t* P           # n: the support, in the order of L


cdef inline void subtract(Py_ssize_t first, Py_ssize_t last, double weight, const double* a,
                          double* r) noexcept nogil:
    """r -= weight a, from the vector that holds entry `first` to the one before `last`"""
    cdef const lane64* x = <const lane64*> a
    cdef lane64* out = <lane64*> r
    cdef lane64 w = spread(<const lane64*> &weight, 0)
    cdef Py_ssize_t i, width = BYTES // sizeof(double)
    for i in range(first // width, (last + width - 1) // width):
        out[i] = out[i] - x[i] * w


cdef bint enter(Problem* f, Py_ssize_t j) noexcept nogil:
    """Append row k of L; False, with nothing changed, if a_j lies in span(A_P) within rounding."""
    cdef double* row = f.L + f.k * f.row
    cdef double* r = f.z
    cdef const double* column = f.G + j * f.ld
    cdef double rest = column[j], y = f.c[j]
    cdef Py_ssize_t i, k = f.k
    for i in range(k):
        r[i] = column[f.P[i]]
    for i in range(k, padded(k)):
        r[i] = 0
    for i in range(k):                          # L row = G_Pj, column by column
        row[i] = r[i] * f.inverse[i]
        rest -= row[i] * row[i]
        y -= row[i] * f.y[i]
        subtract(i, k, row[i], f.columns + i * f.row, r)
    if not rest > DEPENDENT * column[j]:
        return False
    for i in range(k, padded(k + 1)):
        row[i] = 0
    memset(f.columns + k * f.row, 0, f.row * sizeof(double))
    row[k] = sqrt(rest)
    f.inverse[k] = 1 / row[k]
    for i in range(k + 1):
        f.columns[i * f.row + k] = row[i]
    f.y[k] = y * f.inverse[k]
    f.P[k] = j
    f.outside[j] = 0
    f.k += 1
    return True


cdef void leave(Problem* f, const double* keep) noexcept nogil:
    """Drop the generators at the places where `keep` is not above 0; the rows of L after follow."""
    cdef Py_ssize_t i, j, k = f.k
    i = 0
    while i < k and keep[i] > 0:
        i += 1
    f.k = i
    for i in range(i, k):
        j = f.P[i]
        f.outside[j] = 1
        if keep[i] > 0:
            enter(f, j)                         # P[f.k] is written, f.k <= i


cdef void minimise(Problem* f) noexcept nogil:
    """L' z = y"""
    cdef Py_ssize_t i
    cdef double z
    memcpy(f.z, f.y, padded(f.k) * sizeof(double))
    for i in range(f.k - 1, -1, -1):
        z = f.z[i] * f.inverse[i]
        subtract(0, i, z, f.L + i * f.row, f.z)
        f.z[i] = z


cdef void settle(Problem* f) noexcept nogil:
    """Move x to the minimiser on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, blocking = 0
    cdef double alpha, bound
    while blocking >= 0:
        gain(f)
        minimise(f)
        alpha, blocking = 1, -1
        for i in range(f.k):
            if f.z[i] <= 0:
                j = f.P[i]
                bound = f.x[j] / (f.x[j] - f.z[i])
                if bound < alpha or blocking < 0:
                    alpha, blocking = bound, i
        for i in range(f.k):
            j = f.P[i]
            f.x[j] = f.z[i] if blocking < 0 else f.x[j] + alpha * (f.z[i] - f.x[j])
            if i == blocking or f.x[j] <= 0:
                f.x[j] = 0
            f.left[i] = f.z[i] if i != blocking and f.x[j] == 0 else f.x[j]
        if blocking >= 0:
            leave(f, f.left)


cdef void gradient(Problem* f, const double* z) noexcept nogil:
    """g = G_P z - c"""
    cdef Py_ssize_t j
    for j in range(f.ld):
        f.g[j] = -f.c[j]
    gemv_add(f.ld, f.G, f.ld, f.k, f.P, z, f.g)


cdef void start(Problem* f) noexcept nogil:
    """Take the support of x over, without what its minimiser does not want."""
    cdef Py_ssize_t i, j
    cdef bint lost = True
    f.k = 0
    for j in range(f.n):
        f.outside[j] = 1
    for j in range(f.n):
        if f.x[j] > 0 and f.rootinv[j] > 0:
            enter(f, j)
    while lost:
        gain(f)
        minimise(f)
        lost = False
        for i in range(f.k):
            lost = lost or f.z[i] <= 0
        if lost:
            memcpy(f.left, f.z, f.k * sizeof(double))
            leave(f, f.left)
    memset(f.x, 0, f.ld * sizeof(double))
    for i in range(f.k):
        f.x[f.P[i]] = f.z[i]


cdef double gain(Problem* f) noexcept nogil:
    """y'y: twice what the minimiser on P gains over x = 0; y is padded with zeros"""
    cdef Py_ssize_t i
    for i in range(f.k, padded(f.k)):
        f.y[i] = 0
    return dot(padded(f.k), f.y, f.y)


cdef Py_ssize_t enter_best(Problem* f, double slack, Py_ssize_t most, bint* any) noexcept nogil:
    """Let up to `most` generators enter, none with less than half the best score."""
    cdef double score, best, least = 0
    cdef Py_ssize_t j, tried = 0
    for j in range(f.n):
        score = -f.g[j] * f.rootinv[j] * f.outside[j]
        f.score[j] = score if -f.g[j] > slack * f.norm[j] else 0
    any[0] = False
    while tried < most:
        j = largest(f.n, f.score)
        if j < 0 or f.score[j] < least:
            break
        best, f.score[j] = f.score[j], 0
        if enter(f, j):
            any[0] = True
            if least == 0:
                least = best / 2
        tried += 1
    return tried


cdef void lay_out(Problem* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Cut the caller's work space up."""
    f.row = padded(f.n)
    f.L = aligned(work)
    f.columns = f.L + f.n * f.row
    f.y = f.columns + f.n * f.row
    f.z, f.score, f.inverse, f.left = (
        f.y + f.row, f.y + 2 * f.row, f.y + 3 * f.row, f.y + 4 * f.row)
    f.P, f.outside = index, f.y + 5 * f.row


cdef Py_ssize_t support(Py_ssize_t n, Py_ssize_t ld, const double* G, const double* c,
                        const double* rootinv, const double* norm, double slack, double* x,
                        double* g, Py_ssize_t max_steps, double* work,
                        Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t k, tried, left, steps = 0, trust = 0, stuck = 0
    cdef double before, after
    cdef bint any
    f.n, f.ld, f.G, f.c, f.rootinv, f.x, f.g = n, ld, G, c, rootinv, x, g
    f.norm = norm
    lay_out(&f, work, index)
    start(&f)
    after = gain(&f)
    while steps < max_steps:
        gradient(&f, f.z)
        tried = max(<Py_ssize_t> 1, min(<Py_ssize_t> BATCH, trust - TRUST))
        tried = enter_best(&f, slack, min(tried, max_steps - steps), &any)
        steps += tried
        if not any:
            return steps
        k, before = f.k, after
        settle(&f)
        left = k - f.k
        trust = max(<Py_ssize_t> 0, trust + 1 - 2 * left) if left > 0 else trust + 1 + trust // 2
        after = gain(&f)
        if after > before or left == 0:         # what enters alone gains, if less than can be told
            continue
        if tried == 1:
            stuck += 1
        if stuck == PATIENCE:
            gradient(&f, f.z)
            return steps
        trust = 0
    gradient(&f, f.z)
    return -1 - steps


cdef double polish(Py_ssize_t n, Py_ssize_t ld, const double* G, const double* rootinv, double* x,
                   double* g, double* work, Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t i, j
    cdef double most = 0
    f.n, f.ld, f.G, f.c, f.rootinv, f.x, f.g = n, ld, G, g, rootinv, x, g
    lay_out(&f, work, index)
    f.k = 0
    for j in range(n):
        if x[j] > 0 and not enter(&f, j):       # L y = g_P
            return -1
    gain(&f)
    minimise(&f)
    for i in range(f.k):
        most = max(most, fabs(f.z[i]) / x[f.P[i]])
    if not most < 1:
        return -1
    for i in range(f.k):
        x[f.P[i]] -= f.z[i]
        f.z[i] = -f.z[i]
    gemv_add(ld, G, ld, f.k, f.P, f.z, g)
    return most


cdef SupportTable TABLE
TABLE.solve = support
TABLE.polish = polish
table = PyCapsule_New(&TABLE, "nnls.support", NULL)
