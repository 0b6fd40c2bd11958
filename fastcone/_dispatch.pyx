# SPDX-License-Identifier: BSD-3-Clause
"""The door to the kernels: asks the CPU once, loads one SIMD level, checks shapes, drops the GIL.

Every function here and in _dispatch_nmf.pyx takes C-contiguous arrays of one dtype and calls one
kernel; the lengths and layouts are those of the header comment of fastcone/_kernels/<kernel>.pyx.
"""

import importlib.util
import os

from cpython.pycapsule cimport PyCapsule_GetPointer

from fastcone._kernels.lanes cimport real
from fastcone._kernels.vertex cimport PASSES

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__)
    static int fc_cpu_level(void) {
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
              && __builtin_cpu_supports("bmi2"))) return 0;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
              && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512vl"))) return 1;
        return 2;
    }
    #else
    static int fc_cpu_level(void) { return 0; }
    #endif
    """
    int fc_cpu_level() nogil
    const char* compiler "__VERSION__"

LEVELS = ("base", "v3", "v4")
KERNELS = ("product", "units", "nnls", "pivot", "active_set", "nnlad", "nnlad_proof", "nmf", "kl",
           "sparse")

_level = None


def cpu_levels():
    """The SIMD levels this CPU can run, lowest first."""
    return LEVELS[: fc_cpu_level() + 1]


def compiler_version():
    """The compiler that built this module."""
    return compiler.decode()


def _module(kernel, level):
    return importlib.import_module(f"fastcone._kernels.{kernel}_{level}")


def built_levels():
    """The SIMD levels this CPU can run and this installation holds, lowest first."""
    return tuple(
        level for level in cpu_levels()
        if all(importlib.util.find_spec(f"fastcone._kernels.{kernel}_{level}")
               for kernel in KERNELS))


def use(level):
    """Load the kernels of one SIMD level and use them from now on; tests switch levels with it."""
    global _product, _units, _nnls, _pivot, _active_set, _nnlad, _nnlad_proof, _nmf, _kl, _sparse
    global _level
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, found {level!r}")
    if level not in built_levels():
        raise ValueError(f"level {level!r} is not available here: this CPU and this installation "
                         f"offer {built_levels()}")
    _product = <const ProductTable*> PyCapsule_GetPointer(
        _module("product", level).table, "fastcone.ProductTable")
    _units = <const UnitsTable*> PyCapsule_GetPointer(
        _module("units", level).table, "fastcone.UnitsTable")
    _nnls = <const NNLSTable*> PyCapsule_GetPointer(
        _module("nnls", level).table, "fastcone.NNLSTable")
    _pivot = <const PivotTable*> PyCapsule_GetPointer(
        _module("pivot", level).table, "fastcone.PivotTable")
    _active_set = <const ActiveSetTable*> PyCapsule_GetPointer(
        _module("active_set", level).table, "fastcone.ActiveSetTable")
    _nnlad = <const NNLADTable*> PyCapsule_GetPointer(
        _module("nnlad", level).table, "fastcone.NNLADTable")
    _nnlad_proof = <const NNLADProofTable*> PyCapsule_GetPointer(
        _module("nnlad_proof", level).table, "fastcone.NNLADProofTable")
    _nmf = <const NMFTable*> PyCapsule_GetPointer(
        _module("nmf", level).table, "fastcone.NMFTable")
    _kl = <const KLTable*> PyCapsule_GetPointer(_module("kl", level).table, "fastcone.KLTable")
    _sparse = <const SparseTable*> PyCapsule_GetPointer(
        _module("sparse", level).table, "fastcone.SparseTable")
    _level = level


def level():
    """The SIMD level in use."""
    return _level


cdef Py_ssize_t width(Py_ssize_t itemsize) noexcept nogil:
    """Generators per panel of the packed dictionary (see the product kernel)."""
    return 2 * _product.bytes // itemsize


def panel(dtype):
    """Generators per panel of the packed dictionary."""
    return width(dtype.itemsize)


cdef inline Py_ssize_t lanes(Py_ssize_t itemsize) noexcept nogil:
    """Problems per tile, L, of numbers of this size."""
    return _nnls.vectors * _product.bytes // itemsize


def tile(dtype):
    """Problems per tile, L."""
    return lanes(dtype.itemsize)


def product(const real[:, :, ::1] A, const real[:, ::1] B, real[:, ::1] C, real[::1] norm2):
    """C = B'A and norm2 = squared norms; A packed [panels][m][panel], B, C one problem a row."""
    cdef Py_ssize_t m = A.shape[1], n = A.shape[0] * A.shape[2], p = B.shape[0]
    assert B.shape[1] == m and C.shape[0] == p and C.shape[1] == n and norm2.shape[0] == p
    if p == 0:
        return
    cdef const real* a = &A[0, 0, 0] if m and n else NULL
    cdef const real* b = &B[0, 0] if m else NULL
    with nogil:
        if real is float:
            _product.f32(m, n, a, p, b, m, &C[0, 0], &norm2[0])
        else:
            _product.f64(m, n, a, p, b, m, &C[0, 0], &norm2[0])


