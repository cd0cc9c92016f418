"""Judgements and the scores of rankings by them: against ir-measures, plain loops, and a search with known answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings

from tests.strategies import seeds
from verification.features import FeatureSet
from verification.search.judgements import Judgements, positions
from verification.search.nearest import search
from verification.search.ranks import precision_of_ranks


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def text_search(seed=12, dim=256, num_docs=3000, num=300):
    """Documents, (old, new) queries near the mean of their one to five relevant documents, and the relevant pairs.

    Most documents answer no query; the first document of 60 queries answers another one as well.
    """
    rng = np.random.default_rng(seed)
    docs = unit(rng.standard_normal((num_docs, dim)))
    first = rng.choice(num_docs, num, replace=False)
    relevant = [{int(doc)} for doc in first]
    for docs_of_query in relevant:
        docs_of_query |= {int(doc) for doc in rng.choice(num_docs, rng.integers(0, 4), replace=False)}
    for query in range(60):
        relevant[query].add(int(first[query + 100]))
    targets = unit(np.array([np.mean([docs[doc] for doc in some], axis=0) for some in relevant]))
    models = [targets + noise / np.sqrt(dim) * rng.standard_normal((num, dim)) for noise in (1.9, 1.6)]
    return docs.astype("f4"), [unit(rows.astype("f4").astype(float)) for rows in models], relevant


def test_a_text_search_by_qrels(tmp_path):
    docs, models, relevant = text_search()
    lines = [f"q{query}\td{doc}\t1\n" for query, some in enumerate(relevant) for doc in sorted(some)]
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    judgements = Judgements.from_file(
        tmp_path / "qrels.tsv", [f"q{i}" for i in range(300)], [f"d{i}" for i in range(3000)]
    )
    found = search(models, FeatureSet(docs, np.zeros(3000, int)), 10)
    scores, first = judgements.top_scores(found.rows), judgements.top_scores(found.rows[:, :, :1])
    np.testing.assert_array_equal(np.round(first.hit.mean(axis=1), 3), [0.983, 1.000])
    np.testing.assert_array_equal(np.round(scores.ndcg.mean(axis=1), 3), [0.937, 0.972])
    np.testing.assert_array_equal(np.round(scores.recall.mean(axis=1), 3), [0.943, 0.971])
    assert judgements.answerable.all()
    assert judgements.unknown == 0
    # nobody judged what is not listed
    assert np.all(scores.unjudged == 10 - np.array([len(some) for some in relevant]) * scores.recall)


def random_judgements(rng, num_queries, num_items, grades):
    query, item = np.divmod(rng.choice(num_queries * num_items, num_queries * num_items // 4, False), num_items)
    return Judgements(query, item, rng.choice(grades, len(query)), num_queries, num_items)


@settings(deadline=None)
@given(seed=seeds)
def test_scores_are_those_of_ir_measures(seed):
    measures = pytest.importorskip("ir_measures")
    rng = np.random.default_rng(seed)
    num, size, k = 6, 30, int(rng.integers(1, 30))
    judgements = random_judgements(rng, num, size, [-1, 0, 1, 2, 3])
    gallery = FeatureSet(rng.standard_normal((size, 3)), np.zeros(size, int))
    queries = unit(rng.standard_normal((num, 3)))
    found = search([queries], gallery, k, ranked=judgements.relevant())
    whole = search([queries], gallery, size)
    scores = judgements.top_scores(found.rows)
    precision = judgements.average_precision(found.ranks)
    entries = zip(judgements.query, judgements.item, judgements.grade, strict=True)
    qrels = [measures.Qrel(f"q{q}", f"d{d}", int(grade)) for q, d, grade in entries]
    runs = [measures.ScoredDoc(f"q{q}", f"d{d}", float(-i)) for q in range(num) for i, d in enumerate(whole.rows[0, q])]
    wanted = {
        measures.Success @ k: scores.hit,
        measures.R @ k: scores.recall,
        measures.RR @ k: scores.reciprocal_rank,
        measures.nDCG @ k: scores.ndcg,
        measures.AP: precision,
    }
    seen = 0
    for measured in measures.iter_calc(list(wanted), qrels, runs):
        query = int(measured.query_id[1:])
        if judgements.answerable[query]:
            assert wanted[measured.measure][0, query] == pytest.approx(measured.value, rel=1e-12)
            seen += 1
    assert seen == 5 * np.sum(judgements.answerable)
    for values in wanted.values():
        np.testing.assert_array_equal(np.isnan(values[0]), ~judgements.answerable)


def test_scores_are_those_of_a_loop_for_both_gains():
    rng = np.random.default_rng(4)
    judgements = random_judgements(rng, 12, 25, [0, 0.5, 1, 3])
    grade_of = {(q, d): g for q, d, g in zip(judgements.query, judgements.item, judgements.grade, strict=True)}
    rows = np.array([[rng.permutation(25)[:8] for _ in range(12)] for _ in range(2)])
    rows[1, 3, 5:] = -1  # fewer were found
    for gain, value in (("linear", lambda g: g), ("exponential", lambda g: 2.0**g - 1.0)):
        scores = judgements.top_scores(rows, gain=gain)
        for model, q in np.ndindex(2, 12):
            grades = [grade_of.get((q, d), 0.0) for d in rows[model, q]]
            best = sorted((g for (query, _), g in grade_of.items() if query == q), reverse=True)
            answers = sum(g > 0 for g in best)
            assert judgements.answerable[q] == (answers > 0)
            if not answers:
                assert math.isnan(scores.ndcg[model, q])
                continue
            dcg, ideal = (sum(value(g) / math.log2(i + 2) for i, g in enumerate(some[:8])) for some in (grades, best))
            first = next((i for i, g in enumerate(grades) if g > 0), math.inf)
            assert scores.ndcg[model, q] == pytest.approx(dcg / ideal, rel=1e-12)
            assert scores.recall[model, q] == sum(g > 0 for g in grades) / answers
            assert scores.hit[model, q] == any(g > 0 for g in grades)
            assert scores.reciprocal_rank[model, q] == 1 / (first + 1)
            there = [d for d in rows[model, q] if d >= 0]
            assert scores.unjudged[model, q] == sum((q, d) not in grade_of for d in there)


def test_what_a_query_may_not_find_does_not_answer_it():
    judgements = Judgements([0, 0, 1, 2], [0, 1, 1, 2], [1, 2, 1, 1], 3, 4)
    left = judgements.reachable(np.array([7, 8, -1]), np.array([7, 5, -1, -1]), np.array([True, False, True, True]))
    np.testing.assert_array_equal(left.answerable, [False, False, True])
    scores = left.top_scores(np.array([[[3], [3], [2]]]))
    np.testing.assert_array_equal(scores.hit, [[np.nan, np.nan, 1.0]])
    np.testing.assert_array_equal(judgements.of_queries(np.array([2, 0])).relevant(), [[0, 1, 1], [2, 0, 1]])


def test_labels_in_common():
    lists = Judgements.from_labels([["a", "b"], ["c"], [], None], [["b"], ["a", "c"], ["d"], None])
    np.testing.assert_array_equal(lists.relevant(), [[0, 0, 1], [0, 1, 1]])
    joined = Judgements.from_labels(["a|b", "c", "", None], np.array(["b", "a|c", "d", ""]), separator="|")
    np.testing.assert_array_equal(joined.relevant(), lists.relevant())
    np.testing.assert_array_equal(lists.answerable, [True, True, False, False])
    assert np.all(lists.top_scores(np.array([[[0, 1]] * 4])).unjudged == 0)
    wide = Judgements.from_labels(np.array([2**63, 2**63 + 1], np.uint64), np.array([2**63 + 1, 5], np.uint64))
    np.testing.assert_array_equal(wide.relevant(), [[1], [0]])  # equal as float64
    mixed = Judgements.from_labels(np.array([2**62 + 1], np.uint64), np.array([2**62, 2**62 + 1], np.int64))
    np.testing.assert_array_equal(mixed.relevant(), [[0], [1]])
    with pytest.raises(ValueError, match="of one kind"):
        Judgements.from_labels([1, 2], ["1", "2"])


FORMS = {
    "trec": "q1 0 7 2\nq2\t0\t8 0\nq2 Q0 07 1\nq9 0 7 1\n",
    "beir": "query-id\tcorpus-id\tscore\nq1\t7\t2\nq2\t8\t0\r\n\nq2\t07\t1\nq9\t7\t1\n",
    "json": "\n".join(
        json.dumps(entry)
        for entry in (
            {"query-id": "q1", "corpus-id": 7, "score": 2},
            {"query_id": "q2", "doc_id": "8", "relevance": 0},
            {"query": "q2", "item": "07"},
            {"query": "q9", "item": "7", "grade": 1},
        )
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_reads_alike(form, tmp_path):
    path = tmp_path / "qrels"
    path.write_text(FORMS[form])
    integers = Judgements.from_file(path, ["q1", "q2"], np.array([8, 7]))
    np.testing.assert_array_equal([integers.query, integers.item, integers.grade], [[0, 1], [1, 0], [2, 0]])
    assert integers.unknown == 2  # "07" is another id than 7, and q9 is no query
    texts = Judgements.from_file(path, ["q1", "q2"], ["8", "07", "7"])
    np.testing.assert_array_equal(texts.relevant(), [[0, 1], [2, 1]])


def test_large_integer_ids_are_exact(tmp_path):
    path = tmp_path / "qrels"
    path.write_text(f"{2**63 + 1} 0 {-(2**53) - 1} 1")
    judgements = Judgements.from_file(path, np.array([2**63, 2**63 + 1], np.uint64), np.array([-(2**53), -(2**53) - 1]))
    np.testing.assert_array_equal(judgements.relevant(), [[1], [1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one line"),
        ("a b\n", "line 1: judgements must be TREC"),
        ("query-id\tcorpus-id\tscore\n", "a line below its header"),
        ("q1 0 7 1\nq1 0 7\n", "line 2: must have 4 columns"),
        ("q1 0 7 nan\n", "line 1: the last column must be a finite grade, got 'nan'"),
        ("q1\t7\t1\n\nq1\t7\t?\n", "line 3: the last column"),
        ('{"query": "q1", "item": 7}\n{"query": "q1"}', "line 2: must have one of corpus-id"),
        ('{"query": "q1", "item": 7.5}', "line 1: an id must be an integer or a string, got 7.5"),
        ('{"query": "q1", "item": 7, "score": true}', "the grade must be a finite number"),
        ('{"query": "q1"\n', "line 1: must be JSON"),
        ("q1 0 7 1\nq1 0 7 2\n", "must have one grade, but query 0 and item 0 have 1 and 2"),
        ("Q1 0 7 1\n", "the first query id is 'Q1' in the file and 'q1' in the features"),
        ("q1 0 d7 1\n", "the first item id is 'd7' in the file and '7' in the features"),
    ],
)
def test_unusable_files_are_refused(text, message, tmp_path):
    path = tmp_path / "qrels"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Judgements.from_file(path, ["q1"], [7])


def test_unusable_judgements_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="text in UTF-8"):
        Judgements.from_file(tmp_path / "binary", ["q1"], [7])
    with pytest.raises(ValueError, match="item ids must be there once each, but '7' is in rows 0 and 2"):
        positions([7, 8, 7], "item ids")
    with pytest.raises(ValueError, match="must be integers or strings, got float64"):
        positions([7.0], "item ids")
    with pytest.raises(ValueError, match="of 1 queries and 2 items"):
        Judgements([0], [2], [1], 1, 2)
    with pytest.raises(ValueError, match=r"one shape \(p,\)"):
        Judgements([0], [1, 2], [1], 1, 2)
    with pytest.raises(ValueError, match="grades must be finite"):
        Judgements([0], [1], [np.inf], 1, 2)
    with pytest.raises(ValueError, match="'linear' or 'exponential'"):
        Judgements([0], [1], [1], 1, 2).top_scores(np.zeros((1, 1, 1), int), gain="log")


def test_average_precision_counts_places_that_a_query_may_find():
    """(1/2 + 2/4)/2 of places 4 and 2; a place of 0 does not count; 0 where nothing is relevant."""
    query, places = np.array([2, 0, 0, 0]), np.array([1, 4, 0, 2])
    np.testing.assert_allclose(precision_of_ranks(query, places, 4), [0.5, 0.0, 1.0, 0.0])


def test_too_many_pairs_that_share_a_label_are_refused():
    labels = [["a", "b"], ["a"], []]
    assert len(Judgements.from_labels(labels, labels, most=5).query) == 4
    with pytest.raises(ValueError, match="labels are shared by 5 pairs of a query and an item, and at most 4 can be"):
        Judgements.from_labels(labels, labels, most=4)


def test_the_ends_of_what_is_judged():
    whole = Judgements([0, 1], [0, 2], [0.0, 0.5], 2, 3)
    np.testing.assert_array_equal(whole.answerable, [False, True])
    assert not whole.complete
    assert whole.unknown == 0
    for query, item in (([2], [0]), ([-1], [0]), ([0], [3]), ([0], [-1])):
        with pytest.raises(ValueError, match="judgements must be of 2 queries and 3 items, counted from 0"):
            Judgements(query, item, [1], 2, 3)
    # twice with one grade is once
    assert len(Judgements([0, 0], [1, 1], [2, 2], 2, 3).query) == 1
    none = Judgements([], [], [], 2, 3)
    grades, judged = none.grades(np.array([[[0], [1]]]))
    assert not grades.any()
    assert not judged.any()
    assert Judgements([], [], [], 2, 3, complete=True).grades(np.array([[[0], [1]]]))[1].all()
    kept = Judgements([0, 1], [0, 2], [1.0, 1.0], 2, 3, complete=True, unknown=7).of_queries(np.array([1]))
    assert (kept.complete, kept.unknown, kept.num_queries, kept.query.tolist()) == (True, 7, 1, [0])
    found = whole.top_scores(np.array([[[0], [2]]]))
    assert (found.unjudged.tolist(), found.ndcg[0, 1], found.reciprocal_rank[0, 1]) == ([[0, 0]], 1.0, 1.0)
    negative = Judgements([0, 0], [0, 1], [-1.0, 1.0], 1, 2).top_scores(np.array([[[0, 1]]]))
    assert negative.ndcg[0, 0] == pytest.approx(1.0 / math.log2(3))
    assert negative.reciprocal_rank[0, 0] == 0.5
