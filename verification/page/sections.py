"""The sections of the report's page that show numbers: gaps, classes, caps, drift, retrieval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from verification.hypotheses import Hypotheses
from verification.matrices import MatrixReport
from verification.page.markup import KINDS, METRICS, bounds, decimals, definitions, interval, label, mark, number, table
from verification.page.pictures import Scale, caps_picture, interval_bar, interval_picture
from verification.polar import COVERAGE, PolarAngles

_ROWS = 20  # classes shown: the worst; the JSON report has them all
_HEADINGS = {"same_class": "Same class (1a): nearer", "different_class": "Different classes (1b): farther"}
_VERDICTS = ("compatible", "incompatible", "inconclusive")
_READS = {"hold": "holds", "fail": "fails", "undecided": "undecided"}


def gaps(data: dict[str, Any]) -> str:
    """Both inequalities, in the weighting that was asked for and in words in the other."""
    cards = "".join(_card(data[name], heading, data["margin"]) for name, heading in _HEADINGS.items())
    (other,) = (sides for name, sides in data["by_weighting"].items() if name != data["weights"])
    counted, instead = ("class", "pair") if data["weights"] == "pairs" else ("pair", "class")
    return (
        '<section aria-labelledby="gaps">\n<h2 id="gaps">How much changes on average</h2>\n'
        f"<p>The gap is the change of the mean {METRICS[data['metric']]} between queries and gallery items "
        "when the queries come from the new model: right of zero is compatible. The bar is the interval for the "
        f'expected gap.</p>\n<div class="sides">\n{cards}</div>\n'
        f"<p>Every {counted} counted once instead of every {instead}: same class {interval(other['same_class'])}, "
        f"different classes {interval(other['different_class'])}; {other['verdict']}.</p>\n</section>\n"
    )


def _card(side: dict[str, Any], heading: str, margin: float) -> str:
    lower, upper = bounds(side)
    places = decimals((upper - lower) / 2.0)
    error = f" ± {100 * side['pair_fraction_error']:.1g} %" if side["pair_fraction_error"] else ""
    picture = interval_picture(
        side["gap"],
        lower,
        upper,
        margin,
        KINDS[side["verdict"]],
        f"Gap {number(side['gap'], places)}, interval from {number(lower, places)} to {number(upper, places)}: "
        f"{side['verdict']}.",
    )
    rows = (
        ("gap", number(side["gap"], places)),
        ("interval", f"{number(lower, places)} to {number(upper, places)}"),
        ("single pairs", f"{100 * side['pair_fraction']:.1f} %{error} satisfy it"),
        ("verdict", f'<b class="{KINDS[side["verdict"]]}">{side["verdict"]}</b>'),
    )
    return f'<div class="card">\n<h3>{heading}</h3>\n{picture}\n{definitions(rows)}</div>\n'


def classes(data: dict[str, Any]) -> str:
    """The same-class gap of the classes that lose most, and the class pairs counted."""
    ranked = sorted(data["by_class"], key=lambda row: row["gap"])
    shown = ranked[:_ROWS]
    scale = Scale([bound for row in shown for bound in bounds(row)], 4.0, 156.0)
    body = []
    for row in shown:
        lower, upper = bounds(row)
        kind = KINDS[row["verdict"]]
        gap = f"{number(row['gap'], decimals((upper - lower) / 2.0))} {mark(row['verdict'])}"
        bar = interval_bar(row["gap"], lower, upper, kind, scale, interval(row))
        body.append(
            f'<tr><th scope="row">{label(row["label"])}</th><td>{row["num_samples"]:,}</td>'
            f'<td class="bar">{bar}</td><td><b class="{kind}">{gap}</b></td></tr>\n'
        )
    caption = "Same-class gap of each class, the least first"
    if len(ranked) > len(shown):
        caption += f"; {len(shown)} of {len(ranked):,} classes, the JSON report has them all"
    text = (
        f"<p>{len(ranked):,} classes: {_counts(Counter(row['verdict'] for row in ranked))}. Intervals and verdicts "
        f"here hold for all classes at once, so they are wider than above.</p>\n"
        f"{table(caption, ('class', 'samples', 'interval', 'gap'), ''.join(body))}"
    )
    pairs, worst = data["class_pairs"], data["worst"]["different_class"]
    if pairs:
        text += f"<p>{pairs['total']:,} ordered pairs of classes: {pairs['negative']:,} with a negative gap"
        text += f"; {_counts(pairs)}." if pairs["inconclusive"] is not None else "."
    if worst:
        text += (
            f" The least gap is that of queries of class <b>{label(worst['query'])}</b> and gallery items of "
            f"class <b>{label(worst['gallery'])}</b>: {interval(worst)}, {worst['verdict']}."
        )
    text += "</p>\n" if pairs else ""
    return f'<section aria-labelledby="classes">\n<h2 id="classes">Class by class</h2>\n{text}</section>\n'


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in _VERDICTS if counts[kind])


def caps(polar: PolarAngles) -> str:
    """The angles of both models to the axes of the classes."""
    old, new = math.degrees(polar.old_radius), math.degrees(polar.new_radius)
    change = "tighter" if new < old else "wider"
    words = (
        f"{100 * COVERAGE:.0f} % of the samples lie within {old:.1f}° of the axis of their class by the old model and "
        f"within {new:.1f}° by the new one, which is {change}."
    )
    axis = "the fixed vertex" if polar.axis == "vertices" else "the mean under the old model"
    return (
        '<section aria-labelledby="caps">\n<h2 id="caps">The caps before and after</h2>\n'
        f"<p>{words}</p>\n<figure>\n{caps_picture(polar.old, polar.new, polar.old_radius, polar.new_radius, words)}\n"
        f"<figcaption>Angle between a sample and the axis of its class, {axis}. Areas: share of the samples at each "
        f"angle. Thick arcs: the caps that hold {100 * COVERAGE:.0f} %.</figcaption>\n</figure>\n</section>\n"
    )


def drift(hypotheses: Hypotheses) -> str:
    """The conditions of Theorem 1."""
    h = hypotheses
    low, high = (math.degrees(angle) for angle in h.worst_drift)
    axis = "estimated from the old model" if h.vertices_estimated else "given"
    stay = (
        *(
            (name, f"median {np.degrees(np.median(angles)):.1f}°, largest {np.degrees(np.max(angles)):.1f}°")
            for name, angles in (("old model", h.old_drift), ("new model", h.new_drift))
        ),
        ("interval", f"{low:.1f}° to {high:.1f}°"),
        ("allowed", f"{math.degrees(h.max_drift):.0f}°"),
    )
    gather = (
        ("old model", number(h.old_cosine, 3, "")),
        ("new model", number(h.new_cosine, 3, "")),
        ("change", " to ".join(number(bound, 3) for bound in h.cosine_change)),
    )
    cards = "".join(
        f'<div class="card">\n<h3>{name}</h3>\n<p class="soft">{measure}</p>\n'
        + definitions((*rows, ("verdict", f'<b class="{KINDS[word]}">{_READS[word]}</b>')))
        + "</div>\n"
        for name, measure, rows, word in (
            ("Class means stay in place", f"Angle between a class mean and its vertex ({axis}).", stay, h.stationarity),
            ("Classes do not spread", "Mean cosine of a sample to its vertex.", gather, h.concentration),
        )
    )
    return (
        '<section aria-labelledby="drift">\n<h2 id="drift">Why: drift and concentration</h2>\n'
        "<p>Theorem 1 promises both inequalities to models that keep each class about one fixed vertex and do not "
        f'spread it. These are its conditions, measured.</p>\n<div class="sides">\n{cards}</div>\n'
        f"{_collapse(h)}</section>\n"
    )


def _collapse(h: Hypotheses) -> str:
    """NC1–NC3, for those who read them."""
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{getattr(model, field):.3f}</td>" for model in (h.collapse_old, h.collapse_new))
        + "</tr>\n"
        for name, field in (
            ("NC1, spread within classes over spread of their means", "within_between"),
            ("NC2, unequal lengths of the class means", "equinorm"),
            ("NC2, unequal angles between them", "equiangularity"),
            ("NC3, class means against vertices", "self_duality"),
        )
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("measure", "old", "new"))
    caption = "Neural collapse: zero where it is complete"
    return f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"


def retrieval(report: MatrixReport) -> str:
    """The compatibility matrix and what it sums up to."""
    size = len(report.matrix)
    verdicts = {(entry.new, entry.old): entry for entry in report.entries}
    body = []
    for t in range(size):
        cells = []
        for k in range(size):
            if k > t:
                cells.append("<td></td>")
                continue
            value = f"{100 * report.matrix[t, k]:.1f}"
            if k == t:
                cells.append(f"<td><strong>{value}</strong></td>")
                continue
            verdict = verdicts[t, k].verdict
            cells.append(f'<td class="{KINDS[verdict]}">{value} {mark(verdict)}</td>')
        body.append(f'<tr><th scope="row">queries {t + 1}</th>{"".join(cells)}</tr>\n')
    heads = ("model", *(f"gallery {k + 1}" for k in range(size)))
    rows = [("average accuracy AA", f"{100 * report.average_accuracies[-1]:.2f} %")]
    if size > 1:
        low, high = report.average_compatibility_interval
        rows = [
            ("average compatibility AC", f"{report.average_compatibility:.3f}, in [{low:.3f}, {high:.3f}]"),
            ("undecided entries", f"{len(report.undecided)} of {len(report.entries)}"),
            *rows,
            ("gain in old galleries BC", f"{number(100 * report.backward_compatibility, 2)} points"),
            ("against a new gallery FC", f"{number(100 * report.forward_compatibility, 2)} points"),
        ]
    how = "query by query" if report.paired else "from the accuracies alone"
    return (
        '<section aria-labelledby="retrieval">\n<h2 id="retrieval">Retrieval</h2>\n'
        "<p>How often a search finds the right class. ✓: the model does better in the gallery than "
        "the gallery's own model (bold), ✗: worse, ?: these queries do not decide.</p>\n"
        f"{table('Queries answered rightly, per cent', heads, ''.join(body))}{definitions(rows)}"
        f'<p class="soft">{report.num_queries:,} queries an entry, compared {how}; all entries at once with '
        f"{100 * report.confidence:.4g} % confidence.</p>\n</section>\n"
    )
