"""What a report writes as JSON is what its schema describes, and nothing else."""

from __future__ import annotations

import json
import math
from importlib import resources

import numpy as np
import pytest

from tests.verification.samples import upgrade
from theory.metrics import METRICS, FunctionDistance
from verification import FeatureSet, Options, Upgrade, judge
from verification.audit.report import _shorten
from verification.search.judgements import Judgements

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    text = resources.files("verification").joinpath("schema", "audit-report.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def written(report) -> dict:
    """The report as a program reads it."""
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def test_every_claim_is_described(validator):
    new, old = upgrade(0.6, 0.8)
    pair = Upgrade(new, old)
    validator.validate(written(judge(pair)))
    validator.validate(written(judge(pair, Options(far=0.05, explain=True), slices=np.arange(400) % 3)))


def test_a_gallery_and_probes_that_are_not_enrolled_are_described(validator):
    new, old = upgrade(0.6, 0.8)
    some = np.flatnonzero(old.labels < 3)
    gallery = FeatureSet(old.features[some], old.labels[some])
    validator.validate(written(judge(Upgrade(new, old, gallery), Options(fpir=0.05))))


def test_judgements_are_described(validator):
    new, old = upgrade(0.6, 0.8, num_samples=60)
    judged = Judgements(np.arange(60), np.arange(60)[::-1], np.ones(60), 60, 60)
    report = written(judge(Upgrade(new, old, FeatureSet(old.features), relevance=judged)))
    validator.validate(report)
    assert report["definition1"] is None


def test_long_lists_are_shortened_and_counted(validator):
    labels = np.arange(240) % 60
    report = written(judge(Upgrade(*upgrade(0.6, 0.8, labels=labels, dim=64)), slices=labels))
    validator.validate(report)
    assert report["left_out"] == {
        "definition1.by_class": 10,
        "definition1.drift.by_class": 10,
        "retrieval.slices": 10,
    }
    shown = [found["interval"]["lower"] for found in report["definition1"]["by_class"]]
    assert len(shown) == 50
    assert shown == sorted(shown)


def test_what_nothing_is_known_of_is_shown_before_what_is_known_to_be_little():
    classes = [{"label": n, "interval": {"lower": None if n == 40 else 0.01 * n}} for n in range(60)]
    one = {"by_class": classes, "drift": None}
    assert _shorten({"definition1": one, "retrieval": None}) == {"definition1.by_class": 10}
    assert [found["label"] for found in one["by_class"]] == [40, *range(40), *range(41, 50)]


@pytest.mark.parametrize("spoil", [{"schema_version": 2}, {"verdict": "perhaps"}, {"claims": {"retrieval": "maybe"}}])
def test_what_no_report_writes_is_refused(validator, spoil):
    report = written(judge(Upgrade(*upgrade(0.6, 0.8))))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(report | spoil)


def test_a_new_distance_is_audited_shown_and_described(validator, call, monkeypatch, tmp_path):
    """One entry in the registry; the gap is that of a plain loop, not that of another distance."""
    entry = FunctionDistance("squared angle", "angle in radians, squared", lambda c: np.arccos(c) ** 2)
    monkeypatch.setitem(METRICS, entry.name, entry)
    sets = upgrade(0.6, 0.8, num_samples=80)
    for name, features in zip(("new", "old"), sets, strict=True):
        features.save(tmp_path / f"{name}.npz")
    outputs = ("--json", tmp_path / "report.json", "--html", tmp_path / "report.html")
    status, out, err = call(
        "audit", tmp_path / "new.npz", tmp_path / "old.npz", "--metric", "squared angle", "--decide", "definition-1",
        *outputs,
    )  # fmt: skip
    assert (status in (0, 1, 3), err) == (True, "")
    assert entry.description in " ".join(out.split())
    assert entry.description in (tmp_path / "report.html").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    validator.validate(report)
    new, old = (features.unit for features in sets)
    labels = sets[1].labels
    pairs = [(i, j) for i in range(80) for j in range(80) if i != j and labels[i] == labels[j]]
    squared = [[math.acos(float(rows[i] @ old[j])) ** 2 for i, j in pairs] for rows in (old, new)]
    # of float64 rows in both
    assert report["definition1"]["same_class"]["fixed"]["value"] == pytest.approx(
        np.mean(squared[0]) - np.mean(squared[1]), abs=1e-9
    )
