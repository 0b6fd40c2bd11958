# SPDX-License-Identifier: BSD-3-Clause
"""The lane vector and the scalar types of every kernel; widths come from lanes.h."""

cdef extern from "lanes.h" nogil:
    const int V "FC_V"
    const int ROWS "FC_ROWS"
    const int SHARE "FC_SHARE"
    const int BYTES "FC_BYTES"
    ctypedef float lane32
    ctypedef double lane64
    ctypedef double unaligned64
    lane32 _positive32 "fc_positive"(lane32)
    lane64 _positive64 "fc_positive"(lane64)
    lane32 _negative32 "fc_negative"(lane32)
    lane64 _negative64 "fc_negative"(lane64)
    lane32 _max32 "fc_max32"(lane32, lane32)
    lane64 _max64 "fc_max64"(lane64, lane64)
    lane32 _none32 "fc_none32"()
    lane64 _none64 "fc_none64"()
    lane32 _spread32 "fc_spread"(const lane32*, Py_ssize_t)
    lane64 _spread64 "fc_spread"(const lane64*, Py_ssize_t)
    float total32 "fc_total32"(lane32)
    double total64 "fc_total64"(lane64)

ctypedef fused real:
    float
    double

ctypedef fused lane:
    lane32
    lane64


cdef inline lane positive(lane a) noexcept nogil:
    """max(a, 0)"""
    if lane is lane32:
        return _positive32(a)
    else:
        return _positive64(a)


cdef inline lane negative(lane a) noexcept nogil:
    """min(a, 0)"""
    if lane is lane32:
        return _negative32(a)
    else:
        return _negative64(a)


cdef inline lane maximum(lane a, lane b) noexcept nogil:
    """a > b ? a : b: b where one of them is not a number."""
    if lane is lane32:
        return _max32(a, b)
    else:
        return _max64(a, b)


cdef inline lane none(const lane* kind) noexcept nogil:
    """Zeros; `kind` tells of what type."""
    if lane is lane32:
        return _none32()
    else:
        return _none64()


cdef inline lane spread(const lane* scalars, Py_ssize_t i) noexcept nogil:
    """scalars[i] in every lane; `scalars` points to numbers, not to lanes"""
    if lane is lane32:
        return _spread32(scalars, i)
    else:
        return _spread64(scalars, i)


cdef inline void load(Py_ssize_t n, Py_ssize_t L, Py_ssize_t q, const real* row,
                      real* tile) noexcept nogil:
    """Put one problem's numbers into lane q of a tile."""
    cdef Py_ssize_t j
    for j in range(n):
        tile[j * L + q] = row[j]


cdef inline void store(Py_ssize_t n, Py_ssize_t L, Py_ssize_t q, const real* tile,
                       real* row) noexcept nogil:
    """Take one problem's numbers out of lane q of a tile."""
    cdef Py_ssize_t j
    for j in range(n):
        row[j] = tile[j * L + q]
