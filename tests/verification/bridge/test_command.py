"""stationary bridge and stationary check: statuses, one sentence for what cannot be used, nothing half-written."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.test_stationary import run
from verification.bridge.maps import FeatureMap
from verification.features import FeatureSet
from verification.simulated.known_upgrades import CASES

FAST = ("--maps", "orthogonal")


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


@pytest.fixture
def case(tmp_path):
    """Paths of the two files of a case."""

    def save(name, num_samples=1200):
        paths = tmp_path / f"{name}-new.npz", tmp_path / f"{name}-old.npz"
        for features, path in zip(CASES[name].draw(num_samples, np.random.default_rng(0)), paths, strict=True):
            features.save(path)
        return paths

    return save


def one_line(err: str) -> str:
    """What was complained of, on one line and without a traceback."""
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert line.startswith("stationary: ")
    return line


def test_through_a_map_is_status_0_and_the_saved_map_brings_the_models_together(call, case, tmp_path):
    new, old = case("rotated")
    saved, out, report = tmp_path / "map.safetensors", tmp_path / "mapped.npz", tmp_path / "report.json"
    status, printed, err = call("bridge", new, old, *FAST, "--save", saved, "--json", report)
    assert (status, err.strip()) == (0, "")
    assert printed.startswith("COMPATIBLE  Incompatible; compatible through an orthogonal map.")
    assert max(map(len, printed.splitlines())) <= 80
    read = json.loads(report.read_text())
    assert (read["verdict"], read["as_is"]["verdict"]) == ("compatible", "incompatible")
    assert call("bridge", "--apply", saved, new, out)[0] == 0
    # both are float64: the map is exact to rounding
    np.testing.assert_allclose(FeatureSet.load(out).unit, FeatureSet.load(old).unit, atol=1e-12)
    assert call("check", out, old)[0] == 0
    assert call("check", new, old)[0] == 1


def test_the_gallery_can_be_mapped_instead(call, case, tmp_path):
    new, old = case("rotated")
    saved, out = tmp_path / "map.npz", tmp_path / "gallery.npy"
    assert call("bridge", new, old, *FAST, "--direction", "gallery", "--save", saved)[0] == 0
    assert FeatureMap.load(saved).direction == "gallery"
    assert call("bridge", "--apply", saved, old, out)[0] == 0
    np.testing.assert_allclose(FeatureSet.load(out).unit, FeatureSet.load(new).unit, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "status", "begins"),
    [
        ("tighter", 0, "COMPATIBLE  Compatible as it is; no map is needed."),
        ("same law", 3, "INCONCLUSIVE  Inconclusive; no map does better than none."),
        ("wider", 1, "INCOMPATIBLE  Incompatible; no map does better than none."),
    ],
)
def test_status_is_that_of_the_second_verdict(call, case, name, status, begins):
    found, printed, _ = call("bridge", *case(name, 3000), *FAST)
    assert found == status
    assert printed.startswith(begins)


def test_the_options_reach_the_bridge(call, case, tmp_path):
    report = tmp_path / "report.json"
    call("bridge", *case("wider"), *FAST, "--margin", "50%", "--confidence", "0.9", "--seed", "3", "--json", report)
    read = json.loads(report.read_text())
    # half of the contrast, 2 m² (1 + 1/9) = 0.44
    assert read["margin"] == pytest.approx(0.22, abs=0.02)
    assert (read["confidence"], read["verdict"]) == (0.9, "compatible")
    call("bridge", *case("wider"), *FAST, "--closed-set", "--json", report)
    assert json.loads(report.read_text())["held_out"] is None


def small(tmp_path, name, dim=4, rows=40, num_classes=2, scale=1.0):
    path = tmp_path / name
    rng = np.random.default_rng([*name.encode(), dim])
    FeatureSet(scale * rng.standard_normal((rows, dim)), np.arange(rows) % num_classes).save(path)
    return path


def saved_map(tmp_path, direction="queries"):
    path = tmp_path / "map.npz"
    FeatureMap("orthogonal", direction, np.eye(4), np.zeros(4)).save(path)
    return path


def few(tmp_path):
    return ["bridge", small(tmp_path, "a.npz", rows=8), small(tmp_path, "b.npz", rows=8), "--save", tmp_path / "m.npz"]


def other_dimension(tmp_path):
    return ["bridge", "--apply", saved_map(tmp_path), small(tmp_path, "a.npz", dim=5), tmp_path / "out.npz"]


def other_direction(tmp_path):
    apply = ["bridge", "--apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "out.npz"]
    return [*apply, "--direction", "gallery"]


def truncated_map(tmp_path):
    path = saved_map(tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    return ["bridge", "--apply", path, small(tmp_path, "a.npz"), tmp_path / "out.npz"]


def no_map(tmp_path):
    return ["bridge", "--apply", tmp_path / "none.npz", small(tmp_path, "a.npz"), tmp_path / "out.npz"]


def no_labels(tmp_path):
    np.savez(tmp_path / "a.npz", features=np.eye(4))
    return ["bridge", "--apply", saved_map(tmp_path), tmp_path / "a.npz", tmp_path / "out.npz"]


def other_output(tmp_path):
    return ["bridge", "--apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "out.csv"]


def no_folder(tmp_path):
    return ["bridge", "--apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "none" / "out.npz"]


def other_map_suffix(tmp_path):
    return ["bridge", small(tmp_path, "a.npz"), small(tmp_path, "b.npz"), "--save", tmp_path / "m.txt"]


def unknown_map(tmp_path):
    return ["bridge", small(tmp_path, "a.npz"), small(tmp_path, "b.npz"), "--maps", "cubic"]


def other_rows(tmp_path):
    return ["check", small(tmp_path, "a.npz"), small(tmp_path, "b.npz", rows=41)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (few, "three splits need at least two classes with 6 samples each"),
        (other_dimension, "the map takes new queries of dimension 4, the features have 5"),
        (other_direction, "map.npz: maps new queries, --direction gallery asks for the other"),
        (truncated_map, "map.npz: is not a readable map"),
        (no_map, "none.npz: no such file"),
        (no_labels, "must hold arrays named 'features' and 'labels'"),
        (other_output, "features are written to one of"),
        (no_folder, "its folder does not exist"),
        (other_map_suffix, "a map is in one of .npz, .safetensors, got suffix '.txt'"),
        (unknown_map, "maps must be of identity"),
        (other_rows, "same samples, got 40 and 41 rows"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_leaves_nothing(call, tmp_path, spoil, says):
    arguments = spoil(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert says in one_line(err)
    assert sorted(tmp_path.rglob("*")) == before


class Balanced(HTMLParser):
    """Raises unless every element that opens closes in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["rotated", "tighter", "wider"])
def test_the_page_stands_alone(call, case, tmp_path, name):
    call("bridge", *case(name), *FAST, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert not re.search(r"https?://|<script|src=", page)
    word = {"rotated": "Yes, through a map", "tighter": "Yes", "wider": "No"}[name]
    assert f'id="answer">{word}</h2>' in page
    assert ("Through a map" in page) == (name != "tighter")
    assert "What was not checked" in page  # of the models as they are, behind the answer
