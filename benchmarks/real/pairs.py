"""Facts about a whole collection: every pair that may meet, looked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verification import Upgrade

BLOCK = 1024


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What old and new queries do in the old gallery, (old, new) each: accept rates at a threshold, and recall@1."""

    far: tuple[float, float]
    tar: tuple[float, float]
    recall: tuple[float, float]


def facts(upgrade: Upgrade, threshold: float) -> Facts:
    """Rates over all pairs of different units, and of one class where they are true; recall over the answerable."""
    units = upgrade.read().units
    units = np.arange(len(upgrade.old)) if units is None else units
    codes = upgrade.codes
    new, old = (each.unit.astype(np.float32) for each in (upgrade.new, upgrade.old))
    accepted, pairs = np.zeros((2, 2)), np.zeros(2)  # by model; of different and of one class
    hits, asked = np.zeros(2), 0
    for start in range(0, len(old), BLOCK):
        some = slice(start, start + BLOCK)
        apart = units[some, None] != units
        same = (codes[some, None] == codes) & apart
        kinds = codes[some, None] != codes, same
        pairs += [np.count_nonzero(kind) for kind in kinds]
        answerable = same.any(axis=1)
        asked += np.count_nonzero(answerable)
        for model, rows in enumerate((old, new)):
            cosines = rows[some] @ old.T
            accepted[model] += [np.count_nonzero((cosines >= threshold) & kind) for kind in kinds]
            nearest = np.where(apart, cosines, -2.0).argmax(axis=1)
            hits[model] += np.count_nonzero(answerable & (codes[nearest] == codes[some]))
    far, tar = (accepted / pairs).T.tolist()
    return Facts(far=tuple(far), tar=tuple(tar), recall=tuple((hits / asked).tolist()))
