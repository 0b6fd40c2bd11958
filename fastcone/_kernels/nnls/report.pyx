# SPDX-License-Identifier: BSD-3-Clause
#
# What a proof of optimality needs, for given x; docs/nnls.md, "Certificate".
#
# Gradient   g = Gx - c, known to delta_j in entry j
# Cost       2 n^2 flops a problem
#
#   G, C, X  as in descent.pyx; read only
#   coord    [n][8]: the columns of a coordinate, see report_columns.pxd; read only
#   delta_scale  p: the unit of the rounding allowance, ||b|| plus the share of l1; read only
#   rounding relative rounding allowance of a gradient entry: its true value lies within
#            rounding * sqrt(G_jj) * (sum_k sqrt(G_kk) x_k + delta_scale) = delta_j
#   out      [p][8]: the columns of a problem, see report_columns.pxd; written
#   work     (2 n + 10) L, 64-byte aligned, no meaning on entry or return
# gradient
#   out      p x ld: Gx - c, written; the rest as above; work  3 n L
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport (
    BYTES, V, lane, lane32, lane64, load, maximum, negative, positive, real, spread, store,
)
from fastcone._kernels.common.tables cimport ReportTable
from fastcone._kernels.nnls.gradient cimport BLOCK, minus_gradient
from fastcone._kernels.nnls.report_columns cimport (
    AX, CONVEX, COORDINATE_COLUMNS, CX, HALF_CURVATURE, INVERSE_CURVATURE, INVERSE_SCALE,
    INVERSE_SHIFT, NORM1, REPORT_COLUMNS, ROOT, SCALE, SHIFT, SHIFT_ENTRY, VIOLATION, XDELTA, XG,
)


