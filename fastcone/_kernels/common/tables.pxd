# SPDX-License-Identifier: BSD-3-Clause
"""The function tables that kernels hand to `fastcone._runtime.dispatch`, one struct per kernel.

Every array's length, layout and owner is told in the header comment of the kernel of that name.
"""
from libc.stdint cimport int32_t


ctypedef int (*product_f32)(Py_ssize_t m, Py_ssize_t n, const float* A, Py_ssize_t p,
                            const float* B, Py_ssize_t ldb, float* C, float* norm2) noexcept nogil
ctypedef int (*product_f64)(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t p,
                            const double* B, Py_ssize_t ldb, double* C,
                            double* norm2) noexcept nogil

ctypedef struct ProductTable:
    product_f32 f32
    product_f64 f64
    int bytes           # of a lane vector


ctypedef int (*units_in_f32)(Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, float* C,
                             const int* pending_exp, const int* target_exp, const double* l1,
                             const int* column_exp, const double* rootinv, float* allow,
                             double largest, double* scale) noexcept nogil
ctypedef int (*units_in_f64)(Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, double* C,
                             const int* pending_exp, const int* target_exp, const double* l1,
                             const int* column_exp, const double* rootinv, double* allow,
                             double largest, double* scale) noexcept nogil
ctypedef struct ScaleTable:
    units_in_f32 in_f32
    units_in_f64 in_f64


ctypedef Py_ssize_t (*nnls_cd_f32)(
    Py_ssize_t n, const float* G, const float* inv, const float* weight, Py_ssize_t p,
    const float* C, const float* lower, float* X, Py_ssize_t ld, const float* stop,
    double* schedule, float* last,
    const int* most, int* epochs, float* work) noexcept nogil
ctypedef Py_ssize_t (*nnls_cd_f64)(
    Py_ssize_t n, const double* G, const double* inv, const double* weight, Py_ssize_t p,
    const double* C, const double* lower, double* X, Py_ssize_t ld, const double* stop,
    double* schedule, double* last,
    const int* most, int* epochs, double* work) noexcept nogil
ctypedef struct DescentTable:
    nnls_cd_f32 cd_f32
    nnls_cd_f64 cd_f64
    int vectors         # lane vectors per tile


ctypedef int (*nnls_report_f32)(
    Py_ssize_t n, const float* G, const float* coord, Py_ssize_t p, const float* C,
    const float* X, Py_ssize_t ld, const float* delta_scale, float rounding, float* out,
    float* work) noexcept nogil
ctypedef int (*nnls_report_f64)(
    Py_ssize_t n, const double* G, const double* coord, Py_ssize_t p, const double* C,
    const double* X, Py_ssize_t ld, const double* delta_scale, double rounding, double* out,
    double* work) noexcept nogil

ctypedef int (*nnls_gradient_f64)(
    Py_ssize_t n, const double* G, Py_ssize_t p, const double* C, const double* X, Py_ssize_t ld,
    double* out, double* work) noexcept nogil

ctypedef struct ReportTable:
    nnls_report_f32 f32
    nnls_report_f64 f64
    nnls_gradient_f64 gradient_f64


ctypedef int (*correction_begin)(
    Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, const double* g, const double* x, float* c32,
    float* lower32, int* shift) noexcept nogil
ctypedef int (*correction_finish)(
    Py_ssize_t p, Py_ssize_t n, Py_ssize_t ld, const float* d, const float* lower32,
    const int* shift, double* x) noexcept nogil
ctypedef int (*correction_narrow)(Py_ssize_t count, const double* x, float* y) noexcept nogil

ctypedef struct CorrectionTable:
    correction_begin begin
    correction_finish finish
    correction_narrow narrow


ctypedef double (*columns_epoch)(
    const Py_ssize_t* start, const int* index, const double* value, const double* curvature,
    const double* l1, const double* l2, Py_ssize_t count, const Py_ssize_t* which, double* x,
    double* r) noexcept nogil

ctypedef struct ColumnsTable:
    columns_epoch epoch


ctypedef Py_ssize_t (*support_solve)(
    Py_ssize_t n, Py_ssize_t ld, const double* G, const double* c, const double* rootinv,
    const double* norm, const double* upper, const double* weight, double total, double slack,
    double* x, double* g, Py_ssize_t max_steps, double* work, Py_ssize_t* index) noexcept nogil
ctypedef double (*support_polish)(
    Py_ssize_t n, Py_ssize_t ld, const double* G, const double* rootinv, double* x, double* g,
    double* work, Py_ssize_t* index) noexcept nogil

ctypedef double (*support_refine)(
    Py_ssize_t n, Py_ssize_t ld, const double* G, const double* rootinv, const double* upper,
    const double* weight, double total, double* x, double* g, double* work, Py_ssize_t* index,
    Py_ssize_t m, Py_ssize_t ldm, const double* A, const double* b, double down,
    const double* ridge, const double* penalty, double* r, double* known) noexcept nogil

