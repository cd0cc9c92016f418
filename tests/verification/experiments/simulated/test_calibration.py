"""Intervals that are what they say: coverage, false verdicts, width and power; and intervals that are not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from paper_figures import calibration as figure
from verification.experiments.simulated import calibration
from verification.experiments.simulated.calibration import BOUNDARY, CapDesign, compute, simulate, table
from verification.statistics.weights import WEIGHTINGS

pytestmark = pytest.mark.simulations
SIDE = 0.975  # of each side, for 95 % of both
# how much wider than with a known standard deviation: 1b's was up to 1.47 in 120 runs of each design, about √2, where
# single pairs are most of the variance
WIDEST = {"same": 1.25, "different": 1.5}


def check(cell: CapDesign, runs: int) -> None:
    """Coverage and false verdicts within 3 standard errors of what is promised, widths within what is known of them."""
    found = simulate(cell, runs)
    for weighting in WEIGHTINGS:
        one = found[weighting]
        if cell.new_radius == cell.old_radius:
            wrong = one["compatible"] + one["incompatible"]
            assert wrong <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs), weighting
        for side, widest in WIDEST.items():
            assert one[f"coverage_{side}"] >= SIDE - 3 * math.sqrt(SIDE * (1 - SIDE) / runs), (weighting, side)
            # the standard deviation in the denominator is known to 1/√(2·runs)
            assert one[f"width_{side}"] <= widest * (1 + 3 / math.sqrt(2 * runs)), (weighting, side)


QUICK = [
    CapDesign(50, 3, 4),
    CapDesign(50, 16, 4, correlated=True),
    CapDesign(200, 9, 10, sizes="unequal"),
    CapDesign(200, 64, 20, new_radius=0.45, old_radius=0.5, correlated=True),
    CapDesign(200, 9, 10, metric="euclidean"),
    CapDesign(200, 9, 10, sizes="unequal", metric="angular"),
    CapDesign(200, 9, 10, gallery=True),
]


@pytest.mark.parametrize("cell", QUICK, ids=str)
def test_intervals_are_calibrated(cell):
    check(cell, runs=200)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cell for cell in BOUNDARY if cell.sizes != "one large"], ids=str)
def test_intervals_are_calibrated_in_every_design(cell):
    check(cell, runs=1000)


def test_where_one_class_alone_has_several_samples_the_data_cannot_tell():
    found = simulate(CapDesign(50, 3, 4, sizes="one large"), runs=20)
    for weighting in WEIGHTINGS:
        assert math.isinf(found[weighting]["width_different"])
        assert found[weighting]["compatible"] == 0.0


def half_widths(cell: CapDesign, seed: int) -> tuple[float, float, float]:
    """Same-class gap, and half-widths at one side's level of two obvious intervals: pairs as units, jackknife."""
    new, old, _ = cell.draw(np.random.default_rng(seed))
    t = 2.0 * (new.unit - old.unit) @ old.unit.T
    same = old.codes[:, None] == old.codes
    np.fill_diagonal(same, False)
    gap, quantile = t[same].mean(), 2.2414  # normal quantile of 1 − 0.025/2
    pairs = t[same].std() / math.sqrt(same.sum())
    # one sample left out at a time, samples of all classes alike
    h = np.where(same, t + t.T, 0.0)
    total, n = t[same].sum(), len(t)
    left_out = (total - h.sum(axis=1)) / (same.sum() - 2 * same.sum(axis=1))
    jackknife = math.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
    return gap, quantile * pairs, quantile * jackknife


def test_pairs_are_not_units():
    cell = CapDesign(240, 12, 4, new_radius=0.65, old_radius=0.7)
    gaps, pairs, _ = np.array([half_widths(cell, seed) for seed in range(200)]).T
    assert np.mean(np.abs(gaps - cell.truth()[0]) <= pairs) < 0.75


def test_the_jackknife_is_needlessly_wide():
    """It counts the second-order part twice, which near the boundary and in many dimensions is most of the variance."""
    cell = CapDesign(60, 64, 10)
    gaps, _, jackknife = np.array([half_widths(cell, seed) for seed in range(200)]).T
    assert jackknife.mean() > 1.25 * 2.2414 * gaps.std(ddof=1)
    assert simulate(cell, 200)["pairs"]["width_same"] < 1.25


def test_power_grows_with_samples_and_with_the_difference():
    def decided(size: int, ratio: float, kind: str, weighting: str = "classes", sizes: str = "equal") -> float:
        return simulate(CapDesign(size, 9, 10, new_radius=0.5 * ratio, old_radius=0.5, sizes=sizes), 60)[weighting][
            kind
        ]  # type: ignore[arg-type]

    assert decided(100, 0.9, "compatible") < 0.5 < decided(400, 0.8, "compatible")
    assert decided(400, 1.2, "incompatible") > 0.9
    # where classes differ in size, classes that count once see more than pairs that do
    unequal = [decided(400, 0.85, "compatible", weighting, "unequal") for weighting in WEIGHTINGS]
    assert unequal[1] > unequal[0]


def test_designs_are_what_they_say():
    rng = np.random.default_rng(0)
    for cell in (*BOUNDARY[:6], CapDesign(3000, 6, 4, new_radius=0.4, old_radius=0.7, correlated=True)):
        new, old, gallery = cell.draw(rng)
        assert len(new) == cell.num_samples
        assert len(old.classes) == cell.num_classes
        assert (gallery is None) != cell.gallery
    vertices = calibration.simplex_vertices(4, 6)[old.codes]
    for features, radius in ((new, 0.4), (old, 0.7)):
        angles = np.arccos(np.vecdot(features.unit, vertices))
        assert angles.max() <= radius + 1e-12
        mean = calibration.UniformCap(6, radius).mean_resultant_length()
        # 4 standard errors of 3000 cosines, which lie in [cos 0.7, 1]
        assert np.cos(angles).mean() == pytest.approx(mean, abs=4 * 0.12 / math.sqrt(3000))
    off = [s.unit - np.vecdot(s.unit, vertices)[:, None] * vertices for s in (new, old)]
    off = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in off]
    np.testing.assert_allclose(np.vecdot(*off), 1.0, atol=1e-9)  # a unit vector off a sine that may be small


@pytest.fixture(scope="module")
def data():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "BOUNDARY", BOUNDARY[:2])
        patch.setattr(calibration, "POWER_SIZES", (50, 100))
        patch.setattr(calibration, "RATIOS", (0.9, 1.0, 1.1))
        seen: list[tuple[int, int]] = []
        result = compute(runs=10, progress=lambda stage, done, total: seen.append((done, total)))
        assert seen == [(k, 16) for k in range(1, 17)]
        return result


def test_what_is_computed_is_json_and_a_table(data):
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    lines = table(data).splitlines()
    assert len(lines) == 2 + 2 * 4 + 1 + 12 + 1 + 4
    assert "10 audits a design" in lines[0]
    assert "–" in table(data)  # a width that is not there


def test_the_number_of_samples_is_read_off_the_power():
    assert calibration.samples_for([100, 400], [0.6, 1.0]) == pytest.approx(200.0)  # half of the way in log N
    assert calibration.samples_for([100, 400], [0.9, 1.0]) == 100.0
    assert calibration.samples_for([100, 400], [0.1, 0.7]) is None


def test_the_picture_is_drawn(data, tmp_path):
    from paper_figures import _style

    for path in _style.save(figure.draw(data), tmp_path, "calibration"):
        assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"runs": 1}, "runs must be an integer >= 2, got 1"), ({"confidence": 1.0}, r"confidence must be in \(0, 1\)")],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compute(**arguments)
