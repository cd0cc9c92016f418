"""The sections of the report's page for the claims beside Definition 1: retrieval and accept thresholds."""

from __future__ import annotations

from typing import Any

from verification.page.curves import det_picture, roc_picture
from verification.page.markup import KINDS, definitions, mark, number, table

_SEARCHES = (
    ("old queries, old gallery", "old_old"),
    ("new queries, old gallery", "new_old"),
    ("new queries, new gallery", "new_new"),
)
_CHANGES = (
    ("new queries, old gallery, less old queries", "upgrade"),
    ("the gallery embedded again, less the old one", "reindexing"),
    ("all new, less all old", "model"),
)


def retrieval_change(data: dict[str, Any]) -> str:
    """Recall and mAP of the three searches, and their differences with intervals."""
    r = data["retrieval"]
    kind = KINDS[r["verdict"]]
    names = [score["name"] for score in r["scores"]]

    def rows(which: tuple[tuple[str, str], ...], cell: Any) -> str:
        lines = []
        for name, field in which:
            if r["scores"][0][field] is not None:
                cells = "".join(f"<td>{cell(score[field])}</td>" for score in r["scores"])
                lines.append(f'<tr><th scope="row">{name}</th>{cells}</tr>\n')
        return "".join(lines)

    def change(d: dict[str, float], lower: str = "lower", upper: str = "upper") -> str:
        return f"{number(100 * d['value'], 1)} ({number(100 * d[lower], 1)} to {number(100 * d[upper], 1)})"

    def by_class(d: dict[str, float]) -> str:
        return change(d, "class_lower", "class_upper")

    last = rows((("the first, were the classes drawn too", "upgrade"),), by_class)
    searches = table("Queries answered rightly, per cent", ("", *names), rows(_SEARCHES, lambda v: f"{100 * v:.1f}"))
    changes = table("Changes, points, with their intervals", ("", *names), rows(_CHANGES, change) + last)
    alike = "and so it is" if r["class_verdict"] == r["verdict"] else f"but <b>{r['class_verdict']}</b>"
    disagreement = f"<p>{data['disagreement']}</p>\n" if data["disagreement"] else ""
    return (
        '<section aria-labelledby="change">\n<h2 id="change">Retrieval: old gallery, new queries</h2>\n'
        f'<p><b class="{kind}">{r["verdict"]} {mark(r["verdict"])}</b>, by how often the nearest item of the old '
        f"gallery has the right class (recall@1), with an accepted loss of {100 * r['margin']:.3g} points; {alike} "
        f"where the classes are drawn too.</p>\n{disagreement}{searches}{changes}"
        f"<p>{100 * r['gained']:.1f} % of the queries are answered rightly by the new model alone, "
        f"{100 * r['lost']:.1f} % by the old alone.</p>\n"
        f'<p class="soft">{r["scores"][0]["num_queries"]:,} queries, {r["num_gallery"]:,} gallery items. Each interval '
        f"holds with {100 * r['confidence']:.4g} % confidence by itself: for new queries of these classes in "
        "this gallery, the last line were the classes drawn too. The gallery is what it is and is not resampled.</p>\n"
        "</section>\n"
    )


def thresholds(data: dict[str, Any]) -> str:
    """FAR and TAR at the old threshold, the threshold that keeps FAR, ROC and DET."""
    t = data["thresholds"]
    kind = KINDS[t["verdict"]]
    chosen = "" if t["target_far"] is None else f", at which old queries have FAR {t['target_far']:g}"
    body = ""
    for name, rate in (("false accepts (FAR)", "far"), ("true accepts (TAR)", "tar")):
        cells = "".join(f"<td>{_rate(t[model + rate])}</td>" for model in ("old_", "new_"))
        verdict = t[f"{rate}_change"]["verdict"]
        body += f'<tr><th scope="row">{name}</th>{cells}<td><b class="{KINDS[verdict]}">{verdict}</b></td></tr>\n'
    kept = t["kept"]
    low, high = ("∞" if bound is None else f"{bound:.4f}" for bound in (kept["lower"], kept["upper"]))
    rows = (
        ("threshold that keeps FAR", f"{kept['threshold']:.4f} ({low} to {high})"),
        ("TAR there, new queries", _rate(kept["tar"])),
        ("change of TAR", f"{number(kept['tar_change']['value'], 4)} ({_bounds(kept['tar_change'])})"),
    )
    curves = [("old", t["old_curve"]), ("new", t["new_curve"])]
    far = t["old_far"]["value"]
    words = f"At the old threshold FAR is {far:.3g} with old and {t['new_far']['value']:.3g} with new queries."
    return (
        '<section aria-labelledby="thresholds">\n<h2 id="thresholds">The accept threshold</h2>\n'
        f'<p><b class="{kind}">{t["verdict"]} {mark(t["verdict"])}</b> at the old threshold, cosine '
        f"{t['threshold']:.4f}{chosen}: FAR may rise by {100 * t['far_margin']:.3g} % of itself and TAR fall by "
        f"{100 * t['tar_margin']:.3g} points; both verdicts hold at once.</p>\n"
        f"{table('Share of pairs accepted at the old threshold', ('', 'old queries', 'new queries', 'verdict'), body)}"
        f'{definitions(rows)}<div class="sides">\n'
        f"<figure>\n{roc_picture(curves, far, words)}\n<figcaption>ROC: share of pairs of one class accepted, over "
        "that of different classes; dashed: the old FAR. Bands hold at each FAR by itself.</figcaption>\n</figure>\n"
        f"<figure>\n{det_picture(curves, far, words)}\n<figcaption>DET: the same as error rates on normal deviates; "
        "lower is better.</figcaption>\n</figure>\n</div>\n"
        f'<p class="soft">{t["same_pairs"]:,} pairs of one class and {t["different_pairs"]:,} of different classes of '
        f"{t['num_samples']:,} samples. Intervals have the sample for a unit, as pairs share samples.</p>\n</section>\n"
    )


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['value']:.4g} ({_bounds(rate)})"


def _bounds(rate: dict[str, float]) -> str:
    return f"{rate['lower']:.4g} to {rate['upper']:.4g}".replace("-", "−")
