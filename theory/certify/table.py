"""The tables of certificates: Theorem 1's gaps on simplices from 2 to 1024 classes, caps and von Mises–Fisher laws; the
decisions of Theorem D, its exact thresholds, and the searches in which recall falls although it holds.

``python -m theory.certify.table docs/certificates.md`` computes it again and writes it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from theory.caps import UniformCap
from theory.certify.boxes import Certificate, GapCertificates, Interval
from theory.certify.circle import certify_circle_ranking
from theory.certify.decisions import VERDICTS, RateCertificate, certify_rates
from theory.certify.hemispheres import certify_orthogonal_recall
from theory.certify.rates import enclose_threshold
from theory.certify.series import METRIC_NAMES, load_flint
from theory.certify.sweep import certify_gaps
from theory.decisions import safe_threshold
from theory.files import write_text

CLASSES = (2, 3, 4, 6, 10, 32, 100, 317, 1024)
RADII = (0.05, 3.0)
NEAR_DIAGONAL = 0.02  # relative difference of the two parameters


def _terms(dim: int) -> int:
    """Small caps of high dimension have a slow series: a_n ≈ cos^n α."""
    return 256 if dim < 64 else 512 if dim < 512 else 1024


def table() -> Iterator[tuple[int | None, tuple[float, float], GapCertificates]]:
    """Certificates of every case, each with K (None for axes near a right angle) and the range of the parameters."""
    for num_classes in CLASSES:
        dim = max(2, num_classes - 1)
        ranges = {"cap": RADII, "von-mises-fisher": (0.1 * dim, 10.0 * dim)}
        for law, new in ranges.items():
            levels = 1 if dim > 512 else 2 if dim > 2 else 3
            for found in certify_gaps(
                dim, num_classes, METRIC_NAMES, law=law, new=new, levels=levels, terms=_terms(dim)
            ):
                yield num_classes, new, found
    for new, old in (((0.48, 0.52), (1.98, 2.02)), ((0.28, 0.32), (2.18, 2.22))):
        (found,) = certify_gaps(3, metrics="euclidean", axis_cosine=(-0.01, 0.0), new=new, old=old, terms=256)
        yield None, new, found


def _cell(certificate: Certificate) -> str:
    shares = certificate.shares
    away = certificate.open_share(NEAR_DIAGONAL) if certificate.open else 0.0
    return " | ".join(f"{100.0 * share:.3f}" for share in (shares["positive"], shares["negative"], away))


WIDE = {"radii": (0.2, 1.5), "other": (0.2, 1.5)}
REGIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "D2": (
        {"dim": 3, **WIDE, "axis_cosine": (-0.4, -1 / 3), "threshold": (-1 / 3, 0.9)},
        {"dim": 9, **WIDE, "axis_cosine": (-0.2, -1 / 9), "threshold": (-1 / 9, 0.9)},
        {"dim": 32, **WIDE, "axis_cosine": (-0.1, -1 / 32), "threshold": (-1 / 32, 0.6)},
    ),
    "D2, beyond π/2": (
        {"dim": 9, "radii": (1.6, 2.2), "other": (0.2, 1.5), "axis_cosine": (-0.8, -0.6), "threshold": (-0.6, 0.9)},
    ),
    "D3": (
        {"dim": 9, "radii": (0.4, 0.6), "other": (0.4, 0.6), "axis_cosine": (0.25, 0.3), "threshold": (0.45, 0.7),
         "step": 0.025},
    ),
    "below D2": (
        {"dim": 9, "radii": (0.3, 0.6), "other": (0.3, 0.6), "axis_cosine": (-0.12, -0.1), "threshold": (-0.4, -0.25)},
    ),
    "below D3": (
        {"dim": 9, "radii": (0.4, 0.6), "other": (0.4, 0.6), "axis_cosine": (0.25, 0.3), "threshold": (0.0, 0.25)},
    ),
}  # fmt: skip
"""Regions in which Theorem D speaks, and below its bounds."""
THRESHOLDS = tuple(
    {"dim": dim, "new": new, "old": 0.6, "axis_cosine": rho, "width": width, "terms": terms}
    for dim, new, width, terms in ((3, 0.3, 1e-4, 512), (9, 0.3, 1e-6, 400), (9, 0.55, 1e-6, 400), (64, 0.3, 1e-6, 400))
    for rho in (-1 / 9, 0.3)
)
"""Laws whose exact threshold is enclosed."""


def decisions() -> Iterator[tuple[str, RateCertificate]]:
    """The certificates of every region."""
    for name, regions in REGIONS.items():
        for region in regions:
            yield name, certify_rates(**region)


def recalls() -> Iterator[tuple[str, str, Interval, Interval]]:
    """Cases of consequence 2 and 3: what they are, what is counted, and bounds before and after the update."""
    pi = load_flint().arb.pi()
    right = pi / 2
    cases = (
        ("two arcs at a right angle, α_k = π/2, α_t = 0.05, 50 items each", "recall@1",
         (right, 0.05), ([right] * 2, [0, right], [50, 50])),
        ("three arcs, ρ = −1/2, α_k = 2.3, α_t = 0.05, 50 items each", "recall@1",
         (2.3, 0.05), ([2.3] * 3, [0, 2 * pi / 3, 4 * pi / 3], [50] * 3)),
        ("two arcs 0.5 apart, α_k = 0.1, α' = 0.52, α_t = 0.01, 5 right items and a wrong one", "wrong items above",
         (0.1, 0.01), ([0.1, 0.52], [0, 0.5], [5, 1])),
    )  # fmt: skip
    for text, counted, queries, rest in cases:
        found = (certify_circle_ranking(query, *rest) for query in queries)
        balls = [one.recall if counted == "recall@1" else one.wrong_above for one in found]
        before, after = ((float(ball.lower()), float(ball.upper())) for ball in balls)
        yield f"d = 2, {text}", counted, before, after
    hemispheres = certify_orthogonal_recall(math.pi / 2, 50, 32, 120), certify_orthogonal_recall(0.02, 50, 8, 160)
    yield "d = 3, three orthogonal axes, α_k = π/2, α_t = 0.02, 50 items each", "recall@1", *hemispheres


def _bounds(interval: Interval, digits: int = 6) -> str:
    """An interval rounded outwards; one number where its digits agree."""
    scale = 10.0**digits
    low, high = (rounded / scale for rounded in (math.floor(interval[0] * scale), math.ceil(interval[1] * scale)))
    return f"{low:.{digits}f} … {high:.{digits}f}"


def _range(interval: Interval) -> str:
    return f"{interval[0]:.3g} … {interval[1]:.3g}"


def decision_tables() -> str:
    """The part of the page that is about Theorem D; two minutes."""
    started = time.process_time()
    regions = [
        f"| {name} | {c.dim} | "
        + " | ".join(_range(side) for side in (c.radii, c.other, c.axis_cosine, c.threshold))
        + " | "
        + " | ".join(f"{100 * c.shares[verdict]:.2f}" for verdict in VERDICTS)
        + f" | {sum(c.boxes.values()):,} | {c.boxes['rises']:,} | {c.boxes['open']:,} |"
        for name, c in decisions()
    ]
    thresholds = []
    for case in THRESHOLDS:
        dim, new, old, rho = (case[key] for key in ("dim", "new", "old", "axis_cosine"))
        safe = safe_threshold(UniformCap(int(dim), new), UniformCap(int(dim), old), rho)
        thresholds.append(
            f"| {dim} | {new:g} | {old:g} | {rho:.4f} | {_bounds(enclose_threshold(**case))} | {safe:.6f} |"  # type: ignore[arg-type]
        )
    searches = [f"| {case} | {what} | {_bounds(a)} | {_bounds(b)} |" for case, what, a, b in recalls()]
    seconds = time.process_time() - started
    return f"""
