"""Reference values of P(u·v ≥ τ) by mpmath: ``python -m tests.theory.acceptance_references PATH`` writes them.

The route shares nothing with the package: the indicator of c ≥ τ is itself a cap about v, so with x = arccos τ

    P = F(x) Σ_n N_n a_n(x) a_n(new) a_n(old) P_n(ρ),

a_n = m Q_{n−1} for caps and I_{λ+n}/I_λ for von Mises–Fisher laws. Terms fall like n^{−d−1} for two caps. Every value
is the float next to its natural logarithm; up to 460 digits are carried.
"""

from __future__ import annotations

import json
import sys

import mpmath as mp
import numpy as np


def gegenbauer(dim, x):
    """P_0, P_1, … of dimension ``dim``, P_n(1) = 1."""
    before, here, n = mp.mpf(1), x, 1
    yield before
    while True:
        yield here
        before, here = here, ((2 * n + dim - 2) * x * here - n * before) / (n + dim - 2)
        n += 1


def cap_share(dim, radius):
    """F(α), the share of the sphere that a cap takes."""
    sine2 = mp.sin(radius) ** 2
    half = mp.betainc(mp.mpf(dim - 1) / 2, mp.mpf(1) / 2, 0, sine2, regularized=True) / 2
    return half if radius <= mp.pi / 2 else 1 - half


def cap_averages(dim, radius):
    """a_0, a_1, … of a uniform cap."""
    surface = mp.gamma(mp.mpf(dim) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(dim - 1) / 2))
    mean = mp.sin(radius) ** (dim - 1) * surface / ((dim - 1) * cap_share(dim, radius))
    yield mp.mpf(1)
    for value in gegenbauer(dim + 2, mp.cos(radius)):
        yield mean * value


def soft_averages(dim, kappa):
    """a_0, a_1, … of a von Mises–Fisher law, by Miller's algorithm."""
    order, top = mp.mpf(dim) / 2 - 1, 600 + int(3 * kappa)
    ratios, ratio = [], mp.mpf(0)
    for n in range(top, -1, -1):
        ratio = kappa / (2 * (order + n + 1) + kappa * ratio)
        ratios.append(ratio)
    value = mp.mpf(1)
    yield value
    for ratio in reversed(ratios):
        value *= ratio
        yield value


def averages(dim, law):
    kind, parameter = law
    return (cap_averages if kind == "cap" else soft_averages)(dim, mp.mpf(parameter))


def log_acceptance(dim, new, old, tau, rho, digits):
    """log P for laws ("cap", radius) or ("soft", κ), as a float."""
    with mp.workdps(digits):
        reach = mp.acos(mp.mpf(tau))
        total, size, multiplicity = mp.mpf(0), [], mp.mpf(1)
        factors = zip(
            cap_averages(dim, reach), averages(dim, new), averages(dim, old), gegenbauer(dim, mp.mpf(rho)), strict=False
        )
        for n, (a, b, c, p) in enumerate(factors):
            if n:
                multiplicity *= mp.mpf(2 * n + dim - 2) / n
                multiplicity *= mp.mpf(n + dim - 3) / (2 * n + dim - 4) if 2 * n + dim > 4 else 1
            term = multiplicity * a * b * c * p
            total += term
            size = [*size[-40:], abs(term)]
            if n > 60 and max(size) * n < mp.mpf(10) ** -15 * abs(total):
                if total < mp.mpf(10) ** (30 - digits):
                    raise ArithmeticError("the sum is lost in rounding")
                return float(mp.log(cap_share(dim, reach) * total))
            if n > 6000:
                raise ArithmeticError("no convergence")
    raise ArithmeticError("averages ran out")


def cases(count, seed=0):
    """Random settings: dimensions, kinds of laws, thresholds from the bulk to where nothing is accepted."""
    rng = np.random.default_rng(seed)
    while count:
        dim = int(rng.choice([3, 4, 5, 9, 16, 24, 64, 200, 512, 1024]))
        laws = []
        for _ in range(2):
            if rng.random() < 0.3:
                laws.append(("soft", float(np.round(dim * 10 ** rng.uniform(-1, 1), 3))))
            else:
                laws.append(("cap", float(np.round(rng.uniform(0.1, 2.6), 3))))
        rho = 1.0 if rng.random() < 0.2 else float(np.round(rng.uniform(-1, 1), 3))
        tau = float(np.round(rng.uniform(-0.9, 0.95), 3))
        reach, axis = np.arccos(tau), np.arccos(rho)
        support = sum(parameter if kind == "cap" else np.pi for kind, parameter in laws)
        if axis - reach > support - 0.05:  # nothing is accepted, or next to nothing
            continue
        yield dim, laws[0], laws[1], tau, rho
        count -= 1


def main(path):
    rows = []
    for case in cases(900):
        digits = 40 if case[0] < 10 else 460
        try:
            value = log_acceptance(*case, digits)
        except ArithmeticError:
            continue
        if value > -490:  # 1e-213
            rows.append([*case, value])
        if len(rows) == 520:
            break
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    print(len(rows), "values, least 1e%.0f" % (min(row[-1] for row in rows) / np.log(10)))


if __name__ == "__main__":
    main(sys.argv[1])
