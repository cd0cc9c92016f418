"""Before the new model exists: how many samples, classes and groups would decide, and a plan that an audit is held to.

The old model's features are enough to say how much chance there is in an audit. A new model that knows the classes as
well, and nothing else that the old one knows, is made of them: each sample gets the old feature of another sample of
its class (and not of its own group). Nothing is lost by it, and its errors are those of an independent model, which are
larger than those of an update that stays near the old one. So the numbers err on the safe side.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from theory.files import reading, regular
from verification.audit.definition1 import judge_definition1, side_confidence
from verification.audit.judge import Options
from verification.audit.margin import Margin
from verification.audit.power import POWER, samples_factor
from verification.audit.retrieval import compare_retrieval
from verification.features import FeatureSet
from verification.reporting import json_safe, write_json
from verification.statistics.interval import Criterion, Interval, Population
from verification.statistics.rows import drawing_order, stream
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade

# fields of the options that a plan fixes
FIXED = tuple(field.name for field in fields(Options) if field.name != "explain")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What one claim needs.

    Attributes
    ----------
    claim : str
    unit : {"sample", "group", "class"}
        What has to be collected.
    have, need : int or None
        Units there are, and units at which the claim is decided with 80 % probability if the true change is as
        assumed; None where no number is worth naming.
    half_width : float
        Half width of the interval with the present samples, in the unit of the margin.
    margin, effect : float
        Accepted loss and assumed true change, in the same unit.
    sentence : str
    """

    claim: str
    unit: str
    have: int
    need: int | None
    half_width: float
    margin: float
    effect: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Margins, claims and seed of an audit, fixed before its data is seen.

    Attributes
    ----------
    options : dict
        Those of :class:`~verification.audit.judge.Options` that an audit is held to.
    seed : int
    needs : tuple of Planned
    """

    options: dict[str, Any]
    seed: int
    needs: tuple[Planned, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of what an audit is held to."""
        fixed = {"options": self.options, "seed": self.seed}
        return hashlib.sha256(json.dumps(json_safe(fixed), sort_keys=True).encode()).hexdigest()

    def held(self) -> Options:
        """The options that an audit is held to."""
        plain = dict(self.options)
        return Options(**{**plain, "decide": tuple(plain.get("decide", ()))})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON, with its digest; the file appears whole or not at all."""
        write_json(Path(path), json_safe({"schema_version": 1, "sha256": self.digest, **asdict(self)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan.

        Raises
        ------
        ValueError
            If the file is no plan, or was changed after it was written.
        """
        path = regular(Path(path))
        with reading(path, "It is no plan that stationary plan wrote."):
            plain = json.loads(path.read_text(encoding="utf-8"))
            options = {name: plain["options"][name] for name in FIXED}
            found = cls(options=options, seed=int(plain["seed"]))
            digest = found.digest
        if digest != plain.get("sha256"):
            raise ValueError(f"{path}: was changed after it was written; plan anew.")
        with reading(path):
            found.held()  # raises for what no audit can be asked for
        return found


def plan(
    old: FeatureSet,
    options: Options | None = None,
    *,
    gallery: FeatureSet | None = None,
    effect: float | str = 0.0,
    retrieval_effect: float | str = 0.0,
    seed: int = 0,
) -> Plan:
    """Say how many samples, groups and classes would decide an audit, from the features of the old model.

    Parameters
    ----------
    old, gallery : FeatureSet
        As an audit will have them, or a part.
    options : Options, optional
        Margins, claims and confidence of the audit to come.
    effect, retrieval_effect : float or str
        The change that the new model is assumed to bring, positive = better: of mean distance, in its unit or as a
        share of the old contrast ("5%"), and of recall@1, in (−1, 1).
    seed : int
        Seed of the later audit, and of the assumed new model.
    """
    options = options or Options()
    gap, recall_change = _signed(effect, "effect"), _signed(retrieval_effect, "the effect on retrieval").amount
    if abs(recall_change) >= 1.0:
        raise ValueError(f"the effect on retrieval must be in (-1, 1), got {retrieval_effect!r}; a share is meant.")
    upgrade = Upgrade(_exchanged(old, seed), old, gallery, seed=seed)
    margin = Margin.parse(options.margin)
    found = judge_definition1(
        upgrade, options.metric, options.confidence, margin, options.weights, Population(options.classes)
    )
    retrieval = compare_retrieval(
        upgrade,
        k=options.k,
        margin=options.retrieval_margin,
        confidence=options.confidence,
        classes=options.classes,
    )
    change = gap.amount * (found.contrast if gap.share else 1.0)
    one = Criterion(confidence=side_confidence(options.confidence), margin=found.margin)
    both = Criterion(confidence=options.confidence, margin=found.margin)
    recall = Criterion(confidence=options.confidence, margin=retrieval.margin)
    needs = [_need("retrieval", retrieval.change.interval, recall, recall_change, upgrade)]
    for claim, interval, criterion in (
        ("definition-1, same class", found.same_class.interval, one),
        ("definition-1, different classes", found.different_class.interval, one),
        ("contrast", None if found.contrast_gap is None else found.contrast_gap.interval, both),
    ):
        if interval is not None:
            needs.append(_need(claim, interval, criterion, change, upgrade))
    plain = asdict(options)
    return Plan(options={name: plain[name] for name in FIXED}, seed=seed, needs=tuple(needs))


