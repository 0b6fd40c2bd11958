# SPDX-License-Identifier: BSD-3-Clause
"""Least absolute deviations: api.py is what users call; the rest in the order of a call.

arguments   what the caller gave, checked
prepare     shared generators: scaled, packed, with the constants of the kernel
dual_bound  how large an optimal x can be: what a nearly feasible dual point costs
solve       many problems, block by block: scale, run the simplex, prove
kernels     checked bindings of fastcone/_kernels/nnlad
"""
