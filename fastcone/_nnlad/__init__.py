# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the NNLAD solver, each on the ones before it.

mass         how large an optimal x can be: what a nearly feasible dual point costs
generators   shared generators: scaled, packed, with the constants of the kernel
batch        many problems, block by block: scale, descend, prove
arguments    what the caller gave, checked
"""
