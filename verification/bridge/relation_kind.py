"""Names of what lies between two models, which views know without what measures it."""

from __future__ import annotations

from enum import StrEnum


class RelationKind(StrEnum):
    """What lies between two models."""

    same = "same model"
    quantised = "same model, quantised"
    lengths = "same directions, other lengths"
    noise = "same model with noise"
    truncated = "first coordinates"
    subset = "subset of coordinates"
    permutation = "permutation or signs"
    rotation = "rotation"
    part = "partly changed"
    mixture = "two models mixed"
    order = "rows in another order"
    updated = "same space, updated"
    space = "another space"
    isometric = "other dimension, isometric"
    dimension = "other dimension"
