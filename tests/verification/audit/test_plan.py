"""What a plan says that is needed, for units of every kind, and the assumed new model."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification.audit import plan as planning
from verification.audit.judge import Options
from verification.audit.margin import Margin
from verification.audit.plan import Plan, plan
from verification.audit.power import samples_factor
from verification.features import FeatureSet
from verification.statistics.interval import Criterion, Interval
from verification.statistics.variance import Estimate
from verification.upgrade import Upgrade


def test_an_effect_has_a_sign():
    for given, expected in (
        ("-5%", Margin(-0.05, share=True)),
        (" +5% ", Margin(0.05, share=True)),
        (-0.2, Margin(-0.2)),
        ("0.3", Margin(0.3)),
        (0.0, Margin(0.0)),
    ):
        assert planning._signed(given, "effect") == expected
    for given in ("--1", "x", "-", math.inf):
        with pytest.raises(ValueError, match="effect must be a finite number, or a percentage such as '-5%'"):
            planning._signed(given, "effect")


@pytest.mark.parametrize(("unit", "have", "least"), [("sample", 60, 10), ("group", 30, 10), ("class", 5, 2)])
def test_needs_of_every_unit(unit, have, least):
    new, old = upgrade(0.6, 0.7, num_samples=60)
    labels = np.sort(old.labels)
    made = Upgrade(*(FeatureSet(side.features, labels, groups=np.arange(60) // 2) for side in (new, old)))
    rule = Criterion(confidence=0.9, margin=0.02)
    what = {"sample": "samples", "group": "groups", "class": "classes"}[unit]
    for half, quantile, effect in ((0.1, 2.5, 0.01), (0.1, 0.0, 0.01), (0.03, 2.0, 0.1), (1e-9, 2.0, 0.1)):
        interval = Interval(value=0.3, lower=0.3 - half, upper=0.3 + half, confidence=0.9, unit=unit, quantile=quantile)
        found = planning._need("claim", interval, rule, effect, made)
        side = Estimate(value=effect, standard_error=half / (quantile or 1.96), freedom=have - 1.0)
        factor = samples_factor([side], rule)
        assert factor is not None
        need = max(math.ceil(factor * have), least)
        assert (found.claim, found.unit, found.have, found.need) == ("claim", unit, have, need)
        assert (found.half_width, found.margin, found.effect) == (pytest.approx(half), 0.02, effect)
        if need <= have:
            assert found.sentence == f"claim: {need:,} {what} decide with 80 % probability, and there are {have:,}."
        else:
            assert found.sentence == f"claim: about {need:,} {what} decide with 80 % probability; there are {have:,}."
    assert need == least
    for interval, effect in (
        (Interval(value=0.0, lower=-math.inf, upper=math.inf, confidence=0.9, unit=unit, quantile=2.0), 0.1),
        (Interval(value=0.0, lower=-0.1, upper=0.1, confidence=0.9, unit=unit, quantile=2.0), -0.02),
    ):
        nothing = planning._need("claim", interval, rule, effect, made)
        assert nothing.need is None
        assert nothing.sentence == f"claim: no number of {what} decides, the assumed change is at the margin."


def test_each_row_is_exchanged_for_one_of_its_class_and_of_another_group():
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [1, 2, 6, 9, 12]))
    shots = np.where(codes == 3, 0, np.arange(30) % 3)  # one class is a single group
    seen = set()
    for seed in range(5):
        for groups in (None, shots):
            found = planning._exchange(codes, groups, np.random.default_rng(seed))
            np.testing.assert_array_equal(np.sort(found), np.arange(30))
            np.testing.assert_array_equal(codes[found], codes)
            several = codes > 0
            assert np.all(found[several] != np.arange(30)[several]) or groups is not None
            if groups is not None:
                for c in (2, 4):
                    own = np.flatnonzero(codes == c)
                    if np.bincount(shots[own]).max() * 2 <= len(own):
                        assert np.all(shots[found[own]] != shots[own])
            seen.add(tuple(found))
    assert len(seen) == 10
    # with ids, the rows that are exchanged do not depend on where they stand
    old = upgrade(0.6, 0.7, num_samples=40)[1]
    named = FeatureSet(old.features, old.labels, ids=np.arange(40))
    order = np.random.default_rng(1).permutation(40)
    moved = FeatureSet(old.features[order], old.labels[order], ids=order)
    np.testing.assert_array_equal(planning._exchanged(named, 3).features[order], planning._exchanged(moved, 3).features)


def test_a_plan_is_put_together_from_an_audit_of_two_halves_of_one_model():
    old = upgrade(0.6, 0.9, num_samples=60)[1]
    options = Options(margin="10%", retrieval_margin=0.05, confidence=0.9)
    found = plan(old, options, effect="-2%", retrieval_effect=0.01, seed=4)
    assert [need.claim for need in found.needs] == [
        "retrieval", "definition-1, same class", "definition-1, different classes", "contrast",
    ]  # fmt: skip
    assert found.needs[0].margin == 0.05
    assert found.needs[0].effect == 0.01
    margin, effect = found.needs[1].margin, found.needs[1].effect
    assert effect == pytest.approx(-0.2 * margin)
    assert {(need.margin, need.effect) for need in found.needs[1:]} == {(margin, effect)}
    assert found.seed == 4
    assert found.held() == options
    assert set(found.options) == set(asdict(options)) - {"explain"}
    assert plan(old, options, effect=0.3).needs[1].effect == 0.3
    assert Plan(options={}, seed=1).needs == ()
    for share in (1.0, -1.0, "100%"):
        with pytest.raises(ValueError, match=r"the effect on retrieval must be in \(-1, 1\)"):
            plan(old, retrieval_effect=share)


def test_a_plan_that_is_saved_is_read_as_it_was_and_none_that_was_changed(tmp_path):
    path = tmp_path / "plan.json"
    options = Options(margin="10%", retrieval_margin=0.05, far=0.1, decide=("retrieval", "threshold"), sample=50)
    made = plan(upgrade(0.6, 0.9, num_samples=60)[1], options, seed=4)
    made.save(path)
    written = json.loads(path.read_text())
    assert written["schema_version"] == 1
    assert [need["claim"] for need in written["needs"]] == [need.claim for need in made.needs]
    fixed = {"options": written["options"], "seed": 4}
    assert written["sha256"] == hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest() == made.digest
    found = Plan.load(path)
    assert (found.seed, found.held(), found.digest, found.needs) == (4, options, made.digest, ())
    for changed in ({"seed": 5}, {"options": written["options"] | {"margin": "11%"}}, {"sha256": "0"}):
        path.write_text(json.dumps(written | changed))
        with pytest.raises(ValueError, match="was changed after it was written; plan anew"):
            Plan.load(path)
    # what was said of needs is no part of what an audit is held to
    path.write_text(json.dumps(written | {"needs": []}))
    assert Plan.load(path).digest == made.digest
    # nor can it be held to what no audit can be asked for
    options_ = written["options"] | {"confidence": 2.0}
    digest = hashlib.sha256(json.dumps({"options": options_, "seed": 4}, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(written | {"options": options_, "sha256": digest}))
    with pytest.raises(ValueError, match="confidence must be in"):
        Plan.load(path)
