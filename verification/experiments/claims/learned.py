"""Claims about what training with the d-Simplex fixed classifier does: stationarity, alignment, compatibility."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from verification.audit.hypotheses import MAX_DRIFT, Hypotheses, check_hypotheses
from verification.audit.theorem import check_theorem
from verification.experiments.claims.ledger import Claim, Finding, Number, Verdict
from verification.experiments.claims.material import CE, LEARNED, PREALLOCATED, SIMPLEX, Material, Successors
from verification.experiments.dependence import class_means
from verification.upgrade import Upgrade

_DIGITS = "Digits, 600 images before and 1200 after the update, measured on held-out images."


def _measured(updates: Sequence[Successors], tail: str = "") -> list[tuple[str, Hypotheses]]:
    return [
        (f"{name}{tail}, seed {update.seed}", check_hypotheses(update.upgrade(name), update.vertices))
        for update in updates
        for name in update.new
        if name in SIMPLEX
    ]


def _degrees(name: str, value: float, bounds: tuple[float, float]) -> Number:
    return Number(name, *(math.degrees(angle) for angle in (value, *bounds)))


def _conditional(statuses: Mapping[bool, Sequence[str]], met: str, condition: str, evidence: list[Number]) -> Finding:
    """Verdict from statuses of runs in which the condition is met, and of runs in which it is not."""
    if set(statuses[True]) != {"hold"}:
        return Finding("not reproduced", f"It fails also where {met}.", tuple(evidence))
    if set(statuses[False]) <= {"hold"}:
        return Finding("verified on trained models", "It holds in every run.", tuple(evidence))
    return Finding("holds under stated conditions", condition, tuple(evidence))


def _stationarity(material: Material) -> Finding:
    evidence, statuses, worst = [], {}, {}
    for met, updates, tail in (
        (True, material.updates, ""),
        (False, material.off_vertices, ", embedding not normalised"),
    ):
        found = _measured(updates, tail)
        for name, h in found:
            largest = float(max(h.old_drift.max(), h.new_drift.max()))
            evidence.append(
                _degrees(f"{name}: worst angle of a class mean to its vertex, degrees", largest, h.worst_drift)
            )
        statuses[met] = [h.stationarity for _, h in found]
        worst[met] = max(math.degrees(max(h.old_drift.max(), h.new_drift.max())) for _, h in found)
    for update in material.updates:
        h = check_hypotheses(update.upgrade(LEARNED), update.vertices)
        largest = float(max(h.old_drift.max(), h.new_drift.max()))
        evidence.append(_degrees(f"control, {LEARNED}, seed {update.seed}: the same", largest, h.worst_drift))
        if h.stationarity == "hold":
            return Finding(
                "not reproduced", "A learned classifier looks stationary too: the check cannot fail.", tuple(evidence)
            )
    return _conditional(
        statuses,
        "the embedding is normalised",
        f"With a normalised embedding all class means are within {worst[True]:.0f}° of their vertices; without it, "
        f"trained as long, they are up to {worst[False]:.0f}° away (limit {math.degrees(MAX_DRIFT):.0f}°).",
        evidence,
    )


def _narrowing(material: Material) -> Finding:
    evidence, words = [], []
    for tail, updates in (("", material.updates), (", embedding not normalised", material.off_vertices)):
        for name, h in _measured(updates, tail):
            evidence.append(
                Number(
                    f"{name}: change of the mean cosine to the vertex", h.new_cosine - h.old_cosine, *h.cosine_change
                )
            )
            words.append(h.concentration)
    if set(words) == {"hold"}:
        return Finding("verified on trained models", "Concentration rises with every update.", tuple(evidence))
    failed = [number for number, word in zip(evidence, words, strict=True) if word != "hold"]
    if len(failed) == len(words):
        return Finding("not reproduced", "Concentration rises with no update.", tuple(evidence))
    return Finding(
        "holds under stated conditions",
        f"It rises in {len(words) - len(failed)} of {len(words)} updates and does not by these samples in the others "
        f"({failed[0].name.split(':')[0]}): it has to be measured.",
        tuple(evidence),
    )


def _between_means(upgrade: Upgrade) -> tuple[float, tuple[float, float]]:
    """Worst angle between a class's means under two models, radians, and its simultaneous interval."""
    means = class_means(upgrade.old)
    h = check_hypotheses(upgrade, means / (means**2).sum(axis=1, keepdims=True) ** 0.5)
    lower, upper = zip(*h.new_drift_bounds, strict=True)
    return float(h.new_drift.max()), (max(lower), max(upper))


