"""The planned comparison: its grids, the rule that tunes, and the arithmetic of its tables."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from learning.lifelong import CL2R
from learning.methods import make_method
from verification.experiments.comparison import (
    GRIDS,
    Outcome,
    chosen,
    differences,
    hardened,
    mean_interval,
    reported,
    tuning,
)
from verification.experiments.suites.cases import plain, recipe
from verification.experiments.suites.suite import Case, run_suite

KEPT = Path(__file__).parents[3] / "docs" / "data" / "comparison.json"


def outcome(label: str, values: list[float], case: str = "case", seeds: list[int] | None = None) -> Outcome:
    numbers = list(range(len(values)))
    return Outcome(
        case=case,
        label=label,
        seeds=numbers if seeds is None else seeds,
        average_accuracy={"template, trained": values},
        average_compatibility={"template, trained": values},
        same_class=values,
        different_class=values,
        seconds=values,
        sha256="",
    )


def test_every_setting_of_the_grids_is_one_of_its_method() -> None:
    for method, grid in GRIDS.items():
        for settings in grid:
            make_method(method, **settings)
        assert grid[0] == {}, "the defaults are tried"
        assert len({json.dumps(settings, sort_keys=True) for settings in grid}) == len(grid)
    assert max(GRIDS, key=lambda method: len(GRIDS[method])) == "hoc", "the reference has the largest search"


def test_tuning_shares_no_seed_and_no_scenario_with_what_is_reported() -> None:
    settings = {method: {} for method in GRIDS}
    kinds = [
        {repr(case.scenario(seed)) for case in cases for seed in range(300)} for cases in (tuning(), reported(settings))
    ]
    assert not kinds[0] & kinds[1]
    seeds = [{case.first_seed for case in cases} for cases in (tuning(), reported(settings), hardened(settings))]
    assert seeds == [{100}, {0}, {200}]


def test_the_best_setting_is_chosen_and_of_equals_the_first() -> None:
    tried = [
        outcome(f"{method}#{number}", [0.5, 0.7 if (method, number) == ("cvs", 2) else 0.5], case)
        for method, grid in GRIDS.items()
        for number in range(len(grid))
        for case in ("one", "two")
    ]
    found = chosen(tried)
    assert found["cvs"] == GRIDS["cvs"][2]
    assert all(found[method] == grid[0] for method, grid in GRIDS.items() if method != "cvs")


def test_differences_are_paired_and_corrected_by_holm() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=8)
    gains = [rng.normal(0.5 * k, 0.3, size=8) for k in range(3)]
    outcomes = [outcome("hoc", base.tolist())] + [outcome(f"m{k}", (base + g).tolist()) for k, g in enumerate(gains)]
    found = differences(outcomes, lambda o: o.same_class)
    raw = [float(stats.ttest_rel(base + g, base).pvalue) for g in gains]
    for k, gain in enumerate(gains):
        interval = stats.t.interval(0.95, 7, loc=gain.mean(), scale=stats.sem(gain))
        assert found[f"m{k}"].mean == pytest.approx(gain.mean(), rel=1e-9)
        assert (found[f"m{k}"].mean - found[f"m{k}"].half, found[f"m{k}"].mean + found[f"m{k}"].half) == pytest.approx(
            interval
        )
        smaller = sorted(raw).index(raw[k])
        expected = max(sorted(raw)[j] * (3 - j) for j in range(smaller + 1))
        assert found[f"m{k}"].p == pytest.approx(min(1.0, expected))
    assert mean_interval(gains[1])[0] == pytest.approx(gains[1].mean())


def test_runs_of_other_seeds_do_not_pair() -> None:
    outcomes = [outcome("hoc", [0.1, 0.2]), outcome("cvs", [0.1, 0.2], seeds=[0, 2])]
    with pytest.raises(ValueError, match="must have the seeds of hoc"):
        differences(outcomes, lambda o: o.same_class)


@pytest.mark.skipif(not KEPT.exists(), reason="the comparison was not run")
def test_what_is_kept_follows_the_plan() -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert chosen([Outcome(**row) for row in kept["tuning"]]) == kept["settings"]
    outcomes = [Outcome(**row) for row in kept["reported"]]
    assert {o.case for o in outcomes} == {case.name for case in reported(kept["settings"])}
    planned = [o for o in outcomes if o.label in GRIDS]
    assert len(planned) == 3 * len(GRIDS)
    assert all(o.seeds == list(range(20)) for o in planned), "no run was left out"


@pytest.mark.simulations
def test_several_processes_give_the_runs_of_one(tmp_path: Path) -> None:
    scenario = CL2R(tasks=3, first_classes=4, held_out=300)
    case = Case("digits", lambda seed: replace(scenario, seed=seed), recipe(1, 1), plain("er", "hoc"))
    one = run_suite([case], 2)
    several = run_suite([case], 2, tmp_path, workers=2)
    assert [(row.label, [r.matrix for r in row.results]) for row in several] == [
        (row.label, [r.matrix for r in row.results]) for row in one
    ]
    with pytest.raises(ValueError, match="directory must be given for 2 workers"):
        run_suite([case], 2, workers=2)
