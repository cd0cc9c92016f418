"""Maps that compete where they are named: interpolated queries, drifts that add up, and the residual bottleneck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.command_line import run
from verification.bridge import FeatureMap, bottleneck, bridge, fit_pairs, fitting
from verification.bridge.apply import apply
from verification.bridge.judge import Rule, judge_map, unit
from verification.bridge.maps import Layer, slerp
from verification.bridge.splits import Part
from verification.experiments.simulated.known_upgrades import CASES
from verification.features import FeatureSet
from verification.statistics.interval import Criterion

RNG = np.random.default_rng(0)


def rows(num: int, dim: int) -> np.ndarray:
    return unit(RNG.standard_normal((num, dim)))


# ---- interpolated queries


def turned(v: np.ndarray, m: np.ndarray, weight: float) -> np.ndarray:
    """v, turned towards m by a share of the angle between them, in the plane of both."""
    v, m = v / math.sqrt(v @ v), m / math.sqrt(m @ m)
    angle = weight * math.acos(max(-1.0, min(1.0, float(v @ m))))
    across = m - (v @ m) * v
    return math.cos(angle) * v + math.sin(angle) * across / math.sqrt(across @ across)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_a_query_is_turned_by_a_share_of_the_angle(weight):
    v, m = RNG.standard_normal((2, 40, 6))
    expected = [turned(*pair, weight) for pair in zip(v, m, strict=True)]
    np.testing.assert_allclose(slerp(v, m, weight), expected, atol=1e-14)


def test_equal_nearly_equal_and_opposite_rows():
    v = rows(5, 8)
    np.testing.assert_allclose(slerp(v, 3.0 * v, 0.5), v, atol=1e-15)
    # half of a move of 1e-7, of which a cosine has no digit left
    move = rows(5, 8)
    move = 1e-7 * unit(move - np.vecdot(move, v)[:, None] * v)
    np.testing.assert_allclose(slerp(v, v + move, 0.5) - v, move / 2.0, atol=1e-14)
    np.testing.assert_allclose(slerp(v, -v, 0.5), v, atol=1e-15)


def test_an_interpolated_query_asks_both_models():
    old = rows(300, 6)
    new = unit(old @ stats.ortho_group.rvs(6, random_state=1) + 0.2 * RNG.standard_normal((300, 6)))
    found, plain = (fitting.fit(kind, new, old, "queries") for kind in ("slerp", "orthogonal"))
    expected = [turned(v, m, fitting.SLERP_WEIGHT) for v, m in zip(old, plain(new), strict=True)]
    np.testing.assert_allclose(found(new, old), expected, atol=1e-14)
    assert found.takes_both
    with pytest.raises(ValueError, match="the slerp map needs the old model's rows"):
        found(new)


def naive_gap(queries, items, standard, codes):
    """Gaps of 1a and 1b over all pairs but a row's own, by a double loop."""
    sums, counts = np.zeros(2), np.zeros(2)
    for i in range(len(codes)):
        for j in range(len(codes)):
            if i != j:
                shrunk = np.sum((standard[i] - standard[j]) ** 2) - np.sum((queries[i] - items[j]) ** 2)
                kind = int(codes[i] != codes[j])
                sums[kind] += -shrunk if kind else shrunk
                counts[kind] += 1
    return sums / counts


@pytest.mark.parametrize("kind", ["slerp", "bottleneck", "qdc"])
def test_it_is_judged_as_the_others_are(kind):
    codes = np.arange(45) % 3
    old = unit(rows(3, 5)[codes] + 0.4 * rows(45, 5))
    new = unit(old + 0.3 * rows(45, 5))
    drift = FeatureMap("translation", "queries", np.eye(5), 0.1 * np.arange(5))
    found = fitting.fit(kind, new[:30], old[:30], "queries", drifts=[drift])
    part = Part(new[30:], old[30:], codes[30:], 2.0**-53)
    sides = judge_map(found, part, Rule(criterion=Criterion(), seed=0))
    queries = unit(found(part.new, part.old) if kind == "slerp" else found(part.new))
    expected = naive_gap(queries, part.old, part.old, part.codes)
    np.testing.assert_allclose([sides.same_class.gap, sides.different_class.gap], expected, atol=1e-12)


