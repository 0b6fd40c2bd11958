# SPDX-License-Identifier: BSD-3-Clause
# What training a dictionary needs beyond products and coordinate descent, one block of samples at
# a time: the sums over samples, the entries of the loss, the multiplicative steps.
#
# nmf_outer     C_ij += sum_r B_ri H_rj                     r < p samples, i < m, j < n
# nmf_kl        P = w x / y,         Q = w,             loss_r = sum_i w (x log(x / y) - x + y)
# nmf_square    P = w x,             Q = w y,           loss_r = sum_i w (x - y)^2 / 2
# nmf_itakura   P = w x / y^2,       Q = w / y,         loss_r = sum_i w (x / y - log(x / y) - 1)
# nmf_beta      P = w x y^(beta-2),  Q = w y^(beta-1),  loss_r = sum_i w y^beta phi(x / y),
#               phi(f) = (f^beta - beta f + beta - 1) / (beta (beta - 1));  y = Y_ri >= least
# nmf_root      h <- max(floor, the root z of  (den + l1) z + l2 z^2 = h num)
# nmf_ratio     h <- max(floor, h num / (den + l1 + l2 h))
# nmf_power     h <- max(floor, h (num / (den + l1 + l2 h))^gamma)
#
# Lanes      nmf_outer: coordinates j, as in the product kernel; a register block is ROWS entries i
#            of a sample x 2 vectors. The others run over contiguous entries.
# Order      every C_ij adds its samples in their order; a loss adds PARTS interleaved sums
# Precision  nmf_itakura, nmf_beta and nmf_power compute an entry in float64: 1 / y^2 and x / y
#            may lie beyond float32 where their products do not. phi near 1 is the series of
#            (1 + d)^beta: no cancellation where the fit is good; nor where beta is near 0 or 1
# Cost       nmf_outer: 2 m n flops per sample; nmf_kl: about 40 per entry; nmf_beta: two pow
# Reference  Lee, Seung, NIPS 2000; Fevotte, Idier, Neural Computation 23, 2011
#
#   B        p rows of m, row stride ldb; read only
#   H        p x n, n a multiple of the panel 2 * BYTES / sizeof(real), 64-byte aligned; read only
#   C        m x n, 64-byte aligned; added to
#   work     p (n + ROWS) + 2 ROWS panel, 64-byte aligned, no meaning on entry or return
#   X, Y     p rows of m; row strides ldx, ldy; read only, >= 0
#   least    > 0, so small that X / least is finite; nmf_square does not use it
#   beta     neither 0 nor 1; only nmf_beta uses it
#   weight   w >= 0, p rows of m, row stride ldw; 0 for one row that serves every sample; read only
#   P, Q     p rows of m, row stride ldy, written; Q may be Y
#   loss     p, written
#   h        p rows of n, row stride ld, >= 0 on entry, >= floor on return; read and written
#   num, den >= 0; num as h, den rows of n, row stride ldd (0: one row for all); read only
#   floor    >= 0; an entry whose denominator is zero becomes `floor`
#   gamma    > 0; only nmf_power uses it
# Allocates nothing. Every function returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport expm1, fabs, log, pow
from libc.string cimport memcpy, memset

from fastcone._kernels.nmf.kl_entry cimport kl_entry
from fastcone._kernels.common.lanes cimport BYTES, ROWS, lane, lane32, lane64, real, spread
from fastcone._kernels.common.panels cimport PANEL
from fastcone._kernels.nmf.mu_step cimport kl_step
from fastcone._kernels.common.tables cimport EntriesTable

cdef enum:
    PARTS = 16          # partial sums of a loss
    SERIES = 18         # terms of phi near 1: 2^(-3 * 16) / 18^2 < 2^-56
    SQUARE, KL, ITAKURA, BETA, ROOT, RATIO, POWER       # resolved when compiled


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


cdef inline double phi(double beta, double f) noexcept nogil:
    """(f^beta - beta f + beta - 1) / (beta (beta - 1))"""
    cdef double d = f - 1, total = 0
    cdef int i
    if fabs(d) > 0.125:
        # f^beta - 1 = expm1(beta log f) or f^beta - f = f expm1((beta - 1) log f), less a line
        if fabs(beta) < 0.25:
            total = expm1(beta * log(f)) - beta * d
        elif fabs(beta - 1) < 0.25:
            total = (f * expm1((beta - 1) * log(f)) if f > 0 else 0) - (beta - 1) * d
        else:
            total = pow(f, beta) - beta * f + (beta - 1)
        return total / (beta * (beta - 1))
    # d^2 / 2 (1 + (beta - 2) d / 3 (1 + (beta - 3) d / 4 (...)))
    for i in range(SERIES, 2, -1):
        total = (beta - i + 1) * d / i * (1 + total)
    return d * d / 2 * (1 + total)


cdef inline real entry(int loss, real x, real y, real w, real least, double beta, real* num,
                       real* den) noexcept nogil:
    """One entry of P, of Q, and of the loss; `loss` is a constant of the caller's."""
    cdef real f, half = 0.5
    cdef double model, ratio, unit
    if loss == SQUARE:
        num[0], den[0] = w * x, w * y
        return half * w * (x - y) * (x - y)
    y = y if y > least else least
    if loss == KL:
        f = x / y
        num[0], den[0] = w * f, w
        return w * kl_entry[real](f, y)
    model = y
    ratio = x / model
    if loss == ITAKURA:
        num[0], den[0] = <real> (w / model * ratio), <real> (w / model)
        ratio = ratio if ratio > 0 else 1           # x = 0 only where w = 0
        return <real> (w * kl_entry[double](1 / ratio, ratio))
    unit = w * pow(model, beta - 1)
    num[0], den[0] = <real> (unit * ratio), <real> unit
    if beta < 0 and ratio == 0:
        return 0                                    # likewise
    return <real> (unit * model * phi(beta, ratio))


