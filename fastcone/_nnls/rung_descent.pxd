# SPDX-License-Identifier: BSD-3-Clause
"""The first rung's descent: one problem a lane, in float32 twice, proved in float64."""

from libc.math cimport INFINITY, ldexp, sqrt
from libc.string cimport memcpy, memset

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.nnls.report_columns cimport (
    AX, CONVEX, CX, NORM1, REPORT_COLUMNS, SHIFT, VIOLATION, XDELTA, XG,
)
from fastcone._nnls.rung_memory cimport UNIT, UNIT32, Block, Prepared, multiply
from fastcone._runtime.dispatch cimport correction_table, descent_table, report_table

cdef extern from *:
    """
    #define FC_CLOSE 1e10       /* the objective, in gaps: below, rounding of x is seen in it */
    #define FC_DIGITS 1e-9      /* of the largest coefficient: what the default is right to */
    """
    const double CLOSE "FC_CLOSE"
    const double DIGITS "FC_DIGITS"

cdef enum:
    ROUNDS = 4          # descents and reports a problem gets before other rungs take over


cdef inline double first_limit(const Prepared* q, double tol) noexcept nogil:
    """The epoch's movement, relative to ||b||^2, for which strong convexity would give `tol`."""
    cdef double curvature = q.lam if q.lam > 1e-6 else 1e-3
    return tol * curvature / max(0.25, 0.18 * (q.top - 1) ** 2)


cdef inline double float32_floor(const Prepared* q) noexcept nogil:
    """The movement, relative to ||b||^2, below which float32 tells nothing."""
    return (8 * UNIT32) ** 2 * q.n


cdef inline Py_ssize_t epochs_of(const Prepared* q, Py_ssize_t p, const real* C, const real* lower,
                                 real* X, Py_ssize_t ld, const real* stop, double* schedule,
                                 real* last, const int* most, int* used, void* work) noexcept nogil:
    if real is float:
        return descent_table.cd_f32(q.padded, q.G32, q.inverse32, q.weight32, p, C,
                                    lower, X, ld, stop, schedule, last, most, used, <float*> work)
    else:
        return descent_table.cd_f64(q.padded, q.G64, q.inverse64, q.weight64, p, C,
                                    lower, X, ld, stop, schedule, last, most, used, <double*> work)


cdef inline void make_report(const Prepared* q, Py_ssize_t p, const real* C, const real* X,
                             Py_ssize_t ld, const real* delta_scale, real* report,
                             void* work) noexcept nogil:
    if real is float:
        report_table.f32(q.padded, q.G32, q.coord32, p, C, X, ld, delta_scale, 0,
                         report, <float*> work)
    else:
        report_table.f64(q.padded, q.G64, q.coord64, p, C, X, ld, delta_scale,
                         q.delta, report, <double*> work)


cdef inline double gap_of(const Prepared* q, const real* report, double size,
                          double* objective) noexcept nogil:
    """The least of the bounds that a report gives, as `certificate.from_report` forms them."""
    cdef double xg = report[<int> XG], s = report[<int> SHIFT], value, bound = INFINITY, total
    value = (xg - report[<int> CX] + size * size) / 2
    objective[0] = max(value, 0.0)
    if q.lam > 0:
        bound = min(bound, <double> report[<int> CONVEX])
    if q.pointed:
        bound = min(bound, max(xg, 0.0) + report[<int> XDELTA] + s * report[<int> AX]
                    + s * s * q.shift2 / 2)
    total = report[<int> NORM1] + size
    bound = min(bound, max(value, 0.0) + (q.rounding + q.of_products) * total * total)
    bound = max(bound, 0.0) * (1 + 1e-12 + 4 * q.of_products)
    total = value + report[<int> CONVEX] + report[<int> XDELTA] + s + report[<int> AX] + total
    if total - total != 0:                      # something is not a number
        return INFINITY
    return 0 if bound == 0 else bound / (size * size / 2)


cdef inline void set_limits(Block* k, double limit, real* stop) noexcept nogil:
    """The movements of an epoch at which problems stop: `limit` in their units, ||b||^2."""
    cdef real* norm = <real*> k.norm
    cdef real* delta_scale = <real*> k.delta_scale
    cdef double size
    cdef Py_ssize_t r
    for r in range(k.p):
        size = max(<double> norm[r], <double> delta_scale[r] / 8)
        k.size2[r] = size * size
        stop[r] = <real> (limit * k.size2[r])


