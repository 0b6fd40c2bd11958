# SPDX-License-Identifier: BSD-3-Clause
"""Prepared generators for embedding modules: batches, bounds and sums without the GIL.

A `Handle` lives with the generators of a `Projector`, and holds what its compiled ways read:

    rung       the first rung of the ladder, the same bits as the batch gets
    exact      the Householder kernel, for what the rung does not prove: right, but without a gap
    support    the support solver with bounds and sums; what it cannot settle is not proved
"""
from libc.math cimport INFINITY, NAN, fabs, isfinite, ldexp
from libc.string cimport memcpy, memset

import numpy as np

cimport numpy as np

from fastcone._nnls.active_set import DEPENDENCE_TOL
from fastcone._nnls.householder import Evened
from fastcone._nnls.plan import AIM, ENOUGH, PROVED, SUPPORT_RANK, Options, Plan
from fastcone._runtime.deadline import Deadline

from fastcone._kernels.nnls.support_room cimport support_room
from fastcone._nnls.rung cimport Rung, solve_block
from fastcone._nnls.rung_memory cimport UNIT, Block, Prepared, carve, exponent, lay_out, products
from fastcone._nnls.rung_support cimport DIGITS, SMALL
from fastcone._runtime.dispatch cimport householder_table, scale_table, support_table

cdef extern from *:
    """
    #define FC_MISSED 1e-12     /* share of a sum that roundings may miss, as in bounded.py */
    """
    const double MISSED "FC_MISSED"


cdef struct Cone:
    Py_ssize_t m, n, rows, ldr
    const Prepared* rung        # NULL where the exact solver comes first
    const Prepared* support     # NULL where G tells too little
    double wanted               # gap that the rung goes for
    double enough               # and the one that counts as proved
    double proved               # by the support solver
    double dependence_tol
    const double* generators    # n x ldm: scaled, one a row, padded with zeros
    Py_ssize_t ldm
    const double* stable        # n x ldr: with the ridge as rows more, its columns evened out
    const int* of_stable        # n: powers of two by which those are multiplied
    const double* entry_weight  # n, of those
    const double* weight        # n: 2^(e_j - top)
    const double* root          # n: sqrt(G_jj)
    const int* e                # n: powers of two by which the generators are multiplied
    int top                     # the largest


cdef struct Room:
    # the work space of p problems
    char* rung
    double* known               # 3 x p
    Py_ssize_t* epochs          # p
    double* row                 # ldr: a target, then scratch
    double* penalty             # n rounded up to 16, as the next four
    double* upper               # n
    double* x                   # ld
    double* g                   # ld
    double* c                   # ld
    double* exact
    Py_ssize_t* index


cdef class Handle:
    """The compiled face of dense generators in float64."""

    cdef Cone cone
    cdef list arrays

    def __init__(self, generators):
        cdef Cone* q = &self.cone
        cdef Rung rung
        self.arrays = [generators]
        gram, stable = generators.gram, generators.with_ridge
        f64 = np.dtype(np.float64)
        options = Options(None, None, "auto", True, Deadline())
        plan = Plan.of(gram, generators.terms, generators.unlike, options, False, AIM[f64])
        q.m, q.n, q.rows = generators.m, generators.n, stable.shape[0]
        q.wanted = AIM[f64] if plan.rung == "descent" else PROVED[f64]
        q.enough = ENOUGH[f64] if plan.rung == "descent" else PROVED[f64]
        q.proved, q.dependence_tol = PROVED[f64], DEPENDENCE_TOL
        q.rung = q.support = NULL
        if plan.rung:
            rung = generators.rung(f64, plan.rung, plan.rung_epochs, False)
            q.rung = &rung.q
            self.arrays.append(rung)
        if generators.bounds_on_gram and generators.n <= SUPPORT_RANK:
            rung = generators.rung(f64, "support", plan.rung_epochs, False)
            q.support = &rung.q
            self.arrays.append(rung)
        q.generators, q.ldm = self.hold(generators.plain.wide), generators.plain.wide.shape[1]
        even = Evened(stable)
        q.stable, q.ldr = self.hold(even.columns), even.columns.shape[1]
        q.entry_weight = self.hold(even.entry_weight)
        powers = (gram.exponent - even.exponent).astype(np.intc)
        self.arrays.append(powers)
        q.of_stable = <const int*> np.PyArray_DATA(<np.ndarray> powers)
        q.top = gram.exponent.max(initial=0)
        q.weight = self.hold(np.ldexp(1.0, gram.exponent - q.top))
        q.root = self.hold(gram.root)
        self.arrays.append(gram.exponent)
        q.e = <const int*> np.PyArray_DATA(<np.ndarray> gram.exponent)

    cdef const double* hold(self, array):
        cdef np.ndarray held = np.ascontiguousarray(array)
        assert held.dtype == np.float64
        self.arrays.append(held)
        return <const double*> np.PyArray_DATA(held)


