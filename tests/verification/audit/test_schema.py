"""What a report writes as JSON is what its schema describes, and nothing else."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from tests.verification.samples import upgrade
from verification import FeatureSet, Options, Upgrade, judge
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


@pytest.mark.parametrize("spoil", [{"schema_version": 2}, {"verdict": "perhaps"}, {"claims": {"retrieval": "maybe"}}])
def test_what_no_report_writes_is_refused(validator, spoil):
    report = written(judge(Upgrade(*upgrade(0.6, 0.8))))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(report | spoil)
