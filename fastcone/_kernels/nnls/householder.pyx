# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem whose rows may be of any size, exactly.
#
#     minimise  1/2 ||A x - b||^2 + l1'x   over x >= 0                    float64 only
#
# Rows       Gram-Schmidt and the normal equations lose a row that is 1e8 times smaller than
#            another. Householder reflections with the largest entry brought to the pivot, columns in
#            the order of what is left of them, change every row by roundings of its own size
# Factors    T = Q'A and d = Q'b, whole; of the support P, in its order, T is a triangle R
# On P       R x_P = d - R^-T l1_P;   h = R^-T l1_P;   gradient  A'r - l1 = T'(h, d_rest) - l1
# Support    grows by the generator with the largest weighted gradient, shrinks where the minimiser
#            leaves the orthant: Givens rotations of two rows
# Proof      when no gradient is left that is more than the rounding of its own rows, the support is
#            factorised anew in the right order of columns and everything looked at again
# Ends       as active_set.pyx: an entry that raises the objective is undone, one that does not
#            lower it is barred until another does
# Cost       4 m n flops per entry of a generator, 6 n k per rotation of k
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapters 19 and 23;
#            Powell, Reid, 1969; Cox, Higham, SIAM J. Matrix Anal. Appl. 19, 1998
#
# reduce     the triangle of all generators; `apply` brings a target to it
#   T         n x ld, column j contiguous, ld = m rounded up to a multiple of 8, padded with zeros;
#             aligned; in: A; out: R in rows 0..k-1, the reflections below
#   head      n: first entries of the reflections; scale: n: their 2 / v'v; kept between calls
#   swap      n: the row that step k exchanged with row k; order: n: the column of step k; written
#   first, last  the steps to make, up to min(m, n): a long reduction can be cut up
#   row_size  ld, aligned: sizes of the rows, kept between the calls
#   returns   last, or less: the rank within rounding
# apply      d (ld, aligned, padded) <- Q'd
# solve
#   A         n x ld, as T on entry; read only          b   ld, padded with zeros; read only
#   entry_weight, l1, dependence_tol, x   as in active_set.pyx
#   max_steps  limit of the entries tried. A call with the x of one that was not enough goes on
#   work      (n + 3) ld + 5 n + 7 doubles; index  3 n integers; no meaning on entry or return
#   returns   steps used, or -1 - steps where max_steps came first (x is then feasible, not optimal)
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.common.dense cimport axpy, dot, padded
from fastcone._kernels.common.span cimport aligned
from fastcone._kernels.common.tables cimport HouseholderTable
from fastcone._kernels.nnls.qr_update cimport UNIT

cdef extern from *:
    """
    #define FC_CANCELLED 0.01   /* of a squared length: what is left below that is summed anew */
    """
    const double CANCELLED "FC_CANCELLED"

cdef enum:
    NOISE = 4           # roundings of a row's size that a transformed entry of it may be off by


cdef struct Problem:
    Py_ssize_t m, n, ld, k  # A is m x n; k = |P|
    bint penalised
    double dependence_tol
    const double* A
    const double* b
    const double* l1
    double* T               # n x ld: Q'A
    double* d               # ld: Q'b
    double* row_size        # ld: the largest entry of A in a row
    double* d_size          # ld: the largest that an entry of d ever was
    double* x
    double* z               # n: minimiser on P
    double* h               # n: R^-T l1_P
    double* w               # n: weighted gradient
    double* kept            # n: x before a step
    double* is_open            # n: 1 where a generator may enter, else 0
    Py_ssize_t* P           # n: the support, in the order of R
    Py_ssize_t* before      # n: P before a step
    Py_ssize_t* inside      # n: whether a generator is in P


cdef inline double tail(Py_ssize_t k, Py_ssize_t ld, const double* a, const double* b) noexcept nogil:
    """sum over i >= k of a_i b_i"""
    cdef Py_ssize_t i, whole = padded(k)
    cdef double total = 0
    for i in range(k, whole):
        total += a[i] * b[i]
    return total + dot(ld - whole, a + whole, b + whole)