def nnls_work(Py_ssize_t n, dtype):
    """Numbers of work space `nnls_cd` and `nnls_report` need."""
    return max(3 * n + 3, 2 * n + 10) * tile(dtype)


def units_in(real[:, ::1] C, const int[::1] k, const int[::1] E, l1, const int[::1] e,
             const double[::1] rootinv, real[::1] allow, double largest, double[::1] scale):
    """Bring products to the scaled units and subtract the penalty; l1 (p,) or None."""
    cdef Py_ssize_t p = C.shape[0], ld = C.shape[1], n = e.shape[0]
    cdef const double[::1] penalty
    cdef const double* weight = NULL
    assert n <= ld and k.shape[0] == p and E.shape[0] == p and allow.shape[0] == p
    assert rootinv.shape[0] == n and scale.shape[0] >= n
    if p == 0 or n == 0:
        return
    if l1 is not None:
        penalty = l1
        assert penalty.shape[0] == p
        weight = &penalty[0]
    with nogil:
        if real is float:
            _units.in_f32(p, n, ld, &C[0, 0], &k[0], &E[0], weight, &e[0], &rootinv[0], &allow[0],
                          largest, &scale[0])
        else:
            _units.in_f64(p, n, ld, &C[0, 0], &k[0], &E[0], weight, &e[0], &rootinv[0], &allow[0],
                          largest, &scale[0])


def units_out(const real[:, ::1] X, const int[::1] e, const int[::1] E, real largest,
              real[:, ::1] Y, real[::1] scale):
    """Bring coefficients back to the caller's units, cut to the range of the answer."""
    cdef Py_ssize_t p = X.shape[0], ld = X.shape[1], n = e.shape[0]
    assert n <= ld and Y.shape[0] == p and Y.shape[1] == n and E.shape[0] == p
    assert scale.shape[0] >= n
    if p == 0 or n == 0:
        return
    with nogil:
        if real is float:
            _units.out_f32(p, n, &X[0, 0], ld, &e[0], &E[0], largest, &Y[0, 0], n, &scale[0])
        else:
            _units.out_f64(p, n, &X[0, 0], ld, &e[0], &E[0], largest, &Y[0, 0], n, &scale[0])


def nnls_cd(const real[::1] G, const real[::1] inv, const real[::1] weight, const real[:, ::1] C,
            real[:, ::1] X, const real[::1] stop, double[:, ::1] pace, real[::1] last,
            const int[::1] most, int[::1] epochs, real[::1] work):
    """Coordinate descent on every row of C; returns the number of problems left unfinished."""
    cdef Py_ssize_t n = inv.shape[0], p = C.shape[0], ld = C.shape[1], left
    assert G.shape[0] == n * n and n % 4 == 0 and n <= ld and X.shape[0] == p and X.shape[1] == ld
    assert stop.shape[0] == p and last.shape[0] == p and epochs.shape[0] == p
    assert weight.shape[0] == n and most.shape[0] == p
    assert pace.shape[0] == p and pace.shape[1] == 2
    assert work.shape[0] >= (3 * n + 3) * lanes(sizeof(real))
    if p == 0 or n == 0:
        epochs[:] = 0
        last[:] = 0
        return 0
    with nogil:
        if real is float:
            left = _nnls.cd_f32(n, &G[0], &inv[0], &weight[0], p, &C[0, 0], &X[0, 0], ld, &stop[0],
                                &pace[0, 0], &last[0], &most[0], &epochs[0], &work[0])
        else:
            left = _nnls.cd_f64(n, &G[0], &inv[0], &weight[0], p, &C[0, 0], &X[0, 0], ld, &stop[0],
                                &pace[0, 0], &last[0], &most[0], &epochs[0], &work[0])
    return left