cdef const void* cone(object projector) except NULL:
    """The address of a projector's handle, made on first need."""
    cdef Handle handle = projector.embedded()
    return <const void*> &handle.cone


cdef Py_ssize_t cut(const Cone* q, Py_ssize_t p, char* start, Room* room) noexcept nogil:
    """Cut the work space up; returns its size."""
    cdef char* at = <char*> ((<size_t> start + 63) & ~(<size_t> 63))
    cdef Py_ssize_t bytes = 0, n = q.n, ld = (n + 15) // 16 * 16
    cdef Block k
    k.p = p
    if q.rung != NULL:
        k.ld = q.rung.ld
        bytes = lay_out(q.rung, &k, NULL)
    if q.support != NULL:
        k.ld = q.support.ld
        bytes = max(bytes, lay_out(q.support, &k, NULL))
    room.rung = carve(&at, bytes)
    room.known = <double*> carve(&at, 3 * p * sizeof(double))
    room.epochs = <Py_ssize_t*> carve(&at, p * sizeof(Py_ssize_t))
    room.row = <double*> carve(&at, max(q.ldr, q.ldm) * sizeof(double))
    room.penalty = <double*> carve(&at, ld * sizeof(double))
    room.upper = <double*> carve(&at, ld * sizeof(double))
    room.x = <double*> carve(&at, ld * sizeof(double))
    room.g = <double*> carve(&at, ld * sizeof(double))
    room.c = <double*> carve(&at, ld * sizeof(double))
    room.exact = <double*> carve(
        &at, max(support_room(n), (n + 3) * q.ldr + 6 * n + 7) * sizeof(double))
    room.index = <Py_ssize_t*> carve(&at, 3 * n * sizeof(Py_ssize_t))
    return at - start + 64


cdef Py_ssize_t cone_work(const void* cone, Py_ssize_t p) noexcept nogil:
    cdef Room room
    return cut(<const Cone*> cone, p, NULL, &room)


cdef bint finite(Py_ssize_t m, const double* b) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        if not isfinite(b[i]):
            return False
    return True


cdef void solve_exactly(const Cone* q, const double* b, double l1, double* x,
                        Room* room) noexcept nogil:
    """One problem in the caller's units, by the Householder kernel."""
    cdef double largest = 0
    cdef Py_ssize_t i, j
    cdef int unit
    for i in range(q.m):
        largest = max(largest, fabs(b[i]))
    unit = exponent(largest)
    for i in range(q.m):
        room.row[i] = ldexp(b[i], -unit)
    for i in range(q.m, q.ldr):
        room.row[i] = 0
    for j in range(q.n):
        room.penalty[j] = min(ldexp(l1, q.of_stable[j] - unit), 1e150)
        x[j] = 0
    if q.m and q.n:
        householder_table.solve(q.rows, q.n, q.stable, room.row, q.entry_weight, room.penalty,
                                q.dependence_tol, x, 30 * q.n, room.exact, room.index)
    for j in range(q.n):
        x[j] = min(ldexp(x[j], q.of_stable[j] + unit), 1.7976931348623157e308)


