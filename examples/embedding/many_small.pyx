# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False
"""Embed fastcone's exact solver: a million small problems without the GIL, without Python calls."""

from libc.stdlib cimport free, malloc

from fastcone cimport cy


def solve_all(const double[:, :, ::1] A, const double[:, ::1] B, double[:, ::1] X):
    """Solve min ||A_r x - b_r|| over x >= 0 for every r; A (p, n, m) holds generators as rows.

    Returns the residual norms, one for each problem.
    """
    cdef Py_ssize_t p = A.shape[0], n = A.shape[1], m = A.shape[2], r, failed = 0
    cdef double* work = <double*> malloc(cy.nnls_work(m, n) * sizeof(double))
    cdef Py_ssize_t* index = <Py_ssize_t*> malloc(cy.nnls_index(m, n) * sizeof(Py_ssize_t))
    cdef double[:] rnorm
    import numpy
    norms = numpy.empty(p)
    rnorm = norms
    if work == NULL or index == NULL:
        free(work)
        free(index)
        raise MemoryError
    with nogil:
        for r in range(p):
            failed += cy.nnls(m, n, &A[r, 0, 0], &B[r, 0], &X[r, 0], &rnorm[r], 30 * n, work,
                              index) < 0
    free(work)
    free(index)
    if failed:
        raise RuntimeError(f"{failed} of {p} problems reached the step limit")
    return norms
