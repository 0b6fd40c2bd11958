# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least squares: api.py is what users call; the rest in the order of a call.

arguments    what the caller gave, checked
prepare      what depends on A alone: scaled, packed, its Gram matrix and spectrum
targets      the right-hand sides in scaled units; sparse: where A or B is
plan         which stages a batch goes through
solve        all blocks, on the threads, from stage to stage
descent      coordinate descent on one block until its certificates hold
pivoting     block principal pivoting where descent is slow
active_set   the exact solver on shared generators
certificate  upper bounds of objective - optimum
single       one problem, exactly, in the caller's units
kernels      checked bindings of fastcone/_kernels/nnls
"""
