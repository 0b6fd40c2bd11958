# SPDX-License-Identifier: BSD-3-Clause
"""The parts of NMF training, each on the ones before it.

problem      the data in scaled units, cut into blocks; passes over the blocks
dense        X as arrays, in memory, memory-mapped or in parts
sparse       X as entries; their Kullback-Leibler iterations
start        random and SVD-based starts
momentum     extrapolation of coordinate descent, and taking it back
gram         iterations that see the data only through W'X and XH' (squared error)
entries      the losses formed entry by entry, and their multiplicative steps
entrywise    iterations that look at every entry of WH (other divergences, masks, weights)
checkpoint   the last iterate in a file, and whose run it is of
"""
