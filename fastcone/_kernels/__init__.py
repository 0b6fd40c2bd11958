# SPDX-License-Identifier: BSD-3-Clause
"""Compiled kernels, one module per kernel and SIMD level; `fastcone._dispatch` loads one level."""
