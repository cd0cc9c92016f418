"""How verdicts look: one table from the word to its mark, its colour in a terminal and its class in a style sheet."""

from __future__ import annotations

from dataclasses import dataclass

from verification.bridge.relation_kind import RelationKind
from verification.statistics.interval import Verdict


@dataclass(frozen=True)
class Look:
    """How a verdict looks.

    Attributes
    ----------
    mark : str
        A sign that does not depend on colour.
    colour : str
        In a terminal.
    kind : str
        The class of the style sheet.
    """

    mark: str
    colour: str
    kind: str


LOOKS = {verdict.value: Look(verdict.mark, verdict.colour, verdict.kind) for verdict in Verdict}
_YES, _NO, _OPEN = LOOKS.values()
LOOKS |= {
    # entries of a compatibility matrix and hypotheses of Theorem 1
    "undecided": _OPEN,
    "hold": _YES,
    "fail": _NO,
    # answers of a check of Theorem 1
    "holds": _YES,
    "hypothesis fails": Look("–", "cyan", "open"),
    "conclusion fails although the hypotheses hold": _NO,
    # what lies between two models
    **dict.fromkeys((kind.value for kind in RelationKind), _OPEN),
    RelationKind.same.value: _YES,
    # claims of the ledger
    **dict.fromkeys(("proved", "verified numerically", "verified on trained models"), _YES),
    **dict.fromkeys(("holds under stated conditions", "not checkable here"), _OPEN),
    **dict.fromkeys(("not reproduced", "contradicted"), _NO),
}
