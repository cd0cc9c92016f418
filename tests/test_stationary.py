"""The command line: statuses, one-line complaints, no half-written files, narrow terminals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from typer.models import OptionInfo

from tests.verification.samples import upgrade
from verification.features import FeatureSet
from verification.statistics.interval import Verdict

ROOT = Path(__file__).parent.parent


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """(new, old): an upgrade that is compatible by retrieval, which decides, and by everything beside it."""
    paths = tmp_path / "new.npz", tmp_path / "old.npz"
    for features, path in zip(upgrade(0.6, 1.2), paths, strict=True):
        features.save(path)
    return paths


def test_parts_are_found_by_id_where_rows_are_left_out(call, tmp_path):
    ids = np.array([f"sku-{row}" for row in range(240)])
    for name, model, keep in zip(("new", "old"), upgrade(0.6, 1.2, 240), (slice(240), slice(40, 240)), strict=True):
        table = {"features": model.features[keep], "labels": model.labels[keep], "ids": ids[keep]}
        np.savez(
            tmp_path / f"{name}.npz", **table, lang=np.array(["de", "fr"])[np.arange(240) // 120][keep], sort=ids[keep]
        )
    paths = tmp_path / "new.npz", tmp_path / "old.npz"
    status, out, err = call("audit", *paths, "--by", "lang", "--join", "inner")
    assert status in (0, 1, 3), err
    assert re.search(r"^de .* 80 *$", out, re.MULTILINE)
    assert re.search(r"^fr .* 120 *$", out, re.MULTILINE)
    assert "new.npz: 'sort' is not used." in err  # and --by is
    assert "old.npz: 'lang', 'sort' are not used." in err


def test_the_version_is_that_of_the_installed_package(call):
    from importlib.metadata import version

    assert call("--version") == (0, f"stationary {version('stationary-representations')}\n", "")


def test_an_option_whose_placeholder_is_its_own_name_says_how_it_is_typed():
    """Else typer 0.27 takes the placeholder for the option's name, and ``--device DEVICE`` becomes ``--DEVICE``."""
    from stationary import app

    def commands(of):
        yield from (command.callback for command in of.registered_commands)
        for group in of.registered_groups:
            yield from commands(group.typer_instance)

    seen = []
    for command in commands(app):
        for name, hint in get_type_hints(command, include_extras=True).items():
            for option in getattr(hint, "__metadata__", ()):
                if isinstance(option, OptionInfo) and option.metavar == name.upper():
                    seen.append(name)
                    # in an annotation the first name stands where a default would
                    assert str(option.default).startswith("--"), f"{command.__name__}: {name}"
    assert {"device", "score"} <= set(seen)


