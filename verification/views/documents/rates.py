"""What an audit says of accept thresholds: rates at the old one, and the threshold that keeps false accepts."""

from __future__ import annotations

from verification.audit.accept import AcceptClaim
from verification.audit.threshold_report import ThresholdReport, ThresholdUnit, is_distance, is_raw
from verification.features.compression import Compression
from verification.statistics.interval import Interval
from verification.views import pictures
from verification.views.document import Drawing, Section, Table
from verification.views.documents.words import search_words
from verification.views.numbers import (
    Bounds,
    confidence,
    count,
    digits,
    estimate,
    in_points,
    number,
    plural,
    points,
    rate,
)


def names(claim: AcceptClaim) -> tuple[str, str]:
    """What the false and the true accept rate are called."""
    return ("FAR", "TAR") if claim.rank1 is None else ("FPIR", "DIR")


def _allowed(false: str, rise: float, true: str, fall: float) -> str:
    """What is accepted of both rates."""
    if not rise and not fall:
        return f"{false} may not rise, and {true} may not fall."
    parts = (
        f"{false} may {f'rise by {digits(100 * rise)} % of itself' if rise else 'not rise'}",
        f"{true} may {f'fall by {in_points(fall)}' if fall else 'not fall'}",
    )
    return f"{' and '.join(parts)}."


def accepted(name: str, claim: AcceptClaim) -> Section:
    """Accept rates of single comparisons at the old threshold, and at the one that keeps false accepts."""
    found, (false, true) = claim.rates, names(claim)
    changes = [(false, found.false_accepts), (true, found.true_accepts), (f"{true}, kept", found.true_accepts_kept)]
    if claim.rank1 is not None:
        changes.append(("rank 1", claim.rank1))
    rows = tuple(
        (rate_name, which, rate(found))
        for rate_name, of in changes
        for which, found in (("old", of.old), ("new", of.new))
    )
    unknown = f" {plural(claim.unknown, 'pair')} with unknown ids were left out." if claim.unknown else ""
    return Section(
        f"{name[:1].upper()}{name[1:]}",
        (
            f"{plural(found.num_genuine, 'genuine comparison')} and {plural(found.num_impostors, 'impostor')} at the "
            f"old threshold, {threshold_at(found.threshold, claim.threshold_unit)}. "
            f"{_allowed(false, claim.false_margin, true, claim.true_margin)}{unknown}",
            Table(("rate", "queries", "share of comparisons"), rows),
            f"Kept: at a {claim.threshold_unit} of {kept_at(found.kept_threshold, claim.threshold_unit)} new queries "
            f"have the old {false}. Both changes together have {confidence(claim.confidence)} confidence.",
        ),
        claim.verdict,
    )


def thresholds(t: ThresholdReport | None, compression: Compression | None) -> Section | None:
    """FAR and TAR at the old threshold, and the threshold that keeps FAR."""
    if t is None:
        return None
    say = search_words(compression)
    chosen = "" if t.target_far is None else f", where {say.old} {say.have} FAR {digits(t.target_far)}"
    bound = "most" if is_distance(t.threshold_unit) else "least"
    raw = " Rows are compared as they are, without normalising them." if is_raw(t.threshold_unit) else ""
    rates = (
        ("FAR", say.short[0], rate(t.old_far)),
        ("FAR", say.short[1], rate(t.new_far)),
        ("TAR", say.short[0], rate(t.old_tar)),
        ("TAR", say.short[1], rate(t.new_tar)),
    )
    curves, far = (t.old_curve, t.new_curve), t.old_far.value
    words = f"FAR is {rate(t.old_far)} for {say.old} and {rate(t.new_far)} for {say.new} at the old threshold."
    return Section(
        "Accept threshold",
        (
            f"Pairs with a {t.threshold_unit} of at {bound} {_spelled(t.threshold, t.threshold_unit)} are "
            f"accepted{chosen}.{raw} {_allowed('FAR', t.far_margin, 'TAR', t.tar_margin)}",
            Table(
                ("rate", "queries" if compression is None else "vectors", "share of pairs"),
                rates,
                caption="FAR is the share of accepted pairs of different classes, and TAR that of pairs of one class",
            ),
            f"FAR is {t.far_change.verdict}, and TAR is {t.tar_change.verdict}.",
            f"{say.new[:1].upper()}{say.new[1:]} {say.have} the old FAR at a {t.threshold_unit} of "
            f"{kept_threshold(t)}. TAR is {rate(t.kept.tar)} there, which is a change of "
            f"{points(t.kept.tar_change)} points.",
            Drawing(
                "curves",
                (pictures.roc(*curves, far), "TAR"),
                words,
                "ROC: TAR over FAR. The vertical dashed line is the old FAR, and the dashed curve is the new model. "
                "Each band is for one FAR at a time.",
            ),
            Drawing(
                "curves",
                (pictures.det(*curves, far), "FRR = 1 − TAR"),
                words,
                "DET: the same as error rates on normal deviates. Lower is better.",
            ),
            f"{count(t.same_pairs)} pairs of one class and {count(t.different_pairs)} of different classes, from "
            f"{plural(t.num_samples, 'sample')}. Both verdicts together have {confidence(t.confidence)} confidence.",
        ),
        t.verdict,
    )


def threshold_at(threshold: float, unit: ThresholdUnit) -> str:
    """A threshold with its unit."""
    return f"{unit} {_spelled(threshold, unit)}{' of rows as they are' if is_raw(unit) else ''}"


def _spelled(threshold: float, unit: ThresholdUnit) -> str:
    return number(threshold, 4, "") if unit == "cosine" else digits(threshold, 4)


def kept_threshold(t: ThresholdReport) -> str:
    """The threshold at which new queries have the old FAR, with its interval."""
    return kept_at(Bounds(t.kept.threshold, t.kept.lower, t.kept.upper), t.threshold_unit)


def kept_at(found: Bounds | Interval, unit: ThresholdUnit) -> str:
    """A threshold with its interval; bits are whole."""
    if unit == "Hamming distance":
        return f"{found.value:.0f} ({found.lower:.0f} to {found.upper:.0f})"
    return estimate(found, "", least=4)