def test_interpolation_saves_what_the_new_model_lost():
    """The new model is rotated and worse; halfway back to the old query it loses less than through a rotation."""
    new, old = CASES["wider"].draw(900, np.random.default_rng(0))
    turn = stats.ortho_group.rvs(new.dim, random_state=1)
    report = bridge(FeatureSet(new.unit @ turn, new.labels), old, maps=("orthogonal", "slerp"))
    lost = {found.kind: -found.weakest.lower for found in report.candidates}
    assert list(lost) == ["identity", "orthogonal", "slerp"]
    assert lost["slerp"] < 0.7 * lost["orthogonal"]
    assert report.kind == "slerp"
    assert "SLERP" in report.sentence


def test_interpolation_is_refused_where_it_says_nothing():
    new, old = FeatureSet(rows(40, 4)), FeatureSet(rows(40, 4))
    with pytest.raises(ValueError, match="slerp is not compared without labels"):
        fit_pairs(new, old, maps=("orthogonal", "slerp"))
    with pytest.raises(ValueError, match="it maps no gallery"):
        fit_pairs(new, old, "gallery", maps=("slerp",))


# ---- drifts that add up


def test_drifts_of_single_updates_add_up():
    """Each was measured on samples of its own, and nothing is normalised between them."""
    models = [rows(90, 6) + shift for shift in (0.0, 0.2, -0.1)]
    drifts, expected = [], np.zeros(6)
    for at, own in ((1, slice(0, 40)), (2, slice(40, 90))):
        source, target = models[at][own], models[at - 1][own]
        drifts.append(fitting.fit("translation", source, target, "queries"))
        for row in range(len(source)):
            expected += (target[row] - source[row]) / len(source)
    found = fitting.fit("qdc", models[2], models[0], "queries", drifts=drifts)
    np.testing.assert_allclose(found.b, expected, atol=1e-14)
    np.testing.assert_array_equal(found.A, np.eye(6))
    once = fitting.fit("qdc", models[1], models[0], "queries", drifts=drifts[:1])
    np.testing.assert_array_equal(once.b, drifts[0].b)
    # the drift between the ends, on other samples, is another vector
    assert np.abs(fitting.fit("translation", models[2], models[0], "queries").b - expected).max() > 1e-3


def test_drifts_that_do_not_belong_are_refused():
    new, old = FeatureSet(rows(40, 4)), FeatureSet(rows(40, 4))
    drift = FeatureMap("translation", "queries", np.eye(4), np.ones(4))
    with pytest.raises(ValueError, match=r"adds up drifts of single updates: give them \(--drift MAP"):
        fit_pairs(new, old, maps=("qdc",))
    with pytest.raises(ValueError, match="drifts are only used by the qdc map"):
        fit_pairs(new, old, maps=("orthogonal",), drifts=[drift])
    for other in (
        FeatureMap("ridge", "queries", np.eye(4), np.ones(4)),
        FeatureMap("translation", "gallery", np.eye(4), np.ones(4)),
        FeatureMap("translation", "queries", np.eye(5), np.ones(5)),
    ):
        with pytest.raises(ValueError, match="a drift must be a translation of queries in dimension 4, got a"):
            fit_pairs(new, old, maps=("qdc",), drifts=[drift, other])


# ---- the residual bottleneck


def test_a_bottleneck_is_its_layers_one_number_at_a_time():
    layers = [
        Layer(RNG.standard_normal((2, d_in, d_out)), RNG.standard_normal((2, d_out)), RNG.standard_normal((2, d_out)))
        for d_in, d_out in ((4, 3), (3, 3), (3, 5))
    ]
    found = FeatureMap(
        "bottleneck", "queries", RNG.standard_normal((4, 5)), RNG.standard_normal(5), layers=tuple(layers)
    )
    x = rows(7, 4)
    for row, mapped in zip(x, found(x), strict=True):
        expected = [sum(row[i] * found.A[i, j] for i in range(4)) + found.b[j] for j in range(5)]
        for path in range(2):
            hidden = list(row)
            for layer in layers:
                sums = [
                    sum(hidden[i] * layer.W[path, i, j] for i in range(len(hidden))) + layer.c[path, j]
                    for j in range(layer.c.shape[1])
                ]
                hidden = [value if value > 0.0 else layer.s[path, j] * value for j, value in enumerate(sums)]
            expected = [total + own for total, own in zip(expected, hidden, strict=True)]
        np.testing.assert_allclose(mapped, expected, atol=1e-12)


