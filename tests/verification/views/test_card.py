"""stationary audit --card: a block for a model card where the answer is yes, and a sentence where it is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.command_line import run
from verification.features import FeatureSet


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(3)
    labels = np.arange(240) % 6
    means = rng.standard_normal((6, 24))
    old = means[labels] + 0.5 * rng.standard_normal((240, 24))
    FeatureSet(old, labels).save(tmp_path / "old.npz")
    FeatureSet(old + 0.01 * rng.standard_normal(old.shape), labels).save(tmp_path / "new.npz")
    FeatureSet(rng.standard_normal(old.shape), labels).save(tmp_path / "other.npz")
    return tmp_path


@pytest.fixture
def call(capsys, monkeypatch, files):
    monkeypatch.chdir(files)
    return lambda *arguments: run(capsys, monkeypatch, "audit", *arguments)


def test_a_card_is_written_where_the_answer_is_yes(call, files):
    status, _, err = call(
        "new.npz", "old.npz", "--retrieval-margin", "3%", "--card", "card.md", "--json", "report.json",
        "--names", "encoder 2.0", "encoder 1.4",
    )  # fmt: skip
    assert (status, err) == (0, "")
    text, report = (files / "card.md").read_text(), json.loads((files / "report.json").read_text())
    assert "Queries of encoder 2.0 may be searched in galleries of encoder 1.4." in text
    assert "is about new samples of these classes" in text
    assert "| recall@1 in the old gallery | " in text
    assert "| 3 points | compatible" in text
    assert f"stationary-representations {report['provenance']['version']}" in text
    for of in report["provenance"]["inputs"].values():
        assert of["sha256"] in text


def test_a_change_of_false_accepts_is_a_share_of_the_old_rate(call, files):
    status, _, err = call(
        "new.npz", "old.npz", "--retrieval-margin", "3%", "--far", "0.05", "--far-margin", "50%", "--tar-margin", "10%",
        "--card", "card.md", "--json", "report.json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    found = json.loads((files / "report.json").read_text())["thresholds"]
    (row,) = (line for line in (files / "card.md").read_text().splitlines() if line.startswith("| FAR at "))
    change, old = found["far_change"]["fixed"]["value"], found["old_far"]["value"]
    _, _, shown, accepted, verdict, _ = (cell.strip() for cell in row.split("|"))
    # two digits of the interval are shown
    assert float(shown.split()[0].replace("−", "-")) == pytest.approx(100.0 * change / old, abs=0.5)
    assert shown.endswith("% of the old")
    assert (accepted, verdict.split()[0]) == ("50 % of itself", "compatible")


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [(("other.npz", "old.npz"), 1, "no"), (("new.npz", "old.npz", "--retrieval-margin", "0.01%"), 3, "undecided")],
)
def test_there_is_no_card_where_the_answer_is_not_yes(call, files, arguments, status, word):
    found, _, err = call(*arguments, "--card", "card.md")
    assert found == status
    assert " ".join(err.split()).startswith(f"stationary: card.md: no card was written, because the answer is {word}:")
    assert not (files / "card.md").exists()


def test_a_card_can_be_printed_and_takes_the_names_of_the_files(call):
    status, out, _ = call("new.npz", "old.npz", "--retrieval-margin", "3%", "--summary", "--card", "-")
    assert status == 0
    assert "Queries of new.npz may be searched in galleries of old.npz." in out


def test_the_card_of_a_copy_says_what_may_be_replaced(call):
    status, out, _ = call("old.npz", "--truncate", "23", "--retrieval-margin", "3%", "--summary", "--card", "-")
    assert status == 0
    assert "The vectors of old.npz may be replaced by a compressed copy" in out
    assert "A vector takes 184 bytes instead of 192." in out
    assert "recall@1 in the compressed copy" in out
    assert "old gallery" not in out


def test_options_of_a_card_that_cannot_be_used_are_refused(call):
    status, _, err = call("new.npz", "old.npz", "--names", "a", "b")
    assert (status, err.strip()) == (2, "stationary: --names is not used without --card.")
    status, _, err = call("new.npz", "old.npz", "--card", "old.npz")
    assert status == 2
    assert "is what the command reads" in err
