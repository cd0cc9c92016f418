"""Class-incremental learning and replacement: models of ``learning`` on which the hypotheses of Theorem 1 stop holding.

The theorem is silent there, which is neither 'holds' nor a refutation; what fails, and for which classes, is said.
"""

from __future__ import annotations

import functools
import math

import pytest

from verification.experiments.sequences import UpdateCheck, check_updates


@functools.cache
def updates(scenario: str) -> dict[str, UpdateCheck]:
    """The one update of a short sequence on digits, by the classes that are looked at."""
    from dataclasses import replace

    from learning import CL2R, IAMCL2R, PRESETS, Recipe, run_scenario

    scenarios = {
        "class-incremental": CL2R(tasks=2, first_classes=5),
        "replacement": IAMCL2R(tasks=2, first_classes=4, elsewhere_classes=4, replace_at=(1,)),
    }
    recipe = Recipe(*(replace(config, epochs=12) for config in PRESETS["small"]))
    run = run_scenario(scenarios[scenario], "simplex", recipe)
    return {update.which: update for update in check_updates(run)}


@pytest.fixture(autouse=True)
def _trained_here(request):
    if request.config.getoption("--new", None):
        pytest.skip("features were brought")


@pytest.mark.parametrize("scenario", ["class-incremental", "replacement"])
@pytest.mark.parametrize("which", ["known", "new"])
def test_the_theorem_is_silent(scenario, which):
    check = updates(scenario)[which].check
    assert check.answer == "hypothesis fails", check.sentence
    assert check.hypotheses.stationarity == "fail"


def test_the_old_model_has_classes_it_never_saw_anywhere_but_at_their_vertices():
    """No image ever pulled them there: about a right angle, or beyond, where the classes it saw are nearer."""
    known, new = (updates("class-incremental")[which].check.hypotheses for which in ("known", "new"))
    assert min(new.old_drift) > max(known.old_drift)
    assert min(new.old_drift) > math.radians(60.0)


def test_new_classes_arrive_at_their_vertices_and_pull_the_known_ones_with_them():
    """The new model alone would be stationary; seen classes are off in the old one, whose batches had half the classes.

    Centring features over five of ten classes moves their means off the vertices of ten: the preallocated simplex is
    filled only when all classes are there.
    """
    for which in ("known", "new"):
        hypotheses = updates("class-incremental")[which].check.hypotheses
        assert max(hypotheses.new_drift) < math.radians(30.0)
        assert max(hypotheses.old_drift) > math.radians(30.0)
        assert updates("class-incremental")[which].check.conclusions.same_class.verdict == "incompatible"


def test_a_replaced_model_shares_no_position_of_the_known_classes_with_the_one_before():
    """Trained elsewhere on other classes, it has met the known ones in twenty replayed images each."""
    update = updates("replacement")["known"]
    assert max(update.check.hypotheses.new_drift) > math.radians(15.0)
    assert update.check.conclusions.verdict == "incompatible"


def test_a_learned_classifier_has_no_vertices():
    from learning import CL2R, Recipe, TrainingConfig, run_scenario

    one = TrainingConfig(epochs=1, device="cpu")
    run = run_scenario(CL2R(tasks=2), "er", Recipe(one, one))
    with pytest.raises(ValueError, match="run must have a fixed classifier; er in this scenario has a learned one"):
        check_updates(run)
