# SPDX-License-Identifier: BSD-3-Clause
"""Checked bindings of the kernels in fastcone/_kernels/nnlad."""

from fastcone._kernels.nnlad.ratio_test cimport PASSES
from fastcone._runtime.dispatch cimport certificate_table, simplex_table


def nnlad_room(Py_ssize_t m, Py_ssize_t n):
    """Least lengths of `work` and `index` for m rows and n generators."""
    cdef Py_ssize_t ld = (m + 63) // 64 * 64, ldn = (n + 7) // 8 * 8
    return 5 * ld + ld // 8 + (10 + min(m, ldn)) * ldn, 16 + 7 * n + PASSES


def nnlad(const double[:, ::1] A, const double[:, ::1] R, const double[:, ::1] G,
          const double[::1] size, const double[::1] length, const double[::1] perturbation,
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
    assert size.shape[0] == ld and perturbation.shape[0] == ld and B.shape[1] == ld
    assert l1.shape[0] == p and l1.shape[1] == ldn
    assert X.shape[0] == p and X.shape[1] == n and Y.shape[0] == p and Y.shape[1] == ld
    assert steps.shape[0] == p
    with nogil:
        done = simplex_table.solve(m, n, ld, ldn, &A[0, 0], &R[0, 0], &G[0, 0], &size[0],
                                   &length[0], &perturbation[0], p, &B[0, 0], &l1[0, 0], &X[0, 0],
                                   &Y[0, 0], &steps[0], most, budget, &work[0], &index[0])
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
        certificate_table.prove(n, ld, &A[0, 0], &norm[0], &weight[0, 0], &l1[0, 0], ldl, p,
                                &B[0, 0], &rest[0], &X[0, 0], &Y[0, 0], &facts[0, 0], &work[0],
                                &work[ld], &index[0])
