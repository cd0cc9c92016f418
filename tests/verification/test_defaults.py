"""What searches, bridges and sets of features take for granted where nothing else is asked for."""

from __future__ import annotations

import inspect

import pytest

from verification.bridge.canary import save_canary
from verification.bridge.copies import compressed_copy
from verification.bridge.decision import bridge, fit_pairs
from verification.bridge.fitting import fit
from verification.bridge.origin import origin
from verification.bridge.relation import decide, neighbours, relate
from verification.bridge.splits import split
from verification.features import FeatureSet
from verification.features.compression import Compression
from verification.features.selection import Selection
from verification.search import judgements, matrices, nearest, one_to_one, openset, pairs, rates, scores


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        # the protocol of LFW: 6000 pairs in ten folds
        (one_to_one.verification_hits, {"same_samples": False, "pairs": 6000, "folds": 10, "seed": 0}),
        (openset.compare_open_set, {"threshold": None, "fpir": None, "groups": None, "confidence": 0.95}),
        (pairs.compare_pairs, {"threshold": None, "far": None, "grouped": False, "confidence": 0.95}),
        (pairs.PairList, {"unknown": 0}),
        (rates.wilson_interval, {"inflation": 1.0}),
        (nearest.nearest_rows, {"k": 1, "same_samples": False}),
        (judgements.Judgements, {"complete": False, "unknown": 0}),
        (matrices.judge_matrix, {"confidence": 0.95}),
        (matrices.judge_outcomes, {"confidence": 0.95}),
        (matrices.judge_scores, {"confidence": 0.95}),
        (scores.nearest_neighbor_hits, {"k": 1, "same_samples": False}),
        (scores.nearest_neighbor_accuracy, {"same_samples": False}),
        (scores.template_hits, {"same_samples": False}),
        (scores.average_precision, {"same_samples": False}),
        (save_canary, {"num_rows": 50, "seed": 0}),
        (compressed_copy, {"seed": 0}),
        (bridge, {"confidence": 0.95, "margin": 0.0, "closed_set": False, "seed": 0}),
        (fit_pairs, {"seed": 0}),
        (fit, {"seed": 0}),
        (origin, {"seed": 0}),
        (relate, {"seed": 0, "every_row": False}),
        (decide, {"sampled": 1.0, "labels_differ": False}),
        (neighbours, {"k": 10, "seed": 0}),
        (split, {"hold_out": True}),
        (FeatureSet.pieces, {"start": 0}),
        (FeatureSet.load, {"drop_incomplete": False}),
        (Selection, {"complete": False}),
        (Compression, {"hamming": False}),
    ],
)
def test_what_is_taken_for_granted(of, expected):
    parameters = inspect.signature(of).parameters
    assert {name: parameters[name].default for name in expected} == expected