ctypedef struct SupportTable:
    support_solve solve
    support_polish polish
    support_refine refine


ctypedef Py_ssize_t (*active_set_f64)(
    Py_ssize_t m, Py_ssize_t n, const double* rows, double* columns, Py_ssize_t* fetched,
    const double* b, const double* norm, const double* entry_weight,
    const double* l1, double dependence_tol,
    double* x, Py_ssize_t max_steps, bint resume, double* work,
    Py_ssize_t* index) noexcept nogil

ctypedef struct ActiveSetTable:
    active_set_f64 solve


ctypedef Py_ssize_t (*triangle_reduce)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, double* T, double dependence_tol, double* head,
    double* scale, Py_ssize_t* swap, Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
    double* row_size) noexcept nogil
ctypedef void (*triangle_apply)(
    Py_ssize_t k, Py_ssize_t ld, const double* T, const double* head, const double* scale,
    const Py_ssize_t* swap, const Py_ssize_t* order, double* d) noexcept nogil
ctypedef Py_ssize_t (*householder_solve)(
    Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, const double* entry_weight,
    const double* l1, double dependence_tol, double* x, Py_ssize_t max_steps, double* work,
    Py_ssize_t* index) noexcept nogil

ctypedef struct TriangleTable:
    triangle_reduce reduce
    triangle_apply apply

ctypedef struct HouseholderTable:
    householder_solve solve


ctypedef Py_ssize_t (*nnlad_f64)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t ld, Py_ssize_t ldn, const double* A, const double* R,
    const double* G, const double* size, const double* length, const double* perturbation,
    Py_ssize_t p, const double* B, const double* l1, double* X, double* Y,
    Py_ssize_t* steps, Py_ssize_t most, Py_ssize_t budget, double* work,
    Py_ssize_t* index) noexcept nogil

ctypedef struct SimplexTable:
    nnlad_f64 solve


ctypedef void (*nnlad_proof_f64)(
    Py_ssize_t n, Py_ssize_t ld, const double* A, const double* norm, const double* weight,
    const double* l1, Py_ssize_t ldl, Py_ssize_t p, const double* B, const double* rest,
    const double* X, const double* Y, double* facts, double* r, double* weights,
    Py_ssize_t* support) noexcept nogil

ctypedef struct CertificateTable:
    nnlad_proof_f64 prove


ctypedef int (*nmf_times_f32)(
    Py_ssize_t m, Py_ssize_t n, const float* A, Py_ssize_t p, const float* B, Py_ssize_t ldb,
    float* C) noexcept nogil
ctypedef int (*nmf_times_f64)(
    Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t p, const double* B, Py_ssize_t ldb,
    double* C) noexcept nogil
ctypedef int (*nmf_add_f32)(
    Py_ssize_t m, Py_ssize_t lda, Py_ssize_t n, const float* A, Py_ssize_t p, const float* B,
    Py_ssize_t ldb, float* C, Py_ssize_t ldc) noexcept nogil
ctypedef int (*nmf_add_f64)(
    Py_ssize_t m, Py_ssize_t lda, Py_ssize_t n, const double* A, Py_ssize_t p, const double* B,
    Py_ssize_t ldb, double* C, Py_ssize_t ldc) noexcept nogil
ctypedef int (*nmf_outer_f32)(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const float* B, Py_ssize_t ldb,
    const float* H, Py_ssize_t ldh, float* C, float* work) noexcept nogil
ctypedef int (*nmf_outer_f64)(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const double* B, Py_ssize_t ldb,
    const double* H, Py_ssize_t ldh, double* C, double* work) noexcept nogil
ctypedef double (*nmf_multiply_f32)(
    Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const float* C, const float* G, const float* F,
    Py_ssize_t ldf, float* Z, Py_ssize_t ldz, Py_ssize_t fixed, float l1, float l2, float floor,
    float* GG, float* work) noexcept nogil
ctypedef double (*nmf_multiply_f64)(
    Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const double* C, const double* G, const double* F,
    Py_ssize_t ldf, double* Z, Py_ssize_t ldz, Py_ssize_t fixed, double l1, double l2, double floor,
    double* GG, double* work) noexcept nogil
ctypedef Py_ssize_t (*nmf_work)(Py_ssize_t n, Py_ssize_t L) noexcept nogil

ctypedef struct ProductsTable:
    nmf_times_f32 times_f32
    nmf_times_f64 times_f64
    nmf_add_f32 add_f32
    nmf_add_f64 add_f64
    nmf_outer_f32 outer_f32
    nmf_outer_f64 outer_f64
    nmf_multiply_f32 multiply_f32
    nmf_multiply_f64 multiply_f64
    nmf_work outer_work   # numbers
    int terms           # samples that nmf_outer and nmf_multiply take at a time


