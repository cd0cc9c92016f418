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
from verification.audit.judge import Options, judge
from verification.audit.thresholds import compare_thresholds
from verification.bridge.copies import compressed_copy, signs_of
from verification.features import FeatureSet
from verification.features.compression import truncate
from verification.search.pairs import PairList
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
    assert "vector, bytes   160        5      −96.9 %" in out
    assert "1 − 2H/40" in " ".join(out.split())
    assert out.rstrip().endswith("Next: Keep the original, or compress it less than to 5 bytes a vector.")
    status, out, _ = call(files / "int8.npz", files / "old.npz", "--retrieval-margin", "9%")
    assert status == 0
    assert out.startswith("COMPATIBLE  Yes. Judged by retrieval, the compressed copy may replace the")
    assert "vector, bytes   160        40     −75.0 %" in out
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
    assert found[0]["headline"].endswith("The answer is about new samples of these classes.")


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


def binary(drawn, seed):
    """Rows of signs by two models of the same samples, their labels, and which bits differ of each pair."""
    rows, labels = drawn
    new = rows + 0.2 * np.random.default_rng(seed).standard_normal(rows.shape) / np.sqrt(DIM)
    signs = [np.where(each > 0.0, 1, -1) for each in (new, rows)]
    counts = [np.array([[int(np.sum(q != g)) for g in signs[1]] for q in each]) for each in signs]
    return signs, labels, counts


@pytest.mark.parametrize("asked", [{"threshold": 9}, {"far": 0.02}])
def test_a_threshold_of_binary_models_is_a_number_of_bits(drawn, asked):
    """A pair at the threshold is accepted: bits are counted by a loop, and 1 − 2·9/40 is no edge of a bin."""
    signs, labels, counts = binary(drawn, 9)
    sets = [FeatureSet(each.astype(np.int8), labels).signs(DIM) for each in signs]
    report = judge(Upgrade(*sets), Options(similarity="hamming", **asked))
    found = report.thresholds
    off = ~np.eye(NUM, dtype=bool)
    same = (labels[:, None] == labels) & off
    for each, far, tar in (
        (counts[1], found.old_far, found.old_tar),
        (counts[0], found.new_far, found.new_tar),
    ):
        accepted = each <= found.threshold
        assert far.value == pytest.approx(np.mean(accepted[~same & off]), abs=1e-12)
        assert tar.value == pytest.approx(np.mean(accepted[same]), abs=1e-12)
    assert found.kept.tar.value == pytest.approx(np.mean((counts[0] <= found.kept.threshold)[same]), abs=1e-12)
    assert found.threshold == int(found.threshold)
    if "far" in asked:  # one more bit would accept too many
        assert np.mean((counts[1] <= found.threshold)[~same & off]) <= 0.02
        assert np.mean((counts[1] <= found.threshold + 1)[~same & off]) > 0.02
    schema = json.loads(resources.files("verification").joinpath("schema/audit-report.schema.json").read_text())
    jsonschema.validate(report.to_dict(), schema)
    for view in (report.to_markdown(), terminal_text(report)):
        assert f"Pairs with a Hamming distance of at most {int(found.threshold)} are accepted" in view
        assert f"the old FAR at a Hamming distance of {int(found.kept.threshold)} (" in view
        assert "rows as they are" not in view


def test_identification_and_pairs_of_binary_models_count_bits(drawn):
    signs, labels, counts = binary(drawn, 9)
    new, old = (FeatureSet(each.astype(np.int8), labels).signs(DIM) for each in signs)
    some = np.flatnonzero(labels < 6)[::2]
    left = np.setdiff1d(np.arange(NUM), some)
    gallery = old.select(some)
    claim = judge(
        Upgrade(new.select(left), old.select(left), gallery), Options(similarity="hamming", fpir=0.2)
    ).identification
    strangers = left[labels[left] >= 6]
    nearest = counts[1][np.ix_(strangers, some)].min(axis=1)
    at = claim.rates.threshold
    assert claim.threshold_unit == "Hamming distance"
    assert claim.rates.false_accepts.old.value == pytest.approx(np.mean(nearest <= at))
    assert 0.0 < np.mean(nearest <= at) <= 0.2
    listed = PairList(query=np.arange(100), item=np.arange(1, 101), same=labels[:100] == labels[1:101])
    rates = judge(Upgrade(new, old), Options(similarity="hamming", threshold=12), pairs=listed).pairs.rates
    accepted = counts[0][np.arange(100), np.arange(1, 101)] <= 12
    assert rates.threshold == 12
    assert rates.false_accepts.new.value == pytest.approx(np.mean(accepted[~listed.same]))


