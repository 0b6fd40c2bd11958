# SPDX-License-Identifier: BSD-3-Clause
"""Optima proved in exact rational arithmetic: a small reference for small problems.

Numbers are Python integers (float entries are made integers by a common power of two), linear
systems are solved by Bareiss's fraction-free elimination, optimality conditions checked exactly.
"""

from fractions import Fraction
from itertools import combinations


def bareiss(M, v):
    """Return (numerators, determinant) of M x = v for integer M; determinant 0 if M is singular."""
    n = len(M)
    rows = [[*row, value] for row, value in zip(M, v, strict=True)]
    sign, previous = 1, 1
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None, 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, n):
            for j in range(k + 1, n + 1):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // previous
            rows[i][k] = 0
        previous = rows[k][k]
    determinant = rows[n - 1][n - 1] if n else 1
    x = [0] * n
    for i in reversed(range(n)):
        x[i] = rows[i][n] * determinant - sum(rows[i][j] * x[j] for j in range(i + 1, n))
        x[i] //= rows[i][i]
    return x, determinant


def optimum_on(support, G, c):
    """The exact minimiser on a support if it is the optimum over x >= 0, else None."""
    S = list(support)
    numerators, d = bareiss([[G[i][j] for j in S] for i in S], [c[i] for i in S])
    if d == 0 or any(v * d < 0 for v in numerators):
        return None
    n = len(G)
    gradient = [sum(G[i][j] * v for j, v in zip(S, numerators, strict=True)) - c[i] * d
                for i in range(n)]  # fmt: skip
    if any(g * d < 0 for g in gradient):
        return None
    x = [Fraction(0)] * n
    for j, v in zip(S, numerators, strict=True):
        x[j] = Fraction(v, d)
    return x


def integers(values, power):
    return [int(Fraction(value) * power) for value in values]


def normal_equations(A, b):
    """Return G = A'A, c = A'b and b'b as integers, and the power of two in A and b."""
    m, n = len(A), len(A[0])
    power = 1
    for value in [*(v for row in A for v in row), *b]:
        power = max(power, Fraction(value).denominator)
    A = [integers(row, power) for row in A]
    b = integers(b, power)
    G = [[sum(A[i][j] * A[i][k] for i in range(m)) for k in range(n)] for j in range(n)]
    c = [sum(A[i][j] * b[i] for i in range(m)) for j in range(n)]
    return G, c, sum(v * v for v in b), power


def lawson_hanson(G, c):
    """The exact minimiser of 1/2 x'Gx - c'x over x >= 0, G = A'A and c = A'b.

    A generator that enters has a positive gradient, so it is independent of the support.
    """
    n = len(G)
    P, x = [], [Fraction(0)] * n
    while True:
        w = [c[i] - sum(G[i][j] * x[j] for j in P) for i in range(n)]
        best = max((i for i in range(n) if i not in P), key=lambda i: w[i], default=None)
        if best is None or w[best] <= 0:
            return x
        P.append(best)
        while True:
            numerators, d = bareiss([[G[i][j] for j in P] for i in P], [c[i] for i in P])
            z = {j: Fraction(v, d) for j, v in zip(P, numerators, strict=True)}
            if all(v > 0 for v in z.values()):
                break
            alpha = min(x[j] / (x[j] - z[j]) for j in P if z[j] <= 0)
            for j in P:
                x[j] += alpha * (z[j] - x[j])
            P = [j for j in P if x[j] > 0]
        x = [z.get(j, Fraction(0)) for j in range(n)]


def nnls(A, b, guess=()):
    """Return the optimal value min 1/2 ||A x - b||^2 over x >= 0 as a Fraction.

    `guess` is a support to try first; failing that the optimum is sought from x = 0.
    """
    G, c, bb, power = normal_equations(A, b)
    x = optimum_on(guess, G, c) or lawson_hanson(G, c)
    value = bb - sum(cj * xj for cj, xj in zip(c, x, strict=True))
    return Fraction(value, 2 * power * power)


def objective(A, b, x):
    """1/2 ||A x - b||^2 of floats, exactly."""
    x = [Fraction(float(v)) for v in x]
    total = Fraction(0)
    for row, target in zip(A, b, strict=True):
        r = Fraction(float(target))
        r -= sum(Fraction(float(a)) * v for a, v in zip(row, x, strict=True))
        total += r * r
    return total / 2


def nnlad(A, b):
    """Return min ||A x - b||_1 over x >= 0 as a Fraction: the best of all vertices.

    A vertex interpolates as many rows as it has non-zero coefficients.
    """
    m, n = len(A), len(A[0])
    A, b = ([[Fraction(v) for v in row] for row in A], [Fraction(v) for v in b])
    power = max((v.denominator for v in [*b, *(v for row in A for v in row)]), default=1)
    A, b = [[int(v * power) for v in row] for row in A], [int(v * power) for v in b]
    best = sum(abs(v) for v in b)
    for k in range(1, min(m, n) + 1):
        for P in combinations(range(n), k):
            for rows in combinations(range(m), k):
                x, d = bareiss([[A[i][j] for j in P] for i in rows], [b[i] for i in rows])
                if d and all(v * d >= 0 for v in x):
                    r = (b[i] * d - sum(A[i][j] * v for j, v in zip(P, x, strict=True))
                         for i in range(m))  # fmt: skip
                    best = min(best, Fraction(sum(abs(v) for v in r), abs(d)))
    return Fraction(best) / power


def absolute_deviation(A, b, x):
    """||A x - b||_1 of floats, exactly."""
    x = [Fraction(float(v)) for v in x]
    rows = (
        Fraction(float(target)) - sum(Fraction(float(a)) * v for a, v in zip(row, x, strict=True))
        for row, target in zip(A, b, strict=True)
    )
    return sum((abs(r) for r in rows), Fraction(0))
