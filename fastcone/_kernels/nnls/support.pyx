# SPDX-License-Identifier: BSD-3-Clause
# One non-negative least squares problem on its Gram matrix: exchange after exchange of the support.
#
#     minimise  1/2 x'Gx - c'x   over x >= 0                           float64 only
#     or over  0 <= x <= upper, or  weight'x = total,  or both
#
# On P       G_PP = L L',  W = L^-1,  y = W c_P,  z = W'y;  the objective at z is -y'y / 2. A
#            generator that enters is a row more of W, of y, and one multiple of that row to z:
#            products with W in place of substitutions, whose every step waits for the last
# Support    P grows by the generators with the largest weighted -g, g = Gx - c, and shrinks where
#            z leaves the orthant on the way from x: the objective never rises
# Bounds     z leaves the box at either side; a generator at its upper bound may enter again where
#            its gradient is positive
# Sum        x starts with it and z has it: z = W'(y + mu t), t = W weight_P; gradients are those
#            of the Lagrangian, g - mu weight
# Several    as many enter at once as have entered before, less two for each that had to leave
# Ends       when no gradient entry is below -slack, or PATIENCE exchanges did not lower the
#            objective: then what is left is rounding. Generators within rounding of span(A_P) stay
#            outside
# Cost       2 k^2 flops for an entry, 2 k n for the gradients, k = |P|
# Reference  Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23;
#            Bro, de Jong, J. Chemometrics 11, 1997 (on the Gram matrix)
#
#   G         n x ld, rows of n padded with zeros to ld, whole vectors; aligned; read only
#   c         ld, read only         rootinv  n: 1 / sqrt(G_jj), 0 where that is 0; read only
#   norm      n: ||a_j||, without any ridge; read only
#   upper     n: >= 0, inf for none; or NULL; read only
#   weight    n: > 0; or NULL: no sum; read only         total  > 0, within reach of the bounds
#   slack     a gradient entry above -slack ||a_j|| is rounding
#   x         ld, in: a start >= 0, whose support is taken over (without bounds and sum); out:
#             within its bounds, exactly at them off the support
#   g         ld, aligned: Gx - c - mu weight, written
#   max_steps limit of the entries tried
#   work      support_room(n) doubles; index  n integers; both keep P and W for `refine`
#   returns   entries tried, or -1 - steps where max_steps came first or, with a sum, every
#             generator is at a bound
# refine     right after `solve`: one step of refinement on P with a gradient from the data,
#                r = down b - A x,  g = ridge x - penalty - A'r,  x_P <- x_P - G_PP^-1 g_P
#            with a sum the step that makes it good: the g that follows is less mu weight
#   m, ldm    rows, and rows padded with zeros to whole lines
#   A         n x ldm, generators in rows; aligned          b  m;  both read only
#   ridge     n; read only          penalty  n, or NULL; read only
#   x         followed by g, which is then the gradient at the new x
#   r         ldm, aligned: written          known  ||r|| and, with a sum, mu: written
# polish     the same step for a gradient g that is known; W is formed anew for the support of x
#   returns   both: sum ||a_j|| |change_j| / sum ||a_j|| x_j, or -1 where no step was made.
#             Coefficients that would leave the orthant are put to 0 first, and leave P; with
#             bounds or a sum there is then no step
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.common.dense cimport dot, gather, gemv_add, padded
from fastcone._kernels.common.span cimport aligned, inner, largest
from fastcone._kernels.common.tables cimport SupportTable
from fastcone._kernels.nnls.support_bounds cimport (
    correct_sum, first_point, inside, is_upper, keep_sum, resolve, to_bound,
)
from fastcone._kernels.nnls.support_factor cimport Problem, combine, enter, leave, minimiser
from fastcone._kernels.nnls.support_room cimport row_of

cdef enum:
    BATCH = 16              # generators that may enter in one step
    TRUST = 2               # entries without a loss before several may
    PATIENCE = 4            # exchanges that gain nothing in this precision before the end


