"""What a ledger of claims is: statement, where in the paper, hypotheses, check, and the verdict that it earns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from learning.progress import Progress
from verification.experiments.claims.material import Material
from verification.reporting import json_safe, write_json

Verdict = Literal[
    "proved",
    "verified numerically",
    "verified on trained models",
    "holds under stated conditions",
    "not reproduced",
    "contradicted",
    "not checkable here",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
RECORD = resources.files("verification").joinpath("data", "claims.json")


@dataclass(frozen=True)
class Number:
    """One measured or computed number.

    Attributes
    ----------
    name : str
    value : float
    lower, upper : float or None
        Interval: 99.9 % for Monte Carlo, what the check says for data, the error bound of a quadrature; None where the
        number is exact or a count.
    """

    name: str
    value: float
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def around(cls, name: str, value: float, half: float) -> Number:
        """With the interval value ± half."""
        return cls(name, value, value - half, value + half)

    def cells(self) -> tuple[str, str]:
        """Value and interval as text, the value with the digits that the interval leaves it."""
        if self.lower is None or self.upper is None or self.lower == self.upper:
            return _true_minus(f"{self.value:.6g}"), ""
        half = max(self.upper - self.value, self.value - self.lower)
        if not math.isfinite(half) or half < 1e-8:
            return _true_minus(f"{self.value:.9g}"), f"± {half:.0e}".replace("-", "−")
        places = max(0, 1 - math.floor(math.log10(half)))
        value, lower, upper = (_true_minus(f"{end:.{places}f}") for end in (self.value, self.lower, self.upper))
        return value, f"{lower} to {upper}"


def _true_minus(text: str) -> str:
    return text.replace("-", "−")


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    verdict : str
        One of :data:`VERDICTS`, computed from the evidence.
    sentence : str
        What came out; of a claim that is contradicted or conditional, the counter-example or the condition.
    evidence : tuple of Number
    """

    verdict: Verdict
    sentence: str
    evidence: tuple[Number, ...]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper, or one of ours that follows from it.

    Attributes
    ----------
    name : str
        What ``--only`` takes.
    statement : str
    where : str
        Equation, section or figure of the paper; "beyond the paper" for what is ours.
    hypotheses : str
    check : callable, :class:`Material` → :class:`Finding`
    slow : bool
        Left out of a quick run.
    """

    name: str
    statement: str
    where: str
    hypotheses: str
    check: Callable[[Material], Finding]
    slow: bool = False


@dataclass(frozen=True)
class CheckedClaim:
    """A claim with what was found."""

    claim: Claim
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {name: getattr(self.claim, name) for name in ("name", "statement", "where", "hypotheses")}
        return json_safe(plain | asdict(self.finding))


def run(claims: Sequence[Claim], material: Material, progress: Progress | None = None) -> Iterator[CheckedClaim]:
    """Check claims one by one; ``progress`` is told the claim's name, claims done and claims in all."""
    for number, claim in enumerate(claims):
        if progress is not None:
            progress(claim.name, number, len(claims))
        yield CheckedClaim(claim, claim.check(material))


def recorded() -> dict[str, str]:
    """The recorded verdict of each claim, by name."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def changes(entries: Sequence[CheckedClaim], record: Mapping[str, str]) -> list[str]:
    """One sentence for each claim whose verdict is not the recorded one."""
    return [
        f"{entry.claim.name}: {entry.finding.verdict}, recorded was {record.get(entry.claim.name, 'nothing')}."
        for entry in entries
        if record.get(entry.claim.name) != entry.finding.verdict
    ]


def write_record(entries: Sequence[CheckedClaim]) -> None:
    """Make the verdicts of these claims the recorded ones; those of other claims stay."""
    new = {entry.claim.name: entry.finding.verdict for entry in entries}
    old = recorded() if RECORD.is_file() else {}
    write_json(Path(str(RECORD)), dict(sorted((old | new).items())))
