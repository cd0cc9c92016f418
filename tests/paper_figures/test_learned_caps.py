"""The picture of the learned caps: its numbers, and that figures are written whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from paper_figures import learned_caps, make


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


def test_make_writes_every_file(data, tmp_path, monkeypatch):
    monkeypatch.setattr(learned_caps, "compute", lambda: data)
    paths = list(make.make(["learned_caps"], tmp_path / "new"))
    assert [path.name for path in paths] == ["learned_caps.pdf", "learned_caps.png", "learned_caps.json"]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert json.loads(paths[2].read_text()) == json.loads(json.dumps(data))


def test_unknown_figures_are_refused_before_work(tmp_path):
    with pytest.raises(ValueError, match=r"a figure must be one of learned_caps, .*, got 'fig99'"):
        list(make.make(["learned_caps", "fig99"], tmp_path / "new"))
    assert not (tmp_path / "new").exists()
