"""Suites of methods: what is trained, what is shared, how an interrupted one goes on, and the tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from learning import ExtendedData, Recipe, TrainingConfig, make_method, run_scenario
from verification import FeatureSet
from verification.experiments.evaluate import evaluate
from verification.experiments.suites.cases import SUITES, plain
from verification.experiments.suites.results import MethodResults, PairOutcome, Result, read_rows
from verification.experiments.suites.suite import Case, Variant, run_suite
from verification.experiments.suites.tables import render, tally
from verification.search.scores import average_compatibility, compatibility_matrix

ONE = TrainingConfig(epochs=1, device="cpu")
SCENARIO = ExtendedData(old_images=128, new_images=192, held_out=200)
CASES = (
    Case(
        name="more",
        scenario=lambda seed: replace(SCENARIO, seed=seed),
        recipe=Recipe(ONE, ONE),
        variants=plain("simplex", "hoc"),
    ),
    Case(
        name="unrelated",
        scenario=lambda seed: replace(SCENARIO, seed=seed, from_scratch=True),
        recipe=Recipe(ONE, ONE),
        variants=(Variant("hoc λ=0.5", "hoc", {"ce_weight": 0.5}),),
    ),
)


def result(seed: int, ac: float, definition="compatible", matrix="incompatible", drift=0.5) -> Result:
    side = (-0.1, -0.2, 0.0), (0.02, 0.01, 0.03)
    pairs = tuple(
        PairOutcome(
            new=t,
            old=k,
            same_class=side[0],
            different_class=side[1],
            definition=definition,
            matrix_criterion=matrix,
            drift=drift + 0.1 * (t - k),
        )
        for t, k in ((1, 0), (2, 0), (2, 1))
    )
    return Result(
        seed=seed,
        matrix=((0.9,), (0.5, 0.8), (0.5, 0.6, 0.7)),
        average_compatibility=ac,
        interval=(ac - 0.25, ac + 0.25),
        average_accuracy=0.8,
        seconds=126.0,
        pairs=pairs,
    )


def test_a_row_gives_mean_and_spread_over_seeds_and_survives_json():
    row = MethodResults("more", "hoc", (result(0, 0.25), result(1, 0.75)))
    assert row.mean("average_compatibility") == 0.5
    assert row.spread("average_compatibility") == pytest.approx(math.sqrt(0.125), rel=1e-12)
    assert row.interval == (0.25, 0.75)
    assert row.accuracy(1, 0) == 0.5
    # consecutive models alone
    assert row.mean("drift") == pytest.approx(0.6, rel=1e-12)
    assert row.mean("same_class") == pytest.approx(-0.1, rel=1e-12)
    assert MethodResults("more", "hoc", (result(0, 0.25),)).spread("average_accuracy") == 0.0
    assert read_rows(json.loads(json.dumps([row.to_dict()], allow_nan=False))) == [row]


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_is_made_of_methods_and_scenarios_and_fits_80_columns(suite):
    cases = SUITES[suite]()
    rows = []
    for case in cases:
        assert case.scenario(case.first_seed).seed == case.first_seed
        assert len({variant.label for variant in case.variants}) == len(case.variants)
        for variant in case.variants:
            make_method(variant.method, **variant.settings)
            rows.append(
                MethodResults(case.name, variant.label, tuple(result(i, 0.25 + i % 2 / 2, drift=2.0) for i in range(8)))
            )
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(render(rows))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "0.50 ±0.27" in text
    # three pairs a seed
    pairs = 24 * len(rows)
    assert f"Of {pairs} pairs of models, {pairs} satisfy Definition 1 in expectation and violate Eq. 6, 0" in " ".join(
        text.split()
    )


def test_a_tally_counts_what_is_not_decided():
    assert tally(["compatible", "inconclusive", "incompatible", "undecided", "compatible"]) == "2/1/2"


def test_a_suite_is_its_runs_and_goes_on_where_it_stopped(tmp_path):
    class Interrupted(Exception):
        pass

    def stop(what, done, total):
        if done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_suite(CASES, 2, tmp_path, stop)
    assert sorted(path.name for path in (tmp_path / "more").iterdir()) == ["hoc.seed0", "simplex.seed0"]
    steps = []
    rows = run_suite(CASES, 2, tmp_path, lambda *step: steps.append(step))
    assert steps == [
        ("unrelated: hoc λ=0.5, seed 0", 2, 6),
        ("more: simplex, seed 1", 3, 6),
        ("more: hoc, seed 1", 4, 6),
        ("unrelated: hoc λ=0.5, seed 1", 5, 6),
    ]
    assert [(row.case, row.label, len(row.results)) for row in rows] == [
        ("more", "simplex", 2),
        ("more", "hoc", 2),
        ("unrelated", "hoc λ=0.5", 2),
    ]
    # sharing the first model changes nothing but the time
    alone = run_scenario(replace(SCENARIO, seed=1), "hoc", Recipe(ONE, ONE))
    judged = evaluate([FeatureSet(features, alone.labels) for features in alone.features])
    found = rows[1].results[1]
    assert found.pairs[0].same_class[0] == judged.pairs[0].audit.same_class.gap
    assert found.average_accuracy == judged.matrix.average_accuracies[-1]
    assert run_suite(CASES, 2, tmp_path, lambda *step: pytest.fail("trained again")) == rows
    # both searches are kept
    sets = [FeatureSet(features, alone.labels) for features in alone.features]
    for score in ("nearest", "template"):
        kept = found.search(score, "trained")
        assert kept.matrix[1][0] == compatibility_matrix(sets, sets, score)[1, 0]
        assert kept.average_compatibility == average_compatibility(compatibility_matrix(sets, sets, score))
    with pytest.raises(LookupError, match="no search by 'template' on open classes was kept"):
        found.search("template", "open")


def test_runs_of_another_kind_are_refused(tmp_path):
    run_suite(CASES[:1], 1, tmp_path)
    longer = replace(CASES[0], recipe=Recipe(replace(ONE, epochs=2), ONE))
    with pytest.raises(ValueError, match=r"simplex\.seed0: holds another run: its first epochs is 1, here"):
        run_suite([longer], 1, tmp_path)
    (tmp_path / "more" / "simplex.seed0" / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"simplex\.seed0/result\.json: .*Delete its folder|.*not the result of a run"):
        run_suite(CASES, 1, tmp_path)


@pytest.mark.parametrize(
    ("variants", "seeds", "message"),
    [
        (plain("er"), 0, "seeds must be an integer >= 1, got 0"),
        (plain("er", "magic"), 1, "method must be one of er, .*, got 'magic'"),
        ((Variant("x", "hoc", {"ce_weight": 2.0}),), 1, r"ce_weight must be in \[0, 1\], got 2.0"),
    ],
)
def test_bad_suites_are_refused_before_training(variants, seeds, message):
    with pytest.raises(ValueError, match=message):
        run_suite([replace(CASES[0], variants=variants)], seeds, progress=lambda *step: pytest.fail("training began"))
