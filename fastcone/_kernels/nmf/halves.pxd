# SPDX-License-Identifier: BSD-3-Clause
"""Entries of a beta-divergence whose exponent b = n / 2 is a multiple of one half, in arithmetic of
the data's own precision: square roots and products for powers, PIECE entries at a time.

With t = x / y for n >= 0, y / x for n < 0, and s = sqrt(t) where n is odd, s = t where it is even,

    phi(x / y) = (s - 1)^2 q(s) / (b (b - 1))    times x / y for n < 0

and q has no cancellation: with m = n for n >= 0, else 2 - n,

    m odd      q = s^(m-2) + 2 s^(m-3) + .. + (m - 2) s + m / 2 - 1        -1/2 for m = 1
    m even     q = s^(c-2) + 2 s^(c-3) + .. + (c - 1),  c = m / 2

Itakura-Saito, n = 0, is  t - 1 - log t,  arranged as in kl_entry.pxd. s - 1 comes from (x - y) / y,
so a good fit loses no digits either.
"""
from libc.math cimport sqrt, sqrtf
from libc.string cimport memset

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.nmf.kl_entry cimport LOG2, log_parts, odd_series

cdef enum:
    PIECE = 256             # entries: their powers stay in the first-level cache
    PARTS = 16              # partial sums of a loss


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline real reach(real one, double beta) noexcept nogil:
    """Entries within 1 / reach .. reach have powers well within the range of `real`."""
    cdef double binary = 120 if real is float else 1000, left = binary / (2 * beta + 2)
    cdef int _i
    left = binary / (2 - 2 * beta) if beta < 0 else left
    for _i in range(<int> left):
        one = 2 * one
    return one


cdef inline bint comfortable(Py_ssize_t count, const real* x, const real* y,
                             real most) noexcept nogil:
    """Whether y, and x unless it is 0, lie within 1 / most .. most"""
    cdef real least = 1 / most
    cdef int outside = 0
    cdef Py_ssize_t i
    for i in range(count):
        outside |= (y[i] < least) | (y[i] > most) | (x[i] > most) | ((x[i] < least) & (x[i] > 0))
    return outside == 0


cdef inline void half_powers(int n, Py_ssize_t count, const real* y, const real* inverse,
                             real* out) noexcept nogil:
    """out = y^(n / 2 - 1)"""
    cdef const real* base = y if n >= 2 else inverse
    cdef int power = n - 2 if n >= 2 else 2 - n, _j
    cdef Py_ssize_t i
    cdef real one = 1
    if power % 2:
        for i in range(count):
            out[i] = root(base[i])
    else:
        for i in range(count):
            out[i] = one
    for _j in range(power // 2):
        for i in range(count):
            out[i] = out[i] * base[i]


cdef inline void half_phi(int n, Py_ssize_t count, const real* x, const real* y,
                          const real* inverse, real* s, real* out) noexcept nogil:
    """out = phi(x / y) b (b - 1), n not 0; s: room for as many"""
    cdef int m = n if n > 0 else 2 - n, j
    cdef Py_ssize_t i
    cdef real one = 1, half = 0.5, d, last = m * half - one, factor
    for i in range(count):
        s[i] = x[i] * inverse[i] if n > 0 else y[i] / x[i]
    if m % 2:
        for i in range(count):
            s[i] = root(s[i])
    for i in range(count):
        out[i] = one if m > 1 else -half
    for j in range(2, m - 1 if m % 2 else m // 2):
        factor = j
        for i in range(count):
            out[i] = out[i] * s[i] + factor
    if m % 2 and m > 1:
        for i in range(count):
            out[i] = out[i] * s[i] + last
    for i in range(count):
        d = (x[i] - y[i]) * inverse[i] if n > 0 else (y[i] - x[i]) / x[i]
        d = d / (s[i] + one) if m % 2 else d
        out[i] = out[i] * d * d
    if n < 0:
        for i in range(count):
            out[i] = out[i] * x[i] * inverse[i]


cdef inline real itakura_entry(real t, real d) noexcept nogil:
    """t - 1 - log t, d = t - 1"""
    cdef real e, q = log_parts(t, &e), s, tail, two = 2, log2 = LOG2
    q = d if e == 0 else q
    s = q / (two + q)
    tail = two * s * odd_series(s * s)
    return s * q - tail if e == 0 else d - e * log2 - two * s - tail


cdef inline real half_piece(int n, bint told, Py_ssize_t count, const real* x_given,
                            const real* y_given, const real* w, real least, real* P,
                            real* Q) noexcept nogil:
    """P and Q of `count` <= PIECE entries; returns their loss if `told`. Q may be y_given."""
    cdef real x[PIECE]
    cdef real y[PIECE]
    cdef real inverse[PIECE]
    cdef real unit[PIECE]
    cdef real s[PIECE]
    cdef real phi[PIECE]
    cdef real part[PARTS]
    cdef real one = 1, total = 0, four = 4, scale
    cdef Py_ssize_t i, block
    cdef int q
    for i in range(count):
        y[i] = y_given[i] if y_given[i] > least else least
        inverse[i] = one / y[i]
    for i in range(count):                      # x = 0 has weight 0 where its loss is infinite
        x[i] = x_given[i] if n > 0 or x_given[i] > 0 else y[i]
    half_powers(n, count, y, inverse, unit)
    for i in range(count):
        unit[i] = unit[i] * w[i]
    if told:
        if n:
            half_phi(n, count, x, y, inverse, s, phi)
            scale = four / (n * (n - 2))
            for i in range(count):
                phi[i] = phi[i] * scale * (unit[i] * y[i])
        else:
            for i in range(count):
                phi[i] = w[i] * itakura_entry(x[i] * inverse[i], (x[i] - y[i]) * inverse[i])
    for i in range(count):
        P[i] = unit[i] * (x[i] * inverse[i])
        Q[i] = unit[i]
    if not told:
        return 0
    memset(part, 0, sizeof(part))
    for block in range(count // PARTS):
        for q in range(PARTS):
            part[q] += phi[block * PARTS + q]
    for i in range(count - count % PARTS, count):
        part[0] += phi[i]
    for q in range(PARTS):
        total += part[q]
    return total
