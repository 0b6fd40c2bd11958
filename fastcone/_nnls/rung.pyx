# SPDX-License-Identifier: BSD-3-Clause
"""The first rung of the ladder: one compiled call takes a block of targets to proved answers.

Products A'b, powers of two and penalties, the solution, the certificate, the caller's units. The
solution comes from one of two ways, as A tells (plan.py):

    descent    coordinate descent, one problem a lane, in float32; then in float32 again for the
               correction, from a gradient in float64, until the certificate is content
    support    the support solver on G, one problem after another; then one step of refinement
               with the gradient from A and b themselves

What it cannot prove it leaves to `solve.py`, which goes on from the coefficients in X.

a) Targets are read where they lie. Those that are not contiguous, or of another dtype, are
   packed a few at a time on their way into the product.
b) A target whose squared norm leaves the safe range is scaled by a power of two of its own first.
c) Every decision depends on a problem's own numbers and on A: no neighbour, no batch and no thread
   changes a bit of its answer.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport INFINITY, ldexp
from libc.string cimport memcpy, memset

import numpy as np

cimport numpy as np

from fastcone._nnls.constants import inverse_of
from fastcone._runtime.layout import pack
from fastcone._runtime.threads import aligned

from fastcone._kernels.common.lanes cimport real
from fastcone._nnls.rung_descent cimport (
    certify, first_limit, float32_floor, from_inverse, in_float32, prove_start, until_proved,
)
from fastcone._nnls.rung_memory cimport (
    LARGEST32, Block, Prepared, answer, lay_out, products, source,
)
from fastcone._nnls.rung_support cimport by_support
from fastcone._runtime.dispatch cimport scale_table


cdef Py_ssize_t solve_block(const Prepared* q, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                            const double* l1, double tol, double* X, double* known,
                            Py_ssize_t* epochs, char* memory) noexcept nogil:
    """`Rung.run` in float64 on raw pointers; memory: `lay_out` bytes, known: 3 x p."""
    cdef Block k
    cdef Py_ssize_t r
    k.p, k.ld = p, q.ld
    k.objective, k.gap, k.violation, k.epochs = known, known + p, known + 2 * p, epochs
    for r in range(p):
        k.gap[r] = INFINITY
    lay_out(q, &k, memory)
    return whole[double, double, double](q, &k, q.panels64, B, 1, ldb, l1, tol, MOST, False, X)


cdef int MOST = 2147483647  # epochs: no limit
cdef Py_ssize_t FEW = 12        # generators up to which the unconstrained solution tells a support
NEAR_CACHE = 1 << 19     # bytes of A up to which one problem at a time may read it


cdef void units_out(const Prepared* q, Block* k, const real* X, answer* out) noexcept nogil:
    """Coefficients in the caller's units and dtype, cut to its range."""
    cdef double largest = 3.4028234663852886e38 if answer is float else 1.7976931348623157e308
    cdef double unit
    cdef Py_ssize_t r, j
    for j in range(q.n):
        k.scale[j] = ldexp(1, q.column_exp[j])
    for r in range(k.p):
        unit = ldexp(1, k.exponent[r]) if k.near[r] else 0
        for j in range(q.n if k.near[r] else 0):
            out[r * q.n + j] = <answer> min(X[r * k.ld + j] * k.scale[j] * unit, largest)


cdef void take_start(const Prepared* q, Block* k, real* X, const answer* given) noexcept nogil:
    """Coefficients of the caller in scaled units; what is not finite there is no start."""
    cdef double value
    cdef Py_ssize_t r, j
    for r in range(k.p):
        for j in range(q.n if k.near[r] and (<real*> k.norm)[r] > 0 else 0):   # of b = 0 it is 0
            value = ldexp(given[r * q.n + j], -q.column_exp[j] - k.exponent[r])
            X[r * k.ld + j] = <real> value if value < LARGEST32 else 0


