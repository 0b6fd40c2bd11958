# SPDX-License-Identifier: BSD-3-Clause
# What training a dictionary needs beyond products and coordinate descent, one block of samples at
# a time: the entries of the loss, the multiplicative steps.
#
# nmf_kl        P = w x / y,         Q = w,             loss_r = sum_i w (x log(x / y) - x + y)
# nmf_square    P = w x,             Q = w y,           loss_r = sum_i w (x - y)^2 / 2
# nmf_itakura   P = w x / y^2,       Q = w / y,         loss_r = sum_i w (x / y - log(x / y) - 1)
# nmf_beta      P = w x y^(beta-2),  Q = w y^(beta-1),  loss_r = sum_i w y^beta phi(x / y),
#               phi(f) = (f^beta - beta f + beta - 1) / (beta (beta - 1));  y = Y_ri >= least
# nmf_root      h <- max(floor, the root z of  (den + l1) z + l2 z^2 = h num)
# nmf_ratio     h <- max(floor, h num / (den + l1 + l2 h))
# nmf_power     h <- max(floor, h (num / (den + l1 + l2 h))^gamma)
#
# Lanes      contiguous entries
# Order      a loss adds PARTS interleaved sums
# Precision  nmf_itakura, and nmf_beta for beta a multiple of one half, compute PIECE entries of a
#            row in `real` (halves.pxd) where all of them are within a range whose powers stay in
#            that of `real`. Elsewhere, and for any other beta, they and nmf_power compute an entry
#            in float64: 1 / y^2 and x / y may lie beyond float32 where their products do not. phi
#            near 1 is a series in the logarithm: no cancellation where the fit is good; nor where
#            beta is near 0 or 1
# Cost       about 40 flops per entry for nmf_kl; for nmf_beta two powers of some 45, one of them
#            for the loss, or about three square roots and three divisions
# Reference  Lee, Seung, NIPS 2000; Fevotte, Idier, Neural Computation 23, 2011
#
#   X, Y     p rows of m; row strides ldx, ldy; read only, >= 0
#   least    > 0, so small that X / least is finite; nmf_square does not use it
#   beta     neither 0 nor 1; only nmf_beta uses it
#   weight   w >= 0, p rows of m, row stride ldw; 0 for one row that serves every sample; read only
#   P, Q     p rows of m, row stride ldy, written; Q may be Y
#   loss     p, written; NULL where it is not wanted
#   h        p rows of n, row stride ld, >= 0 on entry, >= floor on return; read and written
#   num, den >= 0; num as h, den rows of n, row stride ldd (0: one row for all); read only
#   floor    >= 0; an entry whose denominator is zero becomes `floor`
#   gamma    > 0; only nmf_power uses it
# Allocates nothing. Every function returns 0.
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, rint
from libc.string cimport memcpy, memset

from fastcone._kernels.nmf.halves cimport PARTS, PIECE, comfortable, half_piece, reach
from fastcone._kernels.nmf.kl_entry cimport LOG2, kl_entry
from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.nmf.mu_step cimport kl_step
from fastcone._kernels.nmf.powers cimport LEAST, exp_parts, power, scaled, split_log
from fastcone._kernels.common.tables cimport EntriesTable

cdef enum:
    SERIES = 15         # terms of phi near 1: (6 / 8)^15 / 17! < 2^-54
    SQUARE, KL, ITAKURA, BETA, ROOT, RATIO, POWER       # resolved when compiled


cdef inline void prepare(double beta, double* c) noexcept nogil:
    """c: what phi needs for this beta; its series, the last coefficient first, from c[4] on"""
    cdef bint beside_one = 0.5 < beta < 1.5
    cdef double sums = 0, factorial = 1
    cdef int i
    c[0] = beta - 1 if beside_one else beta
    c[1] = 1 if beside_one else 0
    c[2] = beta * (beta - 1)
    c[3] = 1 / beta if beta > 0 else 0              # of f = 0, which only has weight 0 otherwise
    for i in range(SERIES):
        sums = 1 + beta * sums
        factorial *= i + 2
        c[3 + SERIES - i] = sums / factorial        # (1 + beta + .. + beta^i) / (i + 2)!


cdef inline double phi(const double* c, double f) noexcept nogil:
    """(f^beta - beta f + beta - 1) / (beta (beta - 1))"""
    # f^beta - 1 or f^beta - f = f (f^(beta - 1) - 1), less a line; where the logarithm L of f is
    # small, sum over n >= 2 of L^n / n! (1 + beta + .. + beta^(n - 2))
    cdef double at = f if f > LEAST else LEAST, near = 0, far, n, e, one
    cdef double part = split_log(at, &e), L = e * LOG2 + part
    cdef double t = exp_parts(c[0], e, c[0] * part, &n)
    cdef int i
    one = scaled(1, n)
    far = (t * one + (one - 1)) * (at if c[1] > 0 else 1)
    far = (far - c[0] * (at - 1)) / c[2]
    for i in range(SERIES):
        near = near * L + c[4 + i]
    far = near * L * L if fabs(L) < 0.125 else far
    return far if f > 0 else c[3]


