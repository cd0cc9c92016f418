"""Compressed copies: cut, int8 and binary copies are searched in themselves, and every number is a plain loop's."""

from __future__ import annotations

import io
import json
from importlib import resources

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from tests.command_line import run
from verification.audit import Options, judge
from verification.bridge.copies import compressed_copy, signs_of
from verification.features import FeatureSet
from verification.features.compression import truncate
from verification.upgrade import Upgrade
from verification.views import documents, terminal

NUM, DIM, K = 300, 40, 8


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def drawn():
    """Rows whose first coordinates vary most, and their labels."""
    rng = np.random.default_rng(5)
    scale = 1.0 / np.sqrt(1.0 + np.arange(DIM) / 4.0)
    labels = rng.integers(0, 12, NUM)
    means = rng.standard_normal((12, DIM)) * scale
    return unit(means[labels] + 1.3 * rng.standard_normal((NUM, DIM)) * scale).astype(np.float32), labels


def codes_of(kind, rows):
    """What a user stores of the rows, and the rows of floats that a search of it compares."""
    int8 = np.rint(rows / np.abs(rows).max() * 127.0).astype(np.int8)
    signs = np.where(rows > 0.0, 1, -1)
    bits = np.packbits(rows > 0.0, axis=1)
    return {
        "int8": (int8, int8),
        "packed": (bits, signs),
        "packed, signed": ((bits.astype(int) - 128).astype(np.int8), signs),
        "signs": (signs.astype(np.int8), signs),
        "zeros and ones": ((rows > 0.0).astype(np.uint8), signs),
        "cut": (unit(rows[:, :K]), rows[:, :K]),
    }[kind]


def neighbours(rows, items):
    """Nearest item of each row, by a loop; of equals the first, and none is the row itself where both are one set."""
    products = rows.astype(np.float64) @ items.astype(np.float64).T
    if rows is items:
        np.fill_diagonal(products, -np.inf)
    return np.argmax(products, axis=1)


def as_compared(kind, compared):
    """Rows whose products rank as the index does: whole numbers of signs, cosines of the rest."""
    return compared if set(np.unique(compared)) == {-1, 1} else unit(compared.astype(np.float64))


KINDS = ("int8", "packed", "packed, signed", "signs", "zeros and ones", "cut")


@pytest.mark.parametrize("kind", KINDS)
def test_recall_is_that_of_the_copy_in_itself(drawn, kind):
    rows, labels = drawn
    stored, compared = codes_of(kind, rows)
    new, old = FeatureSet(stored, labels), FeatureSet(rows, labels)
    decode, compression = compressed_copy(new, old)
    report = judge(Upgrade(decode(new), old, compression=compression))
    expected = []
    for each in (unit(rows.astype(np.float64)), as_compared(kind, compared)):
        expected.append(np.mean(labels[neighbours(each, each)] == labels))
    score = report.retrieval.scores[0]
    assert [score.old_old, score.new_old] == pytest.approx(expected, abs=1e-12)
    assert score.upgrade.fixed.value == pytest.approx(expected[1] - expected[0], abs=1e-12)
    assert compression.bytes_before == 4 * DIM
    assert compression.bytes_after == stored.shape[1] * stored.itemsize
    assert compression.hamming == (set(np.unique(compared)) == {-1, 1})
    assert report.definition1 is None
    assert tuple(report.claims) == ("retrieval",)


def test_equal_hamming_distances_are_equal(drawn):
    """In few bits many items are as near: the first of them is found, whatever rounding would say."""
    rows, labels = drawn
    narrow = np.ascontiguousarray(rows[:, :11])
    new, old = FeatureSet(np.packbits(narrow > 0.0, axis=1), labels), FeatureSet(narrow, labels)
    decode, compression = compressed_copy(new, old)
    report = judge(Upgrade(decode(new), old, compression=compression))
    signs = np.where(narrow > 0.0, 1, -1)
    found = neighbours(signs, signs)
    assert report.retrieval.scores[0].new_old == pytest.approx(np.mean(labels[found] == labels), abs=1e-12)
    products = signs @ signs.T - 2 * DIM * np.eye(NUM, dtype=int)
    assert np.mean(np.sum(products == products.max(axis=1, keepdims=True), axis=1) > 1) > 0.3  # ties there are


@pytest.mark.parametrize("kind", ["packed", "cut"])
def test_thresholds_are_of_the_copy_in_itself(drawn, kind):
    rows, labels = drawn
    stored, compared = codes_of(kind, rows)
    new, old = FeatureSet(stored, labels), FeatureSet(rows, labels)
    decode, compression = compressed_copy(new, old)
    report = judge(Upgrade(decode(new), old, compression=compression), Options(threshold=0.317))
    copy, original = (unit(each.astype(np.float64)) for each in (compared, rows))
    off = ~np.eye(NUM, dtype=bool)
    same = (labels[:, None] == labels) & off
    for each, far, tar in (
        (original, report.thresholds.old_far, report.thresholds.old_tar),
        (copy, report.thresholds.new_far, report.thresholds.new_tar),
    ):
        accepted = each @ each.T >= 0.317
        assert far.value == pytest.approx(np.mean(accepted[~same & off]), abs=1e-12)
        assert tar.value == pytest.approx(np.mean(accepted[same]), abs=1e-12)


