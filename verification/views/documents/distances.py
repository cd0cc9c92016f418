"""What an audit says of mean distances: both inequalities, single classes, how far class means rotated, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from theory.metrics import METRICS
from verification.audit.drift import ClassDrift, DriftMargin, PairDrift
from verification.audit.report import Definition1Report, Sides
from verification.statistics.interval import Interval, Judged, Verdict
from verification.views import pictures
from verification.views.document import Axis, Bar, Block, Drawing, Section, Table
from verification.views.labels import label
from verification.views.numbers import (
    confidence,
    count,
    decimals,
    degrees,
    digits,
    estimate,
    number,
    percent,
    plural,
    plus_minus,
)

if TYPE_CHECKING:  # an audit without them starts faster
    from verification.audit.hypotheses import Hypotheses
    from verification.audit.polar import PolarAngles

# classes that are shown, of those that lose most, and of those nearest to their limit of rotation
CLASSES, ROTATIONS = 20, 10


def distances(one: Definition1Report) -> Section:
    """Both gaps and their sum, for both populations."""
    sides: list[tuple[str, Judged]] = [("1a", one.same_class), ("1b", one.different_class)]
    if one.contrast_gap is not None:
        sides.append(("1a + 1b", one.contrast_gap))
    gallery = "each compared with the others" if one.num_gallery is None else plural(one.num_gallery, "gallery item")
    other = next(name for name in one.by_weighting if name != one.weights)
    return Section(
        "Mean distances (Definition 1)",
        (
            Table(
                ("gap", "these classes", "new classes", "verdict"),
                tuple((name, plus_minus(gap.fixed), plus_minus(gap.drawn), gap.verdict) for name, gap in sides),
            ),
            "1a is how much nearer the old gallery is to new queries than to old ones within a class, and 1b how much "
            f"farther between classes, on average, as {METRICS[one.metric].description}. Positive gaps are compatible. "
            "Their sum, the contrast gap, is what a ranking can see.",
            margin(one),
            f"{percent(one.same_class.pair_fraction)} of the single pairs of one class satisfy 1a, and "
            f"{percent(one.different_class.pair_fraction)} of those of different classes satisfy 1b. If every "
            f"{_COUNTED[other]} counts once instead of every {_COUNTED[one.weights]}: {both(one.by_weighting[other])}.",
            f"{plural(one.num_samples, 'sample')}, {gallery}; {plural(one.num_classes, 'class', 'classes')}; dimension "
            f"{count(one.dim)}. The intervals of 1a and 1b together have {confidence(one.confidence)} confidence.",
        ),
        one.verdict,
    )


_COUNTED = {"pairs": "pair", "classes": "class"}


def margin(one: Definition1Report) -> str:
    """What the margin is in both units, and what a verdict at it says."""
    # the error of the contrast is that of a margin which is a share of it
    error = one.margin_error / one.margin_share if one.margin and one.margin_share else 0.0
    contrast = number(one.contrast, decimals(1.96 * error), "") if error else digits(one.contrast)
    if not one.margin:
        return f"No loss is accepted (margin 0). The old model's contrast is {contrast}."
    share = "" if one.margin_share is None else f", which is {digits(100.0 * one.margin_share)} % of the old contrast"
    return (
        f"A loss of {digits(one.margin, 2)} is accepted{share} ({contrast}). Compatible at a margin is "
        "non-inferiority: no side loses more than that, which does not say that none loses."
    )


def both(sides: Sides) -> str:
    """Both gaps with their intervals, and the verdict."""
    return f"1a {plus_minus(sides.same_class)}, 1b {plus_minus(sides.different_class)}, {sides.verdict}"


def details(one: Definition1Report | None) -> Iterator[Section]:
    """Single classes, rotation, and how the intervals are meant: what an average hides."""
    if one is None:
        return
    yield _classes(one)
    if one.drift is not None:
        yield Section("Rotation of the class means", tuple(_rotation(one, one.drift)))
    yield Section(
        "How intervals and verdicts are meant",
        (
            f"{one.whom} Features are normalised to unit length first. An inequality is compatible if its interval "
            "lies to the right of the accepted loss, incompatible if it lies to the left, and inconclusive otherwise. "
            "Both inequalities are about averages: many single pairs violate them even if the averages satisfy them.",
        ),
    )


def _classes(one: Definition1Report) -> Section:
    """The classes that lose most, and the worst pair of classes."""
    ranked = sorted(one.by_class, key=lambda row: row.gap)
    counts = [(verdict, sum(row.verdict == verdict for row in ranked)) for verdict in Verdict]
    spread = ", ".join(f"{count(many)} {verdict}" for verdict, many in counts if many)
    blocks: list[Block] = []
    if ranked:
        blocks.append(
            f"Gaps of 1a for {plural(len(ranked), 'class', 'classes')}: {spread}. These intervals and verdicts are for "
            "all classes together, so the intervals are wider than above. Holm's test may decide a class whose "
            "interval still crosses the accepted loss."
        )
    if any(math.isfinite(row.interval.half) for row in ranked):
        bars = (
            Bar(name=label(row.label), found=row.interval, margin=one.margin, verdict=row.verdict)
            for row in ranked[:CLASSES]
        )
        rest = "" if len(ranked) <= CLASSES else f", the lowest {CLASSES} of {count(len(ranked))} classes"
        blocks.append(Axis(f"Gap of 1a{rest}", tuple(bars)))
    elif (worst := one.worst.same_class) is not None:
        blocks.append(f"Lowest gap of 1a: class {label(worst.label)}, {_bounded(worst.interval, worst.verdict)}.")
    if (pair := one.worst.different_class) is not None and one.class_pairs is not None:
        blocks.append(
            f"Lowest gap of 1b: queries of class {label(pair.query)} and gallery items of class {label(pair.gallery)}, "
            f"{_bounded(pair.interval, pair.verdict)}. The gap is negative for {count(one.class_pairs.negative)} of "
            f"{plural(one.class_pairs.total, 'ordered pair')} of classes."
        )
    return Section("Single classes", tuple(blocks))


def _bounded(found: Interval, verdict: str) -> str:
    """An estimate with its verdict, or that there are too few samples for an interval."""
    if not math.isfinite(found.half):
        return f"{digits(found.value, 2, '+')}, with too few samples for an interval"
    return f"{estimate(found)}, {verdict}"


def _rotation(one: Definition1Report, drift: DriftMargin) -> Iterator[Block]:
    caps = ""
    if drift.tolerates_as_caps is not None:
        caps = f" ({degrees(drift.tolerates_as_caps)} if classes were uniform caps)"
    measured = (
        f"The median class mean rotated by {degrees(drift.rotated)}"
        if drift.rotated > 0.0
        else "Half of the class means rotated by no more than sampling noise"
    )
    yield (
        f"{measured}, and the median rotation that is tolerable is {degrees(drift.tolerates)}{caps}. If a class mean "
        "rotates farther than is tolerable, items of its class are, on average, farther from new queries than from old "
        "ones. Rotations of classes with few samples are rough."
    )
    ranked = nearest_their_limit(drift)
    rest = "" if len(ranked) <= ROTATIONS else f"; {ROTATIONS} of {count(len(ranked))} classes"
    sizes = {row.label: row.num_samples for row in one.by_class}
    yield Table(
        ("class", "samples", "rotated", "tolerable", "left"),
        tuple(
            (
                label(found.label),
                count(sizes[found.label]) if found.label in sizes else "–",
                degrees(found.rotated),
                degrees(found.tolerates),
                degrees(found.tolerates - found.rotated, "+"),
            )
            for found in ranked[:ROTATIONS]
        ),
        caption=f"The classes nearest to their limit{rest}",
    )
    # the pair is the worst of many: where its gap is open, its rotation may be chance
    pair = one.worst.different_class
    if drift.pair is not None and pair is not None and pair.verdict != Verdict.inconclusive:
        yield pair_rotation(drift.pair)
    if (sentence := common_mean(one)) is not None:
        yield sentence


def pair_rotation(pair: PairDrift) -> str:
    """How far the pair of classes with the lowest gap rotated, and how far it may."""
    rotated = (
        f"{degrees(abs(pair.rotated))} {'towards' if pair.rotated >= 0 else 'away from'} class {label(pair.gallery)}"
    )
    limit = (
        f"up to {degrees(pair.tolerates)} towards it is tolerable"
        if pair.tolerates >= 0
        else f"at least {degrees(-pair.tolerates)} away from it is needed"
    )
    return (
        "Single pairs of classes tolerate less than the average over pairs: class "
        f"{label(pair.query)} rotated {rotated}, and {limit}."
    )


def nearest_their_limit(drift: DriftMargin) -> list[ClassDrift]:
    """Classes by how far they may still rotate."""
    return sorted(drift.by_class, key=lambda found: found.tolerates - found.rotated)


def common_mean(report: Definition1Report) -> str | None:
    """How much of the gap of 1b is owed to a mean that all old embeddings share; None where that is not known."""
    if report.common_mean_defect is None:
        return None
    sides = report.by_weighting["classes"]
    places = decimals(sides.different_class.interval.half)
    expected = sides.same_class.gap / (report.num_classes - 1)
    values = (expected, sides.different_class.gap, report.common_mean_defect)
    shown, found, defect = (number(value, places) for value in values)
    return (
        "Check of the data: if the old class means summed to zero, the gap of 1b would be that of 1a divided by "
        f"{count(report.num_classes - 1)}, which is {shown}, whatever the new model. It is {found}. The difference, "
        f"{defect}, comes from the mean that the old embeddings share. Every class counts once here."
    )


def caps(polar: PolarAngles | None) -> Section | None:
    """The angles of both models to the axes of the classes."""
    if polar is None:
        return None
    words = (
        f"90 % of the samples lie within {degrees(polar.old_radius)} of the axis of their class with the old model and "
        f"within {degrees(polar.new_radius)} with the new one."
    )
    axis = "the fixed vertex" if polar.axis == "vertices" else "the class mean of the old model"
    caption = (
        f"Angle between a sample and the axis of its class, which is {axis}. Areas show the share of the samples at "
        "each angle, and thick arcs the caps that contain 90 % of them."
    )
    return Section("The caps before and after", (words, Drawing("caps", (pictures.caps(polar),), words, caption)))


def hypotheses(h: Hypotheses | None) -> Section | None:
    """The conditions of Theorem 1."""
    if h is None:
        return None
    reads = {"hold": "holds", "fail": "hypothesis fails", "undecided": "undecided"}
    half = (h.cosine_change[1] - h.cosine_change[0]) / 2.0
    cosines = (number(value, decimals(half), "") for value in (h.old_cosine, h.new_cosine))
    change = " to ".join(number(value, decimals(half)) for value in h.cosine_change)
    drifts = (f"{degrees(median(drift))}, at most {degrees(max(drift))}" for drift in (h.old_drift, h.new_drift))
    collapse = (
        ("NC1, spread within classes over that of means", "within_between"),
        ("NC2, unequal lengths of the class means", "equinorm"),
        ("NC2, unequal angles between them", "equiangularity"),
        ("NC3, class means against vertices", "self_duality"),
    )
    return Section(
        "Conditions of Theorem 1",
        (
            "Theorem 1 says that both inequalities follow if an update keeps every class concentrated about the same "
            "fixed vertex and does not spread it. The vertices are those of a regular simplex, "
            f"{'estimated from the old model' if h.vertices_estimated else 'as given'}: the angles to them are not "
            "rotations from the old model to the new one.",
            Table(
                ("condition", "old", "new", "verdict"),
                (
                    ("angle of a class mean to its vertex, median", *drifts, reads[h.stationarity]),
                    ("mean cosine of a sample to its vertex", *cosines, reads[h.concentration]),
                ),
            ),
            f"The largest angle of a class mean is between {degrees(h.worst_drift[0])} and "
            f"{degrees(h.worst_drift[1])}, and {degrees(h.max_drift)} is allowed. The mean cosine changes by {change}.",
            Table(
                ("measure", "old", "new"),
                tuple(
                    (name, *(digits(getattr(of, field)) for of in (h.collapse_old, h.collapse_new)))
                    for name, field in collapse
                ),
                caption="Neural collapse; zero is complete collapse",
            ),
        ),
    )
