"""Every view of every report says the same: headline, status, population, and numbers with the same digits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.verification.samples import upgrade
from tests.verification.views.test_documents import printed
from tests.verification.views.test_page import Structure, judged, reports
from verification.audit import UpgradeReport
from verification.bridge.evidence import Evidence
from verification.bridge.relation import Relation, relate
from verification.bridge.relation_kind import RelationKind
from verification.experiments.claims import LEDGER, pages
from verification.experiments.claims.ledger import VERDICTS, CheckedClaim, Finding, Number
from verification.features import FeatureSet
from verification.statistics.interval import Interval, Population, Verdict
from verification.views import html, intervals, markdown
from verification.views.document import Axis, Document, Table
from verification.views.documents import VIEWS, document


def texts(shown: Document) -> dict[str, str]:
    """What each view shows, as words with single spaces."""
    page = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html.render(shown, "title"), flags=re.DOTALL)
    text = re.sub(r"\\(?=[^A-Za-z0-9\s])|\*\*|</?(details|summary)>", "", markdown.render(shown))
    found = {"terminal": printed(shown, 60), "markdown": text, "page": unescape(page)}
    return {name: " ".join(view.replace("\u00a0", " ").split()) for name, view in found.items()}


def combinations() -> list[tuple[str, UpgradeReport]]:
    """Every verdict, for both populations, alone and with a claim that speaks against it."""
    kinds = reports()
    found = [(name, kinds[name]) for name in ("inconclusive", "few", "decided", "identified", "judgements", "searched")]
    for verdict, population, against in product(Verdict, Population, (False, True)):
        report = kinds["compatible"]
        retrieval = replace(report.retrieval, verdict=verdict)
        other = kinds["incompatible" if against else "compatible"].definition1
        changed = replace(report, verdict=verdict, population=population, retrieval=retrieval, definition1=other)
        found.append((f"{verdict} {population} {against}", changed))
    return found


def bars(shown: Document) -> list[str]:
    return [
        intervals.text(bar) for s in shown.sections for axis in s.blocks if isinstance(axis, Axis) for bar in axis.bars
    ]


def test_views_of_an_audit_agree_on_headline_status_population_and_digits():
    for name, report in combinations():
        shown, plain = document(report), report.to_dict()
        headline = f"{report.word}. {report.answer} {report.scope}"
        assert json.loads(json.dumps(plain))["headline"] == report.headline == headline, name
        assert plain["verdict"] == report.verdict
        assert report.summary == plain["summary"]
        assert report.summary.startswith(str(report.verdict)), name
        assert ("in part" in report.summary) is (report.word == "In part") is shown.in_part, name
        assert f" for {report.whom}" in report.summary, name
        if report.labelled:
            assert report.whom == report.population.words
        # a plain yes has status 0, and nothing else looks like one
        assert (report.verdict.status == 0) is (report.word in ("Yes", "In part")), name
        for view, text in texts(shown).items():
            lead = {"terminal": shown.lead.upper(), "markdown": shown.lead.capitalize(), "page": ""}[view]
            assert lead in text, (name, view)
            assert f"{report.answer} {report.scope}" in text, (name, view)
            assert text.index(report.word) < text.index(report.answer), (name, view)
            assert shown.next_step in text, (name, view)
            for number in bars(shown):
                assert number in text, (name, view, number)
        if not report.accepted:
            for number in bars(shown):
                assert f" {number.split()[0]} " in report.summary, (name, number)


def test_a_view_that_disagrees_would_be_seen():
    report = reports()["compatible"]
    other = replace(document(report), answer="Judged by nobody.")
    assert not any(report.answer in text for text in texts(other).values())


def relations() -> list[Relation]:
    """One of each kind, with evidence of every sort."""
    evidence = Evidence(
        num_rows=50, tolerance=0.001, median_distance=0.6, largest_distance=1.5, equal=0.8, other_distance=1.41,
        left_by_rotation=0.25, before_rotation=0.6, after_rotation=0.61, length_ratios=(0.5, 2.0),
    )  # fmt: skip
    kept = Interval(value=0.828, lower=0.795, upper=0.861, confidence=0.95)
    return [
        Relation(
            relation=kind, sentence=f"Between the models lies {kind}.", next_step="Look at the rows.", dims=(8, 8),
            total=60, count=12, rows=np.arange(3, 15), complete=False, evidence=evidence, neighbours=kept,
            notes=("A note.",),
        )
        for kind in RelationKind
    ]  # fmt: skip


def test_views_of_a_check_agree_on_relation_counts_rows_and_next_step():
    for found in relations():
        shown, plain = document(found), found.to_dict()
        assert (plain["relation"], plain["sentence"], plain["next_step"]) == (
            found.relation, found.sentence, found.next_step
        )  # fmt: skip
        for view, text in texts(shown).items():
            assert found.relation.lower() in text.lower(), view
            for words in (
                found.sentence, found.next_step, "50 of 60", "40 (80.0 %)", "0.60 → 0.61", "0.5 to 2",
                "82.8 % (79.5 to 86.1)", "The answer is about 12 rows.", "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …",
                "A note.",
            ):  # fmt: skip
                assert words in text, (view, words)
    named = document(relations()[0], ids=np.array([f"image {i}" for i in range(60)]))
    assert all("Their ids are image 3, image 4" in text for text in texts(named).values())


def test_a_check_is_shown_as_it_was_measured():
    new, old = upgrade(0.6, 0.9)
    part = new.features.copy()
    part[:40] = old.features[:40]
    found = relate(FeatureSet(part), FeatureSet(new.features))
    assert found.relation == RelationKind.part
    for text in texts(document(found)).values():
        assert f"{len(new) - 40:,} of {len(new)}" in text
        assert f"The answer is about {found.count} rows." in text


def entries() -> list[CheckedClaim]:
    """Every verdict of the ledger."""
    evidence = (Number("a rate", 0.123456, 0.12, 0.126912), Number("a count", 3.0))
    return [
        CheckedClaim(claim, Finding(verdict, f"This is {verdict}.", evidence))
        for claim, verdict in zip(LEDGER, VERDICTS, strict=False)
    ]


def test_views_of_the_ledger_agree_on_verdicts_and_counts():
    checked = entries()
    run = pages.RunNote(command="stationary claims", seeds=(0,), training=1.0, checks=2.0)
    shown = pages.ledger(checked, run, ("figure-11: contradicted, recorded was proved.",))
    for view, text in texts(shown).items():
        assert f"{len(checked)} claims" in text, view
        assert "figure-11: contradicted, recorded was proved." in text
        for entry in checked:
            assert f"1 {entry.finding.verdict}" in text, view
            for words in (entry.finding.sentence, f"stationary claims --only {entry.claim.name}"):
                assert words in text, (view, words)
    # the evidence is behind a fold, with the digits of its error
    assert "0.1235" in texts(shown)["page"]
    assert "0.1235" in texts(shown)["markdown"]
    assert "0.1235" not in texts(shown)["terminal"]
    table = next(block for section in shown.sections for block in section.blocks if isinstance(block, Table))
    assert [row[1] for row in table.rows] == [entry.finding.verdict for entry in checked]
    Structure(html.render(shown, "title"))  # tags close in order


def test_only_registered_reports_have_a_document():
    with pytest.raises(TypeError, match=f"report must be one of {', '.join(VIEWS)}, got dict."):
        document({})


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_entry_of_the_registry_has_a_maker(name):
    from importlib import import_module

    module, function = VIEWS[name].maker.split(".")
    maker: Any = getattr(import_module(f"verification.views.documents.{module}"), function)
    assert callable(maker)
    assert VIEWS[name].title


def test_no_line_of_an_audit_says_that_nothing_rotated_beside_one_that_says_otherwise():
    """A median that sampling explains is said to be that, and a pair of classes is named where its gap is decided."""
    report = judged(*upgrade(0.9, 0.9))
    one = report.definition1
    drift = replace(one.drift, rotated=0.0)
    for verdict, named in ((Verdict.inconclusive, False), (Verdict.incompatible, True)):
        worst = replace(one.worst, different_class=replace(one.worst.different_class, verdict=verdict))
        changed = replace(report, definition1=replace(one, drift=drift, worst=worst))
        text = texts(document(changed))["markdown"]
        assert "Half of the class means rotated by no more than sampling noise" in text
        assert "The median class mean rotated by 0.0°" not in text
        assert ("Single pairs of classes tolerate less" in text) is named