## Decisions at a threshold

[Theorem D](theorem-d.md) without its proof: the sign of FAR_k − FAR_t for all α_t < α_k in a range and all α', ρ and τ
in theirs, by a series in ball arithmetic that uses no step of the derivation. In per cent of the region's volume:
where the false accept rate is proved to fall, where both rates are 0, or both 1, for want of any pair on the other
side, where it is proved to rise, and what is left open; and the boxes. In the regions of D2 and D3 no box may rise. In
the two regions below the bounds none may fall. What is open lies in the tails, where both rates are too small for the
width of the boxes.

| region | d | α_t < α_k | α' | ρ | τ | falls | equal | rises | open | boxes | rise | open |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(regions)}

The exact threshold, from which FAR does not rise, enclosed from both sides, beside the threshold that Theorem D
proves; α' = α_k.

| d | α_t | α_k | ρ | exact threshold | proved |
|---|---|---|---|---|---|
{chr(10).join(thresholds)}

Searches that get worse although every false accept rate of D2 or D3 falls. On the circle the integrals are those of
polynomials and are enclosed to twelve digits; in three dimensions they lie between sums over cells of queries.

| case | what is counted | before | after |
|---|---|---|---|
{chr(10).join(searches)}

Command: the one above; {seconds:.0f} s of one core for this section.
"""


def markdown() -> str:
    """The table as a page; several minutes."""
    started = time.process_time()
    lines = []
    for num_classes, (low, high), found in table():
        axes = f"{num_classes}" if num_classes else f"ρ in [{found.axis_cosine[0]:g}, {found.axis_cosine[1]:g}]"
        law = ("α" if found.law == "cap" else "κ") + f" {low:g}–{high:g}"
        if not num_classes:
            row = found.different_class
            box = (row.positive + row.negative + row.open)[0]
            law += f", old {box.old[0]:.2f}–{max(b.old[1] for b in row.positive + row.negative + row.open):.2f}"
        cells = f"{_cell(found.same_class)} | {_cell(found.different_class)}"
        lines.append(f"| {axes} | {found.dim} | {law} | {found.metric} | {cells} |")
    seconds = time.process_time() - started
    command = f"`python -m theory.certify.table docs/certificates.md`; {seconds:.0f} s of one core"
    return f"""# Certificates