def _first_order(material: Material) -> Finding:
    evidence: list[Number] = []
    aligned: list[tuple[float, float]] = []
    control: list[tuple[float, float]] = []
    for update in material.updates:
        for name in (CE, LEARNED):
            worst, bounds = _between_means(update.upgrade(name))
            evidence.append(
                _degrees(f"{name}, seed {update.seed}: worst angle between a class's two means, degrees", worst, bounds)
            )
            (aligned if name == CE else control).append(bounds)
    if min(lower for lower, _ in control) <= MAX_DRIFT:
        return Finding(
            "not reproduced", "A learned classifier aligns the means too: the check cannot fail.", tuple(evidence)
        )
    if max(lower for lower, _ in aligned) > MAX_DRIFT:
        return Finding("not reproduced", "Cross-entropy does not align the class means.", tuple(evidence))
    largest, least = (math.degrees(x) for x in (max(upper for _, upper in aligned), min(lower for lower, _ in control)))
    return Finding(
        "verified on trained models",
        f"With the fixed classifier no class mean turns by more than {largest:.0f}° in an update; with a learned one "
        f"some turn by {least:.0f}° or more.",
        tuple(evidence),
    )


def _preallocated(material: Material) -> Finding:
    evidence, statuses = [], {}
    for met, updates, tail in (
        (True, material.updates, ""),
        (False, material.preallocated, f", {PREALLOCATED} vertices for 10 classes"),
    ):
        found = [(name, h) for name, h in _measured(updates, tail) if name.startswith(CE)]
        for name, h in found:
            largest = float(max(h.old_drift.max(), h.new_drift.max()))
            evidence.append(
                _degrees(f"{name}: worst angle of a class mean to its vertex, degrees", largest, h.worst_drift)
            )
        statuses[met] = [h.stationarity for _, h in found]
    off = [number.value for number in evidence if "vertices for" in number.name]
    return _conditional(
        statuses,
        "every vertex has a class",
        f"With as many vertices as classes it holds; with {PREALLOCATED} for ten classes and the same short training "
        f"the worst class mean is {min(off):.0f}° off or more.",
        evidence,
    )


def _implication(material: Material) -> Finding:
    checks = [
        (f"{name}{tail}, seed {update.seed}", check_theorem(update.upgrade(name), update.vertices))
        for tail, updates in (("", material.updates), (", embedding not normalised", material.off_vertices))
        for update in updates
        for name in SIMPLEX
        if name in update.new
    ]
    evidence = []
    for name, check in checks:
        sides = check.conclusions
        for side, found in (("1a", sides.same_class), ("1b", sides.different_class)):
            evidence.append(Number(f"{name}: gap of {side}", found.gap, found.lower, found.upper))
    answers = [check.answer for _, check in checks]
    compatible = [check.conclusions.verdict == "compatible" for _, check in checks]
    verdict: Verdict
    if "conclusion fails although the hypotheses hold" in answers:
        verdict, sentence = "contradicted", "A model satisfies the hypotheses of Theorem 1 and violates its conclusion."
    elif all(compatible):
        verdict, sentence = "verified on trained models", "Every model trained with the fixed classifier is compatible."
    elif "holds" in answers:
        verdict = "holds under stated conditions"
        sentence = (
            f"{answers.count('holds')} of {len(answers)} updates have their class means at the vertices and are all "
            f"compatible; where means stay away from the vertices {compatible.count(True) - answers.count('holds')} of "
            f"{answers.count('hypothesis fails')} are found so: class means must reach the vertices."
        )
    else:
        verdict, sentence = "not reproduced", "No model trained here satisfies the hypotheses of Theorem 1."
    return Finding(verdict, sentence, tuple(evidence))


CLAIMS = (
    Claim(
        name="theorem-trained-models",
        statement="Representations learned with a d-Simplex fixed classifier are compatible.",
        where="Abstract; Theorem 1",
        hypotheses="Digits, 600 images before and 1200 after the update, held-out images; embedding "
        "normalised, and not.",
        check=_implication,
    ),
    Claim(
        name="stationarity",
        statement="Training with a d-Simplex fixed classifier makes the representation stationary: class "
        "means at the vertices.",
        where="Abstract; Section 3, hypothesis of Theorem 1",
        hypotheses=f"{_DIGITS} Three ways to update; every class mean within 15° of its vertex.",
        check=_stationarity,
    ),
    Claim(
        name="caps-narrow",
        statement="An update does not widen the caps.",
        where="Fig. 1 and 2, hypothesis of Theorem 1",
        hypotheses=f"{_DIGITS} Mean cosine between a sample and its vertex.",
        check=_narrowing,
    ),
    Claim(
        name="first-order-alignment",
        statement="Cross-entropy with a d-Simplex fixed classifier aligns the feature distributions at first order.",
        where="Abstract; Eq. 3; Fig. 3",
        hypotheses=f"{_DIGITS} Angle between a class's means before and after, every class.",
        check=_first_order,
    ),
    Claim(
        name="preallocated-classes",
        statement="A fixed classifier with vertices preallocated for classes to come keeps the "
        "representation stationary.",
        where="Section 3 and released settings (1024 vertices)",
        hypotheses=f"{_DIGITS} {PREALLOCATED} vertices of which ten have a class.",
        check=_preallocated,
    ),
)