def nnls_report(const real[::1] G, const real[:, ::1] coord, const real[:, ::1] C,
                const real[:, ::1] X, const real[::1] size, real rounding, real[:, ::1] out,
                real[::1] work):
    """The facts a certificate is made of, one row of 8 per problem."""
    cdef Py_ssize_t n = coord.shape[0], p = C.shape[0], ld = C.shape[1]
    assert G.shape[0] == n * n and n % 4 == 0 and n <= ld and X.shape[0] == p and X.shape[1] == ld
    assert coord.shape[1] == 8 and size.shape[0] == p and out.shape[0] == p and out.shape[1] == 8
    assert work.shape[0] >= (2 * n + 10) * lanes(sizeof(real))
    if p == 0 or n == 0:
        out[:, :] = 0
        return
    with nogil:
        if real is float:
            _nnls.report_f32(n, &G[0], &coord[0, 0], p, &C[0, 0], &X[0, 0], ld, &size[0], rounding,
                             &out[0, 0], &work[0])
        else:
            _nnls.report_f64(n, &G[0], &coord[0, 0], p, &C[0, 0], &X[0, 0], ld, &size[0], rounding,
                             &out[0, 0], &work[0])


def pivot_work(Py_ssize_t n):
    """Numbers of work space `pivot` needs."""
    return (n * n + 5 * n) * _product.bytes // sizeof(double)


def pivot(const double[::1] G, const double[::1] slack, const double[:, ::1] C, double[:, ::1] X,
          const int[::1] most, int[::1] steps, double[::1] work):
    """Block principal pivoting from the support of X; returns the number of problems given up."""
    cdef Py_ssize_t n = slack.shape[0], p = C.shape[0], ld = C.shape[1], given_up
    assert G.shape[0] == n * n and n % 4 == 0 and n <= ld and X.shape[0] == p and X.shape[1] == ld
    assert most.shape[0] == p and steps.shape[0] == p
    assert work.shape[0] >= (n * n + 5 * n) * _product.bytes // <Py_ssize_t> sizeof(double)
    if p == 0 or n == 0:
        steps[:] = 0
        return 0
    with nogil:
        given_up = _pivot.f64(n, &G[0], &slack[0], p, &C[0, 0], &X[0, 0], ld, &most[0], &steps[0],
                              &work[0])
    return given_up