@pytest.mark.parametrize("path", ["learning/__init__.py", "theory.py"])
def test_a_folder_with_modules_of_the_same_name_is_named(tmp_path, path):
    """`python -m` looks into the working folder first, where a user may have a `learning/` of her own."""
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("x = 1\n")
    command = [sys.executable, "-m", "stationary", "audit", "new.npz", "old.npz"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    name = path.partition("/")[0].removesuffix(".py")
    assert f"{tmp_path / path} shadows the package '{name}' of this program." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    # a folder that is no package shadows nothing
    (tmp_path / path).unlink()
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "new.npz: no such file." in done.stderr


def test_compatible_is_status_0(call, files, tmp_path):
    status, out, err = call("audit", *files, "--json", tmp_path / "report.json")
    assert (status, err) == (0, "")
    assert out.startswith("COMPATIBLE")
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "compatible"


def test_incompatible_is_status_1(call, files):
    status, out, _ = call("audit", *reversed(files))
    assert status == 1
    assert out.startswith("INCOMPATIBLE")


def test_inconclusive_is_status_3(call, tmp_path):
    for features, name in zip(upgrade(0.6, 0.6), "ab", strict=True):
        features.save(tmp_path / f"{name}.npz")
    status, out, _ = call("audit", tmp_path / "a.npz", tmp_path / "b.npz")
    assert status == 3
    assert out.startswith("INCONCLUSIVE")


def test_a_defect_is_status_70_with_a_traceback(call, files, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("wheels came off")

    monkeypatch.setattr("verification.views.terminal.render", broken)
    status, _, err = call("audit", *files)
    assert status == 70
    assert "wheels came off" in err
    assert "defect" in err


def test_the_margin_and_the_metric_reach_the_audit(call, files, tmp_path):
    call("audit", *files, "--metric", "cosine", "--margin", "0.1", "--confidence", "0.9", "--json", tmp_path / "r.json")
    read = json.loads((tmp_path / "r.json").read_text())
    found = read["definition1"]
    assert (found["metric"], found["confidence"]) == ("cosine", 0.9)
    # and what rounding the stored rows may change
    assert found["margin"] == pytest.approx(0.1, abs=1e-12)
    assert read["retrieval"]["confidence"] == 0.9
    assert read["provenance"]["options"]["margin"] == "0.1"


def test_a_margin_may_be_a_share_of_the_contrast(call, files, tmp_path):
    status, out, _ = call("audit", *files, "--decide", "definition-1", "--margin", "5%", "--json", tmp_path / "r.json")
    assert status == 0
    read = json.loads((tmp_path / "r.json").read_text())["definition1"]
    assert read["margin"] == pytest.approx(0.05 * read["contrast"])
    assert "which is 5 % of the old contrast" in " ".join(out.split())


def test_a_threshold_is_audited_beside(call, files, tmp_path):
    status, out, _ = call(
        "audit", *files, "--far", "1%", "--far-margin", "10%", "--tar-margin", "0.01", "--retrieval-margin", "1%",
        "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert status == 0
    read = json.loads((tmp_path / "r.json").read_text())
    assert (read["thresholds"]["far_margin"], read["thresholds"]["tar_margin"]) == (0.1, 0.01)
    assert read["retrieval"]["margin"] == 0.01
    for words in (
        "Retrieval: ",
        "where old queries have FAR 0.01",
        "New queries have the old FAR at a cosine of",
        "Not checked",
    ):
        assert words in " ".join(out.split())
    status, out, _ = call("audit", *files, "--threshold", "0.9")
    assert "Pairs with a cosine of at least 0.9000 are accepted." in " ".join(out.split())


def test_the_summary_is_one_line_with_the_status(call, files):
    for paths, status, word in ((files, 0, "compatible"), (files[::-1], 1, "incompatible")):
        found, out, err = call("audit", *paths, "--summary")
        assert (found, err) == (status, "")
        assert out.startswith(f"{word} by retrieval for new samples of these classes; recall@1 ")
        assert len(out.splitlines()) == 1


def test_calibrate_counts_wrong_verdicts_of_a_kind(call, tmp_path, monkeypatch):
    from verification.experiments.simulated import decisions

    made = [decisions.Design.asking("retrieval", "a design", "beyond", lambda rng: Verdict.inconclusive)]
    monkeypatch.setattr(decisions, "designs", lambda kind: made)
    status, out, _ = call(
        "calibrate", "--what", "retrieval", "--runs", "10", "--json", tmp_path / "r.json", "--output", tmp_path
    )
    assert status == 0
    assert "retrieval  beyond   a design" in out
    assert json.loads((tmp_path / "r.json").read_text())["designs"][0]["wrong"] == 0.0
    assert (tmp_path / "decisions.png").exists()
    monkeypatch.undo()


def test_a_gallery_of_other_samples(call, files, tmp_path):
    _, other = upgrade(0.6, 1.2, seed=1)
    other.save(tmp_path / "gallery.npz")
    status, out, _ = call("audit", *files, "--gallery", tmp_path / "gallery.npz")
    assert status == 0
    assert "400 queries searched 400 gallery items. " in " ".join(out.split())


def test_weights_choose_what_counts_once(call, files, tmp_path):
    found = {}
    for weights, word in (("pairs", "pair"), ("classes", "class")):
        _, out, _ = call(
            "audit", *files, "--decide", "definition-1", "--weights", weights, "--json", tmp_path / "report.json"
        )
        found[weights] = json.loads((tmp_path / "report.json").read_text())["definition1"]
        assert f" counts once instead of every {word}: " in " ".join(out.split())
    assert found["pairs"]["by_weighting"]["classes"] == found["classes"]["by_weighting"]["classes"]
    assert found["classes"]["same_class"] == found["classes"]["by_weighting"]["classes"]["same_class"]


def test_the_page_is_written_whole_and_stands_alone(call, files, tmp_path):
    status, _, _ = call("audit", *files, "--html", tmp_path / "report.html")
    assert status == 0
    page = (tmp_path / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "new.npz → old.npz" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Yes" in page


def test_theorem_prints_what_is_proved(call, monkeypatch):
    from theory.proofs import ProofError, cap_mean_resultant_length, first_moments

    # all of them are derived in tests/theory/test_proofs.py; two are enough to print
    monkeypatch.setattr("theory.proofs.prove_all", lambda: (first_moments(), cap_mean_resultant_length()))
    status, out, _ = call("theorem")
    assert status == 0
    assert "proved" in out
    assert "2 derivations" in out

    def broken():
        raise ProofError("T2", "ii", "does not follow")

    monkeypatch.setattr("theory.proofs.prove_all", broken)
    status, _, err = call("theorem")
    assert status == 1
    assert "a step does not follow" in err


def test_a_narrow_terminal_loses_nothing(files):
    done = subprocess.run(
        [sys.executable, "-m", "stationary", "audit", *map(str, files)],
        env={"COLUMNS": "48", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 48


X = np.random.default_rng(0).standard_normal((6, 3))
Y = np.array([0, 1, 0, 1, 0, 1])


def bad_row(value):
    features = X.copy()
    features[4] = value
    return features


BAD_FILES = {
    "missing file": (None, "bad.npz: no such file."),
    "two candidates": (
        {"x": X, "z": X, "labels": Y},
        "got 'x' (float64 of shape (6, 3)), 'z' (float64 of shape (6, 3))",
    ),
    "object features": (
        {"features": X.astype(object), "labels": Y},
        "features must be float16, float32, float64 or int8, got object",
    ),
    "object labels": ({"features": X, "labels": Y.astype(object)}, "Nothing is unpickled"),
    "NaN": ({"features": bad_row(np.nan), "labels": Y}, "finite, but 1 of 6 rows are not, the first is row 4"),
    "infinity": ({"features": bad_row(np.inf), "labels": Y}, "finite, but 1 of 6 rows are not, the first is row 4"),
    "zero row": ({"features": bad_row(0.0), "labels": Y}, "1 of 6 rows are all zero, the first is row 4"),
    "other length": ({"features": X[:4], "labels": Y[:4]}, "new and old must hold the same samples, got 4 and 6 rows"),
    "rows and labels": ({"features": X, "labels": Y[:5]}, "one length, got 6 rows and 5 labels"),
    "other dimension": ({"features": X[:, 1:], "labels": Y}, "new and old must have one dimension, got 2 and 3"),
    "other labels": ({"features": X, "labels": Y[::-1]}, "equal labels row by row, but 6 rows differ"),
    "float labels": ({"features": X, "labels": Y / 1.0}, "labels must be integers or strings, got float64"),
    "labels of another kind": ({"features": X, "labels": Y.astype(str)}, "labels of one kind"),
    "labels in a column": ({"features": X, "labels": Y[:, None]}, "labels must have shape (N,), got (6, 1)"),
    "integer features": ({"features": X.astype(int), "labels": Y}, "float16, float32, float64 or int8, got int64"),
    "one dimension": ({"features": X[:, 0], "labels": Y}, "features must have shape (N, d)"),
    "empty": ({"features": X[:0], "labels": Y[:0]}, "features must have shape (N, d) with N, d >= 1, got (0, 3)"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_one_sentence_and_status_2(call, tmp_path, content, message):
    FeatureSet(X, Y).save(tmp_path / "good.npz")
    if content is not None:
        np.savez(tmp_path / "bad.npz", **content)
    status, out, err = call("audit", tmp_path / "bad.npz", tmp_path / "good.npz", "--json", tmp_path / "report.json")
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "report.json").exists()


def test_one_class_only(call, tmp_path):
    FeatureSet(X, 0 * Y).save(tmp_path / "one.npz")
    status, _, err = call("audit", tmp_path / "one.npz", tmp_path / "one.npz")
    assert status == 2
    assert "at least two classes, got one: 0" in err


def test_a_corrupted_archive(call, tmp_path):
    path = tmp_path / "bad.npz"
    FeatureSet(X, Y).save(path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[0].header_offset + 200
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    status, _, err = call("audit", path, path)
    assert status == 2
    assert re.search(r"bad\.npz: cannot be read, it is damaged or of another kind \(", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit"], "Missing argument"),
        (["audit", "a.npz", "b.npz", "--metric", "hamming"], "metric must be one of sqeuclidean, cosine, euclidean"),
        (["audit", "NEW", "OLD", "--decide", "luck"], "Invalid value for '--decide'"),
        (["audit", "NEW", "OLD", "--decide", "threshold"], "to decide by a threshold, give one"),
        (["audit", "NEW", "OLD", "--far-margin", "1%"], "a margin of FAR or TAR needs a threshold"),
        (["audit", "NEW", "OLD", "--margin", "100%"], "margin must be below 100% of the old model's contrast"),
        (["audit", "NEW", "OLD", "--margin", "5"], "as a share of it write 5%"),
        (["audit", "NEW", "OLD", "--retrieval-margin", "2"], "which accepts everything, got '2'; 2% was meant?"),
        (["audit", "NEW", "OLD", "--retrieval-margin", "100%"], "which accepts everything, got '100%'.\n"),
        (["audit", "NEW", "OLD", "--confidence", "95"], "confidence must be in (0, 1), got 95.0; 0.95 was meant?"),
        (["audit", "NEW", "OLD", "--by", "camera"], "must hold arrays named 'camera' for --by, got"),
        (["audit", "NEW", "OLD", "--by", ""], "--by needs the name of a column."),
        (["audit", "", "OLD", "--json", "report.json"], "a path or URL of features is needed, got an empty one"),
        (
            ["plan", "OLD", "--effect", "some"],
            "effect must be a finite number, or a percentage such as '-5%'",
        ),
        (["plan", "OLD", "--retrieval-effect", "2"], "the effect on retrieval must be in (-1, 1), got '2'"),
        (["audit", "NEW", "OLD", "--plan", "NEW"], "must be text in UTF-8. It is no plan that stationary plan wrote."),
        (["audit", "NEW", "OLD", "--join", "outer"], "Invalid value for '--join'"),
        (["audit", "NEW", "OLD", "--ignore-label", "7"], "no row has the label 7 that was named"),
        (["audit", "NEW", "OLD", "--ignore-label", "x"], "labels are integers here, but 'x' was named as one"),
        (["audit", "NEW", "OLD", "--ids", "name"], "--ids"),
        (["audit", "NEW", "OLD", "--confidence", "1.5"], "confidence must be in (0, 1), got 1.5"),
        (
            ["audit", "NEW", "OLD", "--margin", "-1"],
            "margin must be a finite number >= 0, or a percentage such as '5%'",
        ),
        (["audit", "NEW", "OLD", "--retrieval-margin", "some"], "the margin of retrieval must be a finite number >= 0"),
        (["audit", "NEW", "OLD", "--threshold", "2"], "threshold must be a cosine similarity in [-1, 1], got 2.0"),
        (["audit", "NEW", "OLD", "--far", "one"], "must be a number or a percentage, such as 0.01 or 1%, got 'one'"),
        (["audit", "NEW", "OLD", "--far", "0"], "far must be in (0, 1), got 0.0"),
        (["audit", "NEW", "OLD", "--far", "1e-7"], "for 10 accepted pairs among the"),
        (["audit", "NEW", "OLD", "--far", "0.1", "--threshold", "0.5"], "one of the two"),
        (["audit", "NEW", "OLD", "--far", "0.1", "--far-margin", "-1%"], "the margin of FAR must be a finite number"),
        (["calibrate", "--what", "luck"], "a kind of decision must be one of"),
        (["audit", "NEW", "OLD", "--json", "nowhere/report.json"], "nowhere/report.json: its folder does not exist"),
        (["audit", "NEW", "OLD", "--json", "."], "must be a file to write, got a folder"),
        (["verify", "--seed", "-1"], "--seed must be an integer >= 0, got -1"),
        (["verify", "--seed", "one"], "Invalid value for '--seed'"),
        (["verify", "--device", "abacus"], "device must be 'auto' or a device of this machine, got 'abacus'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option: --nonsense"),
    ],
)
def test_bad_arguments_are_one_sentence_and_status_2(call, files, arguments, message):
    named = {"NEW": files[0], "OLD": files[1]}
    status, _, err = call(*(named.get(word, word) for word in arguments))
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.simulations
def test_verify_reports_what_is_not_as_predicted(call, tmp_path, monkeypatch):
    """Take the fixed classifier away from every model: the theorem must be reported as not shown, with status 1."""
    import learning.recipes
    import learning.scenarios

    plain, small = learning.scenarios.ExtendedData, learning.recipes.PRESETS["small"]
    short = small._replace(**{name: replace(getattr(small, name), epochs=6) for name in small._fields})
    monkeypatch.setitem(learning.recipes.PRESETS, "small", short)

    def without_fixed_classifier(**arguments):
        return plain(**arguments, fixed_classifier=False)

    monkeypatch.setattr(learning.scenarios, "ExtendedData", without_fixed_classifier)
    status, out, _ = call("verify", "--seed", "0", "--json", tmp_path / "verify.json")
    assert status == 1
    assert "Not as predicted: fine-tuned CE (seed 0)." in out
    read = json.loads((tmp_path / "verify.json").read_text())
    assert not read["as_predicted"]
    retrained = next(row for row in read["upgrades"] if row["model"] == "retrained, fixed classifier")
    assert retrained["answer"] == "hypothesis fails"
    assert retrained["conclusions"]["verdict"] == "incompatible"


def test_a_bar_appears_after_a_second_and_not_before(monkeypatch):
    from stationary import _app

    now, shown = [0.0], []

    class Bar:
        task_ids = (0,)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            shown.append("gone")

        def add_task(self, description, **fields):
            shown.append("there")

        def update(self, task, **fields):
            shown.append((fields["description"], fields["completed"], fields["total"], fields["note"]))

    monkeypatch.setattr(_app, "progress_bar", Bar)
    monkeypatch.setattr(_app.time, "monotonic", lambda: now[0])
    with _app.progress_when_long() as show:
        show("reading rows", 100, 2000)
        assert not shown
        now[0] = 1.5
        show("reading rows", 1500, 2000)
    assert shown == ["there", ("reading rows", 1500, 2000, "1,500 of 2,000"), "gone"]


@pytest.mark.parametrize("kind", ["files", "shards"])
@pytest.mark.parametrize("kept", ["a part", "all"])
def test_each_input_is_read_at_most_twice(call, tmp_path, monkeypatch, kind, kept):
    """Once for sums and kept rows, and once more to search where not all rows are kept."""
    from verification import upgrade as upgrades
    from verification.features.files.shards import Shard
    from verification.statistics import collect

    new, old = upgrade(0.6, 1.2, num_samples=900)
    _, gallery = upgrade(0.6, 1.2, num_samples=900, seed=1)
    paths = [tmp_path / name for name in ("new", "old", "gallery")]
    for features, path in zip((new, old, gallery), paths, strict=True):
        if kind == "files":
            features.save(path.with_suffix(".npz"))
        else:
            path.mkdir()
            for start in range(0, 900, 300):
                features.select(np.arange(start, start + 300)).save(path / f"{start}.npz")
    if kind == "files":
        paths = [path.with_suffix(".npz") for path in paths]
    if kept == "a part":
        monkeypatch.setattr(upgrades, "KEPT", 300 * 8)
    monkeypatch.setattr(collect, "SMALL", 0)
    monkeypatch.setattr(collect, "PART_ROWS", 200)
    rows: dict[str, int] = {}
    piece = Shard.piece

    def counted(shard, start, stop):
        if shard.path is not None:  # of arrays in memory nothing is read
            name = next(path.name for path in paths if str(shard.path).startswith(str(path)))
            rows[name] = rows.get(name, 0) + stop - start
        return piece(shard, start, stop)

    monkeypatch.setattr(Shard, "piece", counted)
    opened = FeatureSet.features.func

    def held(features):
        assert features._shards[0].path is None, "all rows of a file are held in memory"
        return opened(features)

    monkeypatch.setattr(FeatureSet, "features", property(held))
    for sets in ([*paths[:2]], [*paths[:2], "--gallery", paths[2]]):
        rows.clear()
        status, _, err = call(
            "audit", *sets, "--far", "1e-3", "--html", tmp_path / "r.html", "--json", tmp_path / "r.json"
        )
        assert status in (0, 1, 3), err
        assert all(900 <= count <= 2 * 900 for count in rows.values()), rows
        assert len(rows) == len(sets) - (len(sets) > 2)
        assert (max(rows.values()) > 900) == (kept == "a part")
