"""The table of certificates: Theorem 1's gaps on simplices from 2 to 1024 classes, caps and von Mises–Fisher laws.

``python -m theory.certify.table docs/certificates.md`` computes it again and writes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from theory.certify.boxes import Certificate, GapCertificates
from theory.certify.series import METRIC_NAMES, load_flint
from theory.certify.sweep import certify_gaps
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
""" + "\n".join(lines) + "\n"  # fmt: skip


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
