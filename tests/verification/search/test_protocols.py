"""Protocols of benchmarks as searches with units and items that are left out; expected numbers are of plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from verification.features import FeatureSet
from verification.search.judgements import Judgements
from verification.search.nearest import search


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def single(rows):
    """Unit rows of what a file holds."""
    return unit(rows.astype("f4").astype(float))


def loop(queries, items, may_find):
    """The nearest item of each query among those that it may find."""
    cosines = np.where(may_find, queries @ unit(items.astype(float)).T, -np.inf)
    return np.argmax(cosines, axis=1)


def street_cameras():
    """Queries of 100 people by three cameras, and a gallery of six, with distractors (0) and junk (−1).

    Each camera bends every person its own way, so the nearest picture is of the same camera; the new model more so.
    """
    dim, rng = 256, np.random.default_rng(5)
    people, cameras = unit(rng.standard_normal((101, dim))), unit(rng.standard_normal((6, dim)))
    views = unit(np.random.default_rng(77).standard_normal((606, dim)))

    def pictures(person, camera, seed, view, noise):
        spread = noise / np.sqrt(dim) * np.random.default_rng(seed).standard_normal((len(person), dim))
        return people[person] + view * views[person * 6 + camera] + 0.2 * cameras[camera] + spread

    person, camera = np.repeat(np.arange(1, 101), 3), np.tile(np.arange(3), 100)
    items = np.repeat(np.arange(1, 101), 12)
    item_camera = np.concatenate(
        [np.tile(np.repeat(np.arange(6), 2), 100), rng.integers(0, 6, 400), rng.integers(0, 6, 300)]
    )
    queries = [single(pictures(person, camera, *how)) for how in ((51, 0.75, 1.1), (52, 1.15, 1.0))]
    known = pictures(items, item_camera[:1200], 53, 0.75, 1.1)
    other = np.random.default_rng(5)
    distractors = 0.55 * people[other.integers(1, 101, 400)] + 0.5 * unit(other.standard_normal((400, dim)))
    distractors += 0.2 * cameras[item_camera[1200:1600]]
    junk = 0.8 * people[rng.integers(1, 101, 300)] + 0.2 * cameras[item_camera[1600:]]
    junk += 0.7 / np.sqrt(dim) * np.random.default_rng(6).standard_normal((300, dim))
    labels = np.concatenate([items, np.zeros(400, int), np.full(300, -1)])
    gallery = FeatureSet(np.concatenate([known, distractors, 1.25 * junk]).astype("f4"), labels)
    return queries, person, camera, gallery, labels, item_camera


def test_re_identification_leaves_out_the_same_camera_and_junk():
    queries, person, camera, gallery, labels, item_camera = street_cameras()
    units = np.where(labels > 0, labels * 6 + item_camera, -1)
    found = search(queries, gallery, 1, query_units=person * 6 + camera, item_units=units, present=labels != -1)
    right = labels[found.rows[:, :, 0]] == person
    np.testing.assert_array_equal(np.round(right.mean(axis=1), 3), [0.153, 0.193])
    may_find = (labels != -1) & ((labels != person[:, None]) | (item_camera != camera[:, None]))
    for model, rows in zip(queries, found.rows, strict=True):
        np.testing.assert_array_equal(rows[:, 0], loop(model, gallery.features, may_find))
    # without the protocol the question is another one
    plain = search(queries, gallery, 1)
    np.testing.assert_array_equal(np.round((labels[plain.rows[:, :, 0]] == person).mean(axis=1), 2), [0.99, 1.0])


def test_queries_without_an_answer_are_no_misses():
    rng, dim = np.random.default_rng(6), 128
    labels, items = np.arange(300) % 100, np.arange(700) % 70
    axes = unit(rng.standard_normal((100, dim)))
    new, old = (single(axes[labels] + noise / np.sqrt(dim) * rng.standard_normal((300, dim))) for noise in (1.5, 1.9))
    rows = axes[items] + 1.9 / np.sqrt(dim) * rng.standard_normal((700, dim))
    judgements = Judgements.from_labels(labels, items)
    assert np.sum(~judgements.answerable) == 90
    found = search([old, new], FeatureSet(rows.astype("f4"), items), 1, ranked=judgements.relevant())
    scores = judgements.top_scores(found.rows)
    np.testing.assert_array_equal(np.round(np.nanmean(scores.hit, axis=1), 3), [0.862, 0.938])
    precision = judgements.average_precision(found.ranks)
    np.testing.assert_array_equal(np.round(np.nanmean(precision, axis=1), 3), [0.560, 0.713])
    np.testing.assert_array_equal(np.isnan(precision), np.isnan(scores.hit))


def reposted():
    """1000 rows of 70 classes of which 300 are copies, by both models; queries and a gallery that holds them."""
    rng, dim = np.random.default_rng(19), 128
    labels = np.arange(700) % 70
    axes = unit(rng.standard_normal((70, dim)))
    old, new = (axes[labels] + 1.6 / np.sqrt(dim) * rng.standard_normal((700, dim)) for _ in range(2))
    copies = rng.choice(700, 300, replace=False)
    more = axes[np.arange(400) % 70] + 1.6 / np.sqrt(dim) * rng.standard_normal((400, dim))
    return old, new, labels, copies, more


def test_a_query_does_not_find_its_twin():
    old, new, labels, copies, _ = reposted()
    rows, labels = np.r_[old, old[copies]].astype("f4"), np.r_[labels, labels[copies]]
    queries = [single(rows), single(np.r_[new, new[copies]])]
    units = np.r_[np.arange(700), copies]
    found = search(queries, FeatureSet(rows, labels), 1, query_units=units, item_units=units)
    right = labels[found.rows[:, :, 0]] == labels
    np.testing.assert_array_equal(np.round(right.mean(axis=1), 3), [0.969, 0.978])
    may_find = units[:, None] != units
    for model, nearest in zip(queries, found.rows, strict=True):
        np.testing.assert_array_equal(nearest[:, 0], loop(model, rows, may_find))
    itself = search(queries, FeatureSet(rows, labels), 1, query_units=np.arange(1000), item_units=np.arange(1000))
    assert np.mean(units[itself.rows[0, :, 0]] == units) > 0.5


def test_a_query_does_not_find_itself_in_a_gallery_that_holds_the_queries():
    old, new, labels, _, more = reposted()
    gallery = FeatureSet(np.r_[old[:300], more].astype("f4"), np.r_[labels[:300], np.arange(400) % 70])
    queries = [single(old[:300]), single(new[:300])]
    found = search(queries, gallery, 1, query_units=np.arange(300), item_units=np.r_[np.arange(300), np.full(400, -1)])
    right = gallery.labels[found.rows[:, :, 0]] == labels[:300]
    np.testing.assert_array_equal(np.round(right.mean(axis=1), 3), [0.960, 0.990])


def test_texts_find_their_images_across_a_modality_gap():
    rng, dim, num = np.random.default_rng(22), 256, 800
    shared, gap = rng.standard_normal((num, dim)), 24 * rng.standard_normal(dim) / np.sqrt(dim)
    images = unit(shared + 0.6 * rng.standard_normal((num, dim)) + gap)
    old, new = (single(unit(shared + noise * rng.standard_normal((num, dim)) - gap)) for noise in (1.3, 1.1))
    found = search([old, new], FeatureSet(images.astype("f4"), np.arange(num)), 2)
    right = found.rows[:, :, 0] == np.arange(num)
    np.testing.assert_array_equal(np.round(right.mean(axis=1), 3), [1.0, 1.0])
    assert found.similarity.max() < 0  # all cosines are negative


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
def test_renamed_units_and_permuted_items_change_nothing(similarity):
    rng = np.random.default_rng(9)
    items, queries = rng.standard_normal((400, 8)), unit(rng.standard_normal((50, 8)))
    query_units, item_units = rng.integers(0, 30, 50), rng.integers(0, 30, 400)
    present, judged = rng.random(400) < 0.8, (rng.integers(0, 50, 99), rng.integers(0, 400, 99))
    labels = np.zeros(400, int)
    name, order = rng.permutation(1000)[:30], rng.permutation(400)
    place = np.argsort(order)
    first, second = (
        search([queries], gallery, 5, query_units=q, item_units=m, present=p, similarity=similarity, ranked=ranked)
        for gallery, q, m, p, ranked in (
            (FeatureSet(items, labels), query_units, item_units, present, judged),
            (
                FeatureSet(items[order], labels),
                name[query_units],
                name[item_units[order]],
                present[order],
                (judged[0], place[judged[1]]),
            ),
        )
    )
    np.testing.assert_array_equal(first.rows, order[second.rows])
    np.testing.assert_array_equal(first.similarity, second.similarity)
    np.testing.assert_array_equal(first.ranks, second.ranks)


def test_a_twin_that_is_added_and_left_out_changes_nothing():
    rng = np.random.default_rng(10)
    items, queries = rng.standard_normal((200, 8)), unit(rng.standard_normal((40, 8)))
    twins = unit(queries)
    plain = search([queries], FeatureSet(items, np.zeros(200, int)), 3)
    more = FeatureSet(np.r_[items, twins], np.zeros(240, int))
    units = np.r_[np.full(200, -1), np.arange(40)]
    same = search([queries], more, 3, query_units=np.arange(40), item_units=units, present=np.arange(240) < 240)
    seen = search([queries], more, 3)
    assert np.all(seen.rows[0, :, 0] == np.arange(200, 240))
    # others' twins are items like any other
    for i in range(40):
        others = np.r_[np.arange(200 + i), np.arange(201 + i, 240)]
        expected = others[np.argsort(-(unit(more.features[others]) @ queries[i]), kind="stable")[:3]]
        np.testing.assert_array_equal(same.rows[0, i], expected)
    gone = search([queries], more, 3, present=np.arange(240) < 200)
    np.testing.assert_array_equal(gone.rows, plain.rows)
    np.testing.assert_array_equal(gone.similarity, plain.similarity)
