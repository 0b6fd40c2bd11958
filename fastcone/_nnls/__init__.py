# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the NNLS solver, each on the ones before it.

gram         shared generators: scaled, packed, their Gram matrix and its spectrum
certificate  upper bounds of objective - optimum
exact        the exact solver on shared generators
targets      the right-hand sides in scaled units
descent      coordinate descent on one block until its certificates hold
batch        all blocks, on the threads
"""