cdef inline double sides(int loss, real x, real y, real w, real least, double beta, real* num,
                         real* den) noexcept nogil:
    """One entry of P and of Q, returned unrounded too; `loss` is a constant of the caller's"""
    cdef double model, unit
    if loss == SQUARE:
        num[0], den[0] = w * x, w * y
        return den[0]
    y = y if y > least else least
    if loss == KL:
        num[0], den[0] = w * (x / y), w
        return den[0]
    model = y
    unit = w / model if loss == ITAKURA else w * power(model, beta - 1)
    num[0], den[0] = <real> (unit * (x / model)), <real> unit
    return unit


cdef inline real value(int loss, real x, real y, real w, real least, double beta,
                       const double* c, double unit) noexcept nogil:
    """One entry of the loss, `unit` that of Q (below the range of `real` too); `loss` likewise"""
    cdef real half = 0.5
    cdef double model, ratio
    if loss == SQUARE:
        return half * w * (x - y) * (x - y)
    y = y if y > least else least
    if loss == KL:
        return w * kl_entry[real](x / y, y)
    model = y
    ratio = x / model
    if loss == ITAKURA:
        ratio = ratio if ratio > 0 else 1           # x = 0 only where w = 0
        return <real> (w * kl_entry[double](1 / ratio, ratio))
    return <real> (unit * model * phi(c, ratio))


cdef inline real row(int kind, bint told, Py_ssize_t m, const real* x, const real* y,
                     const real* w, real least, double beta, const double* c, real* P,
                     real* Q) noexcept nogil:
    """One sample's entries; returns its loss if `told`"""
    cdef real part[PARTS]
    cdef real num[PARTS]
    cdef real den[PARTS]
    cdef double unit[PARTS]
    cdef real total = 0, top, below
    cdef Py_ssize_t block, i
    cdef int q
    memset(part, 0, sizeof(part))
    for block in range(m // PARTS):
        i = block * PARTS
        for q in range(PARTS):
            unit[q] = sides[real](kind, x[i + q], y[i + q], w[i + q], least, beta, num + q,
                                  den + q)
        if told:
            for q in range(PARTS):
                part[q] += value[real](kind, x[i + q], y[i + q], w[i + q], least, beta, c,
                                       unit[q])
        memcpy(P + i, num, sizeof(num))
        memcpy(Q + i, den, sizeof(den))
    for i in range(m - m % PARTS, m):
        unit[0] = sides[real](kind, x[i], y[i], w[i], least, beta, &top, &below)
        if told:
            part[0] += value[real](kind, x[i], y[i], w[i], least, beta, c, unit[0])
        P[i], Q[i] = top, below
    for q in range(PARTS):
        total += part[q]
    return total


cdef inline real pieces(int kind, bint half, bint told, Py_ssize_t m, const real* x, const real* y,
                        const real* w, real least, double beta, const double* c, real most,
                        real* P, real* Q) noexcept nogil:
    """The same piece by piece: if `half`, in `real` wherever its range is far enough"""
    cdef real total = 0
    cdef Py_ssize_t piece, i, count
    for piece in range((m + PIECE - 1) // PIECE):
        i = piece * PIECE
        count = min(<Py_ssize_t> PIECE, m - i)
        if half and comfortable(count, x + i, y + i, most):
            total += half_piece(<int> (2 * beta), told, count, x + i, y + i, w + i, least, P + i,
                                Q + i)
        else:
            total += row[real](kind, told, count, x + i, y + i, w + i, least, beta, c, P + i,
                               Q + i)
    return total


cdef inline int entries(int kind, Py_ssize_t m, Py_ssize_t p, const real* X, Py_ssize_t ldx,
                        const real* Y, Py_ssize_t ldy, const real* weight, Py_ssize_t ldw,
                        real least, double beta, real* P, real* Q, real* loss) noexcept nogil:
    cdef real found, one = 1, most = reach(one, beta)
    cdef double c[4 + SERIES]
    cdef bint half = 2 * beta == rint(2 * beta)
    cdef Py_ssize_t r
    if kind == BETA:
        prepare(beta, c)
    for r in range(p):
        if kind == ITAKURA or kind == BETA:
            found = pieces[real](kind, half, loss != NULL, m, X + r * ldx, Y + r * ldy,
                                 weight + r * ldw, least, beta, c, most, P + r * ldy, Q + r * ldy)
        else:
            found = row[real](kind, loss != NULL, m, X + r * ldx, Y + r * ldy, weight + r * ldw,
                              least, beta, c, P + r * ldy, Q + r * ldy)
        if loss != NULL:
            loss[r] = found
    return 0


cdef inline int steps(int kind, Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, real* h,
                      const real* num, const real* den, Py_ssize_t ldd, real l1, real l2,
                      real floor, double gamma) noexcept nogil:
    cdef real below, to
    cdef double ratio
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
                ratio = <double> num[r * ld + j] / below if below > 0 else 0
                to = <real> (h[r * ld + j] * power(ratio if ratio > LEAST else LEAST, gamma)
                             if ratio > 0 else 0)
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
table = PyCapsule_New(&TABLE, "nmf.entries", NULL)