cdef inline void report_tile(Py_ssize_t n, const lane* G, const lane* coord, const lane* x,
                             const lane* c, const lane* delta_scale, lane rounding, lane* out,
                             Py_ssize_t width, int vectors) noexcept nogil:
    """The report of L problems; `out`: REPORT_COLUMNS rows of `vectors` vectors, zero on entry."""
    cdef lane acc[BLOCK * V]
    cdef lane delta[V]
    cdef lane g, xj, allow, hi, lo, d
    cdef const lane* bound
    cdef Py_ssize_t j, j0, block
    cdef int i, v
    for v in range(vectors):
        for j in range(n):
            out[NORM1 * vectors + v] = (
                out[NORM1 * vectors + v]
                + spread(coord, j * COORDINATE_COLUMNS) * x[j * vectors + v])
        delta[v] = rounding * (out[NORM1 * vectors + v] + delta_scale[v])
    for block in range(n // BLOCK):
        j0 = block * BLOCK
        minus_gradient(n, <const lane*> (<const char*> G + j0 * n * width), x, c + j0 * vectors,
                       acc, vectors)
        for i in range(BLOCK):
            bound = <const lane*> (<const char*> coord + (j0 + i) * COORDINATE_COLUMNS * width)
            for v in range(vectors):
                g = -acc[i * vectors + v]
                xj = x[(j0 + i) * vectors + v]
                allow = delta[v] * spread(bound, ROOT)
                hi = positive(g + allow)
                lo = negative(g - allow)
                out[XG * vectors + v] = out[XG * vectors + v] + xj * g
                out[CX * vectors + v] = out[CX * vectors + v] + c[(j0 + i) * vectors + v] * xj
                out[XDELTA * vectors + v] = out[XDELTA * vectors + v] + xj * allow
                # max_j |min(x_j, g_j)|; again in _nnls/: rung_support.pxd, certificate.py,
                # stack.pyx, hurried.py; with bounds: bounded.py
                out[VIOLATION * vectors + v] = maximum(out[VIOLATION * vectors + v], maximum(
                    -maximum(-xj * spread(bound, SCALE), -g * spread(bound, INVERSE_SCALE)),
                    -g * spread(bound, INVERSE_SCALE)))
                # sum_j  max over d <= x_j of  g_j d - lam G_jj d^2 / 2
                d = -maximum(-hi * spread(bound, INVERSE_CURVATURE), -xj)
                out[CONVEX * vectors + v] = (
                    out[CONVEX * vectors + v] + d * (hi - spread(bound, HALF_CURVATURE) * d))
                d = lo * spread(bound, INVERSE_CURVATURE)
                out[CONVEX * vectors + v] = (
                    out[CONVEX * vectors + v] + d * (lo - spread(bound, HALF_CURVATURE) * d))
                # least shift s with g + s a >= 0, and a'x
                out[SHIFT * vectors + v] = maximum(out[SHIFT * vectors + v],
                                                   -lo * spread(bound, INVERSE_SHIFT))
                out[AX * vectors + v] = out[AX * vectors + v] + xj * spread(bound, SHIFT_ENTRY)


cdef int nnls_report(Py_ssize_t n, const real* G, const real* coord, Py_ssize_t p,
                     const real* C, const real* X, Py_ssize_t ld, const real* delta_scale,
                     real rounding, real* out, real* work) noexcept nogil:
    cdef int vectors = 1 if p * sizeof(real) <= BYTES else V    # few problems: a narrow tile
    cdef Py_ssize_t L = vectors * BYTES // sizeof(real)
    cdef Py_ssize_t tile, q, r, k, count
    cdef real* x = work
    cdef real* c = x + n * L
    cdef real* scales = c + n * L
    cdef real* allow = scales + L
    cdef real* tile_out = allow + L
    for tile in range((p + L - 1) // L):
        count = min(L, p - tile * L)
        memset(work, 0, (2 * n + 2 + REPORT_COLUMNS) * L * sizeof(real))
        for q in range(count):
            r = tile * L + q
            load(n, L, q, X + r * ld, x)
            load(n, L, q, C + r * ld, c)
            scales[q] = delta_scale[r]
        for q in range(L):
            allow[q] = rounding
        if real is float and vectors == 1:
            report_tile(n, <const lane32*> G, <const lane32*> coord, <const lane32*> x,
                        <const lane32*> c, <const lane32*> scales, (<const lane32*> allow)[0],
                        <lane32*> tile_out, sizeof(real), 1)
        elif real is float:
            report_tile(n, <const lane32*> G, <const lane32*> coord, <const lane32*> x,
                        <const lane32*> c, <const lane32*> scales, (<const lane32*> allow)[0],
                        <lane32*> tile_out, sizeof(real), V)
        elif vectors == 1:
            report_tile(n, <const lane64*> G, <const lane64*> coord, <const lane64*> x,
                        <const lane64*> c, <const lane64*> scales, (<const lane64*> allow)[0],
                        <lane64*> tile_out, sizeof(real), 1)
        else:
            report_tile(n, <const lane64*> G, <const lane64*> coord, <const lane64*> x,
                        <const lane64*> c, <const lane64*> scales, (<const lane64*> allow)[0],
                        <lane64*> tile_out, sizeof(real), V)
        for q in range(count):
            for k in range(REPORT_COLUMNS):
                out[(tile * L + q) * REPORT_COLUMNS + k] = tile_out[k * L + q]
    return 0


cdef inline void gradient_tile(Py_ssize_t n, const lane* G, const lane* x, const lane* c,
                               lane* g, Py_ssize_t width, int vectors) noexcept nogil:
    """g = Gx - c of L problems"""
    cdef lane acc[BLOCK * V]
    cdef Py_ssize_t j0, block
    cdef int i
    for block in range(n // BLOCK):
        j0 = block * BLOCK
        minus_gradient(n, <const lane*> (<const char*> G + j0 * n * width), x, c + j0 * vectors,
                       acc, vectors)
        for i in range(BLOCK * vectors):
            g[j0 * vectors + i] = -acc[i]


cdef int nnls_gradient(Py_ssize_t n, const real* G, Py_ssize_t p, const real* C, const real* X,
                       Py_ssize_t ld, real* out, real* work) noexcept nogil:
    cdef int vectors = 1 if p * sizeof(real) <= BYTES else V    # few problems: a narrow tile
    cdef Py_ssize_t L = vectors * BYTES // sizeof(real)
    cdef Py_ssize_t tile, q, count
    cdef real* x = work
    cdef real* c = x + n * L
    cdef real* g = c + n * L
    for tile in range((p + L - 1) // L):
        count = min(L, p - tile * L)
        memset(work, 0, 2 * n * L * sizeof(real))
        for q in range(count):
            load(n, L, q, X + (tile * L + q) * ld, x)
            load(n, L, q, C + (tile * L + q) * ld, c)
        if real is float and vectors == 1:
            gradient_tile(n, <const lane32*> G, <const lane32*> x, <const lane32*> c, <lane32*> g,
                          sizeof(real), 1)
        elif real is float:
            gradient_tile(n, <const lane32*> G, <const lane32*> x, <const lane32*> c, <lane32*> g,
                          sizeof(real), V)
        elif vectors == 1:
            gradient_tile(n, <const lane64*> G, <const lane64*> x, <const lane64*> c, <lane64*> g,
                          sizeof(real), 1)
        else:
            gradient_tile(n, <const lane64*> G, <const lane64*> x, <const lane64*> c, <lane64*> g,
                          sizeof(real), V)
        for q in range(count):
            store(n, L, q, g, out + (tile * L + q) * ld)
    return 0


cdef ReportTable TABLE
TABLE.f32 = nnls_report[float]
TABLE.f64 = nnls_report[double]
TABLE.gradient_f64 = nnls_gradient[double]
table = PyCapsule_New(&TABLE, "nnls.report", NULL)
