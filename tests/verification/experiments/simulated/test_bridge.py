"""The simulated upgrades for a bridge: true gaps of a map, and what would be without parts."""

from __future__ import annotations

import numpy as np
import pytest

from verification.bridge import fitting
from verification.bridge.decision import audits
from verification.bridge.judge import Rule
from verification.bridge.splits import Part, Splits
from verification.experiments.simulated.bridge import REFERENCE, Turned, designs, true_gaps
from verification.statistics.interval import Criterion, Verdict

pytestmark = pytest.mark.simulations
RULE = Rule(criterion=Criterion(), seed=0)


def part(draw, num_samples: int) -> Part:
    new, old = draw(num_samples)
    return Part(new.unit, old.unit, old.codes, 0.0)


def test_true_gaps_are_what_a_large_audit_finds():
    draw = Turned(0.1).sampler(np.random.default_rng(0))
    some = part(draw, 240)
    fitted = fitting.fit("orthogonal", some.new, some.old, "queries"), None
    gaps = true_gaps(fitted, part(draw, REFERENCE), np.arange(0))
    large = part(draw, 20_000)
    sides = audits(fitted, large, Splits(some, some, large, np.arange(0)), RULE)[0]
    for gap, side in zip(gaps, (sides.same_class, sides.different_class), strict=True):
        # the audit's interval, which the reference's own error widens by about its square root of two
        assert abs(gap - side.gap) < 1.5 * (side.upper - side.gap)


def test_on_what_it_was_fitted_to_a_map_looks_better_than_it_is():
    """Why there are three parts: intervals there lie above the true gap, on other samples they hold it."""
    missed = {"fitted to": 0, "others": 0}
    for seed in range(20):
        draw = Turned(0.1).sampler(np.random.default_rng(seed))
        fit, other, reference = part(draw, 48), part(draw, 48), part(draw, 4000)
        fitted = fitting.fit("ridge", fit.new, fit.old, "queries"), None
        truth = true_gaps(fitted, reference, np.arange(0))[0]
        for name, judged in (("fitted to", fit), ("others", other)):
            sides = audits(fitted, judged, Splits(fit, fit, judged, np.arange(0)), RULE)[0]
            missed[name] += truth < sides.same_class.lower
    assert missed["fitted to"] >= 6
    # 20 · 1.25 %; more than 2 has a chance below 0.2 %
    assert missed["others"] <= 2


def test_every_design_gives_a_verdict():
    for design in designs():
        (outcome,) = design.draw(np.random.default_rng(0)).values()
        assert outcome.verdict in Verdict