def test_what_was_trained_is_what_is_kept(monkeypatch):
    """Batch normalisation is folded into the layers: they give what the network gives when it is asked."""
    import torch

    seen, descend = {}, bottleneck.descend

    def watched(parameters, predict, arrays, *rest):
        found = descend(parameters, predict, arrays, *rest)
        seen.update(predict=predict, arrays=arrays)
        return found

    monkeypatch.setattr(bottleneck, "descend", watched)
    source, target = rows(300, 6), rows(300, 4)
    fitting.fit("bottleneck", source, target, "queries")
    found = FeatureMap.of_arrays("bottleneck", "queries", seen["arrays"]())
    with torch.no_grad():
        expected = seen["predict"](torch.from_numpy(source.astype(np.float32)), False).numpy()
    assert np.abs(found(source) - found(source, None)).max() == 0.0
    assert np.abs(expected - (source @ found.A + found.b)).max() > 0.01  # the paths do something
    # float32 sums over three layers
    np.testing.assert_allclose(found(source), expected, atol=1e-5)
    assert [layer.W.shape for layer in found.layers] == [(4, 6, 16), (4, 16, 16), (4, 16, 4)]


def test_a_bottleneck_begins_at_its_shortcut(monkeypatch):
    monkeypatch.setattr(bottleneck, "descend", lambda parameters, predict, arrays, *rest: arrays())
    source, target = rows(60, 6), rows(60, 8)
    found, plain = (fitting.fit(kind, source, target, "queries") for kind in ("bottleneck", "orthogonal"))
    np.testing.assert_allclose(found(source), plain(source), atol=1e-6)  # float32


def test_a_bottleneck_bends_between_unequal_dimensions():
    d_out, hidden = 7, rows(2000, 4)
    bent = np.sinh(2.0 * hidden @ stats.ortho_group.rvs(4, random_state=2))
    source = unit(bent + 0.5 * np.abs(bent))
    target = np.pad(hidden, ((0, 0), (0, d_out - 4))) @ stats.ortho_group.rvs(d_out, random_state=3)
    lost = {}
    for kind in ("orthogonal", "ridge", "bottleneck"):
        found = fitting.fit(kind, source[:1500], target[:1500], "queries")
        lost[kind] = 1.0 - float(np.vecdot(unit(found(source[1500:])), target[1500:]).mean())
    assert lost["bottleneck"] < 0.5 * min(lost["orthogonal"], lost["ridge"])


def test_a_bottleneck_is_the_same_under_the_same_seed():
    source, target = rows(200, 5), rows(200, 5)
    first, second = (fitting.fit("bottleneck", source, target, "queries", seed=3) for _ in range(2))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)


# ---- files and the command line


def test_lines_of_numpy_apply_them(tmp_path):
    """The lines of docs/bridge.md."""
    source, v = rows(60, 5), rows(60, 4)
    for kind in ("bottleneck", "slerp"):
        found = fitting.fit(kind, source, v, "queries")
        found.save(tmp_path / "map.npz")
        m, x = np.load(tmp_path / "map.npz"), source
        y = x @ m["A"] + m["b"]
        if kind == "bottleneck":
            for i in "123":
                x = x @ m["W" + i] + m["c" + i][:, None]
                x = np.where(x > 0, x, m["s" + i][:, None] * x)
            y += x.sum(axis=0)
        else:
            y /= np.linalg.norm(y, axis=1, keepdims=True)
            angle = np.arccos(np.sum(v * y, axis=1, keepdims=True))
            y = (np.sin((1 - m["weight"]) * angle) * v + np.sin(m["weight"] * angle) * y) / np.sin(angle)
        # an arc cosine has lost some digits of a small angle
        np.testing.assert_allclose(found(source, v), y, atol=1e-8)


