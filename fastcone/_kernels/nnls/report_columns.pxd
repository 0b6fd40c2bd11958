# SPDX-License-Identifier: BSD-3-Clause
"""The columns of the report's arrays; `fastcone._nnls.kernels` hands them to Python."""

cdef enum ReportColumn:     # of `out`, one row a problem
    XG                      # x'g
    CX                      # c'x
    XDELTA                  # sum_j x_j delta_j
    VIOLATION               # max_j |min(x_j, g_j)| in the caller's units but for the target's 2^e
    CONVEX                  # the bound of strong convexity
    SHIFT                   # the least s with g + s a >= 0
    AX                      # a'x
    NORM1                   # sum_j sqrt(G_jj) x_j
    REPORT_COLUMNS

cdef enum CoordinateColumn:     # of `coord`, one row a coordinate
    ROOT                        # sqrt(G_jj)
    INVERSE_CURVATURE           # 1 / (lam G_jj), lam <= the least eigenvalue of the scaled G
    HALF_CURVATURE              # lam G_jj / 2
    INVERSE_SHIFT               # 1 / a_j, a = A'y0 > 0 for a shift y0
    SHIFT_ENTRY                 # a_j
    SCALE                       # s_j: back to the caller's units
    INVERSE_SCALE               # 1 / s_j
    COORDINATE_COLUMNS = 8      # the last is unused