def _signed(effect: float | str, name: str) -> Margin:
    """An effect, which may be negative, as an amount or a share."""
    text = str(effect).strip()
    try:
        size = Margin.parse(text.removeprefix("-").removeprefix("+"), name)
    except ValueError:
        raise ValueError(f"{name} must be a finite number, or a percentage such as '-5%', got {effect!r}.") from None
    return Margin(-size.amount if text.startswith("-") else size.amount, size.share)


def _need(claim: str, interval: Interval, criterion: Criterion, effect: float, upgrade: Upgrade) -> Planned:
    unit = interval.unit
    rows = upgrade.read().rows
    have = {
        "sample": int(upgrade.sizes.sum()),
        "group": int(rows.unit_counts.sum()),
        "class": int(np.count_nonzero(upgrade.sizes)),
    }[unit]
    # the interval of a score has no quantile of its own: that of a large sample
    quantile = interval.quantile or 1.96
    side = Estimate(
        value=effect,
        standard_error=interval.half / quantile if math.isfinite(interval.half) else math.inf,
        freedom=max(have - 1.0, 1.0),
    )
    factor = samples_factor([side], criterion)
    # fewer than these tell no variance, whatever the arithmetic says
    least = 2 if unit == "class" else 2 * int(np.count_nonzero(upgrade.sizes))
    need = None if factor is None else max(math.ceil(factor * have), least)
    what = {"sample": "samples", "group": "groups", "class": "classes"}[unit]
    if need is None:
        sentence = f"{claim}: no number of {what} decides, the assumed change is at the margin."
    elif need <= have:
        sentence = f"{claim}: {need:,} {what} decide with {100 * POWER:.0f} % probability, and there are {have:,}."
    else:
        sentence = f"{claim}: about {need:,} {what} decide with {100 * POWER:.0f} % probability; there are {have:,}."
    return Planned(
        claim=claim,
        unit=unit,
        have=have,
        need=need,
        half_width=interval.half,
        margin=criterion.margin,
        effect=effect,
        sentence=sentence,
    )


def _exchanged(old: FeatureSet, seed: int) -> FeatureSet:
    """The same samples, each with the feature of another sample of its class, of another group where there are any."""
    order = drawing_order(len(old), old.ids)
    others = np.empty_like(order)
    groups = None if old.groups is None else old.groups[order]
    others[order] = order[_exchange(old.codes[order], groups, stream(seed, "plan"))]
    return FeatureSet(old.select(others).features, ids=old.ids)  # labels and groups are those of the old set


def _exchange(codes: Int[ndarray, " n"], groups: ndarray | None, rng: np.random.Generator) -> Int[ndarray, " n"]:
    """For each row another of its class: groups in a random order, each row gets one of the next group."""
    count = len(codes)
    names = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    place = rng.permutation(int(names.max()) + 1)[names]
    order = np.lexsort((rng.random(count), place, codes))
    result = np.arange(count)
    starts = np.flatnonzero(np.diff(codes[order], prepend=-2))
    for start, stop in zip(starts, np.append(starts[1:], count), strict=True):
        some = order[start:stop]
        # far enough round that no row meets its own group, if the class has several
        largest = int(np.unique(names[some], return_counts=True)[1].max())
        result[some] = np.roll(some, -largest)
    return result
