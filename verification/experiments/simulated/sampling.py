r"""What a sample is, and whom a verdict is about: designs in which nothing is lost by construction.

Raw features are Gaussian about the directions of the classes, :math:`a_c + σ_c z`. The new model's are drawn anew from
the law of the old one, so that no claim is true or false but by chance. Shots of one object share a part of the noise.
Where the classes are drawn too, each has its own direction, and its own spread under each model and in the gallery. New
and old queries are exchangeable then, so that over classes nothing is lost; what these classes lose is known: means are
:math:`m(σ_c) a_c`, and the gaps follow from them. (Without a gallery of its own spreads the new model would truly lose:
old queries and old items of a class would be wide or narrow together, and new ones independently of them.)

Every claim is judged for both populations. Where the samples of an object are not declared to be a group, or an
interval for these classes is read as one for others, nothing is promised, and the table says how wrong that would be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from theory.simplex import simplex_vertices
from verification.audit.judge import Options, judge
from verification.audit.report import UpgradeReport
from verification.experiments.simulated import practice
from verification.experiments.simulated.decisions import Design, Outcome, Question, outcome
from verification.experiments.simulated.known_upgrades import mean_resultant_length
from verification.features import FeatureSet
from verification.statistics.interval import Judged, Population, Unit, Verdict
from verification.upgrade import Upgrade

# accept threshold of each simulated system: some per cent of false accepts where classes are ten in 16 dimensions
THRESHOLD = 0.3


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The law of the noise about the direction of a class, of variance 1 a coordinate.

    Attributes
    ----------
    freedom : float
        Degrees of freedom of Student's t, > 2; infinite: normal.
    garbage : float
        Share of the samples that have no direction at all: noise about zero.
    rank : int or None
        Coordinates in which there is noise; None: in all of them.
    """

    freedom: float = math.inf
    garbage: float = 0.0
    rank: int | None = None

    def draw(self, count: int, dim: int, rng: np.random.Generator) -> Float[ndarray, "n dim"]:
        """Draw the noise of some samples."""
        rows = rng.standard_normal((count, dim))
        if math.isfinite(self.freedom):
            # one scale a sample: all its coordinates are far out at once
            rows *= np.sqrt((self.freedom - 2.0) / rng.chisquare(self.freedom, (count, 1)))
        if self.rank is not None:
            rows[:, self.rank :] = 0.0
            rows *= math.sqrt(dim / self.rank)
        return rows


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How samples, objects and classes of a simulated upgrade are drawn.

    Attributes
    ----------
    sizes : tuple of int
        Objects of each class.
    dim : int
    noise : float
        σ, standard deviation of a coordinate.
    shots : int
        Samples of each object.
    shared : float
        ρ, in [0, 1], the object's share of the variance.
    grouped : bool
        Whether the objects are declared as groups.
    spread : float
        τ, standard deviation of log σ_c over the classes, independently under each model and in the gallery, which
        there must be; 0: the classes are fixed.
    rare : float
        Share of the samples of a class that are about another direction of their class.
    common : float
        Length of a vector that all class means share.
    gallery : tuple of int
        Gallery items of each class; empty where the samples search each other.
    law : Noise
    leaked : float
        Share of the gallery that is replaced by the old rows of queries.
    far : float or None
        The false accept rate at which the threshold is chosen; None: it is :data:`THRESHOLD`.
    """

    sizes: tuple[int, ...]
    dim: int
    noise: float = 0.25
    shots: int = 1
    shared: float = 0.0
    grouped: bool = False
    spread: float = 0.0
    rare: float = 0.0
    common: float = 0.0
    gallery: tuple[int, ...] = ()
    law: Noise = Noise()
    leaked: float = 0.0
    far: float | None = None

    def __post_init__(self) -> None:
        if self.spread and not self.gallery:
            raise ValueError("classes that are drawn need a gallery: without one something is lost on average.")

    def draw(self, rng: np.random.Generator) -> tuple[Upgrade, tuple[float, float]]:
        """Return an upgrade, and the true gaps of 1a and 1b for its classes."""
        count = len(self.sizes)
        axes = self._axes(rng)
        spreads = self.noise * np.exp(self.spread * rng.standard_normal((3, count)))
        labels = np.repeat(np.arange(count), self.sizes)
        objects = np.repeat(np.arange(len(labels)), self.shots)
        labels = labels[objects]
        new, old = (self._rows(axes, noise, labels, objects, rng) for noise in spreads[:2])
        groups = objects if self.grouped else None
        gallery = None
        if self.gallery:
            of = np.repeat(np.arange(count), self.gallery)
            items = self._rows(axes, spreads[2], of, np.arange(len(of)), rng)
            leaks = rng.choice(len(of), round(self.leaked * len(of)), replace=False)
            queries = rng.choice(len(labels), len(leaks), replace=False)
            items[leaks], of[leaks] = old[queries], labels[queries]
            gallery = FeatureSet(items, of)
        upgrade = Upgrade(FeatureSet(new, labels, groups=groups), FeatureSet(old, labels, groups=groups), gallery)
        return upgrade, self._true_gaps(axes, spreads) if self.spread else (0.0, 0.0)

    def _axes(self, rng: np.random.Generator) -> Float[ndarray, "k dim"]:
        """Directions of the classes: of a simplex, or drawn, where the classes are; shifted by what they share."""
        count = len(self.sizes)
        if self.spread:
            axes = rng.standard_normal((count, self.dim))
            axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        else:
            axes = simplex_vertices(count, self.dim)
        return axes + self.common * np.eye(self.dim)[self.dim - 1]

    def _rows(
        self,
        axes: Float[ndarray, "k dim"],
        noise: Float[ndarray, " k"],
        labels: Int[ndarray, " n"],
        objects: Int[ndarray, " n"],
        rng: np.random.Generator,
    ) -> Float[ndarray, "n dim"]:
        of_object = self.law.draw(int(objects[-1]) + 1, self.dim, rng)[objects]
        own = self.law.draw(len(labels), self.dim, rng)
        centres = axes[labels]
        # the rare mode of a class: between its direction and the next class's
        elsewhere = rng.random(len(labels)) < self.rare
        centres[elsewhere] = 0.5 * (centres + np.roll(axes, 1, axis=0)[labels])[elsewhere]
        centres[rng.random(len(labels)) < self.law.garbage] = 0.0
        return centres + noise[labels, None] * (np.sqrt(self.shared) * of_object + np.sqrt(1.0 - self.shared) * own)

    def _true_gaps(self, axes: Float[ndarray, "k dim"], spreads: Float[ndarray, "three k"]) -> tuple[float, float]:
        """Gaps for these classes, every pair of samples counting once."""
        new, old, items = (np.array([mean_resultant_length(self.dim, noise) for noise in row]) for row in spreads)
        gains = 2.0 * np.outer(new - old, items) * (axes @ axes.T)
        pairs = np.outer(self.sizes, self.gallery)
        same = np.eye(len(pairs), dtype=bool)
        gaps = [float(np.average(gains[kind], weights=pairs[kind])) for kind in (same, ~same)]
        return gaps[0], -gaps[1]

    def judge(self, rng: np.random.Generator) -> Mapping[Question, Outcome]:
        """Draw an upgrade and judge every claim, for both populations."""
        upgrade, gaps = self.draw(rng)
        # mean average precision is no claim here, and would take most of the time: rank nothing
        upgrade.small = False
        asked = Options(threshold=THRESHOLD) if self.far is None else Options(far=self.far)
        report = judge(upgrade, asked)
        return dict(self._answers(report, gaps))

    def _answers(self, report: UpgradeReport, gaps: tuple[float, float]) -> Iterator[tuple[Question, Outcome]]:
        unit: Unit = "group" if self.grouped else "sample"
        independent = self.grouped or self.shots == 1
        fixed = Question(claim="", unit=unit, promised=independent)
        drawn = Question(
            claim="", population=Population.drawn, read_as=Population.drawn, unit="class", promised=independent
        )
        definition1 = report.definition1
        assert definition1 is not None
        assert definition1.contrast_gap is not None
        assert report.retrieval is not None
        assert report.thresholds is not None
        both = (definition1.same_class, definition1.different_class)
        claims: dict[str, tuple[tuple[Judged, ...], tuple[float, ...] | None]] = {
            "definition-1": (both, gaps),
            "contrast": ((definition1.contrast_gap,), (sum(gaps),)),
            # of classes that are drawn it is not known what these lose
            "retrieval": ((report.retrieval.change,), None if self.spread else (0.0,)),
            "threshold": (
                (report.thresholds.far_change.flipped(), report.thresholds.tar_change),
                None if self.spread else (0.0, 0.0),
            ),
        }
        for claim, (parts, truth) in claims.items():
            nothing = (0.0,) * len(parts)
            if truth is not None:
                yield replace(fixed, claim=claim), outcome(parts, truth, Population.fixed)
            if self.spread:
                misread = replace(fixed, claim=claim, read_as=Population.drawn, promised=False)
                yield misread, outcome(parts, nothing, Population.fixed)
            yield replace(drawn, claim=claim), outcome(parts, nothing, Population.drawn)
        if not self.spread:
            verdicts = {found.verdict for found in definition1.by_class}
            decided = sorted(verdicts - {Verdict.inconclusive})
            yield (
                replace(fixed, claim="by class"),
                Outcome(
                    verdict=decided[0] if decided else Verdict.inconclusive,
                    wrong=bool(decided),
                    covered=all(found.interval.contains(0.0) for found in definition1.by_class),
                ),
            )


def designs() -> Sequence[Design]:
    """Shots of one object, classes drawn and of unequal sizes, few samples, rare modes, a common mean, one sample."""
    ten = (6,) * 10
    zipf = tuple(int(size) for size in np.maximum(2, np.round(60.0 / np.arange(1, 21))))
    half = (95, *(5,) * 19)
    samplings = {
        f"{m} shots, ρ {shared}{' grouped' if grouped else ''}": Sampling(
            sizes=ten, dim=16, shots=m, shared=shared, grouped=grouped
        )
        for m, shared in ((2, 0.3), (2, 0.5), (5, 0.1), (5, 0.5))
        for grouped in (True, False)
    }
    samplings |= {
        f"K {count} drawn, τ {spread}": Sampling(
            sizes=(4,) * count, gallery=(4,) * count, dim=32, noise=0.2, spread=spread
        )
        for count, spread in ((20, 0.1), (20, 0.3), (50, 0.2), (100, 0.1), (100, 0.3))
    }
    samplings |= {
        f"{name}{', drawn' if spread else ''}": Sampling(
            sizes=sizes, gallery=sizes if spread else (), dim=32, noise=0.2, spread=spread
        )
        for name, sizes in (("Zipf sizes", zipf), ("one class half", half))
        for spread in (0.0, 0.2)
    }
    samplings |= {f"5 a class, d {dim}": Sampling(sizes=(5,) * (dim + 1), dim=dim) for dim in (2, 3, 4, 6, 8)}
    samplings |= {
        f"rare modes {rare:.0%}": Sampling(sizes=(15,) * 10, dim=16, noise=0.15, rare=rare) for rare in (0.02, 0.05)
    }
    samplings |= {f"common mean {common}": Sampling(sizes=(15,) * 10, dim=16, common=common) for common in (0.5, 1.0)}
    one = (1,) * 60
    samplings |= {
        "one query, one item a class": Sampling(sizes=one, dim=64, noise=0.12, gallery=one),
        "one query, five items a class": Sampling(sizes=one, dim=64, noise=0.12, gallery=(5,) * 60),
        "five queries, one item a class": Sampling(sizes=(5,) * 60, dim=64, noise=0.12, gallery=one),
        "one query, one item, drawn": Sampling(sizes=one, dim=64, noise=0.12, gallery=one, spread=0.2),
    }
    samplings |= {
        f"FAR {far:g} of {count} identities, drawn": Sampling(
            sizes=(4,) * count, gallery=(4,) * count, dim=32, noise=0.2, spread=0.1, far=far
        )
        for count, far in ((20, 1e-2), (40, 1e-3))
    }
    samplings |= {
        "heavy tails, t 3": Sampling(sizes=(15,) * 10, dim=16, noise=0.15, law=Noise(freedom=3.0)),
        "2% garbage": Sampling(sizes=(15,) * 10, dim=16, law=Noise(garbage=0.02)),
        "noise in 3 of 64 coordinates": Sampling(sizes=(15,) * 10, dim=64, noise=0.12, law=Noise(rank=3)),
        "two classes": Sampling(sizes=(40, 40), dim=16),
        "20 samples": Sampling(sizes=(5,) * 4, dim=8),
        "300 classes of 2 and 3": Sampling(sizes=(2, 3) * 150, dim=300, noise=0.06),
        "5% of the gallery are queries": Sampling(sizes=(15,) * 10, gallery=(15,) * 10, dim=16, leaked=0.05),
    }
    at_once = [Design(name=name, where="boundary", draw=sampling.judge) for name, sampling in samplings.items()]
    return [*at_once, *practice.designs()]
