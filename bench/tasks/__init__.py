# SPDX-License-Identifier: BSD-3-Clause
"""What the tasks beside the study's reach, on real digits and on samples of other fields.

python -m bench.tasks CASE ... [--data FILE.npz]

Each case is a file of this folder. Settings were chosen on training images; the test images are
looked at once. Without a file scikit-learn's 8 x 8 digits are taken, for which nothing was tuned.
"""
