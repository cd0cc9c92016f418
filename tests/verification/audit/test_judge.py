"""Everything that is claimed of an upgrade, judged together: each claim has its own verdict, and they may disagree."""

from __future__ import annotations

import numpy as np
import pytest

from verification.audit import audit
from verification.audit.judge import Options, judge
from verification.features import FeatureSet
from verification.search.pairs import PairList
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


def test_progress_names_every_stage_once_it_begins():
    seen = []
    judge(
        Upgrade(*upgrade(0.8, 0.9, num_samples=100)),
        Options(far=0.1, explain=True),
        progress=lambda *step: seen.append(step),
    )
    stages = ("searching", "comparing thresholds", "measuring caps and drift")
    assert [step for step in seen if step[0] in stages] == [(stage, 0, 100) for stage in stages]
    seen.clear()
    judge(Upgrade(*upgrade(0.8, 0.9, num_samples=100)), progress=lambda *step: seen.append(step))
    assert [step for step in seen if step[0] in stages] == [("searching", 0, 100)]


def test_hypotheses_are_measured_where_a_simplex_fits_and_every_class_has_queries():
    """K vertices span K − 1 dimensions."""
    rng = np.random.default_rng(0)
    asked = Options(explain=True, decide=("retrieval",))

    def measured(classes: int, gallery: FeatureSet | None = None) -> tuple[bool, bool]:
        labels = np.arange(40) % classes
        new, old = (FeatureSet(rng.standard_normal((40, 3)), labels) for _ in range(2))
        report = judge(Upgrade(new, old, gallery), asked)
        return report.hypotheses is not None, report.polar is not None

    assert measured(2) == (True, True)
    assert measured(4) == (True, True)
    assert measured(5) == (False, True)
    items = [FeatureSet(rng.standard_normal((40, 3)), np.arange(40) % classes) for classes in (3, 4)]
    assert measured(3, items[0]) == (True, True)
    assert measured(3, items[1]) == (False, True)  # of one class there are items only
    new, old = upgrade(0.8, 0.9, num_samples=40)
    unasked = judge(Upgrade(new, old))
    assert unasked.hypotheses is unasked.polar is None


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
def test_a_note_says_of_which_rows_the_answers_are(similarity):
    new, old = upgrade(0.8, 0.9, num_samples=100)
    lengths = 1.0 + np.arange(100)[:, None] / 50.0
    uneven = Upgrade(FeatureSet(new.features * lengths, new.labels), FeatureSet(old.features, old.labels))
    notes = judge(uneven, Options(similarity=similarity)).notes
    assert sum("are normalised here" in note for note in notes) == (similarity == "cosine")
    assert sum("Retrieval and thresholds compare rows as they are" in note for note in notes) == (
        similarity != "cosine"
    )
    # without labels there are no mean distances
    bare = Upgrade(FeatureSet(new.features * lengths), FeatureSet(old.features))
    pairs = PairList(query=np.arange(99), item=np.arange(1, 100), same=np.arange(99) % 5 == 0)
    listed = judge(bare, Options(similarity=similarity, threshold=0.9), pairs=pairs)
    assert not [note for note in listed.notes if "Retrieval and thresholds" in note]
    assert listed.decided_by == ("pairs",)


def test_rows_in_another_order_are_refused_where_labels_alone_cannot_tell():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    old = rng.standard_normal((120, 8))
    order = np.concatenate([30 * c + rng.permutation(30) for c in range(4)])
    judge(Upgrade(FeatureSet(old + 0.01, labels), FeatureSet(old, labels)))
    with pytest.raises(ValueError, match="another order inside their classes"):
        judge(Upgrade(FeatureSet(old[order] + 0.01, labels), FeatureSet(old, labels)))


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
