"""Fig. 11: the density of the angle between random directions (Eq. 8), at the angle of the nearest neighbour.

Caption. The density f_Θ of the angle between two uniform directions of R^d, at the smallest angle that one expects
among n of them. (a) As published: at θ̄(n, d), the n → ∞ asymptotic of the separation (the smallest of all pairwise
angles). At fixed n it tends to 1 rad as d grows, an angle that hardly any pair comes near, and the curves fall without
bound. (b) At exact angles: the expected angle to the nearest neighbour (thick), and the expected separation, pairs
taken as independent (thin). Neighbours follow the bulk of the angles towards π/2: at large d the density is about
sqrt(2d log n)/n (thick), and rises. The band in (a) is the range of (b).

``python -m paper_figures.fig11_angle_density`` prints the angles next to those of random sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import matplotlib
import numpy as np
import typer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from paper_figures import _style
from theory.angles import angle_logpdf, expected_nearest_neighbor_angle, expected_separation_angle

SIZES = (100, 10_000, 1_000_000)  # n, one curve each
DIMS = tuple(np.unique(np.geomspace(3, 2048, 60).round().astype(int)).tolist())
CASES = ((100, 3), (1000, 128), (1000, 1024))  # (n, d), one row of the table each
SEED = None


def compute(sizes: Sequence[int] = SIZES, dims: Sequence[int] = DIMS) -> dict[str, Any]:
    """Angles and log10 densities of the figure, as lists that JSON can hold.

    Parameters
    ----------
    sizes : sequence of int
        n ≥ 2, numbers of random directions, one curve each.
    dims : sequence of int
        d ≥ 3, ascending.

    Returns
    -------
    dict
        ``n`` (length N), ``dim`` (length D) and, for each of ``published``, ``nearest_neighbor`` and
        ``separation``, a dict with ``angle`` (radians) and ``log10_density`` (per radian), N lists of D.
    """
    n, dim = np.array(sizes)[:, None], np.array(dims)
    angles = {
        "published": expected_separation_angle(n, dim, method="asymptotic"),
        "nearest_neighbor": expected_nearest_neighbor_angle(n, dim),
        "separation": expected_separation_angle(n, dim, method="independent-pairs"),
    }
    curves = {
        name: {
            "angle": np.asarray(angle).tolist(),
            "log10_density": np.divide(angle_logpdf(angle, dim), math.log(10.0)).tolist(),
        }
        for name, angle in angles.items()
    }
    return {"n": list(sizes), "dim": dim.tolist(), **curves}


def draw(data: dict[str, Any]) -> Figure:
    """The published curves and the exact ones, side by side, from what :func:`compute` returns."""
    neighbor, separation = (np.array(data[name]["log10_density"]) for name in ("nearest_neighbor", "separation"))
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 2.4))
        published, exact = figure.subplots(1, 2, sharex=True)
        for i, n in enumerate(data["n"]):
            look = {"color": _style.COLORS[i], "linestyle": _style.LINE_STYLES[i]}
            published.plot(
                data["dim"],
                data["published"]["log10_density"][i],
                label=f"$n = 10^{{{math.log10(n):g}}}$",
                **look,
            )
            exact.plot(data["dim"], neighbor[i], linewidth=1.6, **look)
            exact.plot(data["dim"], separation[i], linewidth=0.7, **look)
        published.axhspan(separation.min(), neighbor.max(), color="0.85", linewidth=0)
        published.annotate(
            "range of (b)", (data["dim"][-1], neighbor.max()), (0, 2), textcoords="offset points", ha="right"
        )
        published.set_ylim(top=24)
        published.set_title("(a) as published: at $\\bar\\theta$")
        published.set_ylabel(r"density $f_\Theta$ (rad$^{-1}$)")
        published.legend(loc="lower left", handlelength=2.6)
        exact.set_title("(b) at exact angles")
        for width, name in ((1.6, "neighbour"), (0.7, "separation")):
            exact.plot([], [], color="0.3", linewidth=width, label=name)
        exact.legend(loc="lower right", handlelength=1.4)
        exact.set_ylim(bottom=separation.min() - 4)  # room for the legend
        exact.set_xscale("log")
        exact.set_xticks([10, 100, 1000])
        for axes in (published, exact):
            axes.set_xlabel("dimension $d$")
            axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{value:g}}}$"))
    return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""
    row, dim = data["n"].index(10_000), data["dim"][-1]
    published, exact = (data[name]["angle"][row][-1] for name in ("published", "separation"))
    orders = data["separation"]["log10_density"][row][-1] - data["published"]["log10_density"][row][-1]
    neighbor = data["nearest_neighbor"]["angle"][row][-1]
    return (
        "The paper's θ̄ is the asymptotic of the *separation*, not the expected nearest-neighbour angle. For n = 10 "
        f"000 and d = {dim} it is {published:.3f} rad, the separation is {exact:.3f} and the nearest neighbour is at "
        f"{neighbor:.3f}; the published density is {orders:.0f} orders of magnitude too small. The reading of the "
        "figure turns around: at the neighbour the density rises with d. `python -m "
        "paper_figures.fig11_angle_density` prints the angles next to those of random sets."
    )


@dataclass(frozen=True)
class AngleRow:
    """Angles of one (n, d), radians: the formulas', and the mean and standard error over random sets."""

    n: int
    dim: int
    num_sets: int
    published: float
    separation_integral: float
    separation_mean: float
    separation_error: float
    neighbor_exact: float
    neighbor_mean: float
    neighbor_error: float


