# SPDX-License-Identifier: BSD-3-Clause
"""The public cimport surface: plain C functions on raw pointers, no Python, no allocation."""
