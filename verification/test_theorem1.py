"""Theorem 1 on trained models: what it predicts on held-out data, and the controls that it must not pass.

With ``--new FILE --old FILE`` the same assertions are made of the user's features, and the controls are left out.
"""

from __future__ import annotations

import math

from verification.experiments.upgrades import LEARNED_CLASSIFIER, OFF_VERTICES


def test_class_means_stay_at_their_vertices(stationary_upgrade):
    hypotheses = stationary_upgrade.check.hypotheses
    assert hypotheses.stationarity == "hold", (
        f"worst drift in {[round(math.degrees(x), 1) for x in hypotheses.worst_drift]}°"
    )


def test_concentration_does_not_fall(stationary_upgrade):
    hypotheses = stationary_upgrade.check.hypotheses
    assert hypotheses.concentration == "hold", f"change of the mean cosine in {hypotheses.cosine_change}"


def test_same_class_pairs_come_nearer(stationary_upgrade):
    side = stationary_upgrade.check.conclusions.same_class
    assert side.verdict == "compatible", f"gap {side.gap:+.4f} in [{side.lower:+.4f}, {side.upper:+.4f}]"


def test_different_class_pairs_do_not_come_nearer(stationary_upgrade):
    side = stationary_upgrade.check.conclusions.different_class
    assert side.verdict == "compatible", f"gap {side.gap:+.4f} in [{side.lower:+.4f}, {side.upper:+.4f}]"


def test_theorem_shows(stationary_upgrade):
    assert stationary_upgrade.check.answer == "holds", stationary_upgrade.check.sentence


def test_inequalities_hold_in_expectation_not_for_all_pairs(stationary_upgrade):
    """Definition 1 says 'for all pairs', but what holds is the mean; a share of 1 would mean nothing was counted."""
    conclusions = stationary_upgrade.check.conclusions
    for side in (conclusions.same_class, conclusions.different_class):
        assert 0.0 < side.pair_fraction < 1.0


def test_learned_classifier_is_violated(seed_upgrades):
    control = seed_upgrades[LEARNED_CLASSIFIER].check
    assert control.conclusions.same_class.verdict == "incompatible"
    assert control.conclusions.different_class.verdict == "incompatible"
    assert control.hypotheses.stationarity == "fail"


def test_where_a_hypothesis_fails_the_theorem_is_silent(seed_upgrades):
    """Without the normalised embedding class means leave their vertices: 'hypothesis fails', whatever the gaps are."""
    check = seed_upgrades[OFF_VERTICES].check
    assert check.hypotheses.stationarity == "fail"
    assert check.answer == "hypothesis fails"


def test_every_answer_is_as_predicted(seed_upgrades):
    assert all(upgrade.as_predicted for upgrade in seed_upgrades.values())
