# SPDX-License-Identifier: BSD-3-Clause
# Non-negative least squares by block principal pivoting, L problems side by side.   float64 only
#
#     minimise  1/2 x'Gx - c'x   over x >= 0            G = A'A, c = A'b - l1
#
# Step       x_P = G_PP^-1 c_P on the support P, 0 off it; every j that is wrong changes sides:
#            x_j < 0 in P, g_j < -slack_j off it,   g = Gx - c
# Ends       when none is wrong. Exchanges of many may go round: a lane whose count of wrong ones
#            has not been lower than ever before for PATIENCE steps gives up
# Factor     G_PP = R R' with the rows and columns off P those of the identity: one pattern for all
#            lanes. 4 x 4 entries in registers, each loaded vector feeding 4 multiply-adds
# Lanes      one vector of them; a lane that ends hands its answer back and takes the next problem:
#            no problem depends on its neighbours
# Cost       n^3 / 6 + 2 n^2 multiply-adds a lane and step, whatever P
# Reference  Portugal, Judice, Vicente, Math. Comp. 63, 1994;
#            Kim, Park, SIAM J. Sci. Comput. 33, 2011
#
#   G        [n / 4][n][4]: rows j..j+3 of the symmetric G side by side, 4 divides n; G_PP positive
#            definite for every P without zero generators; read only
#   slack    n: what a gradient entry may be wrong by; read only
#   C, X     p x ld, problem r in row r.  C read only.  X: >= 0 on entry, its support is the first
#            P; the answer on return, or as it was where a lane gave up
#   most     p, >= 1: limit of the steps of each problem; read only
#   steps    p: steps used, written; negative where the lane gave up
#   work     (n^2 + 5 n) L, 64-byte aligned, no meaning on entry or return
#   returns  the number of problems given up
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport BYTES, lane64, load, spread
from fastcone._kernels.common.tables cimport PivotTable

cdef enum:
    BLOCK = 4           # rows and columns of G per register block
    MOST_LANES = 8
    PATIENCE = 3        # steps without fewer wrong ones


cdef struct Lane:
    # where a lane stands
    Py_ssize_t problem  # -1 for none
    Py_ssize_t least    # the fewest that were wrong
    int patience        # steps that may go by without fewer


cdef inline void masked(Py_ssize_t n, const double* G, const lane64* s, Py_ssize_t row,
                        Py_ssize_t col, lane64* acc) noexcept nogil:
    """acc = block (row, col) of G, with the identity's rows and columns off the support"""
    cdef Py_ssize_t i, j
    for j in range(BLOCK):
        for i in range(BLOCK):
            acc[i * BLOCK + j] = s[row * BLOCK + i] * s[col * BLOCK + j] * spread(
                <const lane64*> G, (row * n + col * BLOCK + j) * BLOCK + i)
    if row == col:
        for i in range(BLOCK):
            acc[i * BLOCK + i] = acc[i * BLOCK + i] + (1 - s[row * BLOCK + i])


cdef inline void less_products(Py_ssize_t count, const lane64* a, const lane64* b,
                               lane64* acc) noexcept nogil:
    """acc_ij -= sum_k a_ki b_kj"""
    cdef Py_ssize_t k
    cdef int i, j
    for k in range(count):
        for i in range(BLOCK):
            for j in range(BLOCK):
                acc[i * BLOCK + j] = acc[i * BLOCK + j] - a[k * BLOCK + i] * b[k * BLOCK + j]