def test_a_gallery_is_searched_in_its_copy(drawn):
    rows, labels = drawn
    half = NUM // 2
    queries, items = FeatureSet(rows[:half], labels[:half]), FeatureSet(rows[half:], labels[half:])
    copies = [truncate(each, K) for each in (queries, items)]
    report = judge(
        Upgrade(copies[0][0], queries, items, copies[1][0], compression=copies[0][1]), Options(threshold=0.3)
    )
    for each, value, far in (
        (rows, report.retrieval.scores[0].old_old, report.thresholds.old_far.value),
        (rows[:, :K], report.retrieval.scores[0].new_old, report.thresholds.new_far.value),
    ):
        asked, searched = unit(each[:half].astype(np.float64)), unit(each[half:].astype(np.float64))
        assert value == pytest.approx(np.mean(labels[half:][neighbours(asked, searched)] == labels[:half]), abs=1e-12)
        other = labels[:half, None] != labels[half:]
        assert far == pytest.approx(np.mean((asked @ searched.T >= 0.3)[other]), abs=1e-12)
    template = next(score for score in report.retrieval.scores if score.name == "template")
    means = [[unit(part)[labels[half:] == c].sum(axis=0) for c in range(12)] for part in (rows[half:], rows[half:, :K])]
    for part, own, value in ((rows, means[0], template.old_old), (rows[:, :K], means[1], template.new_old)):
        nearest = np.argmax(unit(part[:half]) @ unit(np.array(own)).T, axis=1)
        assert value == pytest.approx(np.mean(nearest == labels[:half]), abs=1e-12)
    with pytest.raises(ValueError, match=r"searched in a gallery that is compressed too: give both"):
        Upgrade(copies[0][0], queries, items, compression=copies[0][1])