cdef inline int entries(int kind, Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx,
                        const real* Y, Py_ssize_t ldy, const real* weight, Py_ssize_t ldw,
                        real least, double beta, real* P, real* Q, real* loss) noexcept nogil:
    cdef real part[PARTS]
    cdef real num[PARTS]
    cdef real den[PARTS]
    cdef const real* x
    cdef const real* y
    cdef const real* w
    cdef Py_ssize_t r, block, i
    cdef int q
    for r in range(p):
        x, y, w = X + r * ldx, Y + r * ldy, weight + r * ldw
        memset(part, 0, sizeof(part))
        for block in range(m // PARTS):
            i = block * PARTS
            for q in range(PARTS):
                part[q] += entry[real](kind, x[i + q], y[i + q], w[i + q], least, beta, num + q,
                                       den + q)
            memcpy(P + r * ldy + i, num, sizeof(num))
            memcpy(Q + r * ldy + i, den, sizeof(den))
        for i in range(m - m % PARTS, m):
            part[0] += entry[real](kind, x[i], y[i], w[i], least, beta, num, den)
            P[r * ldy + i], Q[r * ldy + i] = num[0], den[0]
        loss[r] = 0
        for q in range(PARTS):
            loss[r] += part[q]
    return 0


cdef inline int steps(int kind, Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h,
                      const real* num, const real* den, Py_ssize_t ldd, real l1, real l2,
                      real floor, double gamma) noexcept nogil:
    cdef real below, to
    cdef Py_ssize_t r, j
    for r in range(p):
        for j in range(n):
            if kind == ROOT:
                h[r * ld + j] = kl_step[real](h[r * ld + j], num[r * ld + j], den[r * ldd + j],
                                              l1, l2, floor)
                continue
            below = den[r * ldd + j] + l1 + l2 * h[r * ld + j]
            if kind == RATIO:
                to = h[r * ld + j] * num[r * ld + j] / below if below > 0 else 0
            else:
                to = <real> (h[r * ld + j] * pow(<double> num[r * ld + j] / below, gamma)
                             if below > 0 else 0)
            h[r * ld + j] = to if to > floor else floor
    return 0


cdef int nmf_square(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                    Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, double beta,
                    real* P, real* Q, real* loss) noexcept nogil:
    return entries[real](SQUARE, m, p, X, ldx, Y, ldy, weight, ldw, least, beta, P, Q, loss)


cdef int nmf_kl(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, double beta,
                real* P, real* Q, real* loss) noexcept nogil:
    return entries[real](KL, m, p, X, ldx, Y, ldy, weight, ldw, least, beta, P, Q, loss)


cdef int nmf_itakura(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                     Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, double beta,
                     real* P, real* Q, real* loss) noexcept nogil:
    return entries[real](ITAKURA, m, p, X, ldx, Y, ldy, weight, ldw, least, beta, P, Q, loss)


cdef int nmf_beta(Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx, const real* Y,
                  Py_ssize_t ldy, const real* weight, Py_ssize_t ldw, real least, double beta,
                  real* P, real* Q, real* loss) noexcept nogil:
    return entries[real](BETA, m, p, X, ldx, Y, ldy, weight, ldw, least, beta, P, Q, loss)


cdef int nmf_root(Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h, const real* num,
                  const real* den, Py_ssize_t ldd, real l1, real l2, real floor,
                  double gamma) noexcept nogil:
    return steps[real](ROOT, n, p, ld, h, num, den, ldd, l1, l2, floor, gamma)


cdef int nmf_ratio(Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h, const real* num,
                   const real* den, Py_ssize_t ldd, real l1, real l2, real floor,
                   double gamma) noexcept nogil:
    return steps[real](RATIO, n, p, ld, h, num, den, ldd, l1, l2, floor, gamma)


cdef int nmf_power(Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h, const real* num,
                   const real* den, Py_ssize_t ldd, real l1, real l2, real floor,
                   double gamma) noexcept nogil:
    return steps[real](POWER, n, p, ld, h, num, den, ldd, l1, l2, floor, gamma)


cdef EntriesTable TABLE
TABLE.outer_f32 = nmf_outer[float]
TABLE.outer_f64 = nmf_outer[double]
TABLE.entries_f32[0] = nmf_square[float]
TABLE.entries_f64[0] = nmf_square[double]
TABLE.entries_f32[1] = nmf_kl[float]
TABLE.entries_f64[1] = nmf_kl[double]
TABLE.entries_f32[2] = nmf_itakura[float]
TABLE.entries_f64[2] = nmf_itakura[double]
TABLE.entries_f32[3] = nmf_beta[float]
TABLE.entries_f64[3] = nmf_beta[double]
TABLE.steps_f32[0] = nmf_root[float]
TABLE.steps_f64[0] = nmf_root[double]
TABLE.steps_f32[1] = nmf_ratio[float]
TABLE.steps_f64[1] = nmf_ratio[double]
TABLE.steps_f32[2] = nmf_power[float]
TABLE.steps_f64[2] = nmf_power[double]
TABLE.rows = ROWS
table = PyCapsule_New(&TABLE, "nmf.entries", NULL)
