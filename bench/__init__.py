# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks at equal accuracy: `make bench`, or python -m bench --help."""
