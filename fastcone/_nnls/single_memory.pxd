# SPDX-License-Identifier: BSD-3-Clause
"""One problem's memory: its arrays, what is measured of A, and the layouts of the two kernels."""

from libc.math cimport INFINITY, fabs, frexp, ldexp, sqrt

from fastcone._kernels.common.dense cimport padded
from fastcone._kernels.common.span cimport aligned

cdef extern from *:
    """
    #define FC_UNLIKE 1e3                 /* of row sizes: squares lose digits */
    #define FC_HEAVY 1e6                  /* as in fastcone/_nnls/householder.py */
    """
    const double UNLIKE "FC_UNLIKE"
    const double HEAVY "FC_HEAVY"

cdef enum:
    FAR = 900                   # powers of two between weights: more, and gradients would underflow


cdef struct Arrays:
    # A as it is read, and where the parts of `work` and `index` begin
    const double* A
    Py_ssize_t row_stride, column_stride
    bint householder, reduced
    double size             # ||b||, scaled
    double rest2            # of a reduced problem: what of ||b||^2 no generator reaches
    double* copy            # n x ld: A scaled, or in the order of rows, or of columns
    double* columns         # n x ld: generators, one a row
    double* target          # ld: b scaled, padded with zeros
    double* norm            # n
    double* entry_weight    # n
    double* l1              # n: zeros
    double* rest            # of the kernels
    Py_ssize_t* e           # n: exponents taken out of the columns
    Py_ssize_t* fetched     # n: of the kernel; or exponents taken out of `columns`
    Py_ssize_t* order       # of the kernels


cdef inline Arrays cut(Py_ssize_t m, Py_ssize_t n, double* work, Py_ssize_t* index) noexcept nogil:
    """Lay the arrays out in the caller's work space."""
    cdef Arrays a
    a.columns = aligned(work)
    a.target = a.columns + n * padded(m)
    a.copy = a.target + padded(m)
    a.norm = a.copy + n * padded(m)
    a.entry_weight, a.l1, a.rest = a.norm + n, a.norm + 2 * n, a.norm + 3 * n
    a.e, a.fetched, a.order = index, index + n, index + 2 * n
    return a


cdef inline int exponent(double largest) noexcept nogil:
    """e with |largest| in [2^(e-1), 2^e), 0 for 0."""
    cdef int e = 0
    frexp(largest, &e)
    return e


cdef inline void set_entry_weights(Py_ssize_t n, const double* norm, const Py_ssize_t* e,
                                   const Py_ssize_t* f, double* entry_weight) noexcept nogil:
    """entry_weight_j = 2^(e_j + f_j) up to a factor: gradients in the caller's units decide."""
    cdef Py_ssize_t j, at, top = 0
    cdef bint any = False
    for j in range(n):
        if norm[j] > 0 and (not any or e[j] + f[j] > top):
            any, top = True, e[j] + f[j]
    for j in range(n):
        at = min(e[j] + f[j] - top, <Py_ssize_t> 0)
        entry_weight[j] = 1 if at == 0 else ldexp(1, <int> max(at, -<Py_ssize_t> FAR))


cdef inline double times(double value, double half_unit) noexcept nogil:
    """value * half_unit^2: a power of two that a double may be too narrow to hold."""
    return value * half_unit * half_unit


