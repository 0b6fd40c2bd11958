# SPDX-License-Identifier: BSD-3-Clause
"""The gradient of a block of coordinates, for descent and for the report."""

from fastcone._kernels.common.lanes cimport lane, spread

cdef enum:
    BLOCK = 4           # coordinates per register block


cdef inline void minus_gradient(Py_ssize_t n, const lane* G, const lane* x, const lane* c,
                                lane* acc, int vectors) noexcept nogil:
    """acc = c - Gx for the BLOCK coordinates whose rows G and c point to; `vectors` a tile."""
    cdef lane Gk
    cdef Py_ssize_t k
    cdef int j, v
    for j in range(BLOCK):
        for v in range(vectors):
            acc[j * vectors + v] = c[j * vectors + v]
    for k in range(n):
        for j in range(BLOCK):
            Gk = spread(G, k * BLOCK + j)
            for v in range(vectors):
                acc[j * vectors + v] = acc[j * vectors + v] - Gk * x[k * vectors + v]
