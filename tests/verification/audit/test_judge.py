"""Everything that is claimed of an upgrade, judged together: each claim has its own verdict, and they may disagree."""

from __future__ import annotations

import numpy as np
import pytest

from verification.audit import audit
from verification.audit.judge import Options, judge
from verification.features import FeatureSet
from verification.upgrade import Upgrade
from verification.views.numbers import points

from ..samples import upgrade


def test_definition_1_is_judged_as_by_an_audit():
    new, old = upgrade(0.8, 0.9)
    report, alone = judge(Upgrade(new, old), Options(far=0.01, margin="1%")), audit(new, old, margin="1%")
    assert report.definition1 == alone
    assert report.thresholds is not None
    assert judge(Upgrade(new, old)).thresholds is None


def test_progress_is_told_of_what_is_read():
    seen = []
    judge(Upgrade(*upgrade(0.8, 0.9)), progress=lambda *step: seen.append(step))
    assert ("reading rows", 400, 400) in seen


def test_the_summary_is_one_line():
    report = judge(Upgrade(*upgrade(0.8, 0.9)), Options(far=0.01))
    assert report.summary.startswith(f"{report.verdict} by retrieval and threshold for new samples of these classes")
    for claim in (
        f"recall@1 {points(report.retrieval.change).split()[0]} {report.retrieval.verdict}",
        f"TAR {points(report.thresholds.tar_change).split()[0]} {report.thresholds.tar_change.verdict}",
    ):
        assert claim in report.summary
    assert "\n" not in report.summary
    assert report.to_dict()["summary"] == report.summary


def shifted() -> tuple[FeatureSet, FeatureSet]:
    """(new, old): every class leans as far off its axis in the new model, and is as tight, where no class is near."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 5
    old = np.zeros((600, 12))
    old[np.arange(600), labels] = 1.0
    new = old.copy()
    old[:, 5:] = 0.55 * rng.standard_normal((600, 7)) / np.sqrt(7)
    new[:, 11] = 1.0
    new[:, 5:11] = 0.1 * rng.standard_normal((600, 6)) / np.sqrt(6)
    return FeatureSet(new, labels), FeatureSet(old, labels)


def test_definition_1_and_retrieval_may_disagree():
    new, old = shifted()
    report = judge(Upgrade(new, old), Options(retrieval_margin="2%"))
    assert (report.definition1.verdict, report.retrieval.verdict) == ("incompatible", "compatible")
    assert "Neither claim implies the other" in report.disagreement
    assert report.to_dict()["disagreement"] == report.disagreement
    # the claim that decides says yes, and the headline names the one that does not
    assert report.verdict == "compatible"
    assert "definition-1" in report.against
    assert "judged by mean distances (Definition 1)" in report.headline
    assert judge(Upgrade(old, old)).disagreement is None
    open_ = judge(Upgrade(*upgrade(0.3, 0.4)))  # nothing is ever missed: no number of hits shows that nothing is lost
    assert (open_.definition1.verdict, open_.retrieval.verdict) == ("compatible", "inconclusive")
    assert "one is about mean distances" in open_.disagreement


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2.0}, "cosine similarity"),
        ({"threshold": 0.1, "far": 0.1}, "one of the two"),
        ({"retrieval_margin": "?"}, "the margin of retrieval"),
        ({"far_margin": "?"}, "the margin of FAR"),
        ({"tar_margin": -1}, "the margin of TAR"),
        ({"decide": "retrieval"}, "decide must be a tuple of claims, got the text 'retrieval'"),
        (
            {"decide": ("luck",)},
            "decide must be of retrieval, definition-1, contrast, threshold, identification, pairs, all, got 'luck'",
        ),
    ],
)
def test_bad_options_are_refused_before_work_starts(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
