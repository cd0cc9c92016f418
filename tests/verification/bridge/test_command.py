"""stationary bridge and stationary check: statuses, one sentence for what cannot be used, nothing half-written."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.command_line import run
from verification.bridge.maps import FeatureMap
from verification.experiments.simulated.known_upgrades import CASES
from verification.features import FeatureSet

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
    status, printed, err = call("bridge", "fit", new, old, *FAST, "--save", saved, "--json", report)
    assert (status, err.strip()) == (0, "")
    assert printed.startswith("COMPATIBLE  Yes, through a map. The orthogonal map makes the models compatible.")
    assert max(map(len, printed.splitlines())) <= 80
    read = json.loads(report.read_text())
    assert (read["verdict"], read["as_is"]["verdict"]) == ("compatible", "incompatible")
    assert call("bridge", "apply", saved, new, out)[0] == 0
    # both are float64: the map is exact to rounding
    np.testing.assert_allclose(FeatureSet.load(out).unit, FeatureSet.load(old).unit, atol=1e-12)
    assert call("check", out, out)[0] == 0
    # mapped rows are of unit length, and the old ones are not
    assert call("check", out, old)[1].startswith("SAME DIRECTIONS, OTHER LENGTHS")
    page, text = tmp_path / "check.html", tmp_path / "check.md"
    status, printed, _ = call("check", new, old, "--html", page, "--markdown", text)
    assert status == 1
    for shown in (printed, text.read_text(), page.read_text()):
        assert "The same model, rotated or reflected: all cosines are equal to rounding." in " ".join(shown.split())
    assert f"<h1>{new.name} → {old.name}</h1>" in page.read_text()
    assert call("check", new, old, "--save", tmp_path / "canary.npz", "--html", page)[0] == 2


def test_the_gallery_can_be_mapped_instead(call, case, tmp_path):
    new, old = case("rotated")
    saved, out = tmp_path / "map.npz", tmp_path / "gallery.npy"
    assert call("bridge", "fit", new, old, *FAST, "--direction", "gallery", "--save", saved)[0] == 0
    assert FeatureMap.load(saved).direction == "gallery"
    assert call("bridge", "apply", saved, old, out)[0] == 0
    np.testing.assert_allclose(FeatureSet.load(out).unit, FeatureSet.load(new).unit, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "status", "begins"),
    [
        ("tighter", 0, "COMPATIBLE  Yes. New queries may search the old gallery. No map is needed."),
        ("same law", 3, "INCONCLUSIVE  Undecided. These samples do not decide whether a map"),
        ("wider", 1, "INCOMPATIBLE  No. No map makes the models compatible; none is better than no map."),
    ],
)
def test_status_is_that_of_the_second_verdict(call, case, name, status, begins):
    found, printed, _ = call("bridge", "fit", *case(name, 3000), *FAST)
    assert found == status
    assert " ".join(printed.split()).startswith(" ".join(begins.split()))


def test_the_options_reach_the_bridge(call, case, tmp_path):
    report = tmp_path / "report.json"
    call(
        "bridge",
        "fit",
        *case("wider"),
        *FAST,
        "--margin",
        "50%",
        "--confidence",
        "0.9",
        "--seed",
        "3",
        "--json",
        report,
    )
    read = json.loads(report.read_text())
    # half of the contrast, 2 m² (1 + 1/9) = 0.44
    assert read["margin"] == pytest.approx(0.22, abs=0.02)
    assert (read["confidence"], read["verdict"]) == (0.9, "compatible")
    call("bridge", "fit", *case("wider"), *FAST, "--closed-set", "--json", report)
    assert json.loads(report.read_text())["held_out"] is None


def test_a_map_is_fitted_without_labels_and_not_judged(call, case, tmp_path):
    paths = case("rotated")
    bare = []
    for path in paths:
        bare.append(tmp_path / f"bare-{path.name}")
        FeatureSet(FeatureSet.load(path).features).save(bare[-1])
    saved, report = tmp_path / "map.npz", tmp_path / "report.json"
    pages = ("--html", tmp_path / "page.html", "--markdown", tmp_path / "page.md")
    status, printed, err = call("bridge", "fit", *bare, *FAST, "--save", saved, "--json", report, *pages)
    assert (status, err.strip()) == (3, "")
    assert all("mean squared distance" in path.read_text() for path in pages[1::2])
    assert printed.startswith("INCONCLUSIVE  Fitted, and not judged. The orthogonal map brings")
    assert json.loads(report.read_text())["verdict"] is None
    new, old = map(FeatureSet.load, bare)
    np.testing.assert_allclose(FeatureMap.load(saved)(new.unit), old.unit, atol=1e-12)
    for option in (["--margin", "5%"], ["--closed-set"]):
        assert "is not used without labels" in one_line(call("bridge", "fit", *bare, *FAST, *option)[2])


def small(tmp_path, name, dim=4, rows=40, num_classes=2, scale=1.0):
    path = tmp_path / name
    rng = np.random.default_rng([*name.encode(), dim])
    FeatureSet(scale * rng.standard_normal((rows, dim)), np.arange(rows) % num_classes).save(path)
    return path


def saved_map(tmp_path, direction="queries"):
    path = tmp_path / "map.npz"
    FeatureMap("orthogonal", direction, np.eye(4), np.zeros(4)).save(path)
    return path


def test_a_map_needs_no_labels(call, tmp_path):
    np.savez(tmp_path / "a.npz", features=np.eye(4))
    assert call("bridge", "apply", saved_map(tmp_path), tmp_path / "a.npz", tmp_path / "out.npz")[0] == 0
    mapped = FeatureSet.load(tmp_path / "out.npz")
    assert mapped.labels is None
    np.testing.assert_array_equal(mapped.features, np.eye(4))


def test_check_writes_the_rows_that_changed(call, tmp_path):
    rng = np.random.default_rng(0)
    old = rng.standard_normal((200, 16))
    new = old.copy()
    new[[3, 150]] *= -1.0
    names = np.array([f"text {i}" for i in range(200)])
    for path, rows in (("new.npz", new), ("old.npz", old)):
        FeatureSet(rows, ids=names).save(tmp_path / path)
    sets = tmp_path / "new.npz", tmp_path / "old.npz"
    status, printed, err = call("check", *sets, "--rows", tmp_path / "rows.txt", "--json", tmp_path / "out.json")
    assert (status, err) == (1, "")
    assert " ".join(printed.split()).startswith("PARTLY CHANGED Mostly the same model: 198 of 200 rows are equal")
    assert (tmp_path / "rows.txt").read_text() == "text 3\ntext 150\n"
    assert json.loads((tmp_path / "out.json").read_text())["rows"] == [3, 150]
    call("check", *sets, "--rows", tmp_path / "rows.npy")
    assert np.load(tmp_path / "rows.npy").tolist() == [3, 150]
    # what is there is not overwritten without being asked to
    assert call("check", *sets, "--rows", tmp_path / "rows.npy")[0] == 2
    assert call("check", *sets, "--rows", tmp_path / "rows.npy", "--force")[0] == 1


def test_a_canary_is_kept_and_compared(call, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 16))
    for name, features in (("model", rows), ("drifted", rows + 0.05 * rng.standard_normal(rows.shape))):
        FeatureSet(features).save(tmp_path / f"{name}.npz")
    canary = tmp_path / "canary.npz"
    status, printed, _ = call("check", tmp_path / "model.npz", "--save", canary)
    assert (status, "50 rows of model.npz" in printed) == (0, True)
    assert call("check", tmp_path / "model.npz", "--canary", canary)[0] == 0
    status, printed, _ = call("check", tmp_path / "drifted.npz", "--canary", canary)
    assert (status, printed.split("  ")[0]) == (1, "SAME MODEL WITH NOISE")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "got none of them"),
        (["a.npz", "--save", "c.npz"], "got OLD and --save"),
        (["--canary", "c.npz", "--rows", "r.txt"], "--rows is not used with --canary"),
        (["--save", "c.npz", "--tolerance", "0.1"], "--tolerance is not used with --save"),
        (["a.npz", "--rows", "r.csv"], "rows are written to .npy or .txt, got suffix '.csv'"),
    ],
)
def test_check_is_asked_one_thing(call, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    small(tmp_path, "a.npz")
    status, out, err = call("check", "a.npz", *options)
    assert (status, out) == (2, "")
    assert says in one_line(err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def few(tmp_path):
    return [
        "bridge",
        "fit",
        small(tmp_path, "a.npz", rows=8),
        small(tmp_path, "b.npz", rows=8),
        "--save",
        tmp_path / "m.npz",
    ]


def other_dimension(tmp_path):
    return ["bridge", "apply", saved_map(tmp_path), small(tmp_path, "a.npz", dim=5), tmp_path / "out.npz"]


def other_direction(tmp_path):
    apply = ["bridge", "apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "out.npz"]
    return [*apply, "--direction", "gallery"]


def truncated_map(tmp_path):
    path = saved_map(tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    return ["bridge", "apply", path, small(tmp_path, "a.npz"), tmp_path / "out.npz"]


def no_map(tmp_path):
    return ["bridge", "apply", tmp_path / "none.npz", small(tmp_path, "a.npz"), tmp_path / "out.npz"]


def no_features(tmp_path):
    np.savez(tmp_path / "a.npz", labels=np.arange(4))
    return ["bridge", "apply", saved_map(tmp_path), tmp_path / "a.npz", tmp_path / "out.npz"]


def other_output(tmp_path):
    return ["bridge", "apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "out.csv"]


def no_folder(tmp_path):
    return ["bridge", "apply", saved_map(tmp_path), small(tmp_path, "a.npz"), tmp_path / "none" / "out.npz"]


def other_map_suffix(tmp_path):
    return ["bridge", "fit", small(tmp_path, "a.npz"), small(tmp_path, "b.npz"), "--save", tmp_path / "m.txt"]


def unknown_map(tmp_path):
    return ["bridge", "fit", small(tmp_path, "a.npz"), small(tmp_path, "b.npz"), "--maps", "cubic"]


def other_rows(tmp_path):
    return ["check", small(tmp_path, "a.npz"), small(tmp_path, "b.npz", rows=41)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (few, "three splits need at least two classes with 6 samples each"),
        (other_dimension, "the map takes new queries of dimension 4, the features have 5"),
        (other_direction, "No such option: --direction"),
        (truncated_map, "It is no map that stationary bridge fit saved"),
        (no_map, "none.npz: no such file"),
        (
            no_features,
            "must hold arrays named 'features', got 'labels' (int64 of shape (4,)); name another with --features",
        ),
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
    call("bridge", "fit", *case(name), *FAST, "--html", tmp_path / "page.html", "--markdown", tmp_path / "page.md")
    page = (tmp_path / "page.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert not re.search(r"https?://|<script|src=", page)
    word = {"rotated": "Yes, through a map", "tighter": "Yes", "wider": "No"}[name]
    assert f'id="answer">{word}</h2>' in page
    assert f"\n\n**{word}.** " in (tmp_path / "page.md").read_text()
    assert ("Through a map" in page) == (name != "tighter")
    assert "The models without a map" in page  # below the fold


def test_rows_without_labels_are_mapped_too(call, tmp_path):
    ids, groups = np.array([3, 1, 2, 7]), np.array([0, 0, 1, 1])
    np.savez(tmp_path / "a.npz", features=np.eye(4), ids=ids, groups=groups)
    assert call("bridge", "apply", saved_map(tmp_path), tmp_path / "a.npz", tmp_path / "out.npz")[0] == 0
    mapped = FeatureSet.load(tmp_path / "out.npz")
    assert mapped.labels is None
    np.testing.assert_array_equal(mapped.ids, ids)
    np.testing.assert_array_equal(mapped.groups, groups)
