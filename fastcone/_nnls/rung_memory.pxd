# SPDX-License-Identifier: BSD-3-Clause
"""The first rung's memory: what is prepared of A, the arrays of a block, its products with A."""

from libc.math cimport fabs, frexp, isfinite, ldexp, sqrt
from libc.stdlib cimport free, malloc

from fastcone._kernels.common.lanes cimport real
from fastcone._kernels.nnls.report_columns cimport REPORT_COLUMNS
from fastcone._kernels.nnls.support_room cimport support_room
from fastcone._runtime.dispatch cimport lanes, product_table

cdef extern from *:
    """
    #define FC_UNIT 1.1102230246251565e-16      /* unit roundoff of float64 */
    #define FC_UNIT32 5.9604644775390625e-08    /* and of float32 */
    #define FC_LARGEST32 1e18   /* that float32 holds with its square; more is cut, in a start */
    """
    const double UNIT "FC_UNIT"
    const double UNIT32 "FC_UNIT32"
    const double LARGEST32 "FC_LARGEST32"
    void prefetch "__builtin_prefetch"(const void* address) noexcept nogil

cdef enum:
    AHEAD = 4           # groups of 8 rows of the targets that are asked for ahead
    SLAB = 64           # targets packed before their product: as the product kernel takes them

ctypedef fused source:
    float
    double

ctypedef fused answer:
    float
    double


cdef struct Prepared:
    # what the rung reads of A; the arrays belong to the `Rung`
    Py_ssize_t m, n, padded, ld, ldm, epochs
    bint double_precision, float32_first, pointed, by_support
    bint certified              # of a float32 rung: its reports are made in float64 at last
    double rounding, lam, top, shift2, delta
    double of_products          # rounding of A'b, of ||b|| too; 0 where `rounding` has it
    int far                     # the largest power of two taken out of a column
    const int* column_exp       # n: powers of two taken out of the columns
    const double* panels64      # A in panels, or
    const float* panels32
    bint near_cache             # A is small: each problem is refined on its own (support)
    const double* generators    # n x ldm, a generator in a row; or
    const double* transposed    # A' in panels, else
    const double* rows_of_G     # n x ld (support)
    const double* inverse_G     # n x ld: G^-1 of a few generators (support), or NULL
    const double* ridge         # n
    const double* rootinv       # n
    const double* unit          # n: 2^column_exp
    double most_per_unit        # max_j unit_j / sqrt(G_jj): of the shortest generator, the caller's
    const double* norm          # n
    const double* G64           # G and its constants as descent.pyx and report.pyx have them
    const double* inverse64
    const double* weight64
    const double* coord64
    const float* G32
    const float* inverse32
    const float* weight32
    const float* coord32
    const float* inverse_of_G32     # G^-1 in panels (descent), or NULL
    Py_ssize_t ld_inverse           # a row of products with it


cdef struct Block:
    # the arrays of p problems, rows of ld numbers, in one piece of memory; then the caller's
    Py_ssize_t p, ld
    double* objective       # p
    double* gap             # p
    double* violation       # p
    Py_ssize_t* epochs      # p
    void* rows              # SLAB x m: packed targets; p x m for the support solver
    const void* source      # the targets in rows, packed or where they lie
    Py_ssize_t ldb          # from one to the next
    double* fit             # p x ldm: b - A x (support); one for all near the cache
    double* exact           # of the support solver
    Py_ssize_t* index       # likewise
    void* C                 # p x ld: linear terms, scaled
    void* X                 # p x ld: coefficients, scaled
    void* some_C            # p x ld: those of the problems that go on
    void* some_X
    double* g               # p x ld: gradients
    float* C32              # p x ld, and two more: the descent's in float32
    float* X32
    float* lower32
    double* wide            # 2 p x ld: linear terms and coefficients in float64 (certified)
    void* norm              # p: squared, then ||b|| scaled
    void* delta_scale       # p
    void* stop              # p: an epoch's movement at which to look at the certificate
    void* last              # p
    void* report            # p x REPORT_COLUMNS
    void* some_delta        # p: of the problems that go on, limits of the epochs, then delta_scale
    double* schedule        # 2 p
    double* size2           # p: the unit of those movements, ||b||^2, or more where l1 is far more
    void* work              # of the kernels
    double* scale           # n
    int* pending            # p: powers of two that C still holds
    int* exponent           # p: powers of two taken out of the target
    int* near               # p: whether no digit is lost between the units
    int* most               # p
    int* used               # p
    int* extra              # p: whether a problem has had its last correction
    int* shift              # p: powers of two that a correction is scaled by
    Py_ssize_t* todo        # p


