# SPDX-License-Identifier: BSD-3-Clause
# What training a dictionary needs beyond products and coordinate descent, one block of samples at
# a time: the sums over samples, the entries of the loss, the multiplicative steps.
#
# nmf_outer      C_ij += sum_r B_ri H_rj                     r < p samples, i < m, j < n
# nmf_kl         R = w x / y,   loss_r = sum_i w (x log(x / y) - x + y),   y = max(Y_ri, least)
# nmf_square     Q = w y,       loss_r = sum_i w (x - y)^2 / 2
# nmf_mu_square  h <- max(floor, h num / (den + l1 + l2 h))
# nmf_mu_kl      h <- max(floor, the root z of  (den + l1) z + l2 z^2 = h num)
#
# Lanes      nmf_outer: coordinates j, as in the product kernel; a register block is ROWS entries i
#            of a sample x 2 vectors. The others run over contiguous entries.
# Order      every C_ij adds its samples in their order; a loss adds PARTS interleaved sums
# Cost       nmf_outer: 2 m n flops per sample; nmf_kl: about 40 per entry
# Reference  Lee, Seung, NIPS 2000; Fevotte, Idier, Neural Computation 23, 2011
#
#   B        p rows of m, row stride ldb; read only
#   H        p x n, n a multiple of the panel 2 * BYTES / sizeof(real), 64-byte aligned; read only
#   C        m x n, 64-byte aligned; added to
#   work     p (n + ROWS) + 2 ROWS panel, 64-byte aligned, no meaning on entry or return
#   X, Y     p rows of m; row strides ldx, ldy; read only, >= 0
#   least    > 0, so small that X / least is finite; nmf_square does not use it
#   weight   w >= 0, p rows of m, row stride ldw; 0 for one row that serves every sample; read only
#   R, Q     p rows of m, row stride ldy, written; may be Y
#   loss     p, written
#   h        p rows of n, row stride ld, >= 0 on entry, >= floor on return; read and written
#   num, den >= 0; num as h, den rows of n, row stride ldd (0: one row for all); read only
#   floor    >= 0; an entry whose denominator is zero becomes `floor`
# Allocates nothing. Every function returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt, sqrtf
from libc.string cimport memcpy, memset

from fastcone._kernels.divergence cimport kl_entry
from fastcone._kernels.lanes cimport BYTES, ROWS, lane, lane32, lane64, real, spread
from fastcone._kernels.tables cimport NMFTable

cdef enum:
    PANEL = 2           # vectors of coordinates per panel
    PARTS = 16          # partial sums of a loss


cdef inline void gather(Py_ssize_t p, const lane* B, Py_ssize_t step, const lane* H,
                        lane** c) noexcept nogil:
    """c_t += sum_r B[r step + t] H_r for ROWS entries t and one panel; `step` in bytes."""
    cdef lane acc[ROWS * PANEL]
    cdef lane h0, h1, x
    cdef Py_ssize_t r
    cdef int t
    for t in range(ROWS):
        acc[2 * t] = c[t][0]
        acc[2 * t + 1] = c[t][1]
    for r in range(p):
        h0 = H[2 * r]
        h1 = H[2 * r + 1]
        for t in range(ROWS):
            x = spread(B, t)
            acc[2 * t] = acc[2 * t] + h0 * x
            acc[2 * t + 1] = acc[2 * t + 1] + h1 * x
        B = <const lane*> (<const char*> B + step)
    for t in range(ROWS):
        c[t][0] = acc[2 * t]
        c[t][1] = acc[2 * t + 1]


