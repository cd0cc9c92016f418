"""Retrieval against a search by loops: every score, the intervals of their differences, parts, copies and counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from verification.audit import retrieval
from verification.audit.retrieval import compare_retrieval
from verification.features import FeatureSet
from verification.search.nearest import share_kept
from verification.statistics.interval import Criterion, Population, widened
from verification.statistics.paired import both_intervals, inflation
from verification.upgrade import Upgrade

LABELS = np.repeat([0, 1, 2, 3, 5], [12, 9, 6, 4, 1])
ITEM_LABELS = np.repeat([0, 1, 2, 3, 4], [7, 5, 4, 1, 3])


@dataclass
class Plain:
    """Two models' queries and what they search; units of rows that never meet."""

    new: FeatureSet
    old: FeatureSet
    gallery: FeatureSet | None
    new_gallery: FeatureSet | None

    @classmethod
    def of(cls, gallery: bool, groups: bool, again: bool = False) -> Plain:
        rng = np.random.default_rng(4)
        axes = 0.8 * rng.standard_normal((6, 6))
        old = axes[LABELS] + rng.standard_normal((len(LABELS), 6))
        new = old + 0.8 * rng.standard_normal(old.shape)
        shots = 100 * LABELS + np.arange(len(LABELS)) // 2 if groups else None
        items = axes[ITEM_LABELS] + rng.standard_normal((len(ITEM_LABELS), 6))
        item_shots = 100 * ITEM_LABELS + np.arange(len(ITEM_LABELS)) if groups else None
        return cls(
            FeatureSet(new, LABELS, groups=shots),
            FeatureSet(old, LABELS, groups=shots),
            FeatureSet(items, ITEM_LABELS, groups=item_shots) if gallery else None,
            FeatureSet(items + 0.3 * rng.standard_normal(items.shape), ITEM_LABELS, groups=item_shots)
            if again
            else None,
        )

    def upgrade(self) -> Upgrade:
        return Upgrade(self.new, self.old, self.gallery, self.new_gallery)

    @property
    def items(self) -> FeatureSet:
        return self.old if self.gallery is None else self.gallery

    @property
    def apart(self) -> np.ndarray:
        if self.gallery is None and self.old.groups is None:
            return np.eye(len(self.old), dtype=bool)
        if self.old.groups is None:
            return np.zeros((len(self.old), len(self.items)), dtype=bool)
        shots = self.old.groups[:, None] == self.items.groups
        return shots & (self.old.labels[:, None] == self.items.labels)

    @property
    def answered(self) -> np.ndarray:
        return np.flatnonzero(np.any((self.old.labels[:, None] == self.items.labels) & ~self.apart, axis=1))

    def scores(self, queries: FeatureSet, items: FeatureSet, k: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Every score of every query that can be answered, and what it finds."""
        found: dict[str, list[float]] = {"recall@1": [], f"recall@{k}": [], "mAP": [], "template": []}
        rows = []
        for i in self.answered:
            cosines = np.where(self.apart[i], -np.inf, items.unit @ queries.unit[i])
            order = np.argsort(-cosines, kind="stable")
            order = order[np.isfinite(cosines[order])]
            right = items.labels[order] == queries.labels[i]
            rows.append(order[:k])
            found["recall@1"].append(float(right[0]))
            found[f"recall@{k}"].append(float(np.any(right[:k])))
            places = np.flatnonzero(right) + 1
            found["mAP"].append(float(np.mean(np.arange(1, len(places) + 1) / places)))
            means = {}
            for label in np.unique(items.labels):
                own = (items.labels == label) & ~(self.apart[i] & (self.gallery is None))
                if np.any(own):
                    mean = items.unit[own].sum(axis=0)
                    means[label] = mean @ queries.unit[i] / np.linalg.norm(mean)
            found["template"].append(float(max(means, key=lambda label: means[label]) == queries.labels[i]))
        return {name: np.array(values) for name, values in found.items()}, np.array(rows)


@pytest.mark.parametrize(
    ("gallery", "groups", "again", "repeated"),
    [
        (False, False, False, False),
        (False, True, False, True),
        (True, False, True, False),
        (True, True, False, False),
    ],
)
def test_scores_and_the_intervals_of_their_differences(gallery, groups, again, repeated):
    plain = Plain.of(gallery, groups, again)
    k = 3
    kinds = np.array(["even", "odd", "third"])[np.arange(len(LABELS)) % 3]
    report = compare_retrieval(
        plain.upgrade(), k=k, margin=0.02, confidence=0.9, repeated=repeated, slices=kinds, classes="drawn"
    )
    searches = [(plain.old, plain.items), (plain.new, plain.items)]
    if not gallery:
        searches.append((plain.new, plain.new))
    elif plain.new_gallery is not None:
        searches.append((plain.new, plain.new_gallery))
    found = [plain.scores(*each, k) for each in searches]
    asked = plain.answered
    assert report.num_queries == len(asked)
    assert report.num_lone == len(LABELS) - len(asked)
    assert report.num_gallery == len(plain.items)
    assert report.unit == ("group" if groups else "sample")
    units = plain.old.groups[asked] if groups and plain.old.groups is not None else None
    codes = LABELS[asked]

    def intervals(one: int, other: int, name: str, some: np.ndarray, confidence: float):
        difference = (found[one][0][name] - found[other][0][name])[some]
        spread = 1.0
        if not gallery:
            rows = np.column_stack([found[at][1][some, 0] for at in (one, other)])
            spread = inflation(difference, rows, asked[some])
        own = None if units is None else units[some]
        num = len(some) if own is None else len(np.unique(own))
        counts = num, len(np.unique(codes[some]))
        widen = tuple(widened(count, confidence) if repeated else 1.0 for count in counts)
        both = both_intervals(
            difference, 1.0 - confidence, own, codes[some], inflation=spread, widen=(widen[0], widen[1])
        )
        return float(difference.mean()), both

    everyone = np.arange(len(asked))
    names = ["recall@1", "recall@3", "mAP", "template"]
    assert [score.name for score in report.scores] == names
    for score in report.scores:
        values = [values[score.name] for values, _ in found]
        assert score.num_queries == len(asked)
        assert score.old_old == pytest.approx(values[0].mean())
        assert score.new_old == pytest.approx(values[1].mean())
        changes = [(score.upgrade, 1, 0)]
        if not gallery or (again and score.name != "template"):  # there are no sums of a new gallery
            assert score.new_new == pytest.approx(found[2][0][score.name].mean())
            changes += [(score.reindexing, 2, 1), (score.model, 2, 0)]
        else:
            assert score.new_new is score.reindexing is score.model is None
        for change, one, other in changes:
            assert change is not None
            value, (fixed, drawn) = intervals(one, other, score.name, everyone, 0.9)
            assert change.fixed.value == change.drawn.value == pytest.approx(value)
            assert (change.fixed.lower, change.fixed.upper) == pytest.approx(fixed)
            assert (change.drawn.lower, change.drawn.upper) == pytest.approx(drawn)
            assert (change.fixed.unit, change.drawn.unit) == (report.unit, "class")
            assert (change.fixed.population, change.drawn.population) == ("fixed", "drawn")
            assert change.fixed.confidence == change.drawn.confidence == 0.9
    rule = Criterion(confidence=0.9, margin=0.02)
    assert report.verdict == rule.verdict(report.change.drawn)
    assert report.change.population == Population.drawn
    before, after = (values["recall@1"] for values, _ in found[:2])
    assert (report.gained, report.lost) == (np.mean(after > before), np.mean(before > after))
    assert report.kept == share_kept(found[0][1], found[1][1], 0.9)
    assert 0.0 < report.lost < 1.0
    assert 0.0 < report.gained < 1.0
    # parts of the queries, at a level of their own
    alone = 1.0 - 0.1 / 3
    assert {one.name for one in report.slices} == {"even", "odd", "third"}
    assert [one.change.lower for one in report.slices] == sorted(one.change.lower for one in report.slices)
    for one in report.slices:
        some = np.flatnonzero(kinds[asked] == one.name)
        value, (fixed, drawn) = intervals(1, 0, "recall@1", some, alone)
        assert one.num_queries == len(some)
        assert (one.old_old, one.new_old) == pytest.approx((before[some].mean(), after[some].mean()))
        assert (one.change.fixed.lower, one.change.fixed.upper) == pytest.approx(fixed)
        assert (one.change.drawn.lower, one.change.drawn.upper) == pytest.approx(drawn)
        assert one.change.fixed.confidence == pytest.approx(alone)
        assert one.change.verdict == Criterion(confidence=alone, margin=0.02).verdict(one.change.drawn)


@pytest.mark.parametrize("gallery", [False, True])
def test_near_copies_are_much_nearer_than_items_of_their_class(monkeypatch, gallery):
    plain = Plain.of(gallery, False)
    items = plain.items
    usual = {}
    for label in np.unique(items.labels):
        rows = items.unit[items.labels == label]
        cosines = (rows @ rows.T)[~np.eye(len(rows), dtype=bool)]
        usual[label] = 1.0 - cosines.mean() if len(cosines) else math.inf
    scores, rows = plain.scores(plain.old, items, 2)
    asked = plain.answered
    distance = 1.0 - np.vecdot(plain.old.unit[asked], items.unit[rows[:, 0]])
    ratio = distance / np.array([usual[label] for label in LABELS[asked]])
    several = np.array([np.sum(items.labels == label) > 1 for label in LABELS[asked]])
    hits = scores["recall@1"] > 0.0
    shares = set()
    for share in np.quantile(ratio[hits & several], [0.2, 0.5, 0.8]) + 1e-9:
        monkeypatch.setattr(retrieval, "NEAR_COPY", float(share))
        expected = float(np.mean((ratio < share) & hits & several))
        assert compare_retrieval(plain.upgrade()).near_copies == pytest.approx(expected)
        shares.add(expected)
    assert len(shares) == 3
    assert compare_retrieval(plain.upgrade(), similarity="dot").near_copies == 0.0


@pytest.mark.parametrize(("share", "copies"), [(0.019, 0.5), (0.021, 0.0)])
def test_a_near_copy_is_fifty_times_nearer_than_items_of_its_class_usually_are(share, copies):
    """Half of the queries lie beside an item of their class, by a share of one less the mean cosine of the class."""
    axes = np.eye(12)
    labels = np.repeat(np.arange(3), 4)
    items = axes[np.arange(12)]  # at right angles: the usual distance is 1
    turn = np.array([math.acos(1.0 - share), math.acos(0.8)])[np.arange(12) % 2, None]
    aside = axes[(np.arange(12) + 4) % 12]
    queries = np.cos(turn) * items + np.sin(turn) * aside
    old, gallery = FeatureSet(queries, labels), FeatureSet(items, labels)
    report = compare_retrieval(Upgrade(old, old, gallery))
    assert report.scores[0].old_old == 1.0
    assert report.near_copies == copies


@pytest.mark.parametrize("groups", [False, True])
def test_the_template_of_a_query_is_what_else_there_is_of_its_class_if_it_is_one_row(groups):
    rng = np.random.default_rng(0)
    labels = np.arange(40) // 2
    axes = rng.standard_normal((20, 6))
    new, old = (
        FeatureSet(axes[labels] + 0.6 * rng.standard_normal((40, 6)), labels, groups=np.arange(40) if groups else None)
        for _ in range(2)
    )
    score = compare_retrieval(Upgrade(new, old)).scores[-1]
    assert score.name == "template"
    for value, queries, items in (
        (score.old_old, old.unit, old.unit),
        (score.new_old, new.unit, old.unit),
        (score.new_new, new.unit, new.unit),
    ):
        right = []
        for i in range(40):
            means = [np.sum([items[j] for j in range(40) if labels[j] == c and (j != i)], axis=0) for c in range(20)]
            cosines = [mean @ queries[i] / np.linalg.norm(mean) for mean in means]
            right.append(int(np.argmax(cosines)) == labels[i])
        assert value == pytest.approx(np.mean(right))
    assert 0.1 < score.old_old < 0.95


def test_k_is_at_most_what_there_is_to_find():
    labels = np.array([0, 0, 1, 1])
    rng = np.random.default_rng(0)
    new, old, items = (FeatureSet(rng.standard_normal((4, 3)), labels) for _ in range(3))

    def names(upgrade: Upgrade, **asked: int) -> list[str]:
        return [score.name for score in compare_retrieval(upgrade, **asked).scores]

    assert names(Upgrade(new, old)) == ["recall@1", "recall@3", "mAP", "template"]
    assert names(Upgrade(new, old, items)) == ["recall@1", "recall@4", "mAP", "template"]
    assert names(Upgrade(new, old), k=1) == ["recall@1", "mAP", "template"]
    assert names(Upgrade(new, old), k=2) == ["recall@1", "recall@2", "mAP", "template"]
    many = FeatureSet(rng.standard_normal((20, 3)), np.arange(20) % 4)
    assert names(Upgrade(many, many))[1] == "recall@5"
