"""T4 attacked by linear programs: of all F with h non-decreasing and e convex, none has a negative gap of 1b.

The gap is linear in F. Among the combinations of P_0 … P_12 with |coefficients| ≤ 1 that satisfy both conditions on a
grid of angles, a linear program finds the least gap: over pairs of caps, of rims, and of von Mises–Fisher laws. Drop a
condition, or an assumption on the laws, and it finds a violation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from scipy.optimize import linprog

from theory.caps import UniformCap
from theory.von_mises_fisher import VonMisesFisher

DEGREE = 12
GRID = np.cos(np.linspace(1e-3, math.pi - 1e-3, 241))
# between two angles of the grid a condition may be violated by about the square of their distance, 2e−4, of a bound
# that the programs leave active; their own feasibility is 1e−7 of rows scaled to 1. Violations found are 1e4 larger.
FOUND_NONE = -2e-8


def polynomials(dim, x):
    """P_n(x), n ≤ DEGREE, P_n(1) = 1."""
    x = np.asarray(x, dtype=float)
    values = [np.ones_like(x), x]
    for n in range(1, DEGREE):
        values.append(((2 * n + dim - 2) * x * values[n] - n * values[n - 1]) / (n + dim - 2))
    return np.array(values)


def conditions(dim):
    """Rows of h′ and of e″ on the grid, one column a coefficient: P_n has the Laplacian −n(n+d−2) P_n."""
    nodes = np.cos(math.pi * (np.arange(40) + 0.5) / 40)
    series = [chebyshev.chebfit(nodes, row, DEGREE) for row in polynomials(dim, nodes)]
    n = np.arange(DEGREE + 1)
    eigenvalue = n * (n + dim - 2.0)
    rows = []
    for order, weight in ((1, -eigenvalue), (2, -eigenvalue * (n % 2 == 0))):
        derivative = np.array([chebyshev.chebval(GRID, chebyshev.chebder(s, order)) for s in series])
        rows.append((weight[:, None] * derivative).T)
    return [matrix / np.abs(matrix).max(axis=1, keepdims=True) for matrix in rows]


def least_gap(rows, new, old, other, rho_values):
    """Least difference over F of the mean distances of two laws to a third, from their averages a_n and P_n(ρ)."""
    found = linprog(
        (new - old) * other * rho_values, A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=[(-1, 1)] * (DEGREE + 1)
    )
    assert found.status == 0
    return found.fun


def pairs(dim, rng):
    """Averages a_n of two laws, the narrower first, and of the law about the other axis: caps, rims (M falls), soft."""
    wide = rng.choice([0.5 * math.pi, rng.uniform(0.1, 0.5 * math.pi)])
    narrow, middle = np.sort(rng.uniform(0.02, wide, 2))
    cap = [UniformCap(dim, radius).zonal_coefficients(DEGREE + 1)[0] for radius in (narrow, wide)]
    yield cap[0], cap[1], cap[1]
    yield polynomials(dim, math.cos(narrow)), polynomials(dim, math.cos(middle)), cap[1]
    if dim > 2:
        kappa = 10 ** rng.uniform(-1, 2)
        soft = [
            VonMisesFisher(dim, k).zonal_coefficients(DEGREE + 1)[0] for k in (kappa * 10 ** rng.uniform(0, 1), kappa)
        ]
        yield soft[0], soft[1], soft[1]


@pytest.mark.parametrize("dim", [2, 3, 5, 16])
def test_no_distance_that_meets_the_condition_violates_1b(dim):
    rng = np.random.default_rng(dim)
    rows = np.concatenate(conditions(dim))
    for _ in range(12):
        rho = polynomials(dim, -rng.choice([0.0, 1 / dim, rng.uniform(0, 1)]))
        for new, old, other in pairs(dim, rng):
            assert least_gap(rows, new, old, other, rho) > FOUND_NONE


@pytest.mark.parametrize("dim", [2, 3, 5, 16])
def test_each_condition_is_needed(dim):
    new, old = (UniformCap(dim, radius).zonal_coefficients(DEGREE + 1)[0] for radius in (0.4, 1.2))
    monotone, convex = conditions(dim)
    assert least_gap(monotone, new, old, old, polynomials(dim, 0.0)) < -1e-3
    assert least_gap(convex, new, old, old, polynomials(dim, -0.5)) < -1e-3
    # step (iii): at a right angle only the even part counts
    assert least_gap(convex, new, old, old, polynomials(dim, 0.0)) > FOUND_NONE


def test_a_wider_law_and_a_radius_above_a_right_angle_are_found():
    rows = np.concatenate(conditions(3))
    narrow, wide, wider = (UniformCap(3, radius).zonal_coefficients(DEGREE + 1)[0] for radius in (0.5, 1.2, 2.0))
    assert least_gap(rows, wide, narrow, narrow, polynomials(3, -0.1)) < -1e-3
    assert least_gap(rows, narrow, wider, wider, polynomials(3, 0.0)) < -1e-3  # step (v)
    assert least_gap(rows, narrow, wide, wide, polynomials(3, 0.5)) < -1e-3  # axes nearer than a right angle
