# SPDX-License-Identifier: BSD-3-Clause
"""Arguments checked once, in one wording: the name, what was found, what is wanted."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from scipy.sparse import csc_array, issparse

from fastcone._runtime import kernels
from fastcone._runtime.structure import check_structure

REALS = (np.dtype(np.float32), np.dtype(np.float64))
LARGEST = 2**40  # number of anything that there is to be memory for
LARGE, COPIED, LEAST = 1 << 20, 1 << 21, 16  # entries copied in parts, and of a part; columns
LONGEST = 80  # characters of what was found
# float() reads some of these, and numpy's masked entry as NaN with a warning
NO_NUMBERS = (bool, np.bool_, str, bytes, bytearray, memoryview, np.ma.MaskedArray, np.datetime64)


def real_array(
    name: str,
    value: Any,
    *,
    ndim: Sequence[int],
    dtype: Any = None,
    nonnegative: bool = False,
    allow_nan: bool = False,
    finite: bool = True,
    order: Literal["C", "F"] | None = None,
    min_size: int = 0,
    between: Callable[[], Any] = lambda: None,
) -> np.ndarray:
    """Return `value` as a native float32 or float64 array, without a copy where it is one already.

    float32 and float64 are kept, every other real dtype becomes float64, unless `dtype` asks for
    one of the two. `order` is "C", "F" or None for any layout, strided ones included. With
    `finite=False` the entries are not looked at: the caller does it while it reads them. Frames
    and series of pandas and polars are arrays too, their missing values NaN. `between` is called
    between the parts of a long copy, and may raise.

    Raises
    ------
    TypeError
        Not an array of real numbers: sparse, masked, object, complex or text; a frame's column of
        another type.
    ValueError
        Wrong number of dimensions, fewer than `min_size` entries, NaN, infinity or, with
        `nonnegative`, a negative entry; the position of the first bad entry is told.
    """
    if (
        type(value) is np.ndarray
        and value.dtype in REALS
        and value.dtype.isnative
        and (dtype is None or value.dtype == dtype)
        and value.ndim in ndim
        and value.flags.aligned
        and not (nonnegative or order or min_size)
    ):
        if finite:
            check_finite(name, value, allow_nan=allow_nan)
        return value
    if issparse(value):
        raise TypeError(f"{name} is a sparse {type(value).__name__}, want a dense array")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, want a plain array and the mask as an argument")
    try:
        array = np.asarray(_unframed(name, value))
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, want real numbers")
    native = array.dtype.newbyteorder("=")
    wanted = np.dtype(dtype if dtype is not None else native if native in REALS else np.float64)
    if array.ndim not in ndim:
        several = isinstance(ndim, range)
        sizes = f"at least {ndim[0]}-D" if several else " or ".join(f"{d}-D" for d in ndim)
        raise ValueError(f"{name} is {array.ndim}-D with shape {array.shape}, want {sizes}")
    if array.size < min_size:
        raise ValueError(f"{name} has shape {array.shape}, want at least {min_size} entries")
    if finite:
        check_finite(name, array, allow_nan=allow_nan)
    if nonnegative:
        check_nonnegative(name, array)
    narrower = array.dtype.kind == "f" and array.dtype.itemsize > wanted.itemsize
    with np.errstate(over="ignore", under="ignore"):
        array = _converted(array, wanted, order, between)
    if narrower:
        check_finite(name, array, allow_nan=allow_nan)
    if not array.flags.aligned:
        array = array.copy(order="K")
    return array


def _converted(
    array: np.ndarray,
    dtype: np.dtype,
    order: Literal["C", "F"] | None,
    between: Callable[[], Any],
) -> np.ndarray:
    """Return an array in this dtype and order, copied only where it must be.

    A large one is copied some columns at a time: that is faster, and Ctrl-C is heard between.
    """
    suits = order is None or (array.dtype == dtype and array.flags[order])
    if suits or array.ndim != 2 or array.size < LARGE:
        return np.asarray(array, dtype=dtype, order=order)
    copy = np.empty(array.shape, dtype=dtype, order=order)
    step = max(COPIED // len(array), LEAST)
    for first in range(0, array.shape[1], step):
        between()
        part = slice(first, first + step)
        copy[:, part] = array[:, part]
    return copy


def _is_real(kind: Any) -> bool:
    """Return whether a column type of pandas or of polars is one of real numbers."""
    if hasattr(kind, "kind"):
        return kind.kind in "fiub"
    return str(kind) == "Boolean" or bool(getattr(kind, "is_numeric", bool)())


def _unframed(name: str, value: Any) -> Any:
    """Return a frame or series as an array with NaN for what is missing, anything else as it is.

    Known by its `to_numpy`. What that makes an array of objects may be numbers all the same, of
    types that have a missing value of their own (pandas' Float64, Int64, boolean, polars' Boolean).
    """
    if isinstance(value, np.ndarray) or not hasattr(value, "to_numpy"):
        return value
    array = value.to_numpy()
    if array.dtype != np.object_:
        return array
    types = list(value.dtypes) if array.ndim == 2 else [value.dtype]
    labels = list(value.columns) if array.ndim == 2 else [getattr(value, "name", None)]
    for label, kind in zip(labels, types, strict=True):
        if not _is_real(kind):
            raise TypeError(f"{name} has a column {label!r} of {kind}, want real numbers")
    if not hasattr(types[0], "kind"):
        return array.astype(np.float64)  # polars': None is what is missing
    narrow = all(getattr(kind, "numpy_dtype", kind) == np.float32 for kind in types)
    return value.to_numpy(dtype=np.float32 if narrow else np.float64, na_value=np.nan)


def well_formed(name: str, value: Any) -> None:
    """Raise ValueError for a sparse matrix (m, n) whose parts do not fit together."""
    try:
        check_structure(value)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{name} is not a well-formed sparse matrix: {error}") from None


def sparse_array(name: str, value: Any) -> csc_array:
    """Return a sparse matrix in canonical CSC form: float32 or float64, sorted, no duplicates.

    Raises
    ------
    TypeError
        Not sparse, or not of real numbers.
    ValueError
        Broken structure (pointers, indices, lengths), NaN or infinity.
    """
    if not issparse(value):
        raise TypeError(f"{name} is a {type(value).__name__}, want a sparse matrix")
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {value.dtype}, want real numbers")
    if value.ndim != 2:
        raise ValueError(f"{name} is {value.ndim}-D with shape {value.shape}, want 2-D")
    well_formed(name, value)
    try:
        wanted = value.dtype if value.dtype in REALS else np.float64
        array = csc_array(value, dtype=wanted, copy=True)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{name} is not a well-formed sparse matrix: {error}") from None
    array.sum_duplicates()
    if not np.isfinite(array.data).all():
        raise ValueError(f"{name} holds NaN or infinity, want finite numbers")
    return array


def check_finite(
    name: str, array: np.ndarray, *, allow_nan: bool = False, origin: tuple[int, ...] = ()
) -> None:
    """Raise ValueError at the first NaN (unless allowed) or infinity.

    `array` may be a part of the argument: `origin` is where in it the part begins.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return
    whole = kernels.finite(array)
    if whole:
        return
    if whole is None:
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(array.sum(dtype=np.float64)):
                return
    bad = np.isinf(array) if allow_nan else ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.unravel_index(np.argmax(bad), array.shape))
        place = tuple(i + o for i, o in zip(first, origin, strict=True)) if origin else first
        wanted = "finite numbers or NaN" if allow_nan else "finite numbers"
        raise ValueError(f"{name} holds {array[first]} at {place}, want {wanted}")


