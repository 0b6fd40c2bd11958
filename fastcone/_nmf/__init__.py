# SPDX-License-Identifier: BSD-3-Clause
"""The parts of NMF training, each on the ones before it.

problem      the data in scaled units, cut into blocks; passes over the blocks
start        random and SVD-based starts
momentum     extrapolation of coordinate descent, and taking it back
gram         iterations that see the data only through W'X and XH' (squared error)
entries      the losses formed entry by entry, and their multiplicative steps
entrywise    iterations that look at every entry of WH (other divergences, masks, weights)
"""