def test_what_is_no_copy_is_a_model(drawn):
    rows, labels = drawn
    rng = np.random.default_rng(6)
    old = FeatureSet(rows, labels)
    for other in (
        rng.integers(-100, 100, (NUM, DIM)).astype(np.int8),
        rng.integers(0, 256, (NUM, DIM // 8)).astype(np.uint8),
        rng.integers(0, 256, (NUM, DIM // 8 + 1)).astype(np.uint8),
        rows[:, 1 : K + 1],
        rows,
        rows.astype(np.float16),
    ):
        assert compressed_copy(FeatureSet(other, labels), old) is None
    int8 = FeatureSet(codes_of("int8", rows)[0], labels)
    assert compressed_copy(int8, int8) is None


def test_signs_of_bits_and_of_bytes(drawn):
    rows, _ = drawn
    expected = np.where(rows > 0.0, 1.0, -1.0)
    for kind in ("packed", "packed, signed", "signs", "zeros and ones"):
        np.testing.assert_array_equal(signs_of(FeatureSet(codes_of(kind, rows)[0])).features, expected)
    narrow = FeatureSet(np.packbits(rows[:, :11] > 0.0, axis=1))
    np.testing.assert_array_equal(narrow.signs(11).features, expected[:, :11])
    with pytest.raises(ValueError, match=r"dim must be from 9 to 16, 8 bits to a byte, got 8\."):
        narrow.signs(8)
    with pytest.raises(ValueError, match=r"packed bits must be stored as uint8 or int8, got float32\."):
        signs_of(FeatureSet(rows))


def test_a_copy_must_be_smaller(drawn):
    features = FeatureSet(*drawn)
    for k in (0, DIM):
        with pytest.raises(
            ValueError, match=rf"truncate must be from 1 to {DIM - 1}, less than the dimension, got {k}"
        ):
            truncate(features, k)


def test_listed_pairs_and_definition_1_are_not_judged_of_a_copy(drawn):
    copy, compression = truncate(FeatureSet(*drawn), K)
    upgrade = Upgrade(copy, FeatureSet(*drawn), compression=compression)
    with pytest.raises(ValueError, match=r"are not judged of a compressed copy"):
        judge(upgrade, Options(fpir=0.1))
    with pytest.raises(
        ValueError, match=r"to decide by definition-1, the data must allow it; here it allows retrieval"
    ):
        judge(upgrade, Options(decide=("definition-1",)))


@pytest.fixture
def files(drawn, tmp_path):
    rows, labels = drawn
    for name in ("int8", "packed", "cut"):
        np.savez(tmp_path / f"{name}.npz", features=codes_of(name, rows)[0], labels=labels)
    np.savez(tmp_path / "old.npz", features=rows, labels=labels)
    return tmp_path


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, "audit", *arguments)


def test_the_command_shows_memory_beside_what_is_lost(call, files):
    status, out, _ = call(files / "packed.npz", files / "old.npz")
    assert status == 1
    assert out.startswith("INCOMPATIBLE  No. Judged by retrieval, the compressed copy should not")
    assert "bytes of a vector    160        5      −96.9 %" in out
    assert "1 − 2H/40" in " ".join(out.split())
    assert out.rstrip().endswith("Next: Keep the original, or compress it less than to 5 bytes a vector.")
    status, out, _ = call(files / "int8.npz", files / "old.npz", "--retrieval-margin", "9%")
    assert status == 0
    assert out.startswith("COMPATIBLE  Yes. Judged by retrieval, the compressed copy may replace the")
    assert "bytes of a vector    160        40     −75.0 %" in out
    assert "old gallery" not in out
    assert "whether the labels are right" in " ".join(out.split())


def test_a_cut_by_the_command_is_the_cut_of_the_file(call, files):
    found = []
    for name, arguments in (("one", ("old.npz", "--truncate", str(K))), ("two", ("cut.npz", "old.npz"))):
        path = files / f"{name}.json"
        call(*(files / a if a.endswith(".npz") else a for a in arguments), "--json", path)
        found.append(json.loads(path.read_text()))
    assert found[0]["retrieval"]["scores"] == found[1]["retrieval"]["scores"]
    assert found[0]["compression"] == found[1]["compression"]
    assert found[0]["headline"].endswith("(for new samples of these classes).")


def test_truncate_with_two_models_cuts_both(call, files, drawn):
    rows, labels = drawn
    new = rows + 0.05 * np.random.default_rng(8).standard_normal(rows.shape).astype(np.float32)
    for name, width in (("new", None), ("new-cut", K)):
        np.savez(files / f"{name}.npz", features=new[:, :width], labels=labels)
    np.savez(files / "old-cut.npz", features=rows[:, :K], labels=labels)
    found = []
    for names, more in ((("new", "old"), ("--truncate", K)), (("new-cut", "old-cut"), ())):
        path = files / "report.json"
        call(*(files / f"{name}.npz" for name in names), *more, "--json", path)
        found.append(json.loads(path.read_text()))
    for part in ("definition1", "retrieval", "verdict", "compression"):
        assert found[0][part] == found[1][part]
    assert found[0]["compression"] is None


def test_binary_models_are_compared_by_hamming_distance(call, files, drawn):
    rows, labels = drawn
    new = rows + 0.3 * np.random.default_rng(9).standard_normal(rows.shape) / np.sqrt(DIM)
    np.savez(files / "new.npz", features=np.packbits(new > 0.0, axis=1), labels=labels)
    path = files / "report.json"
    call(files / "new.npz", files / "packed.npz", "--similarity", "hamming", "--json", path)
    found = json.loads(path.read_text())
    signs = [np.where(each > 0.0, 1, -1) for each in (new, rows)]
    products = signs[0] @ signs[1].T - 2 * DIM * np.eye(NUM, dtype=int)
    expected = np.mean(labels[np.argmax(products, axis=1)] == labels)
    assert found["retrieval"]["scores"][0]["new_old"] == pytest.approx(expected, abs=1e-12)
    # squared distances of unit rows of signs are 4/d of the Hamming distance
    off = ~np.eye(NUM, dtype=bool)
    same = (labels[:, None] == labels) & off
    change = [4.0 / DIM * np.sum(each[:, None] != signs[1], axis=2) for each in (signs[1], signs[0])]
    assert found["definition1"]["same_class"]["fixed"]["value"] == pytest.approx(
        np.mean((change[0] - change[1])[same]), abs=1e-12
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("old.npz",), "NEW is audited against OLD, or by itself with --truncate K"),
        (("old.npz", "--truncate", "40"), "truncate must be from 1 to 39"),
        (("old.npz", "cut.npz", "--truncate", "9"), "--truncate must be from 1 to 8, the least dimension, got 9"),
        (("old.npz", "cut.npz"), "meet in their first coordinates (--truncate 8)"),
        (("cut.npz", "old.npz", "--margin", "2%"), "--margin is about new queries in the old gallery"),
        (("old.npz", "--truncate", "8", "--metric", "angular"), "--metric is about new queries"),
        (("packed.npz", "old.npz", "--similarity", "hamming"), "must be stored as uint8 or int8, got float32"),
    ],
)
def test_what_cannot_be_audited_says_what_to_do(call, files, arguments, says):
    status, out, err = call(*(files / a if a.endswith(".npz") else a for a in arguments))
    assert (status, out) == (2, "")
    assert says in " ".join(err.split())


def test_page_markdown_and_schema_of_a_copy(drawn, tmp_path):
    rows, labels = drawn
    new, old = FeatureSet(codes_of("packed", rows)[0], labels), FeatureSet(rows, labels)
    decode, compression = compressed_copy(new, old)
    report = judge(Upgrade(decode(new), old, compression=compression), Options(far=0.05, explain=True))
    schema = json.loads(resources.files("verification").joinpath("schema/audit-report.schema.json").read_text())
    jsonschema.validate(report.to_dict(), schema)
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for text in (page, report.to_markdown(), terminal_text(report)):
        assert "packed binary codes" in text
        assert "old queries" not in text
        assert "old gallery" not in text.replace("May the new model search the old gallery?", "")


def terminal_text(report) -> str:
    console = Console(width=500, file=io.StringIO())
    console.print(terminal.render(documents.audit(report)))
    return console.file.getvalue()
