"""Looks, wrong labels, quantised rows and laws of noise: drawn as they say, and wrong where they are to be wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from verification.audit import audit
from verification.experiments.simulated.practice import Looks, Mislabelled, Quantised
from verification.experiments.simulated.sampling import Noise, Sampling
from verification.statistics.interval import Verdict

pytestmark = pytest.mark.simulations


@pytest.mark.parametrize("law", [Noise(), Noise(freedom=5.0), Noise(rank=3)])
def test_noise_has_the_variance_that_it_is_said_to_have(law):
    rows = law.draw(40_000, 12, np.random.default_rng(0))
    squares = np.mean(rows**2, axis=1)
    # four standard errors of the mean over the samples
    assert squares.mean() == pytest.approx(1.0, abs=4 * squares.std() / 200)
    assert np.linalg.matrix_rank(rows[:100]) == (3 if law.rank else 12)
    spread = squares.std() / math.sqrt(2.0 / 12)  # 1 for the normal law in all coordinates
    assert spread == pytest.approx(1.0, abs=0.05) if law == Noise() else spread > 1.5


def test_garbage_has_no_direction():
    upgrade, _ = Sampling(sizes=(2000,) * 4, dim=8, noise=0.01, law=Noise(garbage=0.1)).draw(np.random.default_rng(0))
    short = np.linalg.norm(upgrade.old.features, axis=1) < 0.5
    # four standard errors of a share of 8000
    assert np.mean(short) == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 8000))


def test_a_leaked_gallery_holds_queries_that_never_meet_themselves():
    design = Sampling(sizes=(15,) * 10, gallery=(15,) * 10, dim=16, leaked=0.1)
    upgrade, gaps = design.draw(np.random.default_rng(0))
    assert upgrade.read().in_gallery == 15
    assert gaps == (0.0, 0.0)


@pytest.mark.parametrize(("run", "wrong"), [(0, set()), (6, {"retrieval"})])
def test_intervals_for_several_looks_are_wrong_no_more_often(run, wrong):
    """Of seven runs one is decided by chance at one of three looks, and not with intervals that are made for that."""
    found = {
        repeated: Looks(looks=3, between=40, repeated=repeated).judge(np.random.default_rng([3, run]))
        for repeated in (True, False)
    }
    for repeated, each in found.items():
        assert {question.promised for question in each} == {repeated}
        assert {question.claim for question in each} == {"definition-1", "contrast", "retrieval", "threshold"}
        assert {question.claim for question, outcome in each.items() if outcome.wrong} == (set() if repeated else wrong)


def test_the_margin_of_wrong_labels_is_a_little_less_than_the_true_loss():
    design = Mislabelled(wrong=0.0, share=False, num_samples=8000)
    upgrade = design.draw(np.random.default_rng(0))
    report = audit(upgrade.new, upgrade.old)
    loss = design.margin.amount / design.part
    assert report.same_class.lower <= -loss <= report.same_class.upper
    share = Mislabelled(wrong=0.0, share=True).margin
    assert report.contrast == pytest.approx(design.margin.amount / share.amount, rel=0.01)


def test_wrong_labels_make_a_distance_generous_and_not_a_share():
    def verdicts(share: bool) -> set[Verdict]:
        design = Mislabelled(wrong=0.3, share=share, num_samples=3000)
        return {
            outcome.verdict for run in range(3) for outcome in design.judge(np.random.default_rng([1, run])).values()
        }

    assert verdicts(share=False) == {Verdict.compatible}  # false, and not promised
    assert Verdict.compatible not in verdicts(share=True)


def test_a_model_in_int8_is_not_refused():
    found = Quantised(num_samples=600).judge(np.random.default_rng(0))
    assert {question.claim for question in found} == {"definition-1", "contrast", "retrieval"}
    assert not any(outcome.wrong for outcome in found.values())
    assert Verdict.compatible in {outcome.verdict for outcome in found.values()}
