# SPDX-License-Identifier: BSD-3-Clause
"""Build the examples: python setup.py build_ext --inplace, with fastcone installed."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    name="embedding",
    ext_modules=cythonize(
        [
            Extension(name, [f"{name}.pyx"], extra_compile_args=["-O2"])
            for name in ("many_small", "one_cone")
        ]
    ),
)
