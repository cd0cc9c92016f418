"""Evaluation of a sequence of models."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rich.console import Console

from tests.verification.samples import cap_features
from verification import FeatureSet, audit, average_accuracy, average_compatibility, compatibility_matrix
from verification.experiments.evaluate import evaluate, load_run, render_evaluation


def sequence(radii, turn: float = 0.0) -> list[FeatureSet]:
    """The same labels through models whose caps have these radii; the last one turned in the first plane."""
    labels = np.arange(300) % 5
    sets = [cap_features(labels, 8, radius, np.random.default_rng(i)) for i, radius in enumerate(radii)]
    rotation = np.eye(8)
    rotation[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    return [*sets[:-1], FeatureSet(sets[-1].features @ rotation.T, labels)]


def test_an_evaluation_is_its_parts():
    sets = sequence((1.2, 1.0, 0.6))
    evaluation = evaluate(sets)
    matrix = compatibility_matrix(sets, sets)
    # outcomes are counted, so the mean is exact
    np.testing.assert_array_equal(evaluation.matrix.matrix, matrix)
    assert evaluation.matrix.average_compatibility == average_compatibility(matrix)
    assert evaluation.matrix.average_accuracies[-1] == pytest.approx(average_accuracy(matrix), rel=1e-12)
    assert [(pair.new, pair.old) for pair in evaluation.pairs] == [(1, 0), (2, 0), (2, 1)]
    for pair in evaluation.pairs:
        assert pair.audit == audit(sets[pair.new], sets[pair.old])
        assert pair.audit.verdict == "compatible"
    json.dumps(evaluation.to_dict(), allow_nan=False)


def test_a_turned_model_drifts_and_is_incompatible():
    """Half a turn of a plane that holds two of the four dimensions of the simplex: a negative control."""
    still, turned = evaluate(sequence((0.6, 0.5))), evaluate(sequence((0.6, 0.5), turn=math.pi))
    assert still.pairs[0].drift < 0.2  # each mean of 60 is off by about 0.5/√60 = 0.065
    assert turned.pairs[0].drift > 1.0
    assert (still.pairs[0].audit.verdict, turned.pairs[0].audit.verdict) == ("compatible", "incompatible")
    assert turned.pairs[0].matrix_verdict == "incompatible"


def test_queries_may_search_another_gallery():
    sets, galleries = sequence((0.9, 0.5)), sequence((0.8, 0.4))
    evaluation = evaluate(sets, galleries)
    np.testing.assert_array_equal(evaluation.matrix.matrix, compatibility_matrix(sets, galleries))


def test_a_run_is_read_in_order_and_an_empty_folder_refused(tmp_path):
    sets = sequence((1.0, 0.8, 0.6))
    for task in (2, 0, 1):
        sets[task].save(tmp_path / f"task-{task:02d}.features.npz")
    assert all(np.array_equal(a.features, b.features) for a, b in zip(load_run(tmp_path), sets, strict=True))
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none: holds no task-\*\.features\.npz"):
        load_run(tmp_path / "none")


def test_trained_and_open_classes_are_told_apart(tmp_path):
    sets = sequence((1.0, 0.8))
    for task, each in enumerate(sets):
        each.save(tmp_path / f"task-{task:02d}.features.npz")
    with pytest.raises(ValueError, match=r"trained\.json: is missing"):
        load_run(tmp_path, "open")
    (tmp_path / "trained.json").write_text("[0, 3]")
    for classes, expected in (("all", {0, 1, 2, 3, 4}), ("trained", {0, 3}), ("open", {1, 2, 4})):
        found = load_run(tmp_path, classes)
        assert all(set(each.labels.tolist()) == expected for each in found)
        rows = np.isin(sets[1].labels, list(expected))
        assert np.array_equal(found[1].features, sets[1].features[rows])
    (tmp_path / "trained.json").write_text("[0, 1, 2, 3, 4]")
    with pytest.raises(ValueError, match="no held-out sample is of classes that are open"):
        load_run(tmp_path, "open")
    with pytest.raises(ValueError, match="classes must be one of all, trained, open, got 'some'"):
        load_run(tmp_path, "some")


def test_an_evaluation_fits_80_columns():
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    evaluation = evaluate(sequence((1.2, 1.0, 0.6)))
    with console.file:
        console.print(render_evaluation(evaluation))
    text = console.export_text()
    assert "…" not in text
    assert f"AC {evaluation.matrix.average_compatibility:.3f}" in text
    assert f"{evaluation.matrix.matrix[2, 0]:.4f}" in text
    assert text.count(" compatible") >= 3
    assert "M[t,k]" in text
    assert "AC is the share of pairs with M[t,k] > M[k,k]" in text
    assert "AA is the mean of all M[t,k] with k <= t" in text