cdef inline Py_ssize_t largest_row(Py_ssize_t k, Py_ssize_t m, const double* a) noexcept nogil:
    """The row from k on where |a| is largest."""
    cdef double part[8]
    cdef double most = 0
    cdef Py_ssize_t i, group, groups = (m - k) // 8
    cdef int q
    for q in range(8):
        part[q] = 0
    for group in range(groups):
        for q in range(8):
            part[q] = fabs(a[k + 8 * group + q]) if fabs(a[k + 8 * group + q]) > part[q] else part[q]
    for q in range(8):
        most = max(most, part[q])
    for i in range(k + 8 * groups, m):
        most = max(most, fabs(a[i]))
    for i in range(k, m):
        if fabs(a[i]) == most:
            return i
    return k


cdef inline void exchange(double* a, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Two entries change places."""
    a[i], a[j] = a[j], a[i]


cdef inline double reflection(Py_ssize_t k, Py_ssize_t ld, double* a, double* pivot,
                              double* scale) noexcept nogil:
    """Of v with (1 - scale v v') a = (a_0, .., a_k-1, pivot, 0, ..): v_k; what follows is a's."""
    cdef double length = sqrt(tail(k, ld, a, a)), head
    pivot[0] = -length if a[k] > 0 else length
    head = a[k] - pivot[0]
    scale[0] = -1 / (pivot[0] * head)
    return head


cdef inline void reflect(Py_ssize_t k, Py_ssize_t ld, const double* v, double head, double scale,
                         double* a) noexcept nogil:
    """a <- (1 - scale v v') a; v_k is `head`"""
    cdef double s = scale * (head * a[k] + tail(k + 1, ld, v, a))
    cdef Py_ssize_t i, whole = padded(k + 1)
    a[k] -= s * head
    for i in range(k + 1, whole):
        a[i] -= s * v[i]
    axpy(ld - whole, -s, v + whole, a + whole)


cdef inline void measure_rows(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, const double* A,
                              double* row_size) noexcept nogil:
    """row_size_i = max_j |A_ij|"""
    cdef Py_ssize_t i, j
    memset(row_size, 0, ld * sizeof(double))
    for j in range(n):
        for i in range(m):
            row_size[i] = fabs(A[j * ld + i]) if fabs(A[j * ld + i]) > row_size[i] else row_size[i]


cdef inline double noise(Py_ssize_t k, Py_ssize_t ld, const double* row_size,
                         double tolerance) noexcept nogil:
    """The squared length of what may be rounding in rows k.. of a transformed generator."""
    return (tolerance * (k + 1) * UNIT) ** 2 * tail(k, ld, row_size, row_size)


cdef Py_ssize_t reduce(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, double* T,
                       double dependence_tol, double* head, double* scale, Py_ssize_t* swap,
                       Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
                       double* row_size) noexcept nogil:
    cdef double* left = head            # for the columns to come: what is left of their squares,
    cdef double* sure = scale           # and the last value that was summed
    cdef double* a
    cdef Py_ssize_t j, k, q, best
    cdef double pivot, unit
    if first == 0:
        measure_rows(m, n, ld, T, row_size)
        for j in range(n):
            order[j] = j
            left[j] = sure[j] = tail(0, ld, T + j * ld, T + j * ld)
    for k in range(first, last):
        best = k
        for q in range(k + 1, n):
            if left[q] > left[best]:
                best = q
        if not left[best] > noise(k, ld, row_size, dependence_tol):
            return k
        order[k], order[best] = order[best], order[k]
        left[best], sure[best] = left[k], sure[k]
        a = T + order[k] * ld
        swap[k] = largest_row(k, m, a)
        exchange(row_size, k, swap[k])
        for q in range(k, n):
            exchange(T + order[q] * ld, k, swap[k])
        head[k] = reflection(k, ld, a, &pivot, &unit)
        scale[k] = unit
        for q in range(k + 1, n):
            a = T + order[q] * ld
            reflect(k, ld, T + order[k] * ld, head[k], scale[k], a)
            left[q] -= a[k] * a[k]
            if not left[q] > CANCELLED * sure[q]:
                left[q] = sure[q] = tail(k + 1, ld, a, a)
        T[order[k] * ld + k] = pivot
    return last


cdef void apply(Py_ssize_t k, Py_ssize_t ld, const double* T, const double* head,
                const double* scale, const Py_ssize_t* swap, const Py_ssize_t* order,
                double* d) noexcept nogil:
    cdef Py_ssize_t step
    for step in range(k):
        exchange(d, step, swap[step])
        reflect(step, ld, T + order[step] * ld, head[step], scale[step], d)


cdef void eliminate(Problem* f, Py_ssize_t j) noexcept nogil:
    """Make generator j the next of R: Q gains a reflection, and every generator outside P."""
    cdef Py_ssize_t k = f.k, i, q, row = largest_row(k, f.m, f.T + j * f.ld)
    cdef double* v = f.T + j * f.ld
    cdef double head, scale = 0, pivot = 0
    exchange(f.d, k, row)
    exchange(f.row_size, k, row)
    exchange(f.d_size, k, row)
    for q in range(f.n):
        if not f.inside[q]:
            exchange(f.T + q * f.ld, k, row)
    head = reflection(k, f.ld, v, &pivot, &scale)
    f.P[k] = j
    f.inside[j] = True
    f.k += 1
    for q in range(f.n):
        if not f.inside[q]:
            reflect(k, f.ld, v, head, scale, f.T + q * f.ld)
    reflect(k, f.ld, v, head, scale, f.d)
    v[k] = pivot
    memset(v + k + 1, 0, (f.ld - k - 1) * sizeof(double))
    for i in range(f.m):
        f.d_size[i] = max(f.d_size[i], fabs(f.d[i]))


cdef void factorise(Problem* f, const Py_ssize_t* support, Py_ssize_t count) noexcept nogil:
    """T and d anew from A and b for a support, what is longest first; drops what is dependent."""
    cdef Py_ssize_t i, j, q, best
    cdef double most, left
    memcpy(f.T, f.A, f.n * f.ld * sizeof(double))
    memcpy(f.d, f.b, f.ld * sizeof(double))
    measure_rows(f.m, f.n, f.ld, f.A, f.row_size)
    memset(f.inside, 0, f.n * sizeof(Py_ssize_t))
    for i in range(f.ld):
        f.d_size[i] = fabs(f.b[i])
    f.k = 0
    for i in range(min(count, f.m)):
        best, most = -1, -1
        for q in range(count):
            j = support[q]
            if not f.inside[j]:
                left = tail(f.k, f.ld, f.T + j * f.ld, f.T + j * f.ld)
                if left > most:
                    best, most = j, left
        if not most > noise(f.k, f.ld, f.row_size, f.dependence_tol):
            break
        eliminate(f, best)
    for q in range(count):
        if not f.inside[support[q]]:
            f.x[support[q]] = 0


cdef void minimise(Problem* f) noexcept nogil:
    """z = argmin on the support: R'h = l1_P, R z = d - h."""
    cdef Py_ssize_t i, j
    cdef double total
    cdef const double* column
    memcpy(f.z, f.d, f.k * sizeof(double))
    for i in range(f.k if f.penalised else 0):
        column = f.T + f.P[i] * f.ld
        total = f.l1[f.P[i]]
        for j in range(i):
            total -= column[j] * f.h[j]
        f.h[i] = total / column[i]
        f.z[i] -= f.h[i]
    for i in range(f.k - 1, -1, -1):
        column = f.T + f.P[i] * f.ld
        f.z[i] /= column[i]
        for j in range(i):
            f.z[j] -= f.z[i] * column[j]


cdef void rotate(Problem* f, Py_ssize_t i, Py_ssize_t from_place, double c, double s) noexcept nogil:
    """Rows i and i + 1 of the generators outside P, of those in P from a place on, and of d."""
    cdef double* a
    cdef double upper
    cdef Py_ssize_t q
    for q in range(-1, f.n):
        if q >= 0 and f.inside[q]:
            continue
        a = f.d if q < 0 else f.T + q * f.ld
        upper = a[i]
        a[i] = c * upper + s * a[i + 1]
        a[i + 1] = c * a[i + 1] - s * upper
    for q in range(from_place, f.k):
        a = f.T + f.P[q] * f.ld
        upper = a[i]
        a[i] = c * upper + s * a[i + 1]
        a[i + 1] = c * a[i + 1] - s * upper
    upper = max(f.row_size[i], f.row_size[i + 1])
    f.row_size[i] = f.row_size[i + 1] = upper
    upper = max(f.d_size[i], f.d_size[i + 1])
    f.d_size[i] = f.d_size[i + 1] = upper


cdef void leave(Problem* f, Py_ssize_t out) noexcept nogil:
    """Drop the generator at a place of P; rotations make R triangular again."""
    cdef Py_ssize_t i
    cdef double rho
    cdef double* column
    f.inside[f.P[out]] = False
    for i in range(out, f.k - 1):
        f.P[i] = f.P[i + 1]
    f.k -= 1
    for i in range(out, f.k):
        column = f.T + f.P[i] * f.ld
        rho = sqrt(column[i] ** 2 + column[i + 1] ** 2)
        rotate(f, i, i, column[i] / rho, column[i + 1] / rho)
        column[i + 1] = 0


cdef void settle(Problem* f) noexcept nogil:
    """Move x to the minimiser on the support, dropping what reaches zero on the way."""
    cdef Py_ssize_t i, j, blocking
    cdef double alpha, bound
    while True:
        minimise(f)
        alpha, blocking = 1, -1
        for i in range(f.k):
            if f.z[i] <= 0:
                bound = f.x[f.P[i]] / (f.x[f.P[i]] - f.z[i])
                if blocking < 0 or bound < alpha:
                    alpha, blocking = bound, i
        for i in range(f.k - 1, -1, -1):
            j = f.P[i]
            f.x[j] = f.z[i] if blocking < 0 else f.x[j] + alpha * (f.z[i] - f.x[j])
            if i == blocking or f.x[j] <= 0:
                f.x[j] = 0
                leave(f, i)
        if blocking < 0:
            return


cdef double objective(Problem* f, double* rounding) noexcept nogil:
    """1/2 ||A x - b||^2 + l1'x at the minimiser on P, and what rounding may have made of it."""
    cdef double total = tail(f.k, f.ld, f.d, f.d) / 2
    cdef Py_ssize_t i
    rounding[0] = 0
    for i in range(f.k, f.m):
        rounding[0] += NOISE * UNIT * fabs(f.d[i]) * f.d_size[i]
    for i in range(f.k if f.penalised else 0):
        total += f.h[i] ** 2 / 2 + f.l1[f.P[i]] * f.x[f.P[i]]
        rounding[0] += NOISE * UNIT * f.l1[f.P[i]] * f.x[f.P[i]]
    return total


cdef bint rises(Problem* f, Py_ssize_t j, double gradient) noexcept nogil:
    """Whether a gradient entry is more than the roundings of the rows that it comes from."""
    cdef const double* a = f.T + j * f.ld
    cdef double allowed = f.l1[j]
    cdef Py_ssize_t i
    for i in range(f.k if f.penalised else 0):
        allowed += fabs(a[i] * f.h[i])
    for i in range(f.k, f.m):
        allowed += fabs(a[i]) * f.d_size[i] + f.row_size[i] * fabs(f.d[i])
    return gradient > NOISE * UNIT * allowed


cdef Py_ssize_t next_entry(Problem* f, const double* entry_weight) noexcept nogil:
    """The open generator with the largest weighted gradient that is not rounding, or -1."""
    cdef Py_ssize_t i, j, best
    cdef const double* a
    for j in range(f.n):
        f.w[j] = 0
        if f.is_open[j] and not f.inside[j]:
            a = f.T + j * f.ld
            f.w[j] = tail(f.k, f.ld, a, f.d) - f.l1[j]
            for i in range(f.k if f.penalised else 0):
                f.w[j] += a[i] * f.h[i]
            f.w[j] *= entry_weight[j]
    while True:
        best = -1
        for j in range(f.n):
            if f.w[j] > 0 and (best < 0 or f.w[j] > f.w[best]):
                best = j
        if best < 0 or rises(f, best, f.w[best] / entry_weight[best]):
            return best
        f.w[best] = 0


cdef void replace(Problem* f, Py_ssize_t j) noexcept nogil:
    """Let j, a_j = A_P u, push a generator out: x_P - t u, x_j + t leaves A x as it is."""
    cdef double* u = f.z
    cdef const double* column
    cdef double t = 0
    cdef Py_ssize_t i, q, blocking = -1
    memcpy(u, f.T + j * f.ld, f.k * sizeof(double))
    for i in range(f.k - 1, -1, -1):
        column = f.T + f.P[i] * f.ld
        u[i] /= column[i]
        for q in range(i):
            u[q] -= u[i] * column[q]
        if u[i] > 0 and (blocking < 0 or f.x[f.P[i]] < t * u[i]):
            blocking, t = i, f.x[f.P[i]] / u[i]
    if blocking < 0:
        return
    for i in range(f.k):
        f.x[f.P[i]] = 0 if i == blocking else max(0.0, f.x[f.P[i]] - t * u[i])
    leave(f, blocking)
    f.x[j] = t
    if tail(f.k, f.ld, f.T + j * f.ld, f.T + j * f.ld) > noise(f.k, f.ld, f.row_size,
                                                              f.dependence_tol):
        eliminate(f, j)
    else:
        f.x[j] = 0


cdef bint enter(Problem* f, Py_ssize_t j) noexcept nogil:
    """Take generator j into the support; False, with the support as it was, if it cannot be."""
    if f.k < f.m and tail(f.k, f.ld, f.T + j * f.ld, f.T + j * f.ld) > noise(
            f.k, f.ld, f.row_size, f.dependence_tol):
        eliminate(f, j)
        minimise(f)
        if f.z[f.k - 1] > 0:
            return True
        f.k -= 1                                # rounding: in exact arithmetic it enters positive
        f.inside[j] = False
        return False
    if f.penalised:
        replace(f, j)
        return True
    return False


cdef void reopen(Problem* f) noexcept nogil:
    """Bar nobody but the generators that are zero."""
    cdef Py_ssize_t j
    for j in range(f.n):
        f.is_open[j] = tail(0, f.ld, f.A + j * f.ld, f.A + j * f.ld) > 0


cdef double step(Problem* f, Py_ssize_t j, double held) noexcept nogil:
    """Let generator j enter, undo it if that raises the objective `held`; returns the new one."""
    cdef Py_ssize_t k = f.k
    cdef double found, rounding
    f.is_open[j] = False
    memcpy(f.kept, f.x, f.n * sizeof(double))
    memcpy(f.before, f.P, k * sizeof(Py_ssize_t))
    if not enter(f, j):
        return held
    settle(f)
    found = objective(f, &rounding)
    if found > held + rounding:
        memcpy(f.x, f.kept, f.n * sizeof(double))
        factorise(f, f.before, k)
        settle(f)
        return objective(f, &rounding)
    if found < held:
        reopen(f)
    return found


cdef void lay_out(Problem* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Cut the caller's work space up."""
    cdef Py_ssize_t n = f.n
    f.T = aligned(work)
    f.d = f.T + n * f.ld
    f.row_size, f.d_size, f.z = f.d + f.ld, f.d + 2 * f.ld, f.d + 3 * f.ld
    f.h, f.w, f.kept, f.is_open = f.z + n, f.z + 2 * n, f.z + 3 * n, f.z + 4 * n
    f.P, f.before, f.inside = index, index + n, index + 2 * n


cdef Py_ssize_t solve(Py_ssize_t m, Py_ssize_t n, const double* A, const double* b,
                      const double* entry_weight, const double* l1, double dependence_tol,
                      double* x, Py_ssize_t max_steps, double* work,
                      Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t j, count = 0, steps = 0
    cdef bint checked = False
    cdef double held, found, rounding
    f.m, f.n, f.ld, f.A, f.b = m, n, padded(m), A, b
    f.l1, f.x, f.dependence_tol, f.penalised = l1, x, dependence_tol, False
    lay_out(&f, work, index)
    for j in range(n):
        f.penalised = f.penalised or l1[j] > 0
        if x[j] > 0:
            f.before[count] = j
            count += 1
    reopen(&f)
    factorise(&f, f.before, count)
    settle(&f)
    held = objective(&f, &rounding)
    while True:
        j = next_entry(&f, entry_weight)
        if j < 0 and checked:
            return steps
        if j < 0:
            memcpy(f.before, f.P, f.k * sizeof(Py_ssize_t))
            memcpy(f.kept, x, n * sizeof(double))
            factorise(&f, f.before, f.k)
            settle(&f)
            found = objective(&f, &rounding)
            if found > held + rounding:         # a support of which nothing better can be had
                memcpy(x, f.kept, n * sizeof(double))
                return steps
            held, checked = found, True
            continue
        if steps == max_steps:
            return -1 - max_steps
        steps += 1
        checked = False
        held = step(&f, j, held)


cdef HouseholderTable TABLE
TABLE.reduce = reduce
TABLE.apply = apply
TABLE.solve = solve
table = PyCapsule_New(&TABLE, "nnls.householder", NULL)
