"""The section of the report's page that shows how much drift the update bears."""

from __future__ import annotations

import math

from verification.audit import AuditReport
from verification.drift import off_centre_sentence
from verification.page.markup import label, number, table

_ROWS = 10  # classes shown: those with the least room; the JSON report has them all


def margin(report: AuditReport) -> str:
    """How far class means moved, how far they may, and whether both inequalities are one condition here."""
    drift = report.drift
    if drift is None:
        return ""
    ranked = sorted(drift.by_class, key=lambda found: found.bears - found.moved)
    rows = "".join(
        f'<tr><th scope="row">{label(found.label)}</th>'
        + "".join(f"<td>{_degrees(angle)}</td>" for angle in (found.moved, found.bears))
        + f"<td><b>{_degrees(found.bears - found.moved, '+')}</b></td></tr>\n"
        for found in ranked[:_ROWS]
    )
    caption = "Turn of each class mean, the least room first"
    if len(ranked) > _ROWS:
        caption += f"; {_ROWS} of {len(ranked):,} classes, the JSON report has them all"
    caps = ""
    if drift.bears_as_caps is not None:
        caps = (
            f" Found by turning the features themselves; were classes uniform caps as concentrated as these, it would "
            f"be {_degrees(drift.bears_as_caps)}."
        )
    pair = ""
    if drift.pair is not None:
        turned = f"{_degrees(abs(drift.pair.moved))} {'towards' if drift.pair.moved >= 0 else 'away from'}"
        pair = (
            f"<p>A single pair of classes is fragile where the average over pairs is not: class "
            f"<b>{label(drift.pair.query)}</b> turned {turned} "
            f"class <b>{label(drift.pair.gallery)}</b>, and bears {_degrees(drift.pair.bears)} straight at it.</p>\n"
        )
    check = ""
    if report.off_centre_defect is not None:
        sides = report.by_weighting["classes"]
        gaps = sides.same_class.gap, sides.different_class.gap
        sentence = off_centre_sentence(*gaps, report.off_centre_defect, report.num_classes)
        check = f"<p>{sentence.replace('-', '−')}</p>\n"
    return (
        '<section aria-labelledby="margin">\n<h2 id="margin">How much drift the update bears</h2>\n'
        f"<p>The class means moved <b>{_degrees(drift.moved)}</b>, the update bears <b>{_degrees(drift.bears)}</b> "
        "(medians over the classes): a class mean may turn so far from where the old model had it before items of its "
        f"class are, on average, farther from new queries than from old ones.{caps}</p>\n"
        f"{table(caption, ('class', 'moved', 'bears', 'room'), rows)}{pair}{check}</section>\n"
    )


def _degrees(angle: float, sign: str = "") -> str:
    return f"{number(math.degrees(angle), 1, sign)}°"