def table(num_sets: int = 200, seed: int = 0) -> list[AngleRow]:
    """The paper's θ̄, the integrals and ``num_sets`` ≥ 2 random sets of n directions of R^d, a row a case."""
    rng = np.random.default_rng(seed)
    rows = []
    for n, dim in CASES:
        neighbors = np.array([_neighbor_angles(rng.standard_normal((n, dim))) for _ in range(num_sets)])
        # the angles of one set depend on each other, so that a set counts as one observation
        separation, neighbor = neighbors.min(axis=1), neighbors.mean(axis=1)
        root = math.sqrt(num_sets)
        rows.append(
            AngleRow(
                n=n,
                dim=dim,
                num_sets=num_sets,
                published=float(expected_separation_angle(n, dim)),
                separation_integral=float(expected_separation_angle(n, dim, method="independent-pairs")),
                separation_mean=float(separation.mean()),
                separation_error=float(separation.std(ddof=1) / root),
                neighbor_exact=float(expected_nearest_neighbor_angle(n, dim)),
                neighbor_mean=float(neighbor.mean()),
                neighbor_error=float(neighbor.std(ddof=1) / root),
            )
        )
    return rows


def _neighbor_angles(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The angle of each row to the nearest other row."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1.0)
    return np.arccos(np.minimum(cosines.max(axis=1), 1.0))


def _print(rows: list[AngleRow], console: Console) -> None:
    title = f"Smallest angles (radians) among n random directions of R^d; {rows[0].num_sets} sets"
    view = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for header in ("n", "d", "paper's θ̄", "separation", "by ∫", "nearest", "exact ∫"):
        view.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        view.add_row(
            f"{row.n}",
            f"{row.dim}",
            f"{row.published:.4f}",
            f"{row.separation_mean:.4f} ± {row.separation_error:.5f}",
            f"{row.separation_integral:.4f}",
            f"{row.neighbor_mean:.4f} ± {row.neighbor_error:.5f}",
            f"{row.neighbor_exact:.4f}",
        )
    console.print(view)


def main(
    num_sets: Annotated[int, typer.Option(min=2, help="Random sets a row.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random sets.")] = 0,
) -> None:
    """Print the table of angles next to those of random sets."""
    _print(table(num_sets, seed), Console())


if __name__ == "__main__":
    typer.run(main)
