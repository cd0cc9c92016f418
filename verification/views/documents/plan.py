"""What a plan says: how many samples would decide an audit, before the new model exists."""

from __future__ import annotations

from verification.audit.plan import Plan
from verification.audit.power import POWER
from verification.views.document import Document, Section, Table
from verification.views.numbers import count, percent

_UNITS = {"sample": "samples", "group": "groups", "class": "classes"}


def plan(found: Plan) -> Document:
    """A table of claims, with what each needs beside what there is."""
    rows = tuple(
        (
            need.claim,
            "–" if need.need is None else f"{count(need.need)} {_UNITS[need.unit]}",
            count(need.have),
        )
        for need in found.needs
    )
    blocks: list[str | Table] = [
        Table(("claim", "needed", "there are"), rows),
        f"The numbers needed decide a claim with {percent(POWER, 0)} probability. They assume a model that is "
        "independent of the old one; an update that stays near the old model needs fewer.",
    ]
    if any(need.need is None for need in found.needs):
        blocks.append("–: no number decides the claim, because the assumed change is at the margin.")
    more = any(need.need is None or need.need > need.have for need in found.needs)
    return Document(
        sections=(Section("Samples that decide an audit", tuple(blocks)),),
        next_step=(
            "Collect more samples for the claims that you need, or accept a larger loss (--retrieval-margin, --margin)."
            if more
            else "Save this plan (stationary plan OLD --save FILE), then run stationary audit NEW OLD --plan FILE."
        ),
    )
