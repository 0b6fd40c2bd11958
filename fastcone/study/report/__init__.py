# SPDX-License-Identifier: BSD-3-Clause
"""A study in words and pictures: text table, figures, HTML page, files."""
