# SPDX-License-Identifier: BSD-3-Clause
"""Inner products of plain arrays, in an order of summation that is the same at every level."""

from fastcone._kernels.common.lanes cimport real

cdef enum:
    PARTS = 16          # partial sums: independent chains that vectorise, a fixed order


cdef inline real dot(Py_ssize_t m, const real* a, const real* b) noexcept nogil:
    """a'b in PARTS interleaved partial sums, added as a tree"""
    cdef real part[PARTS]
    cdef real total = 0
    cdef Py_ssize_t i
    cdef int q
    for q in range(PARTS):
        part[q] = 0
    for i in range(m // PARTS):
        for q in range(PARTS):
            part[q] += a[i * PARTS + q] * b[i * PARTS + q]
    for i in range(m - m % PARTS, m):
        total += a[i] * b[i]
    for q in range(8):
        part[q] += part[q + 8]
    for q in range(4):
        part[q] += part[q + 4]
    return total + ((part[0] + part[2]) + (part[1] + part[3]))