cdef void settle(Problem* f) noexcept nogil:
    """Move x to the minimiser on the support, dropping what reaches a bound on the way."""
    cdef Py_ssize_t i, j, blocking = 0
    cdef double alpha, bound, most
    cdef bint moved
    while blocking >= 0:
        alpha, blocking, moved = 1, -1, False
        for i in range(f.k):
            j = f.P[i]
            most = f.upper[j] if f.upper != NULL else INFINITY
            if f.z[i] <= 0:
                bound = f.x[j] / (f.x[j] - f.z[i]) if f.x[j] > f.z[i] else 0
            elif f.z[i] >= most:
                bound = (most - f.x[j]) / (f.z[i] - f.x[j]) if f.z[i] > f.x[j] else 0
            else:
                continue
            if bound < alpha or blocking < 0:
                alpha, blocking = bound, i
        for i in range(f.k):
            j = f.P[i]
            f.x[j] = f.z[i] if blocking < 0 else f.x[j] + alpha * (f.z[i] - f.x[j])
            if f.upper != NULL and f.z[i] > 0 and (i == blocking or f.x[j] >= f.upper[j]):
                f.x[j] = f.upper[j]
            elif i == blocking or f.x[j] <= 0:
                f.x[j] = 0
            f.left[i] = f.z[i] if i != blocking and f.x[j] == 0 else f.x[j]
            if is_upper(f, j) and (i == blocking or f.z[i] >= f.upper[j]):
                f.left[i], moved = 0, True
                to_bound(f, j, 1)
        if blocking >= 0:
            leave(f, f.left)
            if moved:
                resolve(f)
            else:
                minimiser(f)


cdef void gradient(Problem* f, const double* z) noexcept nogil:
    """g = G x - c - mu weight of the minimiser z on P"""
    cdef Py_ssize_t j
    for j in range(f.ld):
        f.g[j] = -f.target[j]
    gemv_add(f.ld, f.G, f.ld, f.k, f.P, z, f.g)
    for j in range(f.n if f.weight != NULL else 0):
        f.g[j] -= f.mu * f.weight[j]


cdef void empty(Problem* f) noexcept nogil:
    """No generator in P, none at an upper bound; those whose bound is 0 stay outside."""
    cdef Py_ssize_t j
    f.k, f.mu = 0, 0
    memset(f.y, 0, f.row * sizeof(double))
    memset(f.z, 0, f.row * sizeof(double))
    memset(f.free, 0, f.row * sizeof(double))
    memset(f.t, 0, f.row * sizeof(double))
    memset(f.slope, 0, f.row * sizeof(double))
    for j in range(f.n):
        f.outside[j] = 1 if f.upper == NULL or f.upper[j] > 0 else 0


cdef void start(Problem* f) noexcept nogil:
    """Take the support of x over, without what its minimiser does not want."""
    cdef Py_ssize_t i, j
    cdef bint lost = True
    empty(f)
    for j in range(f.n):
        if f.x[j] > 0 and f.rootinv[j] > 0:
            enter(f, j)
    while lost:
        lost = False
        for i in range(f.k):
            lost = lost or f.z[i] <= 0
        if lost:
            memcpy(f.left, f.z, f.k * sizeof(double))
            leave(f, f.left)
    memset(f.x, 0, f.ld * sizeof(double))
    for i in range(f.k):
        f.x[f.P[i]] = f.z[i]


cdef double gain(Problem* f) noexcept nogil:
    """y'y: twice what the minimiser on P gains over x = 0; else c'x - g'x of its gradient g"""
    cdef double total = 0
    cdef Py_ssize_t j
    if f.upper == NULL and f.weight == NULL:
        return dot(padded(f.k), f.y, f.y)
    for j in range(f.n):
        total += f.x[j] * (f.c[j] - f.g[j] - (f.mu * f.weight[j] if f.weight != NULL else 0))
    return total