def check_nonnegative(name: str, array: np.ndarray, *, origin: tuple[int, ...] = ()) -> None:
    """Raise ValueError at the first negative entry; NaN passes; `origin` as in `check_finite`."""
    with np.errstate(invalid="ignore"):
        bad = array < 0
    if bad.any():
        first = tuple(int(i) for i in np.unravel_index(np.argmax(bad), array.shape))
        place = tuple(i + o for i, o in zip(first, origin, strict=True)) if origin else first
        raise ValueError(f"{name} holds {array[first]} at {place}, want no negative entries")


def check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `array` has exactly this shape."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, want {shape}")


def shown(value: Any) -> str:
    """Return a short description of anything, also of what has no repr (an int of 5,000 digits)."""
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def axes(name: str, value: Any) -> int:
    """Return how many axes an array, a nested list or a number has."""
    try:
        return np.ndim(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None


def boolean_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as a boolean array, or raise: no number stands for a truth."""
    axes(name, value)
    array = np.asarray(value)
    if array.dtype != np.bool_ or isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} must be a plain boolean array, found {type(value).__name__} "
            f"of dtype {array.dtype}"
        )
    return array


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; nothing else stands for one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, found {shown(value)}")
    return bool(value)


def integer(name: str, value: Any, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within these bounds; bool and float are refused."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer >= {minimum}, found {shown(value)}") from None
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer >= {minimum}, found {shown(value)}")
    if found < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, found {shown(found)}")
    if maximum is not None and found > maximum:
        raise ValueError(f"{name} must be an integer <= {maximum}, found {shown(found)}")
    return found


def number(name: str, value: Any, *, minimum: float = -math.inf, positive: bool = False) -> float:
    """Return `value` as a finite float, at least `minimum`, above zero if `positive`."""
    plain = type(value) is float and -math.inf < value < math.inf  # most are: no words for them
    if plain and value >= minimum and (value > 0 or not positive):
        return float(value)
    wanted = "a finite number"
    wanted += " > 0" if positive else f" >= {minimum:g}" if minimum > -math.inf else ""
    if isinstance(value, NO_NUMBERS) or getattr(value, "ndim", 0) > 0:
        raise TypeError(f"{name} must be {wanted}, found {shown(value)}")
    try:
        found = float(value)
    except OverflowError:
        raise ValueError(f"{name} must be {wanted}, found {shown(value)}") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {wanted}, found {shown(value)}") from None
    if not math.isfinite(found) or found < minimum or (positive and found <= 0):
        raise ValueError(f"{name} must be {wanted}, found {found:g}")
    return found


def nonnegative(name: str, value: Any) -> float:
    """Return `value` as a finite float >= 0."""
    return number(name, value, minimum=0.0)


def weights(name: str, value: Any, count: int) -> np.ndarray:
    """Return one finite number >= 0 for all of `count` problems, or one for each, as an array."""
    if axes(name, value) == 0:
        return np.full(count, nonnegative(name, value))
    array = real_array(name, value, ndim=(1,), dtype=np.float64, nonnegative=True)
    check_shape(name, array, (count,))
    return array


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return `value` if it is one of `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, options))}, found {shown(value)}"
        )
    return value


def generator(random_state: Any) -> np.random.Generator:
    """Return the generator a seed stands for."""
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    try:
        return np.random.default_rng(integer("random_state", random_state, minimum=0))
    except TypeError:
        raise TypeError(
            f"random_state must be an integer, a numpy Generator or RandomState, or None, "
            f"found {shown(random_state)}"
        ) from None
