# SPDX-License-Identifier: BSD-3-Clause
"""What every solver stands on: the kernels of one SIMD level, threads, arrays, arguments, files."""