cdef Py_ssize_t whole(const Prepared* q, Block* k, const real* panels, const source* B,
                      Py_ssize_t along, Py_ssize_t across, const double* l1, double tol,
                      int max_epochs, bint started, answer* out) noexcept nogil:
    """The rung, from the targets to the caller's units; see `run`."""
    cdef int room = 60 if answer is float else 500
    cdef bint report_first = False
    cdef Py_ssize_t r, count = k.p, left = 0
    if not products(q, k, panels, B, along, across):
        return k.p
    count = 0
    for r in range(k.p):
        k.epochs[r] = 0
        k.near[r] = q.far + abs(k.exponent[r]) <= room
        if k.near[r]:
            k.todo[count] = r
            count += 1
    memcpy(k.delta_scale, k.norm, k.p * sizeof(real))
    memset(k.X, 0, k.p * k.ld * sizeof(real))
    if started:
        take_start(q, k, <real*> k.X, out)
    if real is float:
        scale_table.in_f32(k.p, q.n, k.ld, <float*> k.C, k.pending, k.exponent, l1,
                           q.column_exp, q.rootinv, <float*> k.delta_scale, 1.8e19,
                           k.scale)
    else:
        scale_table.in_f64(k.p, q.n, k.ld, <double*> k.C, k.pending, k.exponent, l1,
                           q.column_exp, q.rootinv, <double*> k.delta_scale, 1e150,
                           k.scale)
    if started and not q.by_support:
        prove_start(q, k, tol, &count, <real> 0)
    if real is float:
        if q.inverse_of_G32 != NULL and not started:
            from_inverse(q, k, k.p, <const float*> k.C, <float*> k.X, <float> 0)
    if real is double:
        if q.float32_first and not q.by_support:
            in_float32(q, k, tol, min(max_epochs, <int> q.epochs), started, &count)
            report_first = first_limit(q, tol) >= float32_floor(q)
    if real is double and q.by_support:
        by_support(q, k, l1, tol, max_epochs, started, answer is float)
    else:
        until_proved[real](q, k, tol, min(max_epochs, 2 * <int> q.epochs), count, report_first,
                           answer is float and real is double, answer is double and tol < 1e-18, 0)
    if real is float:
        if q.certified:
            certify(q, k)
    units_out(q, k, <const real*> k.X, out)
    for r in range(k.p):
        if k.near[r]:
            k.objective[r] = ldexp(k.objective[r], 2 * k.exponent[r])
            k.violation[r] = ldexp(k.violation[r], k.exponent[r])
        left += not k.gap[r] <= tol
    return left


