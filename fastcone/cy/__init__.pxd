# SPDX-License-Identifier: BSD-3-Clause
"""The public cimport surface: plain C functions on raw pointers.

No Python (but in `cone`), no exceptions, and no allocation but for a target whose square leaves
the range of a double; the caller owns every array. Functions are
added here, never changed: Cython checks their signatures when an embedding module is imported. Each
call goes through the table of the SIMD level in use.

nnls    minimise ||A x - b||_2 over x >= 0, exactly
    m, n        rows and generators, >= 0
    A           n generators of m numbers, contiguous (Fortran order); read only
    b           m; read only
    x           n, written: >= 0, exactly 0 off the support
    rnorm       ||A x - b||_2, written; not a number if A or b holds NaN or infinity
    max_steps   limit of the entries tried; 3 n is usual
    work        nnls_work(m, n) doubles, no meaning on entry or return
    index       nnls_index(m, n) integers, likewise
    returns     the steps used, or -1 - steps if max_steps came first (x is then feasible)

cone    the generators of a dense fastcone.Projector, in float64, prepared; wants the GIL
    projector   must live as long as what is returned, which several threads may read
    returns     an opaque address, or NULL with an exception

cone_solve    minimise 1/2 ||A x - b||_2^2 + l1 sum(x) + l2/2 ||x||_2^2 over x >= 0, a batch
    cone        of `cone`; l2 is the projector's
    p, ldb      targets, >= 0, and numbers from one to the next, >= m
    B           p targets of m numbers; read only
    l1          p, >= 0; or NULL: 0; read only
    X           p x n, written: the coefficients, >= 0; `Projector.solve`'s bits where gap says so
    gap         p, written: proved bound of f(x) - min f, over f(0); inf where the exact solver had
                to decide, which proves nothing; not a number, and x = 0, where b is not finite
    work        cone_work(cone, p) bytes, no meaning on entry or return; one set per thread
    returns     how many are not proved

cone_solve_bounded    the same over 0 <= x <= upper, or with sum(x) = total, or both
    upper       p x n, >= 0, inf for none; or NULL; read only
    total       p, >= 0, within reach of the bounds; or NULL: no sums; read only
    gap         relative to the larger of f(0) and f(x); inf where nothing is proved, and x is then
                within its bounds at best: `Projector.solve` goes further
"""

cdef Py_ssize_t nnls_work(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls_index(Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t nnls(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, double* x,
                     double* rnorm, Py_ssize_t max_steps, double* work,
                     Py_ssize_t* index) noexcept nogil

cdef const void* cone(object projector) except NULL
cdef Py_ssize_t cone_work(const void* cone, Py_ssize_t p) noexcept nogil
cdef Py_ssize_t cone_solve(const void* cone, Py_ssize_t p, const double* B, Py_ssize_t ldb,
                           const double* l1, double* X, double* gap, void* work) noexcept nogil
cdef Py_ssize_t cone_solve_bounded(const void* cone, Py_ssize_t p, const double* B,
                                   Py_ssize_t ldb, const double* l1, const double* upper,
                                   const double* total, double* X, double* gap,
                                   void* work) noexcept nogil