Signs of both gaps of Theorem 1 proved in ball arithmetic, box by box, for all pairs (new law, old law) in a square of
parameters: uniform caps of radii α (radians), von Mises–Fisher laws of concentrations κ. In per cent of the square's
area: where the gap is proved positive (compatible), where negative, and what is left open farther than
{100 * NEAR_DIAGONAL:g} % from the diagonal, on which both gaps vanish. 50 and 50 is Theorem 1 throughout: the new law
the narrower one in one half, the wider one in the other. The last two lines are violations: radii above π/2 and axes
near a right angle, where 1b is negative although the new cap is narrower. For the angle, d = 2 and K = 3, the gap of 1b
is identically 0 where α_t + α_k ≤ π/3 and α_k ≤ π/6, and exponentially small for large κ: no enclosure decides that.

Command: {command}, python-flint {load_flint().__version__}.

| K | d | parameters | distance | 1a + | 1a − | 1a open | 1b + | 1b − | 1b open |
|---|---|---|---|---|---|---|---|---|---|
""" + "\n".join(lines) + "\n" + decision_tables()  # fmt: skip


def main(arguments: list[str]) -> Any:
    """Write the page to the path given, whole or not at all."""
    if len(arguments) != 1:
        return "usage: python -m theory.certify.table PATH"
    path = Path(arguments[0])
    if not path.parent.is_dir():
        return f"PATH must lie in a folder that exists, got {path}"
    write_text(path, markdown())
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
