# SPDX-License-Identifier: BSD-3-Clause
# Non-negative least squares by cyclic coordinate descent, L problems side by side.
#
#     minimise  1/2 x'Gx - c'x   over x >= lower        G = A'A, c = A'b - l1
#
# Step       x_j <- max(lower_j, x_j - g_j / G_jj),   g = Gx - c
# Stop       per lane, when an epoch moved it by  sum_j G_jj (x_j' - x_j)^2 <= stop,  or after
#            `most`
# Aitken     once the support is found the error is the slowest mode's, d' ~ rho d from epoch to
#            epoch; where two steps are so nearly parallel, x <- max(lower, x + rho / (1 - rho) d')
#            sums that mode's series up. Where the next epoch moves more than the one before did, or
#            the next extrapolation begins no nearer, the lane waits four times as long: epochs
#            alone converge
# Lanes      a lane that stops hands its answer back and takes the next problem: no lane waits, and
#            no problem depends on its neighbours
# Cost       2 n^2 flops per lane and epoch: blocks of 4 coordinates x V vectors of lanes, the
#            gradient of a block in registers, each loaded x_j feeding 4 multiply-adds
# Reference  Franc, Hlavac, Navara, CAIP 2005; Aitken 1926 (the extrapolation)
#
# nnls_cd
#   G        [n / 4][n][4]: rows j..j+3 of the symmetric G side by side, 4 divides n; read only
#   inv      n: 1 / G_jj, or 0 where the generator is zero (its x_j stays as it started); read only
#   weight   n: G_jj; read only
#   C, X     p x ld, problem r in row r.  C read only.  X: start on entry (>= lower), answer on
#            return
#   lower    p x ld, or NULL for zeros; read only
#   stop     p: the limit above; read only. 0: epochs alone, no extrapolation
#   schedule p x 2: epochs between extrapolations (3 at first) and what the epoch before the last
#            one moved (infinity at first), both handed on to the next call for the same problem
#   most     p: limit of the epochs of each problem; read only
#   last     p: what the last epoch moved, or the one before if that was less, written
#   epochs   p: epochs used, written; negative where `most` came first
#   work     (4 n + 3) L, 64-byte aligned, no meaning on entry or return
#   returns  the number of problems that did not stop by themselves
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport (
    BYTES, V, lane, lane32, lane64, load, maximum, none, real, spread, store,
)
from fastcone._kernels.common.tables cimport DescentTable
from fastcone._kernels.nnls.gradient cimport BLOCK, minus_gradient

cdef enum:
    MOST_LANES = 48     # lanes of the widest tile: V vectors of 16 floats
    RARELY = 1 << 28    # epochs between extrapolations after many that failed
    FARTHEST = 50       # steps of an extrapolation

cdef extern from *:
    """
    #define FC_PARALLEL 0.9     /* the least cos^2 of two steps that are taken for one mode's */
    """
    const double PARALLEL "FC_PARALLEL"


cdef struct Lane:
    # where a lane stands
    Py_ssize_t problem  # -1 for none
    int wait            # epochs until it may extrapolate
    int interval           # epochs between extrapolations
    bint extrapolated          # whether the last epoch began with an extrapolation
    double moved        # what the last epoch moved it
    double last_start       # what the epoch before the last extrapolation moved it


cdef inline void coordinate(Py_ssize_t j0, int j, const lane* rows, const lane* inv,
                            const lane* weight, const lane* lower, lane* x, lane* step,
                            lane* acc, lane* sums, int vectors) noexcept nogil:
    """The step of coordinate j of the block at j0; acc, -g of the block, follows."""
    cdef lane to, d, weighted
    cdef Py_ssize_t at
    cdef int i, v
    for v in range(vectors):
        # x_j <- max(lower_j, x_j - g_j / G_jj)
        at = (j0 + j) * vectors + v
        to = maximum(x[at] + acc[j * vectors + v] * spread(inv, j0 + j), lower[at])
        d = to - x[at]
        x[at] = to
        weighted = d * spread(weight, j0 + j)
        sums[v] = sums[v] + d * weighted
        sums[vectors + v] = sums[vectors + v] + step[at] * weighted
        step[at] = d
        for i in range(j + 1, BLOCK):
            # g_i <- g_i + G_ij d_j for the rest of the block
            acc[i * vectors + v] = (
                acc[i * vectors + v] - spread(rows, (j0 + j) * BLOCK + i) * d)