cdef Py_ssize_t cone_solve(const void* cone, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                           const double* l1, double* X, double* gap, void* work) noexcept nogil:
    cdef const Cone* q = <const Cone*> cone
    cdef Room room
    cdef Py_ssize_t r, left = 0, missing = p
    cdef bint spoilt = False    # whether a target is not finite, so that the rung took none
    cut(q, p, <char*> work, &room)
    if q.rung != NULL and p and q.m and q.n:
        missing = solve_block(q.rung, p, B, ldb, l1, q.wanted, X, room.known, room.epochs,
                              room.rung)
        memcpy(gap, room.known + p, p * sizeof(double))
    else:
        for r in range(p):
            gap[r] = INFINITY
    for r in range(p if missing == p else 0):
        spoilt = spoilt or not finite(q.m, B + r * ldb)
    for r in range(p if missing else 0):
        if gap[r] <= q.enough:
            continue
        left += 1
        if not finite(q.m, B + r * ldb):
            memset(X + r * q.n, 0, q.n * sizeof(double))
            gap[r] = NAN
            continue
        if spoilt and q.rung != NULL:           # each for itself
            solve_block(q.rung, 1, B + r * ldb, ldb, &l1[r] if l1 != NULL else NULL, q.wanted,
                        X + r * q.n, room.known, room.epochs, room.rung)
            gap[r] = room.known[1]
            if gap[r] <= q.enough:
                left -= 1
                continue
        gap[r] = INFINITY
        solve_exactly(q, B + r * ldb, l1[r] if l1 != NULL else 0, X + r * q.n, &room)
    return left


cdef double bound_of(const Cone* q, const double* x, const double* g, const double* upper,
                     double total, double mu, double size, double residual) noexcept nogil:
    """The gap of x by the certificate of bounded.py, relative; inf where a support is open.

    g: less mu weight, off by `allow`; size: ||b||; total < 0 for no sum.
    """
    cdef const Prepared* s = q.support
    cdef double fit = size, allow, slack, curve, hi, lo, most, d, bound = 0, largest = 0, sums = 0
    cdef double margin = INFINITY, extra
    cdef Py_ssize_t j, k = 0
    for j in range(q.n):
        fit += s.norm[j] * x[j]
        largest = max(largest, x[j] * q.root[j])
        sums += q.weight[j] * x[j]
        k += x[j] > 0
    slack = 4 * UNIT * ((k + 10) * fit + (q.m + 8) * residual)
    for j in range(q.n):
        extra = 4 * UNIT * fabs(mu) * q.weight[j]
        allow = (slack + SMALL * s.rounding * fit) * q.root[j] + extra
        hi, lo = max(g[j] + allow, 0.0), min(g[j] - allow, 0.0)
        most = upper[j] if upper != NULL else INFINITY
        if total >= 0:
            most = min(most, total / q.weight[j])
        curve = s.lam * q.root[j] * q.root[j]
        d = min(hi / curve, x[j])
        bound += d * (hi - curve * d / 2)
        d = min(-lo / curve, max(most - x[j], 0.0))
        bound += d * (-lo - curve * d / 2)
        if x[j] == 0 and (upper == NULL or upper[j] > 0):
            margin = min(margin, g[j] * s.rootinv[j])
        elif upper != NULL and x[j] >= upper[j] > 0:
            margin = min(margin, -g[j] * s.rootinv[j])
    if slack > DIGITS * largest * s.lam and margin < slack:
        return INFINITY
    if total >= 0 and fabs(sums - total) > MISSED * total:
        return INFINITY
    if total >= 0:
        bound += fabs(mu) * (fabs(sums - total) + 2 * (k + 1) * UNIT * total)
        size = max(size, residual)
    bound *= 1 + 1e-12
    if bound - bound != 0:
        return INFINITY
    return 0 if bound == 0 else bound / (size * size / 2)


