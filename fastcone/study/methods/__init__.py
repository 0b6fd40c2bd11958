# SPDX-License-Identifier: BSD-3-Clause
"""The methods the cones are compared with: classical ones and models trained for a task."""