def test_a_last_batch_of_one_row_is_trained():
    """Of 285 samples a tenth is kept apart, and the last of the others is a batch of its own, without a variance."""
    num = 285
    assert (num - num // 10) % 256 == 1
    found = fitting.fit("bottleneck", rows(num, 3), rows(num, 3), "queries")
    assert np.isfinite(found(rows(5, 3))).all()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("kind", ["slerp", "bottleneck"])
def test_a_saved_map_is_read_as_it_was(kind, suffix, tmp_path):
    source, target = rows(60, 5), rows(60, 5)
    found = fitting.fit(kind, source, target, "queries")
    found.save(tmp_path / f"map{suffix}")
    read = FeatureMap.load(tmp_path / f"map{suffix}")
    assert read.arrays().keys() == found.arrays().keys()
    np.testing.assert_array_equal(read(source, target), found(source, target))


def test_damaged_layers_are_refused(tmp_path):
    found = fitting.fit("bottleneck", rows(60, 5), rows(60, 4), "queries")
    for damaged in (
        FeatureMap(found.kind, "queries", found.A, found.b, layers=found.layers[:2]),
        FeatureMap(found.kind, "queries", found.A, found.b, layers=found.layers[1:]),
    ):
        damaged.save(tmp_path / "map.npz")
        with pytest.raises(ValueError, match=r"arrays must have shapes .* or it is damaged\."):
            FeatureMap.load(tmp_path / "map.npz")


def test_a_map_of_both_models_is_applied_to_both_by_their_ids(tmp_path):
    new, old, ids = rows(2000, 5), rows(2000, 4), np.arange(2000)
    found = fitting.fit("slerp", new, old, "queries")
    order = RNG.permutation(2000)
    apply(found, FeatureSet(new[order], ids=ids[order]), tmp_path / "out.npz", other=FeatureSet(old, ids=ids))
    np.testing.assert_allclose(FeatureSet.load(tmp_path / "out.npz").features, found(new, old), atol=1e-14)
    with pytest.raises(
        ValueError, match=r"the slerp map needs the old model's features of the same queries \(--with\)"
    ):
        apply(found, FeatureSet(new), tmp_path / "other.npz")
    plain = fitting.fit("orthogonal", new, old, "queries")
    with pytest.raises(ValueError, match="the orthogonal map does not use the old model's features"):
        apply(plain, FeatureSet(new), tmp_path / "other.npz", other=FeatureSet(old))
    with pytest.raises(ValueError, match="the old model's rows must have dimension 4, got 5"):
        apply(found, FeatureSet(new), tmp_path / "other.npz", other=FeatureSet(new))


def test_drifts_and_interpolation_by_the_command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    old = CASES["wider"].draw(600, np.random.default_rng(0))[1]
    shifted = [old.unit + share for share in (0.0, 0.05, 0.1)]
    for at, features in enumerate(shifted):
        FeatureSet(features, old.labels).save(f"{at}.npz")
    for at in (1, 2):
        arguments = (f"{at}.npz", f"{at - 1}.npz", "--maps", "translation", "--save", f"drift-{at}.npz")
        run(capsys, monkeypatch, "bridge", "fit", *arguments, "--labels", "")
    drifts = ("--drift", "drift-1.npz", "--drift", "drift-2.npz")
    run(capsys, monkeypatch, "bridge", "fit", "2.npz", "0.npz", "--maps", "qdc", *drifts, "--save", "map.npz")
    found = FeatureMap.load("map.npz")
    assert found.kind == "qdc"
    expected = sum(FeatureMap.load(f"drift-{at}.npz").b for at in (1, 2))
    np.testing.assert_array_equal(found.b, expected)
    status, _, err = run(capsys, monkeypatch, "bridge", "fit", "2.npz", "0.npz", *drifts)
    assert status == 2
    assert "drifts are only used by the qdc map" in err
    status, out, _ = run(
        capsys, monkeypatch, "bridge", "fit", "2.npz", "0.npz", "--maps", "slerp", "--margin", "20%", "--save", "s.npz"
    )
    if FeatureMap.load("s.npz").kind == "slerp":
        assert "Embed every query with both models" in " ".join(out.split())
        status, _, err = run(capsys, monkeypatch, "bridge", "apply", "s.npz", "2.npz", "out.npz", "--with", "0.npz")
        assert (status, err) == (0, "")