cdef inline void epoch_lanes(Py_ssize_t n, const lane* G, const lane* inv, const lane* weight,
                             const lane* c, const lane* lower, lane* x, lane* step,
                             lane* moved, Py_ssize_t width, int vectors) noexcept nogil:
    """One epoch of every lane; step = x' - x, moved = sum_j G_jj step_j^2.

    Behind moved, a tile on: the same of this step and the last, sum_j G_jj step_j step_j'.
    """
    cdef lane acc[BLOCK * V]
    cdef lane sums[2 * V]
    cdef const lane* rows
    cdef Py_ssize_t block, j0
    cdef int v
    for v in range(2 * vectors):
        sums[v] = none(x)
    for block in range(n // BLOCK):
        j0 = block * BLOCK
        rows = <const lane*> (<const char*> G + j0 * n * width)
        minus_gradient(n, rows, x, c + j0 * vectors, acc, vectors)
        # one by one, not in a loop: acc and sums stay in registers
        coordinate(j0, 0, rows, inv, weight, lower, x, step, acc, sums, vectors)
        coordinate(j0, 1, rows, inv, weight, lower, x, step, acc, sums, vectors)
        coordinate(j0, 2, rows, inv, weight, lower, x, step, acc, sums, vectors)
        coordinate(j0, 3, rows, inv, weight, lower, x, step, acc, sums, vectors)
    for v in range(2 * vectors):
        moved[v] = sums[v]


cdef void extrapolate(Py_ssize_t n, const lane* step_multiple, const lane* step,
                      const lane* lower, lane* x, int vectors) noexcept nogil:
    """x <- max(lower, x + step_multiple step), step_multiple 0 where a lane does not extrapolate"""
    cdef Py_ssize_t j
    cdef int v
    for j in range(n):
        for v in range(vectors):
            x[j * vectors + v] = maximum(
                x[j * vectors + v] + step_multiple[v] * step[j * vectors + v],
                lower[j * vectors + v])


cdef inline double multiple(Lane* at, double moved, double along) noexcept nogil:
    """How many times its last step a lane should extrapolate by, 0 for not now."""
    cdef double before = at.moved
    cdef bint failed = at.extrapolated and moved > before
    at.moved = moved
    at.extrapolated = False
    at.wait -= 1
    if at.wait < 0 and 0 < along < before and along * along >= PARALLEL * moved * before:
        # finitely many extrapolations: each starts from a step half as long as the last one's
        at.extrapolated = 2 * moved < at.last_start
        failed = not at.extrapolated
        at.wait = at.interval
        at.last_start = min(at.last_start, moved)
    if failed:
        at.wait = at.interval = min(4 * at.interval, RARELY)
    return min(along / (before - along), FARTHEST) if at.extrapolated else 0      # rho / (1 - rho)


cdef void epoch(Py_ssize_t n, const real* G, const real* inv, const real* weight, const real* c,
                const real* lower, real* x, real* step, real* moved, int vectors) noexcept nogil:
    """`epoch_lanes` in the lanes of the type, compiled for either width of a tile."""
    if real is float and vectors == 1:
        epoch_lanes(n, <const lane32*> G, <const lane32*> inv, <const lane32*> weight,
                    <const lane32*> c, <const lane32*> lower, <lane32*> x, <lane32*> step,
                    <lane32*> moved, sizeof(real), 1)
    elif real is float:
        epoch_lanes(n, <const lane32*> G, <const lane32*> inv, <const lane32*> weight,
                    <const lane32*> c, <const lane32*> lower, <lane32*> x, <lane32*> step,
                    <lane32*> moved, sizeof(real), V)
    elif vectors == 1:
        epoch_lanes(n, <const lane64*> G, <const lane64*> inv, <const lane64*> weight,
                    <const lane64*> c, <const lane64*> lower, <lane64*> x, <lane64*> step,
                    <lane64*> moved, sizeof(real), 1)
    else:
        epoch_lanes(n, <const lane64*> G, <const lane64*> inv, <const lane64*> weight,
                    <const lane64*> c, <const lane64*> lower, <lane64*> x, <lane64*> step,
                    <lane64*> moved, sizeof(real), V)


cdef Py_ssize_t nnls_cd(Py_ssize_t n, const real* G, const real* inv, const real* weight,
                        Py_ssize_t p, const real* C, const real* lower, real* X, Py_ssize_t ld,
                        const real* stop, double* schedule, real* last, const int* most,
                        int* epochs, real* work) noexcept nogil:
    cdef int vectors = 1 if p * sizeof(real) <= BYTES else V    # few problems: a narrow tile
    cdef Py_ssize_t L = vectors * BYTES // sizeof(real)
    cdef Lane lanes[MOST_LANES]
    cdef Lane* at
    cdef Py_ssize_t q, r, waiting = 0, running = 0, unfinished = 0
    cdef real* x = work
    cdef real* c = x + n * L
    cdef real* bound = c + n * L
    cdef real* step = bound + n * L
    cdef real* moved = step + n * L
    cdef real* step_multiple = moved + 2 * L
    cdef bint extrapolating
    memset(work, 0, (4 * n + 3) * L * sizeof(real))
    for q in range(L):
        lanes[q].problem = -1
    while True:
        for q in range(L):                  # free lanes take the next problems
            at = lanes + q
            if at.problem < 0 and waiting < p:
                at.problem = waiting
                at.wait = at.interval = <int> schedule[2 * waiting]
                at.last_start = schedule[2 * waiting + 1]
                at.extrapolated = False
                at.moved = 0
                epochs[waiting] = 0
                load(n, L, q, C + waiting * ld, c)
                load(n, L, q, X + waiting * ld, x)
                if lower != NULL:
                    load(n, L, q, lower + waiting * ld, bound)
                waiting += 1
                running += 1
        if running == 0:
            return unfinished
        memset(moved, 0, 3 * L * sizeof(real))
        epoch(n, G, inv, weight, c, bound, x, step, moved, vectors)
        extrapolating = False
        for q in range(L):
            at = lanes + q
            r = at.problem
            if r < 0:
                continue
            epochs[r] += 1
            if moved[q] <= stop[r] or epochs[r] >= most[r]:
                if not moved[q] <= stop[r]:
                    epochs[r] = -epochs[r]
                    unfinished += 1
                last[r] = moved[q] if at.moved == 0 else min(moved[q], <real> at.moved)
                schedule[2 * r] = at.interval
                schedule[2 * r + 1] = at.last_start
                store(n, L, q, x, X + r * ld)
                at.problem = -1
                running -= 1
            elif stop[r] > 0:
                step_multiple[q] = <real> multiple(at, moved[q], moved[L + q])
                extrapolating = extrapolating or step_multiple[q] > 0
        if extrapolating:
            if real is float:
                extrapolate(n, <const lane32*> step_multiple, <const lane32*> step,
                            <const lane32*> bound, <lane32*> x, vectors)
            else:
                extrapolate(n, <const lane64*> step_multiple, <const lane64*> step,
                            <const lane64*> bound, <lane64*> x, vectors)


cdef DescentTable TABLE
TABLE.cd_f32 = nnls_cd[float]
TABLE.cd_f64 = nnls_cd[double]
TABLE.vectors = V
table = PyCapsule_New(&TABLE, "nnls.descent", NULL)
