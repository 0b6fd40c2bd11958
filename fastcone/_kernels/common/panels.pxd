# SPDX-License-Identifier: BSD-3-Clause
"""The register block of every product: ROWS rows of numbers against one panel of lane vectors."""

from fastcone._kernels.common.lanes cimport ROWS, lane, none, spread

cdef enum:
    PANEL = 2               # vectors per panel
    PRODUCT_CHUNK = 128     # terms of a partial sum in the product kernel


cdef inline void rank_chunk(Py_ssize_t m, const lane* A, Py_ssize_t step, const lane** b,
                            lane** c) noexcept nogil:
    """c_r += sum_i b_r[i] A[i step]: ROWS rows b_r of m numbers, c_r and A[i] of 2 vectors."""
    cdef lane acc[ROWS * PANEL]
    cdef lane a0, a1, t
    cdef Py_ssize_t i
    cdef int r
    for r in range(ROWS * PANEL):
        acc[r] = none(A)
    for i in range(m):
        a0 = A[i * step]
        a1 = A[i * step + 1]
        for r in range(ROWS):
            t = spread(b[r], i)
            acc[2 * r] = acc[2 * r] + a0 * t
            acc[2 * r + 1] = acc[2 * r + 1] + a1 * t
    for r in range(ROWS):                       # all are read before one is written: rows may
        acc[2 * r] = acc[2 * r] + c[r][0]       # be repeated
        acc[2 * r + 1] = acc[2 * r + 1] + c[r][1]
    for r in range(ROWS):
        c[r][0] = acc[2 * r]
        c[r][1] = acc[2 * r + 1]