def test_only_signs_have_a_hamming_distance(drawn):
    features = FeatureSet(*drawn)
    with pytest.raises(ValueError, match=r"queries must have rows of ±1 for the Hamming distance; FeatureSet\.signs"):
        judge(Upgrade(features, features), Options(similarity="hamming"))
    with pytest.raises(ValueError, match=r"samples must have rows of ±1 for the Hamming distance"):
        compare_thresholds(Upgrade(features, features), threshold=3, similarity="hamming")


@pytest.mark.parametrize("similarity", ["dot", "l2"])
@pytest.mark.parametrize("with_gallery", [False, True])
def test_thresholds_on_rows_as_they_are_of_a_cut_copy(drawn, similarity, with_gallery):
    rows, labels = drawn
    rows = rows * (1.0 + np.random.default_rng(3).random((NUM, 1)).astype(np.float32))
    features = FeatureSet(rows, labels)
    parts = (np.arange(150), np.arange(150, NUM)) if with_gallery else (np.arange(NUM),) * 2
    sets = [features.select(part) for part in parts]
    copies = [truncate(each, K) for each in sets]
    galleries = (sets[1], copies[1][0]) if with_gallery else ()
    report = judge(
        Upgrade(copies[0][0], sets[0], *galleries, compression=copies[0][1]),
        Options(similarity=similarity, threshold=0.9),
    ).thresholds
    may = np.not_equal.outer(*parts)
    same = (labels[parts[0]][:, None] == labels[parts[1]]) & may
    for each, far, tar in (
        (rows, report.old_far, report.old_tar),
        (rows[:, :K], report.new_far, report.new_tar),
    ):
        queries, items = (each[part].astype(np.float64) for part in parts)
        distances = np.linalg.norm(queries[:, None] - items, axis=2)
        accepted = queries @ items.T >= 0.9 if similarity == "dot" else distances <= 0.9
        assert far.value == pytest.approx(np.mean(accepted[~same & may]), abs=1e-12)
        assert tar.value == pytest.approx(np.mean(accepted[same]), abs=1e-12)


@pytest.mark.parametrize("kind", ["int8", "packed"])
def test_codes_have_a_unit_of_their_own(drawn, kind):
    rows, labels = drawn
    new, old = FeatureSet(codes_of(kind, rows)[0], labels), FeatureSet(rows, labels)
    decode, compression = compressed_copy(new, old)
    upgrade = Upgrade(decode(new), old, compression=compression)
    for sample in (None, 100):
        with pytest.raises(ValueError, match=r"a threshold on the dot product cannot be carried over to a copy of"):
            judge(upgrade, Options(similarity="dot", far=0.05, sample=sample))
    with pytest.raises(ValueError, match=r"compare cosines \(leave out --similarity\)"):
        compare_thresholds(upgrade.drawn(100)[0], far=0.05, similarity="l2")


@pytest.mark.parametrize("kind", ["int8", "packed", "cut"])
def test_a_sample_of_a_copy_is_the_copy_of_the_sample(call, files, drawn, kind):
    rows, labels = drawn
    np.savez_compressed(files / "small.npz", features=codes_of(kind, rows)[0], labels=labels)
    found = []
    for name in (f"{kind}.npz", "small.npz"):  # of which rows can be taken, and of which they are sieved
        path = files / "report.json"
        call(files / name, files / "old.npz", "--sample", "120", "--threshold", "0.3", "--json", path)
        found.append(json.loads(path.read_text()))
    decode, compression = compressed_copy(FeatureSet(codes_of(kind, rows)[0], labels), FeatureSet(rows, labels))
    whole = Upgrade(
        decode(FeatureSet(codes_of(kind, rows)[0], labels)), FeatureSet(rows, labels), compression=compression
    )
    index = whole.drawn(120)[1]
    part = [FeatureSet(each[index], labels[index]) for each in (codes_of(kind, rows)[0], rows)]
    report = judge(Upgrade(decode(part[0]), part[1], compression=compression), Options(threshold=0.3)).to_dict()
    for each in found:
        assert each["sample"]["rows"] == 120
        assert each["compression"] == report["compression"]
        assert each["thresholds"]["new_far"] == report["thresholds"]["new_far"]
        assert each["retrieval"]["scores"] == report["retrieval"]["scores"]
        assert "the compressed copy" in each["headline"]
        assert "new samples of these classes, from" in each["headline"]


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
        (
            ("packed.npz", "--truncate", "8", "--similarity", "hamming"),
            "compares two sets of binary codes: give NEW and",
        ),
        (
            ("int8.npz", "old.npz", "--similarity", "l2", "--far", "0.1"),
            "which have a unit of their own: compare cosines",
        ),
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
    console.print(terminal.render(documents.document(report)))
    return console.file.getvalue()
