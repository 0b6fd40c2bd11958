# SPDX-License-Identifier: BSD-3-Clause
"""What counts or models energy, one meter a file, on the common ground of `base`."""
