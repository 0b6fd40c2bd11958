# SPDX-License-Identifier: BSD-3-Clause
# The certificate of a non-negative least absolute deviations answer, from A and b themselves.
#
#     ||A x - b||_1 + l1'x  -  optimum  <=  f(x) - b'y + v'x*,       v = (A'y - l1)^+,  |y| <= 1
#
# Shortfall  v'x* <= min( max_j (v_j / weight_j) (||b||_1 + f(x)),  max_j (v_j / l1_j) f(x) )
# Rounding   every sum is taken at the bad end of its rounding error; docs/nnlad.md, "Certificate"
# Cost       2 m (n + k) flops per problem, k = |support|;  the lanes of a vector are rows
#
#   n, ld    generators; rows rounded up to 64
#   A        n x ld, generator j in row j, padding 0                     read only, as all but facts
#   norm     n, upper bounds of ||a_j||_1
#   weight   p x n, >= 0 with sum_j weight_j x*_j <= ||b||_1 + f for some optimal x* and every
#            value f that is attained; infinite for generators that no optimum needs; 0: unknown
#   l1       p x ldl, >= 0
#   B, Y     p x ld, |y| <= 1;   X  p x n, >= 0
#   rest     p, what rows of A without entries add to the objective, whatever x
#   facts    p x 3, written: objective without `rest`; gap, a bound of (objective - optimum) /
#            (||b||_1 + rest); violation, max_j (a_j'y - l1_j)^+ / ||a_j||_1
#   r        ld doubles of work;  weights  n doubles of work;  support  n integers of work
# All 64-byte aligned. Allocates nothing.
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs

from fastcone._kernels.common.dense cimport gemv_n, dot, asum
from fastcone._kernels.common.tables cimport CertificateTable

cdef extern from *:
    """
    #define FC_ROUNDED 1.2e-16      /* float64's unit roundoff, 1.11e-16, with room */
    """
    const double ROUNDED "FC_ROUNDED"


cdef double residual(Py_ssize_t n, Py_ssize_t ld, const double* A, const double* b,
                     const double* x, double* r, double* weights,
                     Py_ssize_t* support) noexcept nogil:
    """r = b - A x; returns its 1-norm."""
    cdef Py_ssize_t i, j, count = 0
    for j in range(n):
        if x[j] != 0:
            support[count] = j
            weights[count] = x[j]
            count += 1
    gemv_n(ld, A, count, support, weights, r)
    for i in range(ld):
        r[i] = b[i] - r[i]
    return asum(ld, r)


cdef double shortfall(Py_ssize_t n, Py_ssize_t ld, const double* A, const double* norm,
                      const double* weight, const double* l1, const double* y, double rounding,
                      double high, double top, double* violation) noexcept nogil:
    """An upper bound of v'x*; see the head."""
    cdef double value, over, by_mass = 0, by_l1 = 0
    cdef Py_ssize_t j
    violation[0] = 0
    for j in range(n):
        if weight[j] == INFINITY:
            continue
        value = dot(ld, A + j * ld, y)
        over = value - l1[j]
        violation[0] = max(violation[0], over / norm[j])
        over += rounding * norm[j] + ROUNDED * (fabs(value) + l1[j])
        if over > 0:
            by_mass = max(by_mass, over / weight[j])
            by_l1 = max(by_l1, over / l1[j])
    return min(by_mass * (high + top), by_l1 * top)


cdef void prove(Py_ssize_t n, Py_ssize_t ld, const double* A, const double* norm,
                const double* weight, const double* l1, Py_ssize_t ldl, Py_ssize_t p,
                const double* B, const double* rest, const double* X, const double* Y,
                double* facts, double* r, double* weights, Py_ssize_t* support) noexcept nogil:
    cdef Py_ssize_t c, j
    cdef double high, objective, mass, penalty, top, low, gain
    # gamma of a sum of ld terms, each a weight times an entry, in 8 or more interleaved parts, and
    # of one of n terms more
    cdef double rounding = ROUNDED * (ld // 8 + 18), longer = rounding + ROUNDED * (2 * n + 8)
    for c in range(p):
        high = asum(ld, B + c * ld) * (1 + rounding)
        objective = residual(n, ld, A, B + c * ld, X + c * n, r, weights, support)
        mass = penalty = 0
        for j in range(n):
            mass += norm[j] * X[c * n + j]
            penalty += l1[c * ldl + j] * X[c * n + j]
        objective += penalty
        top = objective + longer * (mass + high + objective)
        low = dot(ld, B + c * ld, Y + c * ld) - rounding * high
        low -= shortfall(n, ld, A, norm, weight + c * n, l1 + c * ldl, Y + c * ld, rounding, high,
                         top, &facts[3 * c + 2])
        facts[3 * c] = objective
        facts[3 * c + 1] = 0
        if high + rest[c] > 0:
            gain = top - low if low > 0 else top
            facts[3 * c + 1] = gain * (1 + 8 * ROUNDED) / (high * (1 - 3 * rounding) + rest[c])


cdef CertificateTable TABLE
TABLE.prove = prove
table = PyCapsule_New(&TABLE, "nnlad.certificate", NULL)
