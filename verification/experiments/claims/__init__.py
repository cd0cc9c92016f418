"""The claims of the paper, each with a check and the verdict that the check earns: ``stationary claims``.

:data:`LEDGER` holds them; a verdict is computed from the evidence of a run and compared with the recorded one.
:mod:`verification.experiments.claims.pages` writes them down.
"""

from verification.experiments.claims import decisions, directions, drift, learned, lifelong, losses, retrieval, theorem
from verification.experiments.claims.ledger import (
    VERDICTS,
    CheckedClaim,
    Claim,
    Finding,
    Number,
    changes,
    recorded,
    run,
    write_record,
)
from verification.experiments.claims.material import Material

__all__ = [
    "LEDGER",
    "VERDICTS",
    "CheckedClaim",
    "Claim",
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
    *decisions.CLAIMS,
    *learned.CLAIMS,
    *losses.CLAIMS,
    *directions.CLAIMS,
    *retrieval.CLAIMS,
    *lifelong.CLAIMS,
)