cdef Py_ssize_t enter_best(Problem* f, double slack, Py_ssize_t most, bint* any) noexcept nogil:
    """Let up to `most` generators enter, none with less than half the best score."""
    cdef double score, best, least = 0
    cdef Py_ssize_t j, tried = 0
    cdef bint moved = False
    for j in range(f.n):
        score = -f.g[j] * f.rootinv[j] * f.outside[j]
        f.score[j] = score if -f.g[j] * f.outside[j] > slack * f.norm[j] else 0
    any[0] = False
    while tried < most:
        j = largest(f.n, f.score)
        if j < 0 or f.score[j] < least:
            break
        best, f.score[j] = f.score[j], 0
        if f.outside[j] < 0:
            to_bound(f, j, -1)
        if enter(f, j):
            any[0] = True
            moved = moved or is_upper(f, j)
            if least == 0:
                least = best / 2
        elif f.outside[j] < 0:
            to_bound(f, j, 1)
        tried += 1
    if moved:
        resolve(f)
    else:
        minimiser(f)
    return tried


cdef void lay_out(Problem* f, double* work, Py_ssize_t* index) noexcept nogil:
    """Cut the caller's work space up."""
    f.row = row_of(f.n)
    f.W = aligned(work)
    f.columns = f.W + f.n * f.row
    f.y = f.columns + f.n * f.row
    f.z, f.score, f.part, f.entering, f.left, f.outside = (
        f.y + f.row, f.y + 2 * f.row, f.y + 3 * f.row, f.y + 4 * f.row, f.y + 5 * f.row,
        f.y + 6 * f.row)
    f.t, f.slope = f.y + 7 * f.row, f.y + 8 * f.row
    f.free = f.z if f.weight == NULL else f.y + 9 * f.row
    f.reduced = f.y + 10 * f.row
    f.target = f.c if f.upper == NULL else f.reduced
    f.P = index


cdef bint begin(Problem* f, double total) noexcept nogil:
    """The first support; False where a sum leaves nothing between its bounds."""
    if f.upper == NULL and f.weight == NULL:
        start(f)
        return True
    memset(f.x, 0, f.ld * sizeof(double))
    if f.upper != NULL:
        memcpy(f.reduced, f.c, f.ld * sizeof(double))
    empty(f)
    f.rest = total
    return f.weight == NULL or first_point(f)


