# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of non-negative least squares."""
