"""Which relation is taken for which: ``python -m verification.experiments.simulated.relations --draws 200``.

Each relation of :class:`verification.bridge.relation.RelationKind` is drawn many times, with 50 to 5000 rows of 16 to
1024 coordinates, in and out of half precision, and told by :func:`verification.bridge.relation.relate` without labels.
Rows are clustered about class means, with a spectrum that decays or not and with a common mean or not.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from verification.bridge.evidence import rounded
from verification.bridge.relation import relate
from verification.bridge.relation_kind import RelationKind
from verification.features import FeatureSet

Rows = Float[ndarray, "n dim"]
SIZES, DIMS = (50, 5000), (16, 1024)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One draw of old rows, and what is needed to draw others like them.

    Attributes
    ----------
    old : ndarray, shape (n, d)
    labels : ndarray of int, shape (n,)
    scale : ndarray, shape (d,)
        Standard deviations of the coordinates, up to a factor.
    spread : float
        Length of the noise about a class mean, as a share of the mean's.
    """

    old: Rows
    labels: Int[ndarray, " n"]
    scale: Float[ndarray, " d"]
    spread: float

    def like(self, rng: np.random.Generator, dim: int | None = None) -> Float[ndarray, "n own"]:
        """Rows of the same samples by an unrelated model: class means and noise are drawn anew."""
        scale = self.scale if dim is None else np.resize(self.scale, dim)
        return _clusters(self.labels, scale, self.spread, rng)


def _clusters(labels: Int[ndarray, " n"], scale: Float[ndarray, " d"], spread: float, rng: np.random.Generator) -> Rows:
    length = np.linalg.norm(scale)
    means = rng.standard_normal((labels.max() + 1, len(scale))) * scale / length
    return means[labels] + spread * rng.standard_normal((len(labels), len(scale))) * scale / length


