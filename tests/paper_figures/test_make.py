"""Making figures: names, files, what is kept between runs, the gallery and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from learning.store import Store
from paper_figures import _kept, fig11_angle_density, gallery, make, sign_of_the_gap

pytestmark = pytest.mark.figures
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A cache folder of this test's own; and the store that was there before, afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_kept, "user_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(_kept, "store", Store())
    return tmp_path / "cache"


def small(value, monkeypatch, counter):
    """Put a computation of no time in the place of a figure's."""

    def compute():
        counter.append(1)
        return {"value": value}

    def draw(data):
        figure = Figure(figsize=(1, 1))
        figure.subplots().plot([0, data["value"]])
        return figure

    monkeypatch.setattr(sign_of_the_gap, "compute", compute)
    monkeypatch.setattr(sign_of_the_gap, "draw", draw)


def test_names():
    assert make.resolve([]) == list(make.FIGURES)
    assert make.resolve(["fig11", "fig1", "sign_of_the_gap", "11"]) == [
        "fig11_angle_density",
        "fig01_caps",
        "sign_of_the_gap",
    ]
    # the paper's figures that are shown with another
    assert make.resolve(["fig7", "fig09"]) == ["fig04_compatibility_matrices", "fig06_average_accuracy"]
    for name in make.FIGURES:
        module = make.load(name)
        assert module.__doc__.startswith("Fig") or "Caption." in module.__doc__
        title, caption = gallery.describe(name)
        assert title
        assert len(caption) > 100
        assert isinstance(module.SEED, int | None)


@pytest.mark.parametrize("wrong", ["fig99", "fig8", "caps"])
def test_unknown_figures_are_refused_before_work(wrong, tmp_path):
    with pytest.raises(ValueError, match=rf"a figure must be one of fig01_caps, .*, got '{wrong}'"):
        list(make.make(["sign_of_the_gap", wrong], tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_every_file_is_written(fresh, tmp_path, monkeypatch):
    counter = []
    small(1.5, monkeypatch, counter)
    (made,) = make.make(["sign_of_the_gap"], tmp_path / "new", cache=False)
    assert [path.name for path in made.paths] == [f"sign_of_the_gap.{kind}" for kind in ("pdf", "png", "json")]
    assert made.paths[0].read_bytes().startswith(b"%PDF")
    assert made.paths[1].read_bytes().startswith(b"\x89PNG")
    assert json.loads(made.paths[2].read_text()) == made.data == {"value": 1.5}
    assert not fresh.exists()
    # the same figure, bit by bit
    first = [path.read_bytes() for path in made.paths]
    (again,) = make.make(["sign_of_the_gap"], tmp_path / "new", cache=False)
    assert [path.read_bytes() for path in again.paths] == first
    assert len(counter) == 2


def test_nothing_is_left_half_written(fresh, tmp_path, monkeypatch):
    small(float("nan"), monkeypatch, [])
    with pytest.raises(ValueError, match="JSON"):
        list(make.make(["sign_of_the_gap"], tmp_path / "new", cache=False))
    assert not list((tmp_path / "new").glob("*.json"))
    assert not list((tmp_path / "new").glob(".*"))


def test_results_are_kept_until_code_or_parameters_change(fresh, tmp_path, monkeypatch):
    counter = []
    small(1.0, monkeypatch, counter)

    def run(**options):
        (made,) = make.make(["sign_of_the_gap"], tmp_path / "out", **options)
        return made

    first = run()
    assert run().data == first.data
    assert run().seconds == first.seconds
    assert len(counter) == 1
    run(cache=False)
    assert len(counter) == 2
    monkeypatch.setattr(_kept, "code_hash", lambda *modules: "other code")
    run()
    assert len(counter) == 3
    for file in fresh.rglob("*.json"):
        file.write_bytes(b"{ torn")
    assert run().data == first.data
    assert len(counter) == 4


def test_quick_and_full_are_kept_apart(fresh, tmp_path, monkeypatch):
    seen = []

    def compute(quick=False):
        seen.append(quick)
        return {"quick": quick}

    monkeypatch.setattr(sign_of_the_gap, "compute", compute)
    monkeypatch.setattr(sign_of_the_gap, "draw", lambda data: Figure(figsize=(1, 1)))
    values = [next(make.make(["sign_of_the_gap"], tmp_path, quick=q)).data["quick"] for q in (True, False, True, False)]
    assert values == [True, False, True, False]
    assert seen == [True, False]


def test_the_code_a_result_depends_on(tmp_path, monkeypatch):
    figure = {path.relative_to(ROOT).as_posix() for path in _kept.sources("paper_figures.fig11_angle_density")}
    assert {"theory/angles.py", "theory/__init__.py", "paper_figures/fig11_angle_density.py"} <= figure
    assert not any(name.startswith("learning/") or name == "paper_figures/_style.py" for name in figure)
    trained = {path.relative_to(ROOT).as_posix() for path in _kept.sources("paper_figures.fig03_higher_order")}
    assert {"learning/losses.py", "verification/experiments/dependence.py", "paper_figures/_growing_data.py"} <= trained

    monkeypatch.setattr(_kept, "ROOT", tmp_path)
    (tmp_path / "theory").mkdir()
    files = {name: tmp_path / "theory" / f"{name}.py" for name in ("__init__", "a", "b", "c")}
    for file in files.values():
        file.write_text("")
    files["a"].write_text("def f():\n    from theory.b import g\n")

    def value():
        _kept.sources.cache_clear()
        return _kept.code_hash.__wrapped__("theory.a")

    try:
        before = value()
        files["c"].write_text("x = 1\n")
        assert value() == before
        files["b"].write_text("x = 1\n")
        assert value() != before
    finally:
        _kept.sources.cache_clear()


def test_the_gallery(fresh, tmp_path):
    made = list(make.make(["fig11"], tmp_path / "pictures", cache=False, dpi=50))
    page = tmp_path / "figures.md"
    gallery.write_gallery(page, made, quick=True)
    text = page.read_text()
    title, caption = gallery.describe("fig11_angle_density")
    assert f"## {title}\n" in text
    assert caption in text
    assert "(pictures/fig11_angle_density.png)" in text
    assert "`python -m paper_figures fig11_angle_density --quick`, no random numbers, " in text
    assert fig11_angle_density.findings(made[0].data) in text


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cwd / "cache")},
        capture_output=True,
        text=True,
    )


def test_the_command(tmp_path):
    done = command("paper_figures", "--only", "fig11", "--quick", "--output", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"here/fig11_angle_density.{kind}" for kind in ("pdf", "png", "json")]
    assert list((tmp_path / "cache").rglob("result.json"))
    # the other name of the same command
    again = command("stationary", "figures", "fig11", "--output", "here", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


@pytest.mark.parametrize(
    ("program", "nowhere"),
    [
        (("paper_figures",), "no/where.md: must be a file to write, in a folder that exists."),
        (("stationary", "figures"), "no/where.md: its folder does not exist."),
    ],
)
def test_what_cannot_be_used_is_one_sentence(program, nowhere, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, sentence in (
        (("--only", "fig99"), "a figure must be one of"),
        (("fig11", "--output", "file"), "file: must be a folder, got a file."),
        (("fig11", "--gallery", "no/where.md"), nowhere),
    ):
        done = command(*program, *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "cache"}  # Matplotlib keeps its fonts
