"""Theorem D on trained models: what no accept rate may do at any threshold, and the controls that must be found.

With ``--new FILE --old FILE`` the assertions are made of the user's features, and the controls are left out.
"""

from __future__ import annotations

import functools
import math

import pytest

from verification.audit.decisions import check_decisions
from verification.experiments.decisions import MORE_CLASSES, UNSEEN, train_more, turned_to_old_means, widened
from verification.experiments.upgrades import LEARNED_CLASSIFIER

# trainings of its own; pytest verification/ runs it
pytestmark = pytest.mark.simulations


@functools.cache
def more(seed: int):
    """Models with more classes than dimensions, and with classes never trained on; trained once a run."""
    return train_more(seed)


def assert_theorem_d(check):
    """No more settings, nor classes and pairs at all thresholds at once, go the wrong way than the level allows."""
    for tests in (check.true_accepts, check.false_accepts):
        # two standard errors of a share of classes or pairs: the thresholds of one of them are dependent
        allowed = tests.level + 2.0 * math.sqrt(tests.level * (1.0 - tests.level) / tests.families)
        assert tests.share <= allowed, f"{tests.wrong} of {tests.tested} settings go the wrong way"
        # of a few classes one may be found by chance
        assert tests.wrong_families <= 1 + tests.level * tests.families


def test_accept_rates_of_seen_classes(stationary_upgrade):
    check = check_decisions(stationary_upgrade.upgrade)
    assert check.true_accepts.tested + check.wider.tested > 0
    if check.false_accepts.tested:
        assert_theorem_d(check)


def test_accept_rates_of_seen_classes_without_drift(stationary_upgrade):
    """Then most pairs obey the hypotheses, and the theorem speaks of them."""
    check = check_decisions(turned_to_old_means(stationary_upgrade.upgrade))
    assert check.false_accepts.families > check.nearer.families / 2
    assert_theorem_d(check)


@pytest.mark.parametrize("name", [MORE_CLASSES, UNSEEN])
def test_accept_rates_of_other_classes(seed_upgrades, name):
    """Ten classes in four dimensions, some pairs with ρ > 0; and three classes that no model was trained on."""
    upgrade = more(next(iter(seed_upgrades.values())).seed)[name]
    for check in (check_decisions(upgrade), check_decisions(turned_to_old_means(upgrade))):
        assert check.false_accepts.tested > 300
        assert_theorem_d(check)


def test_below_the_bound_false_accepts_do_rise(seed_upgrades):
    """The control of the bound: the same pairs, at thresholds below ρ."""
    check = check_decisions(turned_to_old_means(seed_upgrades["fine-tuned CE"].upgrade))
    assert check.below.share > 1.5 * check.below.level
    assert check.below.wrong_families > check.false_accepts.wrong_families


def test_a_learned_classifier_is_found(seed_upgrades):
    """It shares no axis with the old model: every class is wider about its old axis, and both rates get worse."""
    check = check_decisions(seed_upgrades[LEARNED_CLASSIFIER].upgrade)
    assert check.true_accepts.families == 0
    assert check.wider.share > 0.9
    assert check.nearer.share > 0.2
    assert check.nearer.family_share > 0.2


def test_widened_caps_are_found(seed_upgrades):
    check = check_decisions(widened(seed_upgrades["fine-tuned CE"].upgrade))
    assert check.true_accepts.families == 0
    assert check.wider.share > 0.5


def test_where_a_pair_comes_nearer_false_accepts_rise(seed_upgrades):
    """The hypothesis is needed: many of the pairs whose new mean lies nearer to the other class are accepted more."""
    check = check_decisions(seed_upgrades["fine-tuned CE"].upgrade)
    assert check.nearer.share > 3 * check.nearer.level