ctypedef int (*nmf_entries_f32)(
    Py_ssize_t m, Py_ssize_t p, const float* X, Py_ssize_t ldx, const float* Y, Py_ssize_t ldy,
    const float* weight, Py_ssize_t ldw, float least, double beta, float* P, float* Q,
    float* loss) noexcept nogil
ctypedef int (*nmf_entries_f64)(
    Py_ssize_t m, Py_ssize_t p, const double* X, Py_ssize_t ldx, const double* Y, Py_ssize_t ldy,
    const double* weight, Py_ssize_t ldw, double least, double beta, double* P, double* Q,
    double* loss) noexcept nogil
ctypedef int (*nmf_mu_f32)(
    Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, float* h, const float* num, const float* den,
    Py_ssize_t ldd, float l1, float l2, float floor, double gamma) noexcept nogil
ctypedef int (*nmf_mu_f64)(
    Py_ssize_t n, Py_ssize_t p, Py_ssize_t ld, double* h, const double* num, const double* den,
    Py_ssize_t ldd, double l1, double l2, double floor, double gamma) noexcept nogil

ctypedef struct EntriesTable:
    nmf_entries_f32[4] entries_f32      # square, kl, itakura, beta
    nmf_entries_f64[4] entries_f64
    nmf_mu_f32[3] steps_f32             # root, ratio, power
    nmf_mu_f64[3] steps_f64


ctypedef int (*kl_f32)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Py_ssize_t p, const float* X, const float* W,
    const float* den, float* H, float* C, int stages, float l1, float l2, float floor, float least,
    float* loss, float* work, Py_ssize_t* index) noexcept nogil
ctypedef int (*kl_f64)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Py_ssize_t p, const double* X, const double* W,
    const double* den, double* H, double* C, int stages, double l1, double l2, double floor,
    double least, double* loss, double* work, Py_ssize_t* index) noexcept nogil

ctypedef struct KLTable:
    kl_f32 f32
    kl_f64 f64
    int rows            # features per register block of the model
    int tile            # and of the sums over samples


ctypedef int (*kl_rows_f32)(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const float* X, const float* V,
    const float* A, const float* den, const float* H, float* Z, float* C, int stages, float l1,
    float l2, float floor, float least, float* loss, float* work) noexcept nogil
ctypedef int (*kl_rows_f64)(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t p, const double* X, const double* V,
    const double* A, const double* den, const double* H, double* Z, double* C, int stages,
    double l1, double l2, double floor, double least, double* loss, double* work) noexcept nogil

ctypedef struct KLRowsTable:
    kl_rows_f32 f32
    kl_rows_f64 f64
    nmf_work work         # numbers


ctypedef int (*sparse_product_f32)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const float* x, Py_ssize_t n,
    Py_ssize_t ld, const float* A, float* C) noexcept nogil
ctypedef int (*sparse_product_f64)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const double* x, Py_ssize_t n,
    Py_ssize_t ld, const double* A, double* C) noexcept nogil
ctypedef int (*sparse_kl_f32)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const float* x, Py_ssize_t n,
    Py_ssize_t ld, const float* A, const float* H, float least, float* C,
    double* loss) noexcept nogil
ctypedef int (*sparse_kl_f64)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const double* x, Py_ssize_t n,
    Py_ssize_t ld, const double* A, const double* H, double least, double* C,
    double* loss) noexcept nogil

ctypedef int (*sparse_models_f32)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, Py_ssize_t n, Py_ssize_t ld,
    const float* A, const float* H, float* y) noexcept nogil
ctypedef int (*sparse_models_f64)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, Py_ssize_t n, Py_ssize_t ld,
    const double* A, const double* H, double* y) noexcept nogil
ctypedef int (*sparse_cd_f32)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const float* x, Py_ssize_t n,
    Py_ssize_t ld, const float* A, float* H, Py_ssize_t fixed, int epochs, float l1, float l2,
    float* work) noexcept nogil
ctypedef int (*sparse_cd_f64)(
    Py_ssize_t p, const Py_ssize_t* start, const int32_t* index, const double* x, Py_ssize_t n,
    Py_ssize_t ld, const double* A, double* H, Py_ssize_t fixed, int epochs, double l1, double l2,
    double* work) noexcept nogil

ctypedef struct SparseTable:
    sparse_product_f32 product_f32
    sparse_product_f64 product_f64
    sparse_kl_f32 kl_f32
    sparse_kl_f64 kl_f64
    sparse_models_f32 models_f32
    sparse_models_f64 models_f64
    sparse_cd_f32 cd_f32
    sparse_cd_f64 cd_f64
