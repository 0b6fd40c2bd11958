# SPDX-License-Identifier: BSD-3-Clause
"""Build the example: python setup.py build_ext --inplace, with fastcone installed."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    name="many_small",
    ext_modules=cythonize(
        [Extension("many_small", ["many_small.pyx"], extra_compile_args=["-O2"])]
    ),
)