cdef Py_ssize_t support(Py_ssize_t n, Py_ssize_t ld, const double* G, const double* c,
                        const double* rootinv, const double* norm, const double* upper,
                        const double* weight, double total, double slack, double* x,
                        double* g, Py_ssize_t max_steps, double* work,
                        Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t k, tried = 0, left = 0, steps = 0, trust = 0, stuck = 0
    cdef double before = 0, after
    cdef bint any
    f.n, f.ld, f.G, f.c, f.rootinv, f.x, f.g = n, ld, G, c, rootinv, x, g
    f.norm, f.upper, f.weight = norm, upper, weight
    lay_out(&f, work, index)
    if not begin(&f, total):
        return -1
    minimiser(&f)
    while True:
        gradient(&f, f.z)
        after = gain(&f)
        if steps > 0 and left > 0 and not after > before:
            if tried == 1:
                stuck += 1
            if stuck == PATIENCE:
                return steps
            trust = 0
        if steps >= max_steps:
            return -1 - steps
        tried = max(<Py_ssize_t> 1, min(<Py_ssize_t> BATCH, trust - TRUST))
        tried = enter_best(&f, slack, min(tried, max_steps - steps), &any)
        steps += tried
        if not any:
            return steps
        k, before = f.k, after
        settle(&f)
        if weight != NULL and f.k == 0:
            return -1 - steps
        left = k - f.k
        trust = max(<Py_ssize_t> 0, trust + 1 - 2 * left) if left > 0 else trust + 1 + trust // 2


cdef bint drop(Problem* f) noexcept nogil:
    """Put to 0 what x_P - z would make negative, and let g follow; False if there is none."""
    cdef double down
    cdef Py_ssize_t i, j
    cdef bint any = False
    for i in range(f.k):
        j = f.P[i]
        if not f.x[j] > f.z[i]:
            down, f.x[j], any = -f.x[j], 0, True
            gemv_add(f.ld, f.G, f.ld, 1, &f.P[i], &down, f.g)
    return any


cdef double step(Problem* f) noexcept nogil:
    """x_P -= z, g -= G_P z; returns sum ||a_j|| |z_j| / sum ||a_j|| x_j."""
    cdef double root, moved = 0, size = 0
    cdef Py_ssize_t i, j
    for i in range(f.k):
        j = f.P[i]
        root = sqrt(f.G[j * f.ld + j])
        moved += root * fabs(f.z[i])
        size += root * f.x[j]
        f.x[j] -= f.z[i]
        f.z[i] = -f.z[i]
    gemv_add(f.ld, f.G, f.ld, f.k, f.P, f.z, f.g)
    return moved / size if size > 0 else 0


cdef double polish(Py_ssize_t n, Py_ssize_t ld, const double* G, const double* rootinv, double* x,
                   double* g, double* work, Py_ssize_t* index) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t j
    cdef int _turn
    f.n, f.ld, f.G, f.c, f.rootinv, f.x, f.g = n, ld, G, g, rootinv, x, g
    f.upper, f.weight = NULL, NULL
    lay_out(&f, work, index)
    for _turn in range(PATIENCE):
        empty(&f)
        for j in range(n):
            if x[j] > 0 and not enter(&f, j):   # z = G_PP^-1 g_P
                return -1
        if not drop(&f):
            return step(&f)
    return -1


cdef void residual(Problem* f, Py_ssize_t m, Py_ssize_t ldm, const double* A, const double* b,
                   double down, double* r) noexcept nogil:
    """r = down b - A x"""
    cdef Py_ssize_t i, j
    cdef double value
    for i in range(m):
        r[i] = down * b[i]
    for i in range(m, ldm):
        r[i] = 0
    for i in range(f.k):
        f.part[i] = -f.x[f.P[i]]
    gemv_add(ldm, A, ldm, f.k, f.P, f.part, r)
    for j in range(f.n if f.upper != NULL else 0):
        if is_upper(f, j):
            value = -f.x[j]
            gemv_add(ldm, A, ldm, 1, &j, &value, r)


cdef double refine(Py_ssize_t n, Py_ssize_t ld, const double* G, const double* rootinv,
                   const double* upper, const double* weight, double total,
                   double* x, double* g, double* work, Py_ssize_t* index,
                   Py_ssize_t m, Py_ssize_t ldm, const double* A,
                   const double* b, double down, const double* ridge, const double* penalty,
                   double* r, double* known) noexcept nogil:
    cdef Problem f
    cdef Py_ssize_t j
    cdef double mu = 0, change
    f.n, f.ld, f.G, f.c, f.x, f.g, f.k = n, ld, G, NULL, x, g, 0
    f.upper, f.weight = upper, weight
    lay_out(&f, work, index)
    for j in range(n):
        f.k += x[j] > 0 and not is_upper(&f, j)
    residual(&f, m, ldm, A, b, down, r)
    known[0] = sqrt(dot(ldm, r, r))
    inner(ldm, n, A, r, g)
    for j in range(n):
        g[j] = ridge[j] * x[j] - (penalty[j] if penalty else 0) - g[j]
    gather(f.k, g, f.P, f.part)
    combine(f.k, f.row, f.columns, False, f.part, f.entering)
    if weight != NULL:
        known[1] = mu = correct_sum(&f, total)
    combine(f.k, f.row, f.W, True, f.entering, f.z)         # z = W'W g_P
    if upper != NULL or weight != NULL:
        if not inside(&f) or (weight != NULL and f.k == 0):
            return -1
    elif drop(&f):
        return polish(n, ld, G, rootinv, x, g, work, index)
    change = step(&f)
    if weight != NULL:
        known[1] = mu = mu + keep_sum(&f, total)
    for j in range(n if weight != NULL else 0):
        g[j] -= mu * weight[j]
    return change


cdef SupportTable TABLE
TABLE.solve = support
TABLE.polish = polish
TABLE.refine = refine
table = PyCapsule_New(&TABLE, "nnls.support", NULL)
