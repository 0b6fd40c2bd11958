# SPDX-License-Identifier: BSD-3-Clause
"""Non-negative least squares: api.py is what users call; the rest in the order of a call.

arguments    what the caller gave, checked; result: what it gets
projector    generators prepared once, for any number of batches
prepare      what depends on A alone: scaled, packed, its Gram matrix and spectrum
             (constants: its passes over small arrays)
dense        A and B as arrays; sparse: where A or B is; targets: what they share, and G alone
plan         which stages a batch goes through
solve        all blocks, on the threads: the first rung, then stage after stage
rung         the compiled first rung: rung_memory, rung_descent and rung_support are its parts
block        problems on the ladder: what is known of each, and how that is proved
descent      coordinate descent in pieces
support      the support solver on G, problem by problem
active_set   the exact solver on shared generators; householder: for rows of unlike size
bounded      upper bounds and sums
columns      many sparse generators; hurried: no time to prepare dense ones
certificate  upper bounds of objective - optimum
like_scipy   scipy's contract
single       one problem, exactly, in the caller's units (single_memory: its arrays)
stack        many problems one after the other, each with its own A; stacked: on threads
kernels      checked bindings of fastcone/_kernels/nnls
"""