cpdef Py_ssize_t active_set_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Numbers of work space `active_set` needs."""
    return (n + 2) * ((m + 7) // 8 * 8) + n * n + 7 * n + 8


def active_set(const double[:, ::1] rows, double[:, ::1] columns, Py_ssize_t[::1] fetched,
               const double[:, ::1] B, const double[::1] norm,
               const double[::1] price, const double[:, ::1] l1, double fuzz, double[:, ::1] X,
               const Py_ssize_t[::1] most, Py_ssize_t[::1] steps, Py_ssize_t first,
               Py_ssize_t budget, double[::1] work, Py_ssize_t[::1] index):
    """Exact solution of problems from `first` on, on the same rows of A (m, n), for some steps.

    A problem is left after `budget` steps of its own, the batch after as many: where a problem is
    cut does not depend on its neighbours.
    most: the steps each problem may use, at least 1.
    steps: -1 before a problem is begun; the steps used, or -1 - steps while they were not enough.
    Returns the first problem that is not done; a call with it as `first` goes on.
    """
    cdef Py_ssize_t m = rows.shape[0], n = rows.shape[1], p = B.shape[0], used, got, spent = 0
    assert columns.shape[0] == n and columns.shape[1] == (m + 7) // 8 * 8
    assert fetched.shape[0] == n
    assert B.shape[1] == m
    assert norm.shape[0] == n and price.shape[0] == n
    assert l1.shape[0] == p and l1.shape[1] == n
    assert X.shape[0] == p and X.shape[1] == n and steps.shape[0] == p and most.shape[0] == p
    assert work.shape[0] >= active_set_work(m, n) and index.shape[0] >= 2 * n + 2
    assert 0 <= first <= p
    if n == 0 or m == 0:
        X[:, :] = 0
        steps[:] = 0
        return p
    with nogil:
        while first < p and spent < budget:
            used = -1 - steps[first]
            got = _active_set.solve(
                m, n, &rows[0, 0], &columns[0, 0], &fetched[0], &B[first, 0], &norm[0], &price[0],
                &l1[first, 0], fuzz, &X[first, 0], min(budget, most[first] - used), used > 0,
                &work[0], &index[0])
            spent += 1 + (got if got >= 0 else -1 - got)
            steps[first] = used + got if got >= 0 else got - used
            if got >= 0 or -1 - steps[first] >= most[first]:
                first += 1
    return first


def nnlad_room(Py_ssize_t m, Py_ssize_t n):
    """Least lengths of `work` and `index` for m rows and n generators."""
    cdef Py_ssize_t ld = (m + 63) // 64 * 64, ldn = (n + 7) // 8 * 8
    return 5 * ld + ld // 8 + (10 + min(m, ldn)) * ldn, 16 + 7 * n + PASSES


def nnlad(const double[:, ::1] A, const double[:, ::1] R, const double[:, ::1] G,
          const double[::1] size, const double[::1] length, const double[::1] tilt,
          const double[:, ::1] B, const double[:, ::1] l1, double[:, ::1] X,
          double[:, ::1] Y, Py_ssize_t[::1] steps, Py_ssize_t most, Py_ssize_t budget,
          double[::1] work, Py_ssize_t[::1] index):
    """Least absolute deviations, at most `budget` steps; returns the problems finished so far."""
    cdef Py_ssize_t n = A.shape[0], ld = A.shape[1], m = R.shape[0], ldn = R.shape[1], done
    cdef Py_ssize_t p = B.shape[0], doubles, integers
    doubles, integers = nnlad_room(m, n)
    assert work.shape[0] >= doubles and index.shape[0] >= integers and p > 0
    assert 0 < m <= ld < m + 64 and ld % 64 == 0 and 0 < n <= ldn < n + 8 and ldn % 8 == 0
    assert G.shape[0] == n and G.shape[1] == ldn and length.shape[0] == n
    assert size.shape[0] == ld and tilt.shape[0] == ld and B.shape[1] == ld
    assert l1.shape[0] == p and l1.shape[1] == ldn
    assert X.shape[0] == p and X.shape[1] == n and Y.shape[0] == p and Y.shape[1] == ld
    assert steps.shape[0] == p
    with nogil:
        done = _nnlad.solve(m, n, ld, ldn, &A[0, 0], &R[0, 0], &G[0, 0], &size[0], &length[0],
                            &tilt[0], p, &B[0, 0], &l1[0, 0], &X[0, 0], &Y[0, 0],
                            &steps[0], most, budget, &work[0], &index[0])
    return done


def nnlad_proof(const double[:, ::1] A, const double[::1] norm, const double[:, ::1] weight,
                const double[:, ::1] l1, const double[:, ::1] B, const double[::1] rest,
                const double[:, ::1] X, const double[:, ::1] Y, double[:, ::1] facts,
                double[::1] work, Py_ssize_t[::1] index):
    """Objective, certified gap and violation of every answer."""
    cdef Py_ssize_t n = A.shape[0], ld = A.shape[1], p = B.shape[0], ldl = l1.shape[1]
    assert n > 0 and ld > 0 and ld % 64 == 0 and B.shape[1] == ld
    assert norm.shape[0] == n and weight.shape[0] == p and weight.shape[1] == n
    assert l1.shape[0] == p and ldl >= n
    assert X.shape[0] == p and X.shape[1] == n and Y.shape[0] == p and Y.shape[1] == ld
    assert rest.shape[0] == p and facts.shape[0] == p and facts.shape[1] == 3
    assert work.shape[0] >= ld + n and index.shape[0] >= n
    if p == 0:
        return
    with nogil:
        _nnlad_proof.prove(n, ld, &A[0, 0], &norm[0], &weight[0, 0], &l1[0, 0], ldl, p, &B[0, 0],
                           &rest[0], &X[0, 0], &Y[0, 0], &facts[0, 0], &work[0], &work[ld],
                           &index[0])


use(os.environ.get("FASTCONE_LEVEL") or max(built_levels(), key=LEVELS.index))
