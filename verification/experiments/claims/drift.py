"""Claims about how much drift an update tolerates, and about the average over class pairs (beyond the paper)."""

from __future__ import annotations

import math

import numpy as np

from theory import compatibility
from theory.caps import UniformCap
from verification.experiments.claims.ledger import Claim, Finding, Number, Verdict
from verification.experiments.claims.material import Material
from verification.experiments.claims.theorem import step_by_step
from verification.experiments.dependence import class_means
from verification.features import FeatureSet

DIM, CLASSES, NEW, OLD = 9, 10, 0.3, 0.6
METRICS = ("sqeuclidean", "euclidean", "angular")


def _limits(metric: str) -> tuple[compatibility.Drift, dict[float, compatibility.Gaps]]:
    laws = UniformCap(DIM, NEW), UniformCap(DIM, OLD)
    limit = compatibility.tolerable_drift(*laws, CLASSES, metric)
    turns = {factor: (factor * limit.same_class, factor * limit.different_class) for factor in (0.97, 1.03)}
    gaps = {}
    for factor, (same, different) in turns.items():
        gaps[factor] = compatibility.Gaps(
            compatibility.theorem1_gaps(*laws, CLASSES, metric, same).same_class,
            compatibility.theorem1_gaps(*laws, CLASSES, metric, different).different_class,
        )
    return limit, gaps


def _tolerable(material: Material) -> Finding:
    steps, refusal = step_by_step(("tolerable_drift",), ("drift_threshold",))
    evidence, turns = [Number("steps derived", steps)], True
    for metric in METRICS:
        limit, gaps = _limits(metric)
        evidence += [
            Number(f"{metric}: tolerated by 1a, degrees", math.degrees(float(limit.same_class))),
            Number(f"{metric}: gap of 1a at 0.97 of it", float(gaps[0.97].same_class)),
            Number(f"{metric}: gap of 1a at 1.03 of it", float(gaps[1.03].same_class)),
        ]
        turns &= bool(gaps[0.97].same_class > 0.0 > gaps[1.03].same_class)
    verdict: Verdict = "contradicted" if not turns else "verified numerically" if refusal else "proved"
    sentence = refusal or f"For radii 0.3 < 0.6, d = 9, the mean may turn by {evidence[1].value:.2f}° before 1a fails."
    return Finding(verdict, sentence if turns else "The gap does not change its sign at the limit.", tuple(evidence))


def _class_pair(material: Material) -> Finding:
    evidence, least, ratio, turns = [], math.inf, 0.0, True
    for metric in METRICS:
        limit, gaps = _limits(metric)
        same, different = math.degrees(float(limit.same_class)), math.degrees(float(limit.different_class))
        evidence += [
            Number(f"{metric}: tolerated by 1b of one pair, degrees", different),
            Number(f"{metric}: tolerated by 1a, degrees", same),
        ]
        turns &= bool(gaps[0.97].different_class > 0.0 > gaps[1.03].different_class)
        least, ratio = min(least, different), max(ratio, different / same)
    if least <= 0.0:
        return Finding("contradicted", "1b of a class pair fails without any drift.", tuple(evidence))
    if not turns:
        return Finding("not reproduced", "The gap does not change its sign at the limit.", tuple(evidence))
    verdict: Verdict = "holds under stated conditions" if ratio < 1.0 else "verified numerically"
    return Finding(
        verdict,
        f"It holds while the new mean turns by less than {evidence[0].value:.3f}° straight at the other vertex (radii "
        f"0.3 < 0.6, d = 9, K = 10, squared distance); 1a tolerates {evidence[1].value:.2f}°.",
        tuple(evidence),
    )


def macro_gaps_by_pairs(new: FeatureSet, old: FeatureSet) -> tuple[float, float]:
    """Both gaps in the squared distance from every pair, i = j among them; classes, and class pairs, count once."""
    count = len(old.classes)
    distances = [2.0 - 2.0 * unit @ old.unit.T for unit in (old.unit, new.unit)]
    t = distances[0] - distances[1]
    members = np.equal.outer(np.arange(count), old.codes).astype(float)
    means = members @ t @ members.T / np.outer(members.sum(1), members.sum(1))
    own = float(np.trace(means))
    return own / count, -(float(means.sum()) - own) / (count * (count - 1))


def _average(material: Material) -> Finding:
    steps, refusal = step_by_step(("class_average",))
    evidence, worst = [Number("steps derived", steps)], 0.0
    for update in material.updates:
        for name, new in update.new.items():
            same, different = macro_gaps_by_pairs(new, update.old)
            defect = compatibility.off_centre_defect(class_means(new), class_means(update.old))
            rest = different - same / (len(update.old.classes) - 1) - defect
            worst = max(worst, abs(rest))
            label = f"{name}, seed {update.seed}: "
            evidence += [
                Number(f"{label}gap of 1b", different),
                Number(f"{label}gap of 1a/(K − 1)", same / (len(update.old.classes) - 1)),
                Number(f"{label}defect by the old means' off-centre", defect),
            ]
    evidence.append(Number("largest difference between both sides", worst))
    # single-precision features, normalised in double: what is left is rounding of sums over 360 000 pairs
    if worst > 1e-9:
        return Finding("contradicted", f"The two sides differ by {worst:.2g} on a trained model.", tuple(evidence))
    verdict: Verdict = "verified on trained models" if refusal else "proved"
    sentence = refusal or (
        f"On {len(evidence) // 3} pairs of trained models, learned classifiers too, both sides agree to {worst:.0e}."
    )
    return Finding(verdict, sentence, tuple(evidence))


CLAIMS = (
    Claim(
        name="drift-same-class",
        statement="1a survives a turn of the new class mean up to ω*, E(t, k, cos ω*) = E(k, k, 1), and no larger one.",
        where="beyond the paper: Theorem 1 where class means are not exactly at the vertices",
        hypotheses="Caps of radii 0.3 < 0.6, d = 9, K = 10; F continuous and strictly falling in the cosine.",
        check=_tolerable,
    ),
    Claim(
        name="drift-class-pair",
        statement="1b holds for each pair of classes when class means are near their vertices and not at them.",
        where="Eq. 1b, for one pair of classes",
        hypotheses="Caps of radii 0.3 < 0.6, d = 9, K = 10; the new mean turned straight at the other vertex.",
        check=_class_pair,
    ),
    Claim(
        name="class-average",
        statement="Averaged over class pairs 1b is 1a divided by K − 1, for any new model, if the old class "
        "means sum to zero.",
        where="beyond the paper: Eq. 1a and 1b, squared distance",
        hypotheses="Every class and class pair counted once; else the defect −2 mean (μ_t − μ_k)·Σμ_k/(K − 1) "
        "is added.",
        check=_average,
    ),
)