cdef inline void restart(Block* k) noexcept nogil:
    """The state of the extrapolation before the first epoch."""
    cdef Py_ssize_t r
    for r in range(k.p):
        k.schedule[2 * r], k.schedule[2 * r + 1] = 3, INFINITY


cdef inline void from_inverse(const Prepared* q, Block* k, Py_ssize_t count, const float* C,
                              float* X, real kind) noexcept nogil:
    """A start for `count` problems: G^-1 c, where no bound holds, cut to 0 <= x_j.

    And to twice ||b|| / sqrt(lam), as lam sum_j G_jj x_j^2 <= ||A x||^2 <= ||b||^2 at the optimum.
    """
    cdef float* found = <float*> k.some_X
    cdef const real* norm = <const real*> k.norm
    cdef float most
    cdef Py_ssize_t i, j, r
    multiply[float](q.n, q.ld_inverse, q.inverse_of_G32, count, C, k.ld, found, <float*> k.last)
    for i in range(count):
        r = k.todo[i] if real is double else i      # in float32 the rows are the problems
        most = <float> (2 * norm[r] / sqrt(q.lam))
        for j in range(q.n if k.near[r] else 0):
            X[i * k.ld + j] = max(<float> 0, min(most, found[i * q.ld_inverse + j]))


cdef inline void in_float32(const Prepared* q, Block* k, double tol, int max_epochs, bint started,
                            Py_ssize_t* count) noexcept nogil:
    """Epochs in float32 on `todo`; what its limit of epochs did not finish is left out of it."""
    cdef const double* C = <const double*> k.C
    cdef double* X = <double*> k.X
    cdef float* stop = <float*> k.stop
    cdef double* delta_scale = <double*> k.delta_scale
    cdef double* norm = <double*> k.norm
    cdef double limit = max(first_limit(q, tol), float32_floor(q)), size
    cdef Py_ssize_t i, j, r, kept = 0
    for i in range(count[0]):
        r = k.todo[i]
        correction_table.narrow(k.ld, C + r * k.ld, k.C32 + i * k.ld)
        correction_table.narrow(k.ld, X + r * k.ld, k.X32 + i * k.ld)
        size = max(norm[r], delta_scale[r] / 8)
        stop[i] = <float> (limit * size * size)
        k.most[i] = max_epochs
    if q.inverse_of_G32 != NULL and not started:
        from_inverse(q, k, count[0], k.C32, k.X32, <double> 0)
    restart(k)
    epochs_of[float](q, count[0], k.C32, NULL, k.X32, k.ld, stop, k.schedule, <float*> k.last,
                     k.most, k.used, k.work)
    for i in range(count[0]):
        r = k.todo[i]
        for j in range(k.ld):
            X[r * k.ld + j] = k.X32[i * k.ld + j]
        k.epochs[r] += abs(k.used[i])
        if k.used[i] >= 0:
            k.todo[kept] = r
            kept += 1
    count[0] = kept


cdef inline void refine(const Prepared* q, Block* k, Py_ssize_t count, const double* C,
                        double* X) noexcept nogil:
    """x <- x + d: descent in float32 for the correction, from the gradient in float64.

    minimise  1/2 d'Gd + g'd  over d >= -x,  g = Gx - c, scaled by 2^-s to a size near 1
    """
    cdef float* stop = <float*> k.last          # `last` itself is not looked at
    cdef const double* limit = <const double*> k.some_delta
    cdef Py_ssize_t i
    memset(k.g, 0, count * k.ld * sizeof(double) if q.padded < k.ld else 0)
    report_table.gradient_f64(q.padded, q.G64, count, C, X, k.ld, k.g, <double*> k.work)
    correction_table.begin(count, q.padded, k.ld, k.g, X, k.C32, k.lower32, k.shift)
    for i in range(count):
        stop[i] = <float> max(ldexp(limit[i], -2 * k.shift[i]), float32_floor(q))
    memset(k.X32, 0, count * k.ld * sizeof(float))
    restart(k)
    epochs_of[float](q, count, k.C32, k.lower32, k.X32, k.ld, stop, k.schedule, stop, k.most,
                     k.used, k.work)
    correction_table.finish(count, q.padded, k.ld, k.X32, k.lower32, k.shift, X)