cdef double solve_within(const Cone* q, Block* k, Py_ssize_t r, const double* l1,
                         const double* upper, const double* total, double* x,
                         Room* room) noexcept nogil:
    """One problem of a block with its bounds (n) and sum, or NULL; returns its gap."""
    cdef const Prepared* s = q.support
    cdef const double* weight = q.weight if total != NULL else NULL
    cdef double* most = room.upper if upper != NULL else NULL
    cdef double sums = ldexp(total[0], -q.top - k.exponent[r]) if total != NULL else -1
    cdef double size = (<double*> k.norm)[r], slack, change, gap = INFINITY, known[2]
    cdef const double* penalty = room.penalty if l1 != NULL and total == NULL else NULL
    cdef Py_ssize_t j
    known[0], known[1] = 0, 0
    memset(room.c, 0, (q.n + 15) // 16 * 16 * sizeof(double))
    slack = s.rounding * (<double*> k.delta_scale)[r]
    for j in range(q.n):
        room.c[j] = (<double*> k.C)[r * k.ld + j]
        room.penalty[j] = -min(ldexp(l1[0], q.e[j] - k.exponent[r]), 1e150) if penalty else 0
        if upper != NULL:
            room.upper[j] = ldexp(upper[j], -q.e[j] - k.exponent[r])
        if weight != NULL:
            slack = max(slack, s.rounding * (size + sums * s.norm[j] / weight[j]))
    memset(x, 0, q.n * sizeof(double))
    if weight != NULL and sums == 0:
        return 0 if total[0] == 0 else INFINITY
    memset(room.x, 0, (q.n + 15) // 16 * 16 * sizeof(double))
    if support_table.solve(q.n, s.ld, s.rows_of_G, room.c, s.rootinv, s.norm, most, weight, sums,
                           slack, room.x, room.g, 30 * q.n, room.exact, room.index) >= 0:
        change = support_table.refine(
            q.n, s.ld, s.rows_of_G, s.rootinv, most, weight, sums, room.x, room.g, room.exact,
            room.index, q.m, q.ldm, q.generators, <const double*> k.source + r * k.ldb,
            ldexp(1, -k.exponent[r]), s.ridge, penalty, room.row, known)
        if 0 <= change < SMALL:
            gap = bound_of(q, room.x, room.g, most, sums, known[1], size, known[0])
    for j in range(q.n):
        x[j] = ldexp(room.x[j], q.e[j] + k.exponent[r])
        if upper != NULL:
            x[j] = min(x[j], upper[j])
    return gap


cdef Py_ssize_t cone_solve_bounded(const void* cone, Py_ssize_t p, const double* B,
                                   Py_ssize_t ldb, const double* l1, const double* upper,
                                   const double* total, double* X, double* gap,
                                   void* work) noexcept nogil:
    cdef const Cone* q = <const Cone*> cone
    cdef const Prepared* s = q.support
    cdef Room room
    cdef Block k
    cdef Py_ssize_t r, left = 0
    cut(q, p, <char*> work, &room)
    for r in range(p):
        gap[r] = INFINITY
    memset(X, 0, p * q.n * sizeof(double))
    if s == NULL or p == 0 or q.m == 0:
        return p
    k.p, k.ld = p, s.ld
    lay_out(s, &k, room.rung)
    if not products(s, &k, s.panels64, B, 1, ldb):
        return p if p == 1 else one_by_one(q, p, B, ldb, l1, upper, total, X, gap, work)
    memcpy(k.delta_scale, k.norm, p * sizeof(double))
    scale_table.in_f64(p, s.n, k.ld, <double*> k.C, k.pending, k.exponent,
                       l1 if total == NULL else NULL, s.column_exp, s.rootinv,
                       <double*> k.delta_scale, 1e150, k.scale)
    for r in range(p):
        gap[r] = solve_within(q, &k, r, &l1[r] if l1 != NULL else NULL,
                              upper + r * q.n if upper != NULL else NULL,
                              total + r if total != NULL else NULL, X + r * q.n, &room)
        left += not gap[r] <= q.proved
    return left


cdef Py_ssize_t one_by_one(const Cone* q, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                           const double* l1, const double* upper, const double* total, double* X,
                           double* gap, void* work) noexcept nogil:
    """A block in which a target is not finite."""
    cdef Py_ssize_t r, left = 0
    for r in range(p):
        left += cone_solve_bounded(
            q, 1, B + r * ldb, ldb, l1 + r if l1 != NULL else NULL,
            upper + r * q.n if upper != NULL else NULL, total + r if total != NULL else NULL,
            X + r * q.n, gap + r, work)
    return left
