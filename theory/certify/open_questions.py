"""Searches of which nobody knows whether an update can make them worse, drawn at random and enclosed.

Three classes of equal arcs on the simplex of the circle, wider than half of the angle between their axes; and two
classes of overlapping arcs with ρ ≤ 0 (docs/theorem-d.md). ``python -m theory.certify.open_questions 40`` draws 40 of
each and counts.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import Any

import numpy as np

from theory._validation import check_integer
from theory.certify.circle import certify_circle_ranking
from theory.certify.series import load_flint

SIZES = (1, 2, 3, 5)


def recall_on_the_simplex(rng: np.random.Generator) -> tuple[Any, Any]:
    """Balls of recall@1 before and after an update of three equal arcs, radii from π/3 to π/2."""
    third = 2 * load_flint().arb.pi() / 3
    radius = rng.uniform(math.pi / 3, math.pi / 2)
    rest = [radius] * 3, [0, third, 2 * third], [int(rng.choice(SIZES))] * 3
    queries = radius, radius * rng.uniform(0.01, 0.99)
    before, after = (certify_circle_ranking(query, *rest).recall for query in queries)
    return before, after


def wrong_items_of_overlapping_arcs(rng: np.random.Generator) -> tuple[Any, Any]:
    """Balls of minus the wrong items above the best right one, of two overlapping arcs with ρ ≤ 0."""
    between = rng.uniform(math.pi / 2, 0.95 * math.pi)
    radius = rng.uniform(between / 2, math.pi / 2)
    other = rng.uniform(between - radius, math.pi / 2)
    rest = [radius, other], [0, between], [int(rng.choice(SIZES)), 1]
    queries = radius, radius * rng.uniform(0.01, 0.99)
    before, after = (-certify_circle_ranking(query, *rest).wrong_above for query in queries)
    return before, after


def count(draw: Any, settings: int, seed: int = 0) -> tuple[Counter[str], float]:
    """How many settings are proved to get better, worse, or neither; and the least gain that was seen."""
    rng, found, least = np.random.default_rng(seed), Counter[str](), math.inf
    for _ in range(check_integer("settings", settings, 1)):
        before, after = draw(rng)
        found["better" if after > before else "worse" if after < before else "undecided"] += 1
        least = min(least, float(after - before))
    return found, least


def main(arguments: list[str]) -> Any:
    """Print both counts."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        return "usage: python -m theory.certify.open_questions SETTINGS"
    for title, draw in (
        ("recall@1, three equal arcs", recall_on_the_simplex),
        ("wrong items, two overlapping arcs", wrong_items_of_overlapping_arcs),
    ):
        found, least = count(draw, int(arguments[0]))
        print(f"{title}: {dict(found)}, least gain {least:.2g}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
