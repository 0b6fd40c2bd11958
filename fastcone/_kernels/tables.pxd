# SPDX-License-Identifier: BSD-3-Clause
"""The function tables each kernel module hands to `fastcone._dispatch`, one struct per kernel.

Every array's length, layout and owner is told in the header comment of the kernel of that name.
"""

ctypedef int (*product_f32)(Py_ssize_t m, Py_ssize_t n, const float* A, Py_ssize_t p,
                            const float* B, Py_ssize_t ldb, float* C, float* norm2) noexcept nogil
ctypedef int (*product_f64)(Py_ssize_t m, Py_ssize_t n, const double* A, Py_ssize_t p,
                            const double* B, Py_ssize_t ldb, double* C,
                            double* norm2) noexcept nogil

ctypedef struct ProductTable:
    product_f32 f32
    product_f64 f64
    int bytes           # of a lane vector


ctypedef Py_ssize_t (*nnls_cd_f32)(
    Py_ssize_t n, const float* G, const float* inv, const float* weight, Py_ssize_t p,
    const float* C, float* X, Py_ssize_t ld, const float* stop, int max_epochs, int* epochs,
    float* work) noexcept nogil
ctypedef Py_ssize_t (*nnls_cd_f64)(
    Py_ssize_t n, const double* G, const double* inv, const double* weight, Py_ssize_t p,
    const double* C, double* X, Py_ssize_t ld, const double* stop, int max_epochs, int* epochs,
    double* work) noexcept nogil
ctypedef int (*nnls_report_f32)(
    Py_ssize_t n, const float* G, const float* coord, Py_ssize_t p, const float* C,
    const float* X, Py_ssize_t ld, const float* size, float rounding, float* out,
    float* work) noexcept nogil
ctypedef int (*nnls_report_f64)(
    Py_ssize_t n, const double* G, const double* coord, Py_ssize_t p, const double* C,
    const double* X, Py_ssize_t ld, const double* size, double rounding, double* out,
    double* work) noexcept nogil

ctypedef struct NNLSTable:
    nnls_cd_f32 cd_f32
    nnls_cd_f64 cd_f64
    nnls_report_f32 report_f32
    nnls_report_f64 report_f64
    int vectors         # lane vectors per tile


ctypedef Py_ssize_t (*active_set_f64)(
    Py_ssize_t m, Py_ssize_t n, const double* A, const double* b, const double* norm,
    const double* price, const double* l1, double fuzz, double* x, Py_ssize_t max_steps,
    double* work, Py_ssize_t* index) noexcept nogil

ctypedef struct ActiveSetTable:
    active_set_f64 solve
