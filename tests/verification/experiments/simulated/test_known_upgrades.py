"""The four upgrades are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from verification.audit import audit
from verification.experiments.simulated.known_upgrades import CASES, DIM, NOISE, mean_resultant_length

pytestmark = pytest.mark.simulations


@pytest.mark.parametrize(("dim", "noise"), [(2, 0.5), (3, 1.0), (DIM, NOISE), (512, 0.05)])
def test_mean_resultant_length_against_drawn_vectors(dim, noise):
    rows = noise * np.random.default_rng(0).standard_normal((200_000, dim))
    rows[:, 0] += 1.0
    cosines = rows[:, 0] / np.linalg.norm(rows, axis=1)
    # 4 standard errors of the mean of the drawn cosines
    assert mean_resultant_length(dim, noise) == pytest.approx(
        cosines.mean(), abs=4 * cosines.std() / np.sqrt(len(cosines))
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_audit_finds_the_exact_gaps(case):
    report = audit(*case.draw(5000, np.random.default_rng(7)))
    if case.turned:
        # one rotation, not their average: 1a is within 2·m²·(standard deviation of the mean cosine, < 1/√d) of it
        m = mean_resultant_length(DIM, NOISE)
        assert report.same_class.gap == pytest.approx(case.gaps()[0], abs=4 * 2 * m**2 / np.sqrt(DIM))
    else:
        for side, gap in zip((report.same_class, report.different_class), case.gaps(), strict=True):
            # both intervals hold the exact gap; the seed is fixed
            assert side.lower <= gap <= side.upper
    assert report.verdict == {"boundary": "inconclusive"}.get(case.answer, case.answer)


def test_a_turned_model_keeps_its_own_distances():
    new, old = CASES["rotated"].draw(50, np.random.default_rng(1))
    # rounding of a product of 64 terms
    np.testing.assert_allclose(new.unit @ new.unit.T, old.unit @ old.unit.T, atol=1e-13)
