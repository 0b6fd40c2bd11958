# SPDX-License-Identifier: BSD-3-Clause
"""Training: api.py is what users call; the rest in the order of a call.

arguments      what the caller gave, checked and scaled; result: what it gets
problem        the data in scaled units, cut into blocks; passes over the blocks
dense, sparse  X as arrays, in memory, mapped or in parts; X as entries, and their KL iterations
init           random and SVD-based starts
train          starts trained to their ends
stack          several starts side by side
losses         one record a loss; losses formed entry by entry, and their multiplicative steps
frobenius      iterations that see the data only through W'X and XH' (squared error)
filled         the same where entries are masked or weighted: filled in by the model
stored         the same, and all losses, where the stored entries of a sparse X are the known ones
divergence     iterations that look at every entry of WH (other divergences)
update         what training asks of these iterations
extrapolation  extrapolation of coordinate descent, and taking it back
checkpoint     the last iterate in a file, and a fingerprint of the run that wrote it
remote         training where the samples are elsewhere, on whatever holds them (../dask.py)
segments       what is done where they are: passes over some of the samples
rank           which rank predicts held-out entries best
online         training from a stream of batches
kernels        checked bindings of fastcone/_kernels/nmf
"""
