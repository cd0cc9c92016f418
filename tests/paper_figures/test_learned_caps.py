"""The picture of the learned caps: its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from paper_figures import learned_caps

pytestmark = pytest.mark.figures


@pytest.fixture(scope="module")
def data():
    return learned_caps.compute()


def test_numbers_show_what_the_caption_says(data):
    polar = {name: np.degrees(angles) for name, angles in data["polar"].items()}
    assert np.median(polar["new"]) < np.median(polar["old"]) < 30
    # a learned classifier knows nothing of the vertices: angles about those of random directions, 90 ± 19 degrees in
    # d = 9
    assert 70 < np.median(polar["learned"]) < 110
    labels = np.array(data["labels"])
    for name in ("old", "new"):
        assert len(data["plane"][name]) == len(labels)
    vertices = learned_caps.simplex_vertices(3)[labels]
    off = {
        name: np.abs(
            np.angle(np.exp(1j * (np.array(data["plane"][name]) - np.arctan2(vertices[:, 1], vertices[:, 0]))))
        )
        for name in ("old", "new")
    }
    assert np.mean(off["new"]) < np.mean(off["old"])
