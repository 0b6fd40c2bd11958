# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, boundscheck=False, wraparound=False
"""Embed a prepared cone: spectra after spectra of the same endmembers, without the GIL."""

from libc.stdlib cimport free, malloc

from fastcone cimport cy

cdef enum:
    BLOCK = 256     # spectra of a call: they and their work space stay in cache


def unmix(projector, const double[:, ::1] spectra, const double[::1] total, double[:, ::1] X,
          double[::1] gap):
    """Abundances X (p, n) of spectra (p, m), each with its sum; returns how many are not proved."""
    cdef const void* cone = cy.cone(projector)
    cdef Py_ssize_t p = spectra.shape[0], m = spectra.shape[1], block, first
    cdef Py_ssize_t count, left = 0
    cdef void* work = malloc(cy.cone_work(cone, BLOCK))
    if work == NULL:
        raise MemoryError
    with nogil:
        for block in range((p + BLOCK - 1) // BLOCK):
            first = block * BLOCK
            count = min(<Py_ssize_t> BLOCK, p - first)
            left += cy.cone_solve_bounded(cone, count, &spectra[first, 0], m, NULL, NULL,
                                          &total[first], &X[first, 0], &gap[first], work)
    free(work)
    return left