cdef inline void certify(const Prepared* q, Block* k) noexcept nogil:
    """Certificates in float64 of what float32 has found, for the worst roundings of A'b there.

    of_products bounds what c is off by, in units of ||a_j|| (||b|| + the penalty's share).
    """
    cdef const float* C = <const float*> k.C
    cdef const float* X = <const float*> k.X
    cdef const float* norm = <const float*> k.norm
    cdef double* delta_scale = <double*> k.some_delta
    cdef double* report = <double*> k.report
    cdef double* wide_X = k.wide + k.p * k.ld
    cdef Py_ssize_t r, i
    for i in range(k.p * k.ld):
        k.wide[i], wide_X[i] = C[i], X[i]
    for r in range(k.p):
        delta_scale[r] = (<const float*> k.delta_scale)[r] * (1 + q.of_products / q.rounding)
    report_table.f64(q.padded, q.G64, q.coord64, k.p, k.wide, wide_X, k.ld, delta_scale,
                     q.rounding, report, <double*> k.work)
    for r in range(k.p):
        if k.near[r]:
            k.gap[r] = gap_of[double](q, report + r * REPORT_COLUMNS, norm[r], &k.objective[r])
            k.violation[r] = report[r * REPORT_COLUMNS + <int> VIOLATION]


cdef inline void prove_start(const Prepared* q, Block* k, double tol, Py_ssize_t* count,
                             real kind) noexcept nogil:
    """Leave what the start proves out of `todo`; a start that is worse than 0 becomes 0."""
    cdef real* norm = <real*> k.norm
    cdef real* X = <real*> k.X
    cdef real* report = <real*> k.report
    cdef Py_ssize_t r, kept = 0
    make_report(q, k.p, <const real*> k.C, X, k.ld, <const real*> k.delta_scale, report, k.work)
    for r in range(k.p):
        if not k.near[r]:
            continue
        k.gap[r] = gap_of(q, report + r * REPORT_COLUMNS, norm[r], &k.objective[r])
        k.violation[r] = report[r * REPORT_COLUMNS + <int> VIOLATION]
        if not k.objective[r] <= norm[r] * norm[r] / 2:
            memset(X + r * k.ld, 0, k.ld * sizeof(real))
        if not k.gap[r] <= tol:
            k.todo[kept] = r
            kept += 1
    count[0] = kept


cdef inline void until_proved(const Prepared* q, Block* k, double tol, int max_epochs,
                              Py_ssize_t count, bint report_first, bint narrow, bint full,
                              real kind) noexcept nogil:
    """Descents and reports on the `count` problems of `todo`.

    After each report the limit of a problem that is not proved is lowered as its gap tells.
    """
    cdef real* stop = <real*> k.stop
    cdef Py_ssize_t r, turn
    if count == 0:
        return
    set_limits(k, first_limit(q, tol), stop)
    restart(k)
    for r in range(k.p):
        k.extra[r] = not full
    for turn in range(ROUNDS + 1):
        descend_and_report[real](q, k, max_epochs, count, turn > 0 or not report_first, narrow, 0)
        count = still_to_do[real](q, k, tol, max_epochs, count, turn > 0 or not report_first, 0)
        if count == 0:
            return