cdef inline char* carve(char** at, Py_ssize_t bytes) noexcept nogil:
    """The next 64-byte aligned piece."""
    cdef char* piece = at[0]
    at[0] += (bytes + 63) // 64 * 64
    return piece


cdef inline Py_ssize_t lay_out(const Prepared* q, Block* k, char* start) noexcept nogil:
    """Cut the memory up; returns its size."""
    cdef Py_ssize_t p = k.p, ld = k.ld, wide = max(lanes(4) * 4, lanes(8) * 8)
    cdef Py_ssize_t m = q.m, n = q.n, padded = q.padded, item = 8 if q.double_precision else 4
    cdef char* at = <char*> ((<size_t> start + 63) & ~(<size_t> 63))
    k.rows = carve(&at, (p if q.by_support else min(p, <Py_ssize_t> SLAB)) * m * item)
    if q.by_support:
        k.fit = <double*> carve(&at, (1 if q.near_cache else p) * q.ldm * 8)
        k.exact = <double*> carve(&at, support_room(n) * 8)
        k.index = <Py_ssize_t*> carve(&at, n * sizeof(Py_ssize_t))
    k.C, k.X = carve(&at, p * ld * item), carve(&at, p * ld * item)
    k.some_C, k.some_X = carve(&at, p * ld * item), carve(&at, p * ld * item)
    k.g = <double*> carve(&at, p * ld * item)
    k.C32, k.X32 = <float*> carve(&at, p * ld * 4), <float*> carve(&at, p * ld * 4)
    k.lower32 = <float*> carve(&at, p * ld * 4)
    k.wide = <double*> carve(&at, 2 * p * ld * 8 if q.certified else 0)
    k.norm, k.delta_scale = carve(&at, p * item), carve(&at, p * item)
    k.stop, k.last = carve(&at, p * item), carve(&at, p * item)
    k.report, k.some_delta = carve(&at, p * REPORT_COLUMNS * 8), carve(&at, p * 8)
    k.schedule = <double*> carve(&at, 2 * p * 8)
    k.size2 = <double*> carve(&at, p * 8)
    k.work = carve(&at, max(4 * padded + 3, 2 * padded + 10) * wide)
    k.scale = <double*> carve(&at, n * 8)
    k.pending, k.exponent = <int*> carve(&at, p * 4), <int*> carve(&at, p * 4)
    k.most, k.used = <int*> carve(&at, p * 4), <int*> carve(&at, p * 4)
    k.near = <int*> carve(&at, p * 4)
    k.shift, k.extra = <int*> carve(&at, p * 4), <int*> carve(&at, p * 4)
    k.todo = <Py_ssize_t*> carve(&at, p * sizeof(Py_ssize_t))
    return at - start + 64


cdef inline int exponent(double value) noexcept nogil:
    """e with |value| in [2^(e-1), 2^e), 0 for 0."""
    cdef int e = 0
    frexp(value, &e)
    return e