cdef void outer_lanes(Py_ssize_t m, Py_ssize_t panels, Py_ssize_t p, const lane* B,
                      Py_ssize_t ldb, const lane* H, lane* C, lane* work, lane* tail,
                      Py_ssize_t width) noexcept nogil:
    """C += B'H, ROWS entries at a time; the last ones come padded with zeros in `tail`."""
    cdef lane* c[ROWS]
    cdef lane* packed = work + 2 * ROWS * PANEL
    cdef const lane* b
    cdef Py_ssize_t i, j, r, step
    cdef int t
    for j in range(panels):
        for r in range(p):
            packed[(j * p + r) * PANEL] = H[(r * panels + j) * PANEL]
            packed[(j * p + r) * PANEL + 1] = H[(r * panels + j) * PANEL + 1]
    for i in range((m + ROWS - 1) // ROWS):
        b = <const lane*> (<const char*> B + i * ROWS * width)
        step = ldb * width
        if (i + 1) * ROWS > m:
            b, step = tail, ROWS * width
        for j in range(panels):
            for t in range(ROWS):
                c[t] = work + t * PANEL
                if i * ROWS + t < m:
                    c[t] = C + ((i * ROWS + t) * panels + j) * PANEL
            gather(p, b, step, packed + j * p * PANEL, c)


cdef int nmf_outer(Py_ssize_t m, Py_ssize_t n, Py_ssize_t p, const real* B, Py_ssize_t ldb,
                   const real* H, real* C, real* work) noexcept nogil:
    cdef Py_ssize_t width = PANEL * BYTES // sizeof(real), left = m % ROWS, r
    cdef real* tail = work + 2 * ROWS * width + p * n
    memset(work, 0, 2 * ROWS * width * sizeof(real))
    if left:
        memset(tail, 0, p * ROWS * sizeof(real))
        for r in range(p):
            memcpy(tail + r * ROWS, B + r * ldb + m - left, left * sizeof(real))
    if real is float:
        outer_lanes(m, n // width, p, <const lane32*> B, ldb, <const lane32*> H, <lane32*> C,
                    <lane32*> work, <lane32*> tail, sizeof(float))
    else:
        outer_lanes(m, n // width, p, <const lane64*> B, ldb, <const lane64*> H, <lane64*> C,
                    <lane64*> work, <lane64*> tail, sizeof(double))
    return 0


cdef int nmf_kl(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, real* R,
                real* loss) noexcept nogil:
    cdef real part[PARTS]
    cdef real ratio[PARTS]
    cdef real model
    cdef const real* x
    cdef const real* y
    cdef const real* w
    cdef real* out
    cdef Py_ssize_t r, block, i
    cdef int q
    for r in range(p):
        memset(part, 0, sizeof(part))
        for block in range(m // PARTS):
            i = block * PARTS
            x, y, w, out = X + r * ldx + i, Y + r * ldy + i, weight + r * ldw + i, R + r * ldy + i
            for q in range(PARTS):
                model = y[q] if y[q] > least else least
                ratio[q] = x[q] / model
                part[q] += w[q] * kl_entry(ratio[q], model)
                ratio[q] = w[q] * ratio[q]
            memcpy(out, ratio, sizeof(ratio))
        x, y, w, out = X + r * ldx, Y + r * ldy, weight + r * ldw, R + r * ldy
        for i in range(m - m % PARTS, m):
            model = y[i] if y[i] > least else least
            ratio[0] = x[i] / model
            part[0] += w[i] * kl_entry(ratio[0], model)
            out[i] = w[i] * ratio[0]
        loss[r] = 0
        for q in range(PARTS):
            loss[r] += part[q]
    return 0


cdef int nmf_square(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                    Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, real* Q,
                    real* loss) noexcept nogil:
    cdef real part[PARTS]
    cdef real model[PARTS]
    cdef real d
    cdef const real* x
    cdef const real* y
    cdef const real* w
    cdef real* out
    cdef Py_ssize_t r, block, i
    cdef int q
    for r in range(p):
        memset(part, 0, sizeof(part))
        for block in range(m // PARTS):
            i = block * PARTS
            x, y, w, out = X + r * ldx + i, Y + r * ldy + i, weight + r * ldw + i, Q + r * ldy + i
            for q in range(PARTS):
                d = x[q] - y[q]
                part[q] += w[q] * d * d
                model[q] = w[q] * y[q]
            memcpy(out, model, sizeof(model))
        x, y, w, out = X + r * ldx, Y + r * ldy, weight + r * ldw, Q + r * ldy
        for i in range(m - m % PARTS, m):
            d = x[i] - y[i]
            part[0] += w[i] * d * d
            out[i] = w[i] * y[i]
        loss[r] = 0
        for q in range(PARTS):
            loss[r] += part[q]
        loss[r] /= 2
    return 0


cdef int nmf_mu_square(Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h, const real* num,
                       const real* den, Py_ssize_t ldd, real l1, real l2,
                       real floor) noexcept nogil:
    cdef real below, to
    cdef Py_ssize_t r, j
    for r in range(p):
        for j in range(n):
            below = den[r * ldd + j] + l1 + l2 * h[r * ld + j]
            to = h[r * ld + j] * num[r * ld + j] / below if below > 0 else 0
            h[r * ld + j] = to if to > floor else floor
    return 0


cdef int nmf_mu_kl(Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h, const real* num,
                   const real* den, Py_ssize_t ldd, real l1, real l2, real floor) noexcept nogil:
    cdef real b, below, to, four = 4, half = 0.5
    cdef Py_ssize_t r, j
    for r in range(p):
        for j in range(n):
            # z = 2 b / (a + sqrt(a^2 + 4 l2 b)),  a = den + l1,  b = h num
            b = h[r * ld + j] * num[r * ld + j]
            below = den[r * ldd + j] + l1
            if real is float:
                below = half * (below + sqrtf(below * below + four * l2 * b))
            else:
                below = half * (below + sqrt(below * below + four * l2 * b))
            to = b / below if below > 0 else 0
            h[r * ld + j] = to if to > floor else floor
    return 0


cdef NMFTable TABLE
TABLE.outer_f32 = nmf_outer[float]
TABLE.outer_f64 = nmf_outer[double]
TABLE.kl_f32 = nmf_kl[float]
TABLE.kl_f64 = nmf_kl[double]
TABLE.square_f32 = nmf_square[float]
TABLE.square_f64 = nmf_square[double]
TABLE.mu_square_f32 = nmf_mu_square[float]
TABLE.mu_square_f64 = nmf_mu_square[double]
TABLE.mu_kl_f32 = nmf_mu_kl[float]
TABLE.mu_kl_f64 = nmf_mu_kl[double]
TABLE.rows = ROWS
table = PyCapsule_New(&TABLE, "fastcone.NMFTable", NULL)
