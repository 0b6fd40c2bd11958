# SPDX-License-Identifier: BSD-3-Clause
# Between float64 and the float32 that descent runs in.
#
#     begin      c32 = -g 2^-s,  lower32 = -x 2^-s,  2^s above the largest |g_j| that can move x
#     finish     x <- max(0, x + d 2^s),  exactly 0 where d has reached its bound
#     narrow     y = min(max(x, -largest), largest)
#
# Lanes      coordinates j; no sums
#
#   g, x     p x ld, aligned, whole vectors, zeros beyond n; g read only; x >= 0, written by finish
#   c32, lower32  p x ld, written by begin; lower32 and d read by finish
#   shift    p: the exponents s, written by begin, read by finish
#   x, y     count numbers of either dtype; y written
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport frexp, ldexp

from fastcone._kernels.common.lanes cimport BYTES, lane64, maximum, spread
from fastcone._kernels.common.tables cimport CorrectionTable


cdef extern from *:
    """
    #define FC_LARGEST32 1e18   /* that float32 holds with its square */
    #define FC_HUGE 1e300       /* times x_j > 0: more than any gradient */
    """
    const double LARGEST32 "FC_LARGEST32"
    const double HUGE "FC_HUGE"


cdef inline double largest_gradient(Py_ssize_t ld, const double* g,
                                    const double* x) noexcept nogil:
    """max |g_j| over the coordinates with x_j > 0 or g_j < 0: max(-g_j, min(g_j, x_j HUGE))"""
    cdef const lane64* gradients = <const lane64*> g
    cdef const lane64* values = <const lane64*> x
    cdef lane64 huge, most
    cdef double total = HUGE
    cdef Py_ssize_t i
    cdef int q
    huge = spread(<const lane64*> &total, 0)
    most = gradients[0] - gradients[0]
    for i in range(ld * <Py_ssize_t> sizeof(double) // BYTES):
        most = maximum(most, maximum(-gradients[i], -maximum(-gradients[i], -values[i] * huge)))
    total = 0
    for q in range(BYTES // <int> sizeof(double)):
        total = max(total, (<double*> &most)[q])
    return total


cdef int begin(Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, const double* g, const double* x,
               float* c32, float* lower32, int* shift) noexcept nogil:
    cdef double up, value
    cdef Py_ssize_t r, j
    for r in range(p):
        shift[r] = 0
        frexp(largest_gradient(ld, g + r * ld, x + r * ld), &shift[r])
        up = ldexp(1, -shift[r])
        for j in range(n):
            value = -g[r * ld + j] * up
            c32[r * ld + j] = <float> (value if value > -LARGEST32 else -LARGEST32)
            value = -x[r * ld + j] * up
            lower32[r * ld + j] = <float> (value if value > -LARGEST32 else -LARGEST32)
    return 0


cdef int finish(Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, const float* d, const float* lower32,
                const int* shift, double* x) noexcept nogil:
    cdef double up, value
    cdef Py_ssize_t r, j
    for r in range(p):
        up = ldexp(1, shift[r])
        for j in range(n):
            value = x[r * ld + j] + d[r * ld + j] * up
            value = value if value > 0 else 0
            x[r * ld + j] = 0 if d[r * ld + j] == lower32[r * ld + j] else value
    return 0


cdef int narrow(Py_ssize_t count, const double* x, float* y) noexcept nogil:
    cdef double value
    cdef Py_ssize_t i
    for i in range(count):
        value = x[i] if x[i] > -LARGEST32 else -LARGEST32
        y[i] = <float> (value if value < LARGEST32 else LARGEST32)
    return 0


cdef CorrectionTable TABLE
TABLE.begin = begin
TABLE.finish = finish
TABLE.narrow = narrow
table = PyCapsule_New(&TABLE, "nnls.correction", NULL)
