"""Where Theorem 1 fails for the distance 1 − c^p: the sign of the gap of 1b over radius and number of classes.

Caption. Gap of 1b for F = 1 − c^p, c the cosine, on the simplex of K classes in d = K − 1 dimensions, new caps two
thirds as wide as the old ones (radius α_k), relative to the gap of 1a over K − 1: the cosine distance, p = 1, has 1
everywhere. Orange: 1b is violated although the new classes are narrower, at the cross by −0.00118 (K = 10, radii 0.2
and 0.3). The larger p, the wider the region of violation, and the smaller (white: below 1e−6) the violation where
classes are many.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, SymLogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_figures import _style
from theory.caps import UniformCap

POWERS = (3, 5, 9)
RATIO = 2.0 / 3.0  # α_t/α_k
COUNTEREXAMPLE = (0.3, 10)  # α_k and K, at p = 3
SEED = None


def _shares(power: int, dim: int) -> NDArray[np.float64]:
    """Coefficients of c^p in the Gegenbauer polynomials P_n, n ≤ p, of R^dim, dim ≥ 3 (DLMF 18.18.17).

    c^p = p!/2^p Σ_k (n+λ)/(λ k! (λ+1)_{p−k}) C_n^λ(c), n = p − 2k, and C_n^λ = (2λ)_n/n! P_n.
    """
    lam = 0.5 * dim - 1.0
    shares = np.zeros(power + 1)
    for k in range(power // 2 + 1):
        n = power - 2 * k
        at_one = math.prod((2 * lam + j) / (j + 1) for j in range(n))
        rising = math.prod(lam + 1 + j for j in range(power - k))
        shares[n] = math.factorial(power) / 2**power * (n + lam) / (lam * math.factorial(k) * rising) * at_one
    return shares


def gaps(power: int, num_classes: int, old_radii: NDArray[np.float64]) -> tuple[Any, Any]:
    """Gaps of 1a and 1b for F = 1 − c^power, exact: the series ends at n = power."""
    dim = num_classes - 1
    old = UniformCap(dim, old_radii).zonal_coefficients(power + 2)[0][:, :-1]
    new = UniformCap(dim, RATIO * old_radii).zonal_coefficients(power + 2)[0][:, :-1]
    terms = _shares(power, dim) * old * (new - old)
    rho = -1.0 / (num_classes - 1)
    at_rho = np.ones(power + 1)
    at_rho[1] = rho
    for n in range(1, power):
        at_rho[n + 1] = ((2 * n + dim - 2) * rho * at_rho[n] - n * at_rho[n - 1]) / (n + dim - 2)
    return terms.sum(axis=1), -(terms @ at_rho)


def compute() -> dict[str, Any]:
    """The relative gap on a grid, as lists that JSON can hold.

    Returns
    -------
    dict
        ``radius`` (length N, radians), ``num_classes`` (length M) and ``gap``: for each power in ``power`` an M × N
        list of (K − 1)·gap(1b)/gap(1a).
    """
    radius = np.linspace(0.02, 0.5 * np.pi, 120)
    num_classes = np.unique(np.geomspace(4, 1024, 60).round().astype(int))
    relative = []
    for power in POWERS:
        rows = []
        for count in num_classes.tolist():
            same, different = gaps(power, count, radius)
            rows.append(((count - 1) * different / same).tolist())
        relative.append(rows)
    return {"power": list(POWERS), "radius": radius.tolist(), "num_classes": num_classes.tolist(), "gap": relative}


def draw(data: dict[str, Any]) -> Figure:
    """One panel a power, from what :func:`compute` returns."""
    colours = LinearSegmentedColormap.from_list("sign", [_style.COLORS[2], "white", _style.COLORS[1]])
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(2 * _style.COLUMN_WIDTH, 2.6))
        panels = figure.subplots(1, len(data["power"]), sharey=True)
        for axes, power, gap in zip(panels, data["power"], data["gap"], strict=True):
            mesh = axes.pcolormesh(
                data["radius"],
                data["num_classes"],
                gap,
                cmap=colours,
                norm=SymLogNorm(1e-6, linscale=0.05, vmin=-1.0, vmax=1.0),
                shading="gouraud",
                rasterized=True,
            )
            axes.contour(data["radius"], data["num_classes"], gap, levels=[0.0], colors="black", linewidths=1.0)
            axes.set_title(f"$F = 1 - c^{power}$")
            axes.set_xlabel(r"old radius $\alpha_k$ (rad)")
            axes.set_yscale("log")
            axes.grid(False)
        panels[0].set_ylabel("classes $K = d + 1$")
        panels[0].plot(*COUNTEREXAMPLE, marker="x", color="black", markersize=5, markeredgewidth=1.2)
        bar = figure.colorbar(mesh, ax=panels, extend="both", ticks=[-1, -1e-3, 0, 1e-3, 1])
        bar.set_label("gap of 1b × $(K-1)$ / gap of 1a")
    return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    shares = [float(np.mean(np.array(gap) < 0)) for gap in data["gap"]]
    cells = ", ".join(f"{share:.0%} for p = {power}" for power, share in zip(data["power"], shares, strict=True))
    radius, count = COUNTEREXAMPLE
    same, different = gaps(3, count, np.array([radius]))
    return (
        f"Share of the grid on which 1b fails although the caps narrow: {cells}. At the cross the gaps are "
        f"{same[0]:+.5f} (1a) and {different[0]:+.6f} (1b). Not in the paper: there the distance is any."
    )
