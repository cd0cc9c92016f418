"""The claims of the paper, each with a check and the verdict that the check earns: ``stationary claims``.

:data:`LEDGER` holds them; a verdict is computed from the evidence of a run and compared with the recorded one.
:mod:`verification.claims.pages` writes them down.
"""

from verification.claims import directions, drift, learned, lifelong, losses, retrieval, theorem
from verification.claims.ledger import VERDICTS, Claim, Entry, Finding, Number, changes, recorded, run, write_record
from verification.claims.material import Material

__all__ = [
    "LEDGER",
    "VERDICTS",
    "Claim",
    "Entry",
    "Finding",
    "Material",
    "Number",
    "changes",
    "recorded",
    "run",
    "write_record",
]

LEDGER: tuple[Claim, ...] = (
    *theorem.CLAIMS,
    *drift.CLAIMS,
    *learned.CLAIMS,
    *losses.CLAIMS,
    *directions.CLAIMS,
    *retrieval.CLAIMS,
    *lifelong.CLAIMS,
)