cdef inline int scale_target(Py_ssize_t m, const double* b, Py_ssize_t stride,
                             double* target) noexcept nogil:
    """target = b with its largest entry brought near 1 by a power of four; returns its exponent."""
    cdef double part[8]
    cdef double half
    cdef Py_ssize_t i
    cdef int e, q
    for q in range(8):
        part[q] = 0
    for i in range(m):
        target[i] = b[i * stride]
    for i in range(m // 8):
        for q in range(8):
            half = fabs(target[8 * i + q])
            part[q] = half if half > part[q] else part[q]
    for i in range(m - m % 8, m):
        part[0] = max(part[0], fabs(target[i]))
    for q in range(1, 8):
        part[0] = max(part[0], part[q])
    e = (exponent(part[0]) + 1) // 2
    half = ldexp(1, -e)
    for i in range(m if e != 0 else 0):
        target[i] = times(target[i], half)
    for i in range(m, padded(m)):
        target[i] = 0
    return 2 * e


cdef inline void measure(Py_ssize_t m, Py_ssize_t n, Arrays* a, bint* unlike) noexcept nogil:
    """norm_j = ||a_j||^2; whether rows of A differ in size so much that the small ones are lost."""
    cdef const double* row
    cdef double value, size, least = 0, most = 0
    cdef Py_ssize_t i, j
    for j in range(n):
        a.norm[j] = 0
    for i in range(m):
        row = a.A + i * a.row_stride
        size = 0
        if a.column_stride == 1:
            for j in range(n):
                a.norm[j] += row[j] * row[j]
                size = fabs(row[j]) if fabs(row[j]) > size else size
        else:
            for j in range(n):
                value = row[j * a.column_stride]
                a.norm[j] += value * value
                size = fabs(value) if fabs(value) > size else size
        most = max(most, size)
        least = size if size > 0 and (least == 0 or size < least) else least
    unlike[0] = most > UNLIKE * least


cdef inline bint unlike_when_scaled(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """`unlike` of generators scaled to norm 1; asked where their norms differ."""
    cdef double size, least = 0, most = 0
    cdef Py_ssize_t i, j
    for i in range(m):
        size = 0
        for j in range(n):
            if a.norm[j] > 0:
                size = max(size, fabs(a.A[i * a.row_stride + j * a.column_stride])
                           / sqrt(a.norm[j]))
        most = max(most, size)
        least = size if size > 0 and (least == 0 or size < least) else least
    return most > UNLIKE * least


cdef inline bint differ(Py_ssize_t n, const double* norm) noexcept nogil:
    """Whether norms differ by more than a few powers of two."""
    cdef double least = 0, most = 0
    cdef Py_ssize_t j
    for j in range(n):
        most = max(most, norm[j])
        least = norm[j] if norm[j] > 0 and (least == 0 or norm[j] < least) else least
    return most > 4096 * least


cdef inline bint usable(Py_ssize_t n, const double* norm) noexcept nogil:
    """Whether squared norms are so far from over- and underflow that nothing needs scaling."""
    cdef Py_ssize_t j
    cdef bint far = True
    for j in range(n):
        far = far and 1e-150 < norm[j] < 1e150
    return far


cdef inline void scale_generators(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """copy = A with columns scaled like `scale_target`, and their exponents."""
    cdef double* rows = a.copy
    cdef double* largest = a.entry_weight
    cdef double* half = largest
    cdef Py_ssize_t i, j
    for j in range(n):
        largest[j] = 0
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = a.A[i * a.row_stride + j * a.column_stride]
            largest[j] = max(largest[j], fabs(rows[i * n + j]))
    for j in range(n):
        a.e[j] = (exponent(largest[j]) + 1) // 2 * 2
        half[j] = ldexp(1, -<int> a.e[j] // 2)
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = times(rows[i * n + j], half[j])
    a.A, a.row_stride, a.column_stride = rows, n, 1


cdef inline void lay_down(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """columns = A', padded with zeros, for the Householder kernel."""
    cdef const double* row
    cdef double* column
    cdef Py_ssize_t i, j, group, groups = m // 8, ld = padded(m)
    cdef int q
    for j in range(n):
        for i in range(m if a.row_stride == 1 else 0):
            a.columns[j * ld + i] = a.A[i + j * a.column_stride]
        for i in range(m, ld):
            a.columns[j * ld + i] = 0
    if a.row_stride == 1:
        return
    for group in range(groups):                 # a line of each column at a time
        row = a.A + 8 * group * a.row_stride
        for j in range(n):
            column = a.columns + j * ld + 8 * group
            for q in range(8):
                column[q] = row[q * a.row_stride + j * a.column_stride]
    for i in range(8 * groups, m):
        for j in range(n):
            a.columns[j * ld + i] = a.A[i * a.row_stride + j * a.column_stride]


cdef inline bint far_apart(Py_ssize_t m, Py_ssize_t n, const double* columns) noexcept nogil:
    """Whether rows are so heavy that a triangle would mix more into the light ones than they hold.

    It mixes rows by columns that a support may do without.
    """
    cdef double most[8]
    cdef double least[8]
    cdef double size[8]
    cdef double value
    cdef Py_ssize_t group, j, ld = padded(m)
    cdef int q
    for q in range(8):
        most[q], least[q] = 0, INFINITY
    for group in range(ld // 8):
        for q in range(8):
            size[q] = 0
        for j in range(n):
            for q in range(8):
                value = fabs(columns[j * ld + 8 * group + q])
                size[q] = value if value > size[q] else size[q]
        for q in range(8):
            most[q] = size[q] if size[q] > most[q] else most[q]
            value = size[q] if size[q] > 0 else INFINITY
            least[q] = value if value < least[q] else least[q]
    for q in range(1, 8):
        most[0], least[0] = max(most[0], most[q]), min(least[0], least[q])
    return most[0] > HEAVY * least[0]


cdef inline void even_out(Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, const double* columns,
                          double* row_size, Py_ssize_t* e) noexcept nogil:
    """Powers of two e by which to divide columns, so that none decides on its own what a row is.

    Reflections leave a row correct to its largest entry. In common units, columns / 2^e as e comes,
    that of row i is r_i; e becomes what brings max_i |a_ij| / r_i near 1. Lengths would not do: a
    generator without a share in a heavy row would swell its light rows.
    row_size: m, no meaning on entry or return.
    """
    cdef double size, up
    cdef Py_ssize_t i, j, top = e[0]
    for j in range(n):
        top = min(top, e[j])                    # the units may be anything, but to each other
    for i in range(m):
        row_size[i] = 0
    for j in range(n):
        up = ldexp(1, <int> max(top - e[j], -<Py_ssize_t> FAR))
        for i in range(m):
            size = fabs(columns[j * ld + i]) * up
            row_size[i] = size if size > row_size[i] else row_size[i]
    for j in range(n):
        size = 0
        for i in range(m):
            if row_size[i] > 1e-290:
                size = max(size, fabs(columns[j * ld + i]) / row_size[i])
        e[j] = exponent(size)


cdef inline void scale_columns(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """Columns evened out, the caller's units for common ones, by powers that `fetched` keeps."""
    cdef double up
    cdef Py_ssize_t i, j
    for j in range(n):
        a.fetched[j] = -a.e[j]
    even_out(m, n, padded(m), a.columns, aligned(a.rest), a.fetched)
    for j in range(n):
        up = ldexp(1, -<int> a.fetched[j])
        for i in range(m if a.fetched[j] != 0 else 0):
            a.columns[j * padded(m) + i] *= up


cdef inline void in_rows(Py_ssize_t m, Py_ssize_t n, Arrays* a) noexcept nogil:
    """A in the order of rows, for the Gram-Schmidt kernel."""
    cdef Py_ssize_t i, j
    if a.column_stride == 1 and a.row_stride == n:
        return
    for i in range(m):
        for j in range(n):
            a.copy[i * n + j] = a.A[i * a.row_stride + j * a.column_stride]
    a.A, a.row_stride, a.column_stride = a.copy, n, 1
