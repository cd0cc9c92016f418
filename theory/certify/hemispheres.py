r"""A search between three orthogonal hemispheres of R³ in ball arithmetic: recall@1 between two bounds.

The share of a hemisphere within the angle x < π/2 of a point at the height δ above its rim is, by Gauss and Bonnet,

.. math:: R(x, δ) = \frac1π\left[\arccos\frac{-\sin δ}{\sin x} − \cos x \arccos\frac{-\tan δ}{\tan x}\right]
    \quad (|δ| < x),

which rises with δ. Recall rises with the query's height over its own hemisphere and falls with that over the others, so
its values at the corners of a cell of queries, summed over steps of x with the value at either end, are bounds.
"""

from __future__ import annotations

import itertools
from typing import Any

from theory._validation import check_integer, check_radius
from theory.certify.boxes import Interval
from theory.certify.series import load_flint

BITS = 64
_LAST = 1.5  # the largest x, radians; the right items beyond it count as found last, or first


def certify_orthogonal_recall(radius: float, size: int, cells: int = 40, steps: int = 80) -> Interval:
    """Bounds of recall@1 for a query about the first of three orthogonal axes, whose hemispheres are the classes.

    Parameters
    ----------
    radius : float
        Of the query's cap, radians, in (0, π/2]; the float next to π/2 counts as π/2.
    size : int
        Items of each class, ≥ 1.
    cells : int
        Cells of queries in either direction.
    steps : int
        Steps of x.

    Returns
    -------
    (lower, upper) : pair of float

    Raises
    ------
    ImportError
        Without python-flint.
    ValueError
        For an argument outside its range.
    """
    angle = float(check_radius(radius))
    size, cells, steps = (
        check_integer(name, value, 1) for name, value in (("size", size), ("cells", cells), ("steps", steps))
    )
    flint = load_flint()
    with flint.ctx.workprec(BITS):
        arb = flint.arb
        lowest = arb(angle).cos().max(arb(0))  # cosines of the polar angle are uniform on [cos α, 1]
        if not arb(angle) < arb.pi() / 2 + arb(1e-12):
            raise ValueError(f"radius must be in (0, π/2], got {radius!r}.")
        # denser where the best of many items lies
        places = [arb(_LAST) * (arb(i) / steps) ** 2 for i in range(steps + 1)]
        rings = [lowest + (1 - lowest) * arb(i) / cells for i in range(cells + 1)]
        # azimuths from one of the symmetry's ends, 5π/4, to the other, π/4: exchanging the two other classes
        turns = [arb.pi() * (arb(i) / cells - arb(0.75)) for i in range(cells + 1)]
        totals = [arb(0), arb(0)]
        for inner, outer in itertools.pairwise(rings):
            ring = inner.union(outer)
            square = 1 - ring * ring
            sine = arb(0).union(square.upper().sqrt()) if not square > 0 else square.sqrt()
            own = [_found(height, size, places, arb) for height in (inner, outer)]
            for first, last in itertools.pairwise(turns):
                span = first.union(last)
                others = [sine * part for part in (span.cos(), span.sin())]
                for at, (found, clear) in enumerate(
                    zip(own, (_clear(others, size, places, arb, upper) for upper in (True, False)), strict=True)
                ):
                    shift = 1 - at  # of H: its value at the far end of a step is the lower one
                    total = sum(((found[i + 1] - found[i]) * clear[i + shift] for i in range(steps)), arb(0))
                    totals[at] += total + (at * (1 - found[-1]) * clear[-1])
        lower, upper = (total / cells**2 for total in totals)
        return float(lower.lower()), float(upper.upper())


def _found(height: Any, size: int, places: list[Any], arb: Any) -> list[Any]:
    """The probability that the best of ``size`` right items lies within each x."""
    values = []
    for x in places:
        missed = 1 - _share(x, height, arb)
        values.append(1 - missed.max(arb(0)) ** size if missed > 0 else arb(1))
    return values


def _clear(heights: list[Any], size: int, places: list[Any], arb: Any, upper: bool) -> list[Any]:
    """The probability that no item of the two other classes lies within each x, at an end of their heights' range."""
    values = []
    ends = [height.upper() if upper else height.lower() for height in heights]
    for x in places:
        product = arb(1)
        for end in ends:
            missed = (1 - _share(x, end, arb)).max(arb(0))
            product *= missed**size if missed > 0 else arb(0)
        values.append(product)
    return values


def _share(x: Any, height: Any, arb: Any) -> Any:
    """R(x, δ) for sin δ = ``height``."""
    sine, cosine = x.sin(), x.cos()
    if height >= sine:
        return 1 - cosine
    if height <= -sine:
        return arb(0)
    across = height / (1 - height * height).sqrt() * cosine / sine
    first, second = ((-ratio).max(arb(-1)).min(arb(1)).acos() for ratio in (height / sine, across))
    return (first - cosine * second) / arb.pi()
