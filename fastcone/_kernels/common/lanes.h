/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The lane vector: problems laid side by side in one SIMD register (GCC / Clang vector extensions).
 * Its width follows the instruction set this file is compiled for; a .pyx uses it as a scalar.
 *
 *   FC_V     vectors per tile: a tile is FC_V * (FC_BYTES / sizeof(real)) problems
 *   FC_ROWS  problems per register block of the product kernel
 *   FC_SHARE generators per register block of the exact solver
 */
#pragma once
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define FC_BYTES 64
#define FC_ROWS 8
#elif defined(__AVX2__)
#define FC_BYTES 32
#define FC_ROWS 4
#else
#define FC_BYTES 16
#define FC_ROWS 4
#endif
#define FC_V 3
#define FC_SHARE (FC_ROWS / 2)
typedef float lane32 __attribute__((vector_size(FC_BYTES)));
typedef double lane64 __attribute__((vector_size(FC_BYTES)));
typedef double unaligned64 __attribute__((vector_size(FC_BYTES), aligned(8))); /* at any address */

/* a where the comparison holds, 0 elsewhere; the comparison of two lanes is a mask of all-ones words */
#define fc_keep(mask, a) ((__typeof__(a))((mask) & (__typeof__(mask))(a)))
#define fc_positive(a) fc_keep((a) > (__typeof__(a)){0}, a)              /* max(a, 0) */
#define fc_negative(a) fc_keep((a) < (__typeof__(a)){0}, a)              /* min(a, 0) */

/* a > b ? a : b, so b where either is not a number; one instruction where there is one */
#if defined(__AVX512F__)
#define fc_max32(a, b) ((lane32)_mm512_max_ps(a, b))
#define fc_max64(a, b) ((lane64)_mm512_max_pd(a, b))
#elif defined(__AVX2__)
#define fc_max32(a, b) ((lane32)_mm256_max_ps(a, b))
#define fc_max64(a, b) ((lane64)_mm256_max_pd(a, b))
#elif defined(__SSE2__)
#define fc_max32(a, b) ((lane32)_mm_max_ps(a, b))
#define fc_max64(a, b) ((lane64)_mm_max_pd(a, b))
#else
#define fc_max(a, b) (fc_keep((a) > (b), a) + (__typeof__(a))(~((a) > (b)) & (__typeof__((a) > (b)))(b)))
#define fc_max32 fc_max
#define fc_max64 fc_max
#endif
#define fc_none32() ((lane32){0})
#define fc_none64() ((lane64){0})
#define fc_spread(p, i) (((const __typeof__((*(p))[0])*)(p))[i] - (__typeof__(*(p))){0}) /* p[i] in every lane */

/* the sum of a vector's lanes: halves added until one number is left */
#define FC_HALVE(half, whole, sum) \
    half sum, sum##_high; \
    memcpy(&sum, &whole, sizeof(sum)); \
    memcpy(&sum##_high, (const char*)&whole + sizeof(sum), sizeof(sum)); \
    sum += sum##_high;
typedef float fc_quad32 __attribute__((vector_size(16)));
typedef double fc_pair64 __attribute__((vector_size(16)));
#if FC_BYTES == 64
typedef float fc_half32 __attribute__((vector_size(32)));
typedef double fc_half64 __attribute__((vector_size(32)));
#define FC_TO_16(type, half, a, sum) FC_HALVE(half, a, fc_half) FC_HALVE(type, fc_half, sum)
#elif FC_BYTES == 32
#define FC_TO_16(type, half, a, sum) FC_HALVE(type, a, sum)
#else
#define FC_TO_16(type, half, a, sum) type sum = a;
#endif
static inline float fc_total32(lane32 a) {
    FC_TO_16(fc_quad32, fc_half32, a, q)
    return (q[0] + q[2]) + (q[1] + q[3]);
}
static inline double fc_total64(lane64 a) {
    FC_TO_16(fc_pair64, fc_half64, a, p)
    return p[0] + p[1];
}