cdef class Rung:
    """What the first rung needs of A, in one dtype: packed once, read by every block.

    Parameters
    ----------
    gram : Gram
    panels : ndarray or None
        A in the panels of the product kernel, in the dtype of the descent.
    dtype : dtype
        Of the descent and of its report.
    float32_first : bool
        Whether the first epochs run in float32.
    epochs : int
        Of a problem in one descent, at most.
    of_products : float
        Of a float32 rung: what bounds the roundings of A'b, and certificates in float64 are then
        made at last; or 0.
    generators : ndarray or None
        A', a generator in a row (n, m padded with zeros): then the support solver is the way.
    """

    def __init__(self, gram, panels, dtype, float32_first, epochs, of_products, generators):
        cdef Prepared* q = &self.q
        cdef double[::1] units
        cdef Py_ssize_t j
        self.arrays = []
        q.by_support, q.double_precision = generators is not None, dtype.itemsize == 8
        q.float32_first, q.epochs = float32_first, epochs
        q.n, q.padded = gram.n, gram.n_padded
        q.m, q.ld = panels.shape[1], panels.shape[0] * panels.shape[2]
        q.rounding, q.lam, q.top = gram.rounding, gram.lam, gram.top
        q.delta = gram.rounding if q.double_precision else 0
        q.certified, q.of_products = of_products > 0, of_products
        q.shift2, q.pointed = gram.shift.norm2, gram.shift.pointed
        q.far = gram.far
        q.column_exp = <const int*> self.keep(gram.exponent)
        q.rootinv, q.norm = self.wide(gram.rootinv), self.wide(gram.norm)
        q.ridge = self.wide(gram.ridge)
        q.most_per_unit = 0
        unit = np.empty(q.n)
        units = unit
        for j in range(q.n):
            units[j] = ldexp(1, q.column_exp[j])
            q.most_per_unit = max(q.most_per_unit, units[j] * q.rootinv[j])
        q.unit = self.wide(unit)
        if q.double_precision:
            q.panels64, q.coord64 = self.wide(panels), self.wide(gram.coord(dtype))
        else:
            q.panels32, q.coord32 = self.narrow(panels), self.narrow(gram.coord(dtype))
        if q.certified:
            q.coord64 = self.wide(gram.coord(np.dtype(np.float64)))
        if q.certified or (q.double_precision and not q.by_support):
            packed = gram.packed(np.dtype(np.float64))
            q.G64, q.inverse64 = self.wide(packed.G), self.wide(packed.inverse)
            q.weight64 = self.wide(packed.weight)
        if float32_first or not q.double_precision:
            packed = gram.packed(np.dtype(np.float32))
            q.G32, q.inverse32 = self.narrow(packed.G), self.narrow(packed.inverse)
            q.weight32 = self.narrow(packed.weight)
            if q.n > FEW and q.lam > 0:
                panels = pack(gram.inverse.astype(np.float32))
                q.inverse_of_G32 = self.narrow(panels)
                q.ld_inverse = panels.shape[0] * panels.shape[2]
        if q.by_support:
            rows = aligned((q.n, q.ld), float)
            rows[:, q.n:] = 0
            rows[:, : q.n] = gram.matrix
            q.rows_of_G = self.wide(rows)
            if q.n <= FEW and q.lam > 0:
                q.inverse_G = self.wide(inverse_of(gram.matrix, q.ld))
            q.near_cache = generators.nbytes <= NEAR_CACHE
            if q.near_cache:
                q.ldm, q.generators = generators.shape[1], self.wide(generators)
            else:
                transposed = pack(generators[:, : q.m])
                q.transposed = self.wide(transposed)
                q.ldm = transposed.shape[0] * transposed.shape[2]

    cdef const void* keep(self, array):
        """The address of an array's numbers, which live as long as this object."""
        cdef np.ndarray held = np.ascontiguousarray(array)
        self.arrays.append(held)
        return np.PyArray_DATA(held)

    cdef const double* wide(self, array):
        assert array.dtype == np.float64
        return <const double*> self.keep(array)

    cdef const float* narrow(self, array):
        assert array.dtype == np.float32
        return <const float*> self.keep(array)

    def work_size(self, Py_ssize_t p):
        """Bytes of work space that a block of p problems takes."""
        cdef Block k
        k.p, k.ld = p, self.q.ld
        return lay_out(&self.q, &k, NULL)

    def run(self, const source[:, :] B, l1, double tol, int max_epochs, bint started,
            answer[:, ::1] X, double[:, :] known, Py_ssize_t[:] epochs, work):
        """Solve the problems of B (m, p); X (p, n), known (3, p) and epochs (p,) are written.

        started: whether X holds coefficients to start from.
        known: objective, gap and violation of each problem.
        work: an array of `work_size(p)` bytes, no meaning on entry or return; None for a block so
        small that memory of its own costs less.
        Returns how many are not proved to `tol`: their X is a start for others. Left as they came,
        with gap inf, are those of which powers of two between the units lose digits, and all where
        a target is not finite.
        """
        cdef Block k
        cdef const Prepared* q = &self.q
        cdef Py_ssize_t size = B.shape[1], left
        cdef Py_ssize_t along = B.strides[0] // <Py_ssize_t> sizeof(source)
        cdef Py_ssize_t across = B.strides[1] // <Py_ssize_t> sizeof(source)
        cdef const double[::1] penalties
        cdef const double* penalty = NULL
        cdef unsigned char[::1] space
        cdef char* memory
        assert B.shape[0] == q.m and X.shape[0] == size and X.shape[1] == q.n
        assert known.shape[0] == 3 and known.shape[1] == size == epochs.shape[0]
        assert size == 0 or (known.strides[1] == sizeof(double)
                             and epochs.strides[0] == sizeof(Py_ssize_t))
        known[1, :] = INFINITY
        if size == 0 or q.n == 0 or q.m == 0:
            return size
        if l1 is not None:
            penalties = l1
            assert penalties.shape[0] == size
            penalty = &penalties[0]
        k.p, k.ld = size, q.ld
        k.objective, k.gap, k.violation, k.epochs = (
            &known[0, 0], &known[1, 0], &known[2, 0], &epochs[0])
        if work is None:
            memory = <char*> PyMem_RawMalloc(lay_out(q, &k, NULL))
            if memory == NULL:
                raise MemoryError
        else:
            space = work
            assert space.shape[0] >= lay_out(q, &k, NULL)
            memory = <char*> &space[0]
        with nogil:
            lay_out(q, &k, memory)
            if q.double_precision:
                left = whole[double, source, answer](q, &k, q.panels64, &B[0, 0], along, across,
                                                     penalty, tol, max_epochs, started, &X[0, 0])
            else:
                left = whole[float, source, answer](q, &k, q.panels32, &B[0, 0], along, across,
                                                    penalty, tol, max_epochs, started, &X[0, 0])
        if work is None:
            PyMem_RawFree(memory)
        return left
