# SPDX-License-Identifier: BSD-3-Clause
"""Operators: each is the linear map it says, its adjoint is the transpose, bad input is named."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse.linalg

from fastcone import Cone
from fastcone.operators import Blur, Compose, Dense, Downsample, Mask, Operator, Sensing, Warp

RNG = np.random.default_rng(20230611)
BOX = np.full((5, 5), 1 / 25)
SIGNED = RNG.normal(size=(3, 5))
KNOWN = RNG.random((6, 5)) < 0.6

OPERATORS = {
    "mask": Mask(KNOWN),
    "mask, one entry": Mask([False, True, False]),
    "mask, everything": Mask(np.ones(7, bool)),
    "blur, box": Blur((9, 7), BOX),
    "blur, zeros outside": Blur((9, 7), BOX, "zero"),
    "blur, signed and lopsided": Blur((6, 8), SIGNED),
    "blur, one axis": Blur((11,), [0.1, 0.0, 0.9]),
    "blur, kernel wider than the signal": Blur((2,), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
    "blur, three axes": Blur((4, 3, 2), np.ones((3, 1, 1))),
    "downsample": Downsample((6, 8), 2),
    "downsample, one axis only": Downsample((6, 4, 3), (3, 2, 1)),
    "warp, turned": Warp((6, 8), [[0.9, -0.3], [0.3, 0.9]], offset=(0.5, -1)),
    "warp, zeros outside": Warp((5, 5), [[1.2, 0.0], [0.1, 1.0]], boundary="zero"),
    "warp, a spectrum": Warp((11,), [[1.3]], offset=-20.25),
    "warp, no colours": Warp((4, 3, 2), np.diag([0.5, 1.0, 1.0])),
    "dense": Dense([[0.3, 0.6, 0.1]]),
    "dense, signed": Dense(RNG.normal(size=(4, 6))),
    "sensing": Sensing.random(5, 12, random_state=0),
    "sensing, non-negative": Sensing.random(5, 12, nonnegative=True, random_state=0),
    "compose, two": Compose(Downsample((6, 8), 2), Blur((6, 8), np.ones((3, 3)) / 9)),
    "compose, three": Compose(
        Dense(RNG.normal(size=(2, 12))), Downsample((6, 8), 2), Blur((6, 8), SIGNED)
    ),
    "compose, signs that cancel": Compose(Dense([[-1.0, -2.0]]), Dense([[-3.0], [-1.0]])),
    "compose, one": Compose(Mask(KNOWN)),
}

each_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS.keys())


def matrix_of(A: Operator) -> np.ndarray:
    """The matrix, one unit vector at a time, through nothing but `forward`."""
    return np.stack([A.forward(unit) for unit in np.eye(A.size_in)], axis=1)


@each_operator
def test_adjoint_is_the_transpose(A, rng):
    V, U = rng.normal(size=(4, A.size_in)), rng.normal(size=(4, A.size_out))
    left = np.einsum("ij,ij->i", A.forward(V), U)
    right = np.einsum("ij,ij->i", V, A.adjoint(U))
    size = np.linalg.norm(matrix_of(A)) * np.linalg.norm(V) * np.linalg.norm(U)
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-14 * size)


@each_operator
def test_forward_is_linear_and_has_the_stated_sizes(A, rng):
    u, v = rng.normal(size=(2, A.size_in))
    assert A.size_in == np.prod(A.shape_in) and A.size_out == np.prod(A.shape_out)
    assert A.forward(u).shape == (A.size_out,)
    np.testing.assert_allclose(
        A.forward(2 * u - 3 * v), 2 * A.forward(u) - 3 * A.forward(v), rtol=0, atol=1e-12
    )


@each_operator
def test_apply_to_is_forward_on_columns(A, rng):
    W = rng.random((A.size_in, 3))
    np.testing.assert_array_equal(A.apply_to(W), A.forward(W.T).T)
    np.testing.assert_allclose(A.apply_to(W), matrix_of(A) @ W, rtol=0, atol=1e-12)


@each_operator
def test_nonnegative_is_what_the_matrix_is(A):
    assert A.nonnegative == (matrix_of(A).min() >= 0)


@each_operator
def test_rows_are_independent_and_one_row_may_come_alone(A, rng):
    V, U = rng.normal(size=(3, A.size_in)), rng.normal(size=(3, A.size_out))
    np.testing.assert_allclose(A.forward(V), [A.forward(v) for v in V], rtol=0, atol=1e-13)
    np.testing.assert_allclose(A.adjoint(U), [A.adjoint(u) for u in U], rtol=0, atol=1e-13)
    assert A.forward(V[:0]).shape == (0, A.size_out)


@each_operator
def test_float32_stays_and_input_is_not_written(A, rng):
    V = rng.normal(size=(3, A.size_in)).astype(np.float32)
    V.setflags(write=False)
    found = A.forward(V)
    assert found.dtype == np.float32 and A.adjoint(found).dtype == np.float32
    assert A.forward(V.astype(int)).dtype == np.float64
    np.testing.assert_allclose(found, A.forward(V.astype(float)), rtol=0, atol=1e-5)


@each_operator
def test_repr_names_the_class_and_its_size(A):
    assert repr(A).startswith(type(A).__name__ + "(")
    assert "object at" not in repr(A)


@pytest.mark.parametrize("boundary, mode", [("reflect", "reflect"), ("zero", "constant")])
@pytest.mark.parametrize(
    "shape, kernel",
    [((9, 7), BOX), ((6, 8), SIGNED), ((2, 3), np.arange(35.0).reshape(5, 7)), ((11,), [1, 2, 4])],
)
def test_blur_is_the_convolution_of_scipy(shape, kernel, boundary, mode, rng):
    image = rng.normal(size=shape)
    wanted = scipy.ndimage.convolve(image, np.asarray(kernel, float), mode=mode, cval=0.0)
    found = Blur(shape, kernel, boundary).forward(image.ravel()).reshape(shape)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)


def test_blur_with_a_normalised_kernel_keeps_a_constant_image():
    np.testing.assert_allclose(Blur((9, 7), BOX).forward(np.ones(63)), 1, rtol=1e-14)


def test_downsample_is_the_mean_of_each_block(rng):
    image = rng.random((6, 8))
    wanted = [
        [image[2 * i : 2 * i + 2, 4 * j : 4 * j + 4].mean() for j in (0, 1)] for i in range(3)
    ]
    A = Downsample((6, 8), (2, 4))
    np.testing.assert_allclose(A.forward(image.ravel()), np.ravel(wanted), rtol=1e-14)
    assert A.shape_out == (3, 2)


@pytest.mark.parametrize("boundary, mode", [("reflect", "reflect"), ("zero", "grid-constant")])
@pytest.mark.parametrize("shape", [(9, 7), (12,), (4, 3, 5)])
def test_warp_is_the_affine_transform_of_scipy(shape, boundary, mode, rng):
    image, d = rng.random(shape), len(shape)
    matrix = np.eye(d) + 0.3 * rng.normal(size=(d, d)) / d
    move, centre = rng.normal(size=d), (np.array(shape) - 1) / 2
    inverse = np.linalg.inv(matrix)
    wanted = scipy.ndimage.affine_transform(
        image, inverse, centre - inverse @ (centre + move), order=1, mode=mode
    )
    found = Warp(shape, matrix, move, boundary).forward(image.ravel()).reshape(shape)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_warp_by_a_quarter_turn_loses_nothing(rng):
    image = rng.random((5, 5))
    turn = Warp((5, 5), [[0.0, -1.0], [1.0, 0.0]], boundary="zero")
    np.testing.assert_allclose(turn.forward(image.ravel()).reshape(5, 5), np.rot90(image))
    np.testing.assert_array_equal(Warp((5, 5), np.eye(2)).forward(image.ravel()), image.ravel())


def test_mask_drops_the_unknown_entries(rng):
    image = rng.normal(size=(6, 5))
    A = Mask(KNOWN)
    np.testing.assert_array_equal(A.forward(image.ravel()), image[KNOWN])
    np.testing.assert_array_equal(
        A.adjoint(image[KNOWN]).reshape(6, 5), np.where(KNOWN, image, 0.0)
    )


def test_compose_multiplies_the_matrices():
    D, B = Downsample((6, 8), 2), Blur((6, 8), SIGNED)
    np.testing.assert_allclose(
        matrix_of(Compose(D, B)), matrix_of(D) @ matrix_of(B), rtol=0, atol=1e-13
    )


def test_dense_and_sensing_keep_their_own_copy():
    matrix = np.eye(2)
    for A in (Dense(matrix), Sensing(matrix)):
        matrix[:] = 7
        np.testing.assert_array_equal(A.forward([1.0, 2.0]), [1.0, 2.0])
        matrix[:] = np.eye(2)


def test_sensing_random_keeps_the_squared_norm_on_average(rng):
    # ||Au||^2 / ||u||^2 is a chi-square mean over 20,000 rows: standard deviation 0.01.
    u = rng.normal(size=30)
    A = Sensing.random(20_000, 30, random_state=1)
    ratio = np.sum(A.forward(u) ** 2) / np.sum(u**2)
    assert abs(ratio - 1) < 0.05
    assert not A.nonnegative and Sensing.random(50, 30, nonnegative=True).nonnegative
    np.testing.assert_array_equal(
        matrix_of(Sensing.random(3, 4, random_state=5)),
        matrix_of(Sensing.random(3, 4, random_state=5)),
    )


BAD_INPUT = {
    "mask of numbers": (lambda: Mask([1, 0, 1]), TypeError, "known"),
    "masked array": (lambda: Mask(np.ma.array([True], mask=[True])), TypeError, "known"),
    "mask without a known entry": (lambda: Mask([False, False]), ValueError, "known"),
    "even kernel": (lambda: Blur((4,), [0.5, 0.5]), ValueError, "kernel"),
    "kernel of other dimension": (lambda: Blur((4, 4), [1.0]), ValueError, "kernel"),
    "NaN kernel": (lambda: Blur((4,), [np.nan]), ValueError, "kernel"),
    "unknown boundary": (lambda: Blur((4,), [1.0], "wrap"), ValueError, "boundary"),
    "warp of another number of axes": (lambda: Warp((4, 4), [[1.0]]), ValueError, "matrix"),
    "warp without inverse": (lambda: Warp((4,), [[0.0]]), ValueError, "matrix"),
    "offset too long": (lambda: Warp((4,), [[1.0]], [1.0, 2.0]), ValueError, "offset"),
    "warp, wrapping": (lambda: Warp((4,), [[1.0]], 0, "wrap"), ValueError, "boundary"),
    "fractional shape": (lambda: Blur((4.5,), [1.0]), TypeError, "shape"),
    "shape not a sequence": (lambda: Blur(4, [1.0]), TypeError, "shape"),
    "empty shape": (lambda: Blur((), 1.0), ValueError, "shape"),
    "zero in shape": (lambda: Downsample((0, 4), 2), ValueError, "shape"),
    "factor that does not divide": (lambda: Downsample((28, 28), 3), ValueError, "factor"),
    "factor zero": (lambda: Downsample((4,), 0), ValueError, "factor"),
    "too many factors": (lambda: Downsample((4,), (2, 2)), ValueError, "factor"),
    "empty matrix": (lambda: Dense(np.zeros((0, 3))), ValueError, "matrix"),
    "vector as matrix": (lambda: Dense([1.0, 2.0]), ValueError, "matrix"),
    "complex matrix": (lambda: Dense([[1j]]), TypeError, "matrix"),
    "no measurements": (lambda: Sensing.random(0, 3), ValueError, "n_measurements"),
    "no entries": (lambda: Sensing.random(3, 0), ValueError, "size"),
    "part that is no operator": (lambda: Compose(Mask([True]), np.eye(1)), TypeError, "inner"),
    "parts that do not fit": (lambda: Compose(Mask([True]), Mask([True] * 2)), ValueError, "inner"),
    "wrong length": (lambda: Mask([True] * 3).forward([1.0]), ValueError, "V"),
    "wrong data length": (lambda: Mask([True] * 3).adjoint([1.0]), ValueError, "U"),
    "three axes": (lambda: Mask([True]).forward([[[1.0]]]), ValueError, "V"),
    "NaN signal": (lambda: Mask([True]).forward([np.nan]), ValueError, "V"),
    "text signal": (lambda: Mask([True]).forward(["1"]), TypeError, "V"),
    "dictionary as vector": (lambda: Mask([True]).apply_to([1.0]), ValueError, "W"),
    "dictionary with other rows": (lambda: Mask([True]).apply_to(np.ones((2, 2))), ValueError, "W"),
}


@pytest.mark.parametrize("call, error, argument", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=rf"^{argument}\b"):
        call()


# --- scipy's LinearOperator


def seen_through(rng):
    A = Compose(Downsample((6,), 2), Blur((6,), [0.25, 0.5, 0.25]))
    M = A.apply_to(np.eye(6))
    return A, M, Cone(rng.random((6, 3))), rng.random((4, 3))


@pytest.mark.parametrize(
    "given",
    [
        lambda A, M: M,
        lambda A, M: M.astype(np.float32),
        lambda A, M: scipy.sparse.coo_array(M),
        lambda A, M: scipy.sparse.linalg.aslinearoperator(M),
        lambda A, M: Downsample((6,), 2) @ Blur((6,), [0.25, 0.5, 0.25]),
        lambda A, M: 0.5 * A + 0.5 * scipy.sparse.linalg.aslinearoperator(M),
    ],
    ids=["matrix", "float32", "sparse", "linear", "product", "sum"],
)
def test_forward_takes_any_linear_operator_or_matrix(rng, given):
    A, M, cone, V = seen_through(rng)
    want = cone.project(V, forward=A)
    found = cone.project(V, forward=given(A, M))
    np.testing.assert_allclose(found.signal, want.signal, rtol=1e-6, atol=1e-7)


def test_an_operator_is_scipys(rng):
    A, M, _, V = seen_through(rng)
    assert isinstance(A, scipy.sparse.linalg.LinearOperator) and A.shape == (3, 6)
    u = rng.random(6)
    np.testing.assert_allclose(A @ u, M @ u, rtol=1e-14)
    np.testing.assert_allclose(A.T @ V[0], M.T @ V[0], rtol=1e-14)
    np.testing.assert_allclose(A.adjoint() @ V[0], A.adjoint(V[0]), rtol=1e-14)
    np.testing.assert_allclose(scipy.sparse.linalg.lsqr(A, V[0])[0], np.linalg.pinv(M) @ V[0])


@pytest.mark.parametrize(
    "bad, error",
    [
        ([[1.0, 2.0]], TypeError),
        (np.ones(6), TypeError),
        (np.ones((2, 5)), ValueError),
        (np.full((2, 6), np.nan), ValueError),
        (scipy.sparse.linalg.aslinearoperator(np.ones((2, 6)) * 1j), TypeError),
        ("blur", TypeError),
    ],
    ids=["list", "vector", "wrong size", "nan", "complex", "text"],
)
def test_what_is_no_operator_is_named(rng, bad, error):
    with pytest.raises(error, match=r"^forward "):
        Cone(rng.random((6, 3))).project(rng.random((4, 2)), forward=bad)