def draw_old(num_rows: int, dim: int, rng: np.random.Generator) -> Drawn:
    """Draw old rows of one model, of unit length or not."""
    labels = rng.permutation(num_rows) % max(4, int(rng.integers(num_rows // 20, num_rows // 4)))
    scale = 1.0 / np.sqrt(1.0 + np.arange(dim) / (dim / rng.choice([1.0, 10.0])))
    spread = float(rng.uniform(0.5, 1.5))
    old = _clusters(labels, scale, spread, rng)
    old += rng.choice([0.0, 0.7]) * _directions(1, dim, rng)
    return Drawn(old=_unit(old) if rng.random() < 0.5 else old, labels=labels, scale=scale, spread=spread)


def _unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _directions(num: int, dim: int, rng: np.random.Generator) -> Rows:
    return _unit(rng.standard_normal((num, dim)))


def _turn(rows: Rows, dim: int, rng: np.random.Generator) -> Float[ndarray, "n turned"]:
    """Rows rotated at random in a space of as many dimensions or more."""
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return rows @ turn[: rows.shape[1]]


def _noisy(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    return _unit(rows) + share * rng.standard_normal(rows.shape) / np.sqrt(rows.shape[1])


def _same(d: Drawn, rng: np.random.Generator) -> Rows:
    how = rng.integers(3)
    return d.old if how == 0 else rounded(d.old, "float16" if how == 1 else "bfloat16")


def _quantised(d: Drawn, rng: np.random.Generator) -> Rows:
    if rng.random() < 0.5:
        return np.where(d.old > 0.0, 1.0, float(rng.choice([-1.0, 0.0])))
    each = np.abs(d.old).max(axis=1, keepdims=True) if rng.random() < 0.5 else np.abs(d.old).max()
    return np.rint(d.old / each * 127.0) * each / 127.0


def _noise(d: Drawn, rng: np.random.Generator) -> Rows:
    return _noisy(d.old, float(np.exp(rng.uniform(np.log(0.005), np.log(0.2)))), rng)


def _subset(d: Drawn, rng: np.random.Generator) -> Float[ndarray, "n half"]:
    return _unit(d.old[:, rng.permutation(d.old.shape[1])[: d.old.shape[1] // 2]])


def _permutation(d: Drawn, rng: np.random.Generator) -> Rows:
    dim = d.old.shape[1]
    signs = rng.choice([-1.0, 1.0], dim)
    return d.old[:, rng.permutation(dim)] * signs if rng.random() < 0.5 else d.old * signs


def _some(num: int, least: float, most: float, rng: np.random.Generator) -> Int[ndarray, " m"]:
    return rng.permutation(num)[: max(3, int(rng.uniform(least, most) * num))]


def _part(d: Drawn, rng: np.random.Generator) -> Rows:
    new, changed = d.old.copy(), _some(len(d.old), 0.005, 0.6, rng)
    dim = new.shape[1]
    if rng.random() < 0.5:  # a few vectors for all of them
        new[changed] = _directions(3, dim, rng)[rng.integers(0, 3, len(changed))]
    else:
        new[changed] = _noisy(new[changed], 0.5, rng)
    return new


def _mixture(d: Drawn, rng: np.random.Generator) -> Rows:
    new, foreign = d.old.copy(), _some(len(d.old), 0.3, 0.7, rng)
    new[foreign] = _turn(_noisy(d.old, 0.2, rng), d.old.shape[1], rng)[foreign]
    return new


def _order(d: Drawn, rng: np.random.Generator) -> Rows:
    order = np.arange(len(d.old))
    if rng.random() < 0.5:  # inside the classes
        order[np.argsort(d.labels, kind="stable")] = np.lexsort((rng.random(len(order)), d.labels))
    else:
        order = rng.permutation(len(order))
    return (_noisy(d.old, 0.2, rng) if rng.random() < 0.5 else d.old)[order]


def _updated(d: Drawn, rng: np.random.Generator) -> Rows:
    """Classes move, each as a whole, and samples a little."""
    dim = d.old.shape[1]
    moves = rng.uniform(0.4, 0.8) * _directions(d.labels.max() + 1, dim, rng)
    return _noisy(_unit(d.old) + moves[d.labels], 0.2, rng)


def _dimension(d: Drawn, rng: np.random.Generator) -> Float[ndarray, "n own"]:
    dim = d.old.shape[1]
    return d.like(rng, 2 * dim if rng.random() < 0.5 else dim // 2)


DRAW: dict[RelationKind, Callable[[Drawn, np.random.Generator], Float[ndarray, "n own"]]] = {
    RelationKind.same: _same,
    RelationKind.quantised: _quantised,
    RelationKind.lengths: lambda d, rng: d.old * rng.uniform(2.0, 8.0, (len(d.old), 1)),
    RelationKind.noise: _noise,
    RelationKind.truncated: lambda d, rng: _unit(d.old[:, : d.old.shape[1] // int(rng.choice([2, 4]))]),
    RelationKind.subset: _subset,
    RelationKind.permutation: _permutation,
    RelationKind.rotation: lambda d, rng: _turn(d.old, d.old.shape[1], rng),
    RelationKind.part: _part,
    RelationKind.mixture: _mixture,
    RelationKind.order: _order,
    RelationKind.updated: _updated,
    RelationKind.space: lambda d, rng: d.like(rng),
    RelationKind.isometric: lambda d, rng: _turn(d.old, 2 * d.old.shape[1], rng),
    RelationKind.dimension: _dimension,
}


def draw(
    kind: RelationKind, rng: np.random.Generator, sizes: tuple[int, int] = SIZES, dims: tuple[int, int] = DIMS
) -> tuple[FeatureSet, FeatureSet]:
    """Draw a new and an old set that are related in this way, without labels.

    Parameters
    ----------
    kind : RelationKind
    rng : numpy.random.Generator
    sizes, dims : (int, int)
        The least and the most rows and coordinates of the old set; both are drawn uniformly on a logarithmic scale.
    """
    num, dim = (round(float(np.exp(rng.uniform(*np.log(limits))))) for limits in (sizes, dims))
    d = draw_old(num, max(dim, 16), rng)
    new = DRAW[kind](d, rng)
    # quantised codes are not rounded again
    half = rng.random() < 0.5 and kind != RelationKind.quantised
    dtype = np.float16 if half else np.float32
    swapped = rng.random() < 0.5
    sets = FeatureSet(new.astype(dtype)), FeatureSet(d.old.astype(dtype))
    return (sets[1], sets[0]) if swapped else sets


def confusion(
    draws: int, seed: int = 0, sizes: tuple[int, int] = SIZES, dims: tuple[int, int] = DIMS
) -> Iterator[tuple[RelationKind, Counter[RelationKind]]]:
    """Yield each relation and what so many draws of it were taken for."""
    for place, kind in enumerate(RelationKind):
        told: Counter[RelationKind] = Counter()
        for number in range(draws):
            rng = np.random.default_rng([seed, place, number])
            told[relate(*draw(kind, rng, sizes, dims), seed=number).relation] += 1
        yield kind, told


def main() -> None:
    """Print the table: of every relation, what it was taken for."""
    parser = argparse.ArgumentParser(prog="python -m verification.experiments.simulated.relations", description=__doc__)
    parser.add_argument("--draws", type=int, default=200, help="Draws of each relation.")
    parser.add_argument("--rows", type=int, nargs=2, default=SIZES, help="Least and most rows.")
    parser.add_argument("--dims", type=int, nargs=2, default=DIMS, help="Least and most coordinates.")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    off = 0
    for kind, counts in confusion(given.draws, given.seed, tuple(given.rows), tuple(given.dims)):
        off += sum(counts.values()) - counts[kind]
        others = ", ".join(f"{other.value}: {n}" for other, n in counts.most_common() if other != kind)
        print(f"{kind.value:32s} {counts[kind]:5d} of {given.draws}{'; ' + others if others else ''}", flush=True)
    total = given.draws * len(RelationKind)
    print(f"{off} of {total} off the diagonal ({off / total:.2%})")


if __name__ == "__main__":
    main()
