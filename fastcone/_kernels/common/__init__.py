# SPDX-License-Identifier: BSD-3-Clause
"""What the kernels of all solvers share: lanes, products, panels, dense algebra, tables."""
