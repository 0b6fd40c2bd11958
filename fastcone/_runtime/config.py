# SPDX-License-Identifier: BSD-3-Clause
"""What this installation is made of and what it will use."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from fastcone._runtime import dispatch, threads

PACKAGES = ("fastcone", "numpy", "scipy", "threadpoolctl")


@dataclass(frozen=True)
class Config:
    """The answer of `show_config`; `str` of it is a table."""

    level: str
    levels: tuple[str, ...]
    compiler: str
    threads: int
    blas: tuple[str, ...]
    python: str
    machine: str
    versions: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        rows = {
            "SIMD level": f"{self.level} (available: {', '.join(self.levels)})",
            "compiler": self.compiler,
            "threads": str(self.threads),
            "BLAS": "; ".join(self.blas) or "none loaded",
            "Python": self.python,
            "machine": self.machine,
            **self.versions,
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def version_of(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def show_config() -> Config:
    """Tell the SIMD level, compiler, BLAS, threads and versions in use.

    Returns
    -------
    Config
        Printed as a table; `as_dict()` for a record beside a measurement.

    Examples
    --------
    >>> import fastcone
    >>> fastcone.show_config().level in ("base", "v3", "v4")
    True
    """
    blas = tuple(
        f"{info['internal_api']} {info['version']}, {info['num_threads']} threads"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    )
    return Config(
        level=dispatch.level(),
        levels=dispatch.built_levels(),
        compiler=dispatch.compiler_version(),
        threads=threads.thread_count(None),
        blas=blas,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        versions={name: version_of(name) for name in PACKAGES},
    )