cdef inline void pack(Py_ssize_t m, Py_ssize_t p, const source* B, Py_ssize_t along,
                      Py_ssize_t across, real* rows) noexcept nogil:
    """rows = B', p rows of m numbers: whole cache lines of p targets are read and written.

    Where a row of B is long, the lines of the next rows are asked for meanwhile.
    """
    cdef const source* b
    cdef real* to
    cdef Py_ssize_t i, q, part, ahead, per_line = 64 // sizeof(source)
    for part in range(m // 8):
        ahead = min(8 * part + 8 * AHEAD, m - 8) * along
        for q in range(p):
            b = B + 8 * part * along + q * across
            to = rows + q * m + 8 * part
            for i in range(8 if q % per_line == 0 else 0):
                prefetch(B + ahead + q * across + i * along)
            for i in range(8):
                to[i] = <real> b[i * along]
    for i in range(m - m % 8, m):
        for q in range(p):
            rows[q * m + i] = <real> B[i * along + q * across]


cdef inline void multiply(Py_ssize_t m, Py_ssize_t ld, const real* panels, Py_ssize_t p,
                          const real* rows, Py_ssize_t ldb, real* C, real* norm2) noexcept nogil:
    """C = rows A and the squared norms of the rows."""
    if real is float:
        product_table.f32(m, ld, panels, p, rows, ldb, C, norm2)
    else:
        product_table.f64(m, ld, panels, p, rows, ldb, C, norm2)


cdef inline bint finish_products(Block* k, Py_ssize_t m, Py_ssize_t first, Py_ssize_t count,
                                 const real* panels, const real* rows,
                                 Py_ssize_t ldb) noexcept nogil:
    """Norms and exponents of some problems, C anew where squares leave the safe range.

    False if a target is not finite.
    """
    cdef real* norm = <real*> k.norm
    cdef real* C = <real*> k.C
    cdef real* again
    cdef double least = 1e-28 if real is float else 1e-250, largest
    cdef Py_ssize_t r, i
    for r in range(first, first + count):
        k.exponent[r] = 0
        if not (least < norm[r] < 1 / least):
            largest = 0
            for i in range(m):
                largest = max(largest, fabs(rows[(r - first) * ldb + i]))
                if not isfinite(rows[(r - first) * ldb + i]):
                    return False
            again = <real*> malloc(m * sizeof(real)) if largest > 0 else NULL
            if again != NULL:
                k.exponent[r] = exponent(largest)
                for i in range(m):
                    again[i] = <real> ldexp(rows[(r - first) * ldb + i], -k.exponent[r])
                multiply(m, k.ld, panels, 1, again, m, C + r * k.ld, norm + r)
                free(again)
        norm[r] = sqrt(norm[r])
        k.pending[r] = exponent(norm[r])
        norm[r] = <real> ldexp(norm[r], -k.pending[r])
        k.exponent[r] += k.pending[r]
    return True


cdef inline bint products(const Prepared* q, Block* k, const real* panels, const source* B,
                          Py_ssize_t along, Py_ssize_t across) noexcept nogil:
    """A'b, norms and exponents of a block; False if a target is not finite."""
    cdef Py_ssize_t slab, first, count
    cdef real* C = <real*> k.C
    cdef real* norm = <real*> k.norm
    cdef real* packed
    cdef const real* rows
    cdef Py_ssize_t m = q.m
    cdef bint direct = along == 1 and sizeof(source) == sizeof(real) and across >= m
    k.source = <const void*> B if direct else k.rows
    k.ldb = across if direct else m
    for slab in range((k.p + SLAB - 1) // SLAB):
        first = slab * SLAB
        count = min(<Py_ssize_t> SLAB, k.p - first)
        if direct:
            rows = <const real*> (B + first * across)
        else:
            packed = <real*> k.rows + (first * m if q.by_support else 0)
            pack(m, count, B + first * across, along, across, packed)
            rows = packed
        multiply(m, k.ld, panels, count, rows, across if direct else m, C + first * k.ld,
                 norm + first)
        if not finish_products(k, m, first, count, panels, rows, across if direct else m):
            return False
    return True
