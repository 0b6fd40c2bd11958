# SPDX-License-Identifier: BSD-3-Clause
"""The gradient of a block of coordinates, for descent and for the report."""

from fastcone._kernels.common.lanes cimport V, lane, spread

cdef enum:
    BLOCK = 4           # coordinates per register block


cdef inline void minus_gradient(Py_ssize_t n, const lane* G, const lane* x, const lane* c,
                                lane* acc) noexcept nogil:
    """acc = c - Gx for the BLOCK coordinates whose rows G and c point to."""
    cdef lane Gk
    cdef Py_ssize_t k
    cdef int j, v
    for j in range(BLOCK):
        for v in range(V):
            acc[j * V + v] = c[j * V + v]
    for k in range(n):
        for j in range(BLOCK):
            Gk = spread(G, k * BLOCK + j)
            for v in range(V):
                acc[j * V + v] = acc[j * V + v] - Gk * x[k * V + v]
