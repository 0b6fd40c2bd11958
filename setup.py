# SPDX-License-Identifier: BSD-3-Clause
"""Compile every kernel once per SIMD level from one source; see docs/architecture.md.

FASTCONE_LEVELS=v4 (comma-separated) restricts the levels built, for a quick edit-and-run loop.
FASTCONE_SANITIZE=address,undefined compiles with those sanitizers, FASTCONE_DEBUG=1 with bounds
checks.
"""

import os
import platform
import runpy

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = runpy.run_path("fastcone/_kernels/__init__.py")["KERNELS"]
LEVELS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
CFLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-unused-function"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": bool(os.environ.get("FASTCONE_DEBUG")),
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}
SANITIZE = os.environ.get("FASTCONE_SANITIZE", "")
SANITIZERS = [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover", "-g"] if SANITIZE else []
CPUS = os.cpu_count() or 1
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]


def built_levels() -> list[str]:
    """The SIMD levels to compile: all of them on x86-64, `base` alone elsewhere."""
    asked = [name for name in os.environ.get("FASTCONE_LEVELS", "").split(",") if name]
    unknown = sorted(set(asked) - set(LEVELS))
    if unknown:
        raise SystemExit(f"FASTCONE_LEVELS: unknown {unknown}, choose from {sorted(LEVELS)}")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ["base"]
    return asked or list(LEVELS)


def source(module: str) -> str:
    """The path of a module's source."""
    return module.replace(".", "/") + ".pyx"


def extension(name: str, path: str, flags: list[str]) -> Extension:
    """One compiled module; the header directory and the house's flags are shared by all."""
    return Extension(
        name,
        [path],
        include_dirs=["fastcone/_kernels/common", numpy.get_include()],
        define_macros=MACROS,
        extra_compile_args=CFLAGS + flags + SANITIZERS,
        extra_link_args=SANITIZERS,
        depends=["fastcone/_kernels/common/lanes.h"],
    )


def kernels(level: str) -> list[Extension]:
    """The kernel modules of one level, in a build directory of their own."""
    return cythonize(
        [
            extension(
                f"fastcone._kernels.{k}_{level}", source(f"fastcone._kernels.{k}"), LEVELS[level]
            )
            for k in KERNELS
        ],
        build_dir=f"build/cython/{level}",
        compiler_directives=DIRECTIVES,
        nthreads=CPUS,
    )


def plain() -> list[Extension]:
    """The modules compiled once, for the lowest level.

    Dispatch, bindings, the first rung, the single and the stacked solver, the cimport surface.
    """
    names = (
        "fastcone._nnls.rung",  # the longest to compile
        "fastcone._runtime.dispatch",
        *(f"fastcone.{floor}.kernels" for floor in ("_runtime", "_nnls", "_nnlad", "_nmf")),
        "fastcone._nmf.passes",
        "fastcone._nmf.cycles",
        "fastcone._nmf.turns",
        "fastcone._nnls.constants",
        "fastcone._nnls.single",
        "fastcone._nnls.stack",
        "fastcone._nnls.embedded",
        "fastcone.cy.__init__",
    )
    return cythonize(
        [extension(name, source(name), []) for name in names],
        build_dir="build/cython/plain",
        compiler_directives=DIRECTIVES,
        nthreads=CPUS,
    )


setup(
    ext_modules=plain() + [module for level in built_levels() for module in kernels(level)],
    options={"build_ext": {"parallel": CPUS}},
)