cdef inline lane64 root(lane64 a) noexcept nogil:
    """The square root of each lane."""
    cdef lane64 r = a
    cdef Py_ssize_t q
    for q in range(BYTES // <Py_ssize_t> sizeof(double)):
        (<double*> &r)[q] = sqrt((<double*> &r)[q])
    return r


cdef void factor(Py_ssize_t n, const double* G, const lane64* s, lane64* R,
                 lane64* inv) noexcept nogil:
    """R R' = masked G, row block `row` of R at R + 4 row n as [k][4]; inv_j = 1 / R_jj."""
    cdef lane64 acc[BLOCK * BLOCK]
    cdef lane64 d
    cdef lane64* rows
    cdef lane64* corner
    cdef Py_ssize_t row, col, i, j, t
    for row in range(n // BLOCK):
        rows = R + row * BLOCK * n
        for col in range(row + 1):
            corner = R + col * BLOCK * n + col * BLOCK * BLOCK
            masked(n, G, s, row, col, acc)
            less_products(col * BLOCK, rows, R + col * BLOCK * n, acc)
            for j in range(BLOCK):
                if row == col:
                    d = acc[j * BLOCK + j]
                    for t in range(j):
                        d = d - acc[j * BLOCK + t] * acc[j * BLOCK + t]
                    d = root(d)
                    acc[j * BLOCK + j] = d
                    inv[col * BLOCK + j] = 1 / d
                    for i in range(j + 1, BLOCK):
                        for t in range(j):
                            acc[i * BLOCK + j] = acc[i * BLOCK + j] - (
                                acc[i * BLOCK + t] * acc[j * BLOCK + t])
                        acc[i * BLOCK + j] = acc[i * BLOCK + j] * inv[col * BLOCK + j]
                else:
                    for i in range(BLOCK):
                        for t in range(j):
                            acc[i * BLOCK + j] = acc[i * BLOCK + j] - (
                                acc[i * BLOCK + t] * corner[t * BLOCK + j])
                        acc[i * BLOCK + j] = acc[i * BLOCK + j] * inv[col * BLOCK + j]
            for j in range(BLOCK):
                for i in range(BLOCK):
                    rows[(col * BLOCK + j) * BLOCK + i] = acc[i * BLOCK + j]


cdef void substitute(Py_ssize_t n, const lane64* R, const lane64* inv, const lane64* s,
                     const lane64* c, lane64* z) noexcept nogil:
    """z = (R R')^-1 (s c)"""
    cdef lane64 sums[BLOCK]
    cdef const lane64* rows
    cdef Py_ssize_t row, i, k, t
    for row in range(n // BLOCK):
        rows = R + row * BLOCK * n
        for i in range(BLOCK):
            sums[i] = s[row * BLOCK + i] * c[row * BLOCK + i]
        for k in range(row * BLOCK):
            for i in range(BLOCK):
                sums[i] = sums[i] - rows[k * BLOCK + i] * z[k]
        for i in range(BLOCK):
            for t in range(i):
                sums[i] = sums[i] - rows[(row * BLOCK + t) * BLOCK + i] * sums[t]
            sums[i] = sums[i] * inv[row * BLOCK + i]
            z[row * BLOCK + i] = sums[i]
    for row in range(n // BLOCK - 1, -1, -1):
        rows = R + row * BLOCK * n
        for i in range(BLOCK - 1, -1, -1):
            sums[i] = z[row * BLOCK + i]
            for t in range(i + 1, BLOCK):
                sums[i] = sums[i] - rows[(row * BLOCK + i) * BLOCK + t] * sums[t]
            sums[i] = sums[i] * inv[row * BLOCK + i]
            z[row * BLOCK + i] = sums[i]
        for k in range(row * BLOCK):
            for i in range(BLOCK):
                z[k] = z[k] - rows[k * BLOCK + i] * sums[i]


cdef void gradient(Py_ssize_t n, const double* G, const lane64* c, const lane64* z,
                   lane64* g) noexcept nogil:
    """g = Gz - c"""
    cdef lane64 acc[BLOCK]
    cdef const lane64* rows
    cdef Py_ssize_t row, k
    cdef int i
    for row in range(n // BLOCK):
        rows = <const lane64*> (G + row * BLOCK * n)
        for i in range(BLOCK):
            acc[i] = -c[row * BLOCK + i]
        for k in range(n):
            for i in range(BLOCK):
                acc[i] = acc[i] + spread(rows, k * BLOCK + i) * z[k]
        for i in range(BLOCK):
            g[row * BLOCK + i] = acc[i]


cdef inline bint is_wrong(double s, double z, double g, double slack) noexcept nogil:
    """Whether a coordinate is on the wrong side; NaN counts as wrong."""
    return not z >= 0 if s > 0 else not g >= -slack


cdef Py_ssize_t exchange(Py_ssize_t n, Py_ssize_t L, Py_ssize_t q, const double* slack,
                         const double* z, const double* g, double* s, bint go) noexcept nogil:
    """The number of wrong coordinates of lane q; with `go` they change sides."""
    cdef Py_ssize_t j, wrong = 0
    for j in range(n):
        if is_wrong(s[j * L + q], z[j * L + q], g[j * L + q], slack[j]):
            wrong += 1
            if go:
                s[j * L + q] = 1 - s[j * L + q]
    return wrong


cdef Py_ssize_t pivot(Py_ssize_t n, const double* G, const double* slack, Py_ssize_t p,
                      const double* C, double* X, Py_ssize_t ld, const int* most, int* steps,
                      double* work) noexcept nogil:
    cdef Py_ssize_t L = BYTES // sizeof(double)
    cdef Lane lanes[MOST_LANES]
    cdef Lane* at
    cdef Py_ssize_t q, r, j, wrong, waiting = 0, running = 0, given_up = 0
    cdef double* s = work
    cdef double* c = s + n * L
    cdef double* z = c + n * L
    cdef double* g = z + n * L
    cdef double* inv = g + n * L
    cdef double* R = inv + n * L
    memset(work, 0, 2 * n * L * sizeof(double))
    for q in range(L):
        lanes[q].problem = -1
    while True:
        for q in range(L):                  # free lanes take the next problems
            at = lanes + q
            if at.problem < 0 and waiting < p:
                at.problem = waiting
                at.least = n + 1
                at.patience = PATIENCE
                steps[waiting] = 0
                load(n, L, q, C + waiting * ld, c)
                for j in range(n):
                    s[j * L + q] = X[waiting * ld + j] > 0
                waiting += 1
                running += 1
        if running == 0:
            return given_up
        factor(n, G, <const lane64*> s, <lane64*> R, <lane64*> inv)
        substitute(n, <const lane64*> R, <const lane64*> inv, <const lane64*> s,
                   <const lane64*> c, <lane64*> z)
        gradient(n, G, <const lane64*> c, <const lane64*> z, <lane64*> g)
        for q in range(L):
            at = lanes + q
            r = at.problem
            if r < 0:
                continue
            steps[r] += 1
            wrong = exchange(n, L, q, slack, z, g, s, False)
            at.patience = PATIENCE if wrong < at.least else at.patience - 1
            at.least = min(at.least, wrong)
            if wrong == 0:
                for j in range(n):
                    X[r * ld + j] = z[j * L + q] if s[j * L + q] > 0 else 0
            elif at.patience > 0 and steps[r] < most[r]:
                exchange(n, L, q, slack, z, g, s, True)
                continue
            else:
                steps[r] = -steps[r]
                given_up += 1
            at.problem = -1
            running -= 1
            for j in range(n):              # idle lane: identity matrix, zero right-hand side
                s[j * L + q] = c[j * L + q] = 0


cdef PivotTable TABLE
TABLE.f64 = pivot
table = PyCapsule_New(&TABLE, "nnls.pivot", NULL)
