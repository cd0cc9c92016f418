"""What happens to an audit in practice: it is looked at while data grows, labels are wrong, rows are quantised.

Looks: the data grows, and whoever waits for a verdict stops at the first one. Nothing is lost, so any decisive verdict
at any look is wrong. Wrong labels: the new model truly loses, and the margin is a little less than that. Labels that
are wrong for a share ε of the samples shrink gaps by about (1 − ε)², and the contrast with them, so that a margin in
units of the distance would accept what a margin as a share of the contrast does not. Quantised rows: the same model in
int8 loses something, by far less than a margin of 1 % of the contrast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from theory.simplex import simplex_vertices
from verification.audit.definition1 import judge_definition1
from verification.audit.judge import Options, judge
from verification.audit.margin import Margin
from verification.audit.report import UpgradeReport
from verification.experiments.simulated.decisions import WRONG, Design, Outcome, Question, outcome
from verification.experiments.simulated.known_upgrades import mean_resultant_length
from verification.features import FeatureSet
from verification.statistics.interval import Judged, Population, Verdict
from verification.upgrade import Upgrade

# classes, dimension and noise of every design here
NUM_CLASSES, DIM, NOISE = 10, 16, 0.25
LOOKS, BETWEEN = 13, 60


def _rows(labels: Int[ndarray, " n"], noise: float, rng: np.random.Generator) -> Float[ndarray, "n dim"]:
    return simplex_vertices(NUM_CLASSES, DIM)[labels] + noise * rng.standard_normal((len(labels), DIM))


def _parts(report: UpgradeReport) -> dict[str, tuple[Judged, ...]]:
    """What each claim rests on."""
    one = report.definition1
    assert one is not None
    assert one.contrast_gap is not None
    assert report.retrieval is not None
    assert report.thresholds is not None
    return {
        "definition-1": (one.same_class, one.different_class),
        "contrast": (one.contrast_gap,),
        "retrieval": (report.retrieval.change,),
        "threshold": (report.thresholds.far_change.flipped(), report.thresholds.tar_change),
    }


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Audits of growing data, until one decides.

    Attributes
    ----------
    looks, between : int
        How often one looks, and samples that come before each look.
    repeated : bool
        Whether intervals are made for that.
    """

    looks: int = LOOKS
    between: int = BETWEEN
    repeated: bool = True

    def judge(self, rng: np.random.Generator) -> Mapping[Question, Outcome]:
        """Draw all the data and look at what there is of it; a verdict is the first decisive one of a claim."""
        labels = np.arange(self.looks * self.between) % NUM_CLASSES
        new, old = (_rows(labels, NOISE, rng) for _ in range(2))
        asked = Options(threshold=0.3, repeated=self.repeated)
        found: dict[str, list[Outcome]] = {}
        for look in range(1, self.looks + 1):
            some = slice(look * self.between)
            upgrade = Upgrade(FeatureSet(new[some], labels[some]), FeatureSet(old[some], labels[some]))
            upgrade.small = False  # rank nothing
            for claim, parts in _parts(judge(upgrade, asked)).items():
                found.setdefault(claim, []).append(outcome(parts, (0.0,) * len(parts), Population.fixed))
        return {
            Question(claim=claim, promised=self.repeated): Outcome(
                verdict=next((each.verdict for each in seen if each.wrong), Verdict.inconclusive),
                wrong=any(each.wrong for each in seen),
                covered=all(each.covered for each in seen),
            )
            for claim, seen in found.items()
        }


@dataclass(frozen=True, kw_only=True)
class Mislabelled:
    """A loss that is a little more than the margin, and labels of which a share is wrong.

    Attributes
    ----------
    wrong : float
        ε, share of the samples whose label is another class's.
    share : bool
        Whether the margin is a share of the contrast, which labels shrink as they shrink the gaps.
    num_samples : int
    spread : float
        The new model's noise over the old one's.
    part : float
        The margin over the true loss.
    """

    wrong: float
    share: bool
    num_samples: int = 1500
    spread: float = 1.15
    part: float = 0.95

    @property
    def margin(self) -> Margin:
        """Of all classes alike, with means m w and w·w' = −1/(K − 1): what 1a loses, as it is or over the contrast."""
        old, new = (mean_resultant_length(DIM, noise) for noise in (NOISE, self.spread * NOISE))
        loss, contrast = 2.0 * old * (old - new), 2.0 * old**2 * NUM_CLASSES / (NUM_CLASSES - 1)
        return Margin(self.part * loss / (contrast if self.share else 1.0), self.share)

    def draw(self, rng: np.random.Generator) -> Upgrade:
        """Draw an upgrade with its wrong labels."""
        labels = np.arange(self.num_samples) % NUM_CLASSES
        new, old = _rows(labels, self.spread * NOISE, rng), _rows(labels, NOISE, rng)
        some = rng.random(len(labels)) < self.wrong
        given = np.where(some, (labels + rng.integers(1, NUM_CLASSES, len(labels))) % NUM_CLASSES, labels)
        return Upgrade(FeatureSet(new, given), FeatureSet(old, given))

    def judge(self, rng: np.random.Generator) -> Mapping[Question, Outcome]:
        """Draw an upgrade and judge its mean distances."""
        found = judge_definition1(self.draw(rng), "sqeuclidean", 0.95, self.margin, "pairs", Population.fixed)
        asked = Question(claim="definition-1", promised=self.share)
        return {asked: Outcome(verdict=found.verdict, wrong=found.verdict in WRONG["beyond"])}


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """The same model, stored in int8 with a scale for each row, at a margin of 1 % and of one point."""

    num_samples: int = 2000

    def judge(self, rng: np.random.Generator) -> Mapping[Question, Outcome]:
        """Draw rows, quantise them and judge every claim but the threshold, which has no margin."""
        labels = np.arange(self.num_samples) % NUM_CLASSES
        old = _rows(labels, NOISE, rng).astype(np.float32)
        scale = np.abs(old).max(axis=1, keepdims=True) / 127.0
        new = np.round(old / scale) * scale
        upgrade = Upgrade(FeatureSet(new, labels), FeatureSet(old, labels))
        upgrade.small = False  # rank nothing
        report = judge(upgrade, Options(margin="1%", retrieval_margin="1%"))
        return {
            Question(claim=claim): Outcome(verdict=verdict, wrong=verdict in WRONG["inside"])
            for claim, verdict in report.claims.items()
        }


def designs() -> Sequence[Design]:
    """13 looks, with intervals that are made for them and with others; wrong labels; the same model in int8."""
    looks = {f"{LOOKS} looks{', repeated' if r else ''}": Looks(repeated=r).judge for r in (True, False)}
    beyond = {
        f"{wrong:.0%} of labels wrong, margin {'a share' if share else 'a distance'}": Mislabelled(
            wrong=wrong, share=share
        ).judge
        for wrong in (0.1, 0.2)
        for share in (True, False)
    }
    return [
        *(Design(name=name, where="boundary", draw=draw) for name, draw in looks.items()),
        *(Design(name=name, where="beyond", draw=draw) for name, draw in beyond.items()),
        Design(name="the same model in int8", where="inside", draw=Quantised().judge),
    ]
