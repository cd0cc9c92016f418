"""Evaluation of a sequence of models, and the table over methods."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rich.console import Console

from tests.verification.samples import cap_features
from verification import FeatureSet, audit, average_accuracy, average_compatibility, compatibility_matrix
from verification.evaluate import Result, Row, evaluate, load_run, presets, render, render_evaluation, suite


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


def result(seed: int, ac: float) -> Result:
    return Result(seed, ac, (ac - 0.25, ac + 0.25), 0.8, -0.1, 0.02, 0.5, 3.0, 1, 2)


def test_a_row_gives_mean_and_spread_over_seeds():
    row = Row("hoc", (result(0, 0.25), result(1, 0.75)))
    assert row.mean("average_compatibility") == 0.5
    assert row.spread("average_compatibility") == pytest.approx(math.sqrt(0.125), rel=1e-12)
    assert row.interval == (0.25, 0.75)
    assert Row("hoc", (result(0, 0.25),)).spread("average_accuracy") == 0.0
    plain = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert plain["average_compatibility"] == {"mean": 0.5, "spread": row.spread("average_compatibility")}
    assert [seed["seed"] for seed in plain["seeds"]] == [0, 1]


def test_the_table_fits_80_columns():
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    rows = [Row(name, (result(0, 0.25), result(1, 0.75))) for name in presets()["digits"].methods]
    with console.file:
        console.print(render(rows))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for row in rows:
        assert row.method in text
    assert "0.50 ±0.35" in text
    assert "28 pass Definition 1 alone, 56 pass Eq. 6 alone" in text


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


def test_the_suite_trains_methods_and_seeds_and_repeats():
    steps = []
    rows = suite("quick", seeds=2, methods=["er", "hoc"], progress=lambda *step: steps.append(step))
    assert [row.method for row in rows] == ["er", "hoc"]
    assert steps == [("er, seed 0", 0, 4), ("er, seed 1", 1, 4), ("hoc, seed 0", 2, 4), ("hoc, seed 1", 3, 4)]
    er, hoc = rows
    # nothing ties the features of ER together, HOC does: far apart under every seed tried
    assert hoc.mean("drift") < 0.75 * er.mean("drift")
    assert hoc.mean("average_accuracy") > er.mean("average_accuracy")
    again = suite("quick", seeds=1, methods=["hoc"])[0].results[0]
    assert (again.average_accuracy, again.same_class) == (hoc.results[0].average_accuracy, hoc.results[0].same_class)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "imagenet"}, "preset must be one of quick, digits, fashion, got 'imagenet'"),
        ({"seeds": 0}, "seeds must be an integer >= 1, got 0"),
        ({"methods": ["er", "magic"]}, "method must be one of er, .*, got 'magic'"),
    ],
)
def test_bad_suites_are_refused_before_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        suite(**arguments, progress=lambda *step: pytest.fail("training began"))