cdef inline void descend_and_report(const Prepared* q, Block* k, int max_epochs, Py_ssize_t count,
                                    bint descend, bint narrow, real kind) noexcept nogil:
    """One turn of `until_proved`: epochs, if `descend`, and the report of the problems of `todo`.

    The problems are laid side by side first, unless it is every one.
    """
    cdef real* C = <real*> k.C
    cdef real* X = <real*> k.X
    cdef real* some_C = <real*> k.some_C
    cdef real* some_X = <real*> k.some_X
    cdef real* some_delta = <real*> k.some_delta
    cdef real* stop = <real*> k.stop
    cdef real* delta_scale = <real*> k.delta_scale
    cdef Py_ssize_t i, j, r, bytes = k.ld * sizeof(real)
    cdef bint every = count == k.p
    for i in range(count):
        r = k.todo[i]
        if not every:
            memcpy(some_C + i * k.ld, C + r * k.ld, bytes)
            memcpy(some_X + i * k.ld, X + r * k.ld, bytes)
        k.most[i] = max(min(max_epochs - <int> k.epochs[r], <int> q.epochs), 0)
        some_delta[i] = stop[r]
    if descend:
        if real is double and q.float32_first:
            refine(q, k, count, C if every else some_C, X if every else some_X)
        else:
            epochs_of[real](q, count, C if every else some_C, NULL, X if every else some_X, k.ld,
                            some_delta, k.schedule, <real*> k.last, k.most, k.used, k.work)
        for i in range(count):
            r = k.todo[i]
            k.epochs[r] += abs(k.used[i])
            if not every:
                memcpy(X + r * k.ld, some_X + i * k.ld, bytes)
    for i in range(count):
        some_delta[i] = delta_scale[k.todo[i]]
        for j in range(q.n if narrow else 0):       # what the caller gets is what is proved
            X[k.todo[i] * k.ld + j] = <float> X[k.todo[i] * k.ld + j]
            some_X[i * k.ld + j] = X[k.todo[i] * k.ld + j]
    make_report(q, count, C if every else some_C, X if every else some_X, k.ld, some_delta,
                <real*> k.report, k.work)


cdef inline bint is_loose(const Prepared* q, const real* x, double gap, double size) noexcept nogil:
    """Whether a gap leaves more than DIGITS of the largest coefficient open, in the caller's units.

    lam sum_j G_jj (x_j - x*_j)^2 <= gap ||b||^2: of a generator that is short beside others, whose
    share in b is as small, it tells little.
    """
    cdef double largest = 0
    cdef Py_ssize_t j
    for j in range(q.n):
        largest = x[j] * q.unit[j] if x[j] * q.unit[j] > largest else largest
    return sqrt(gap / q.lam) * size * q.most_per_unit > DIGITS * largest


cdef inline Py_ssize_t still_to_do(const Prepared* q, Block* k, double tol, int max_epochs,
                                   Py_ssize_t count, bint descended, real kind) noexcept nogil:
    """Keep in `todo`, with lower limits, what is not proved and may move yet; returns how many."""
    cdef real* norm = <real*> k.norm
    cdef real* stop = <real*> k.stop
    cdef const real* report = <const real*> k.report
    cdef double unit = UNIT32 if real is float else UNIT
    cdef double floor = (8 * unit) ** 2 * q.n, ratio
    cdef bint loose
    cdef Py_ssize_t i, r, left = 0
    for i in range(count):
        r = k.todo[i]
        k.gap[r] = gap_of(q, report + i * REPORT_COLUMNS, norm[r], &k.objective[r])
        k.violation[r] = report[i * REPORT_COLUMNS + VIOLATION]
        if k.gap[r] <= tol:
            # beside a far smaller optimum, or a far longer generator, the gap tells little: one
            # more correction
            loose = not k.extra[r] and is_loose(q, <real*> k.X + r * k.ld, k.gap[r], norm[r])
            if k.extra[r] or (k.objective[r] >= CLOSE * tol * norm[r] * norm[r] / 2 and not loose):
                continue
            k.extra[r] = True
            # b, in whose units the floor is, may be long where x is not: then as far as it goes
            stop[r] = 0 if loose else <real> (floor * k.size2[r] / 2)
            k.todo[left] = r
            k.schedule[2 * left], k.schedule[2 * left + 1] = 3, INFINITY
            left += 1
        elif (not (descended and k.used[i] < 0) and stop[r] > floor * k.size2[r]
              and k.epochs[r] < max_epochs):
            ratio = tol / k.gap[r]
            ratio = (ratio if q.lam > 1e-6 else ratio * ratio) / 4
            stop[r] = <real> max(stop[r] * min(max(ratio, 1e-6), 0.1), floor * k.size2[r] / 2)
            k.todo[left] = r
            k.schedule[2 * left], k.schedule[2 * left + 1] = (
                k.schedule[2 * i], k.schedule[2 * i + 1])
            left += 1
    return left
