"""Terminal and Markdown: answer first, next step last, lines that fit, and labels that are shown and not obeyed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from tests.verification.samples import upgrade
from tests.verification.views.test_page import Structure, judged, reports, rotated
from verification.audit import UpgradeReport
from verification.audit.theorem import check_theorem
from verification.bridge import BridgeReport, bridge
from verification.experiments.upgrades import TrainedUpgrade
from verification.features import FeatureSet
from verification.upgrade import Upgrade
from verification.views import html, markdown, numbers, page, terminal
from verification.views.card import card
from verification.views.document import Document
from verification.views.documents import document
from verification.views.documents.theorem import theorem
from verification.views.labels import label, visible
from verification.views.verdicts import LOOKS

# colours, a line that is overwritten, a bell, C1 controls, bidirectional overrides and isolates, a line separator
ATTACK = "\x1b[32mCOMPATIBLE\x1b[0m\r\n\x07\x9b31m\u202egnp.exe\u2066\u2028\ufeff\ud800"
SHOWN = r"\x1b[32mCOMPATIBLE\x1b[0m\r\n\x07\x9b31m\u202egnp.exe\u2066\u2028\ufeff\ud800"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800]")


def printed(document: Document, width: int = 80, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(terminal.render(document))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def audits() -> dict[str, UpgradeReport]:
    return reports()


@pytest.fixture(scope="module")
def bridges() -> dict[str, BridgeReport]:
    new, old = upgrade(0.6, 0.9, num_classes=12, dim=16, num_samples=600)
    maps = ("identity", "translation", "orthogonal")
    found = bridge(rotated(new), old, maps=maps, closed_set=True)
    wider = FeatureSet(np.hstack([rotated(old).features, np.zeros((len(old), 1))]), old.labels)
    return {
        "as it is": bridge(new, old),
        "queries": found,
        "gallery": replace(found, direction="gallery"),
        "undecided": replace(found, verdict="inconclusive"),
        "dimensions": bridge(wider, new, maps=("orthogonal",)),
    }


def every(audits, bridges) -> dict[str, Document]:
    return {name: document(report) for name, report in (audits | bridges).items()}


def test_the_verdict_is_first_the_next_step_last_and_every_line_fits(audits, bridges):
    for name, shown in every(audits, bridges).items():
        for width in (60, 80, 120):
            lines = printed(shown, width).splitlines()
            assert max(map(len, lines)) <= min(width, 100), name
            assert lines[0].startswith(f"{shown.lead.upper()}  {shown.word}. "), name
            last = max(number for number, line in enumerate(lines) if line.startswith("Next: "))
            assert all(lines[last:]), name  # one paragraph, and nothing after it
            assert lines[last - 1] == "", name
            for section in shown.sections:
                heading = section.heading + (f": {section.verdict}" if section.verdict else "")
                assert lines[lines.index(heading) - 1] == "", name
            assert not any(
                re.search(r"\d$", line) and re.match(r"(%|points?\b)", after) for line, after in pairwise(lines)
            ), name  # no line ends between a number and its unit
        assert not re.search(r"\b(nan|inf|None)\b", printed(shown)), name


def test_what_is_for_experts_is_named_in_the_terminal_and_shown_in_markdown_and_pages(audits):
    report = audits["compatible"]
    shown = document(report)
    text, page_text = markdown.render(shown), page.render(report)
    terminal_text = " ".join(printed(shown).split())
    for section in shown.experts:
        assert section.heading in terminal_text.partition("Only in the page (--html) and in Markdown:")[2]
        assert f"#### {section.heading}" in text.partition("<details><summary>For experts</summary>")[2]
        assert section.heading in page_text.partition('<details class="experts">')[2]


def test_mean_distances_are_evidence_where_they_decide_and_else_for_experts(audits):
    heading = "Mean distances (Definition 1)"
    for name, inside in (("decided", True), ("compatible", False)):
        shown = document(audits[name])
        assert (heading in [section.heading for section in shown.sections]) is inside
        assert (heading in [section.heading for section in shown.experts]) is not inside


def test_markdown_says_what_the_terminal_says(audits, bridges):
    for name, shown in every(audits, bridges).items():
        shown = replace(shown, next_step="", origin="", experts=())
        text = markdown.render(shown)
        words = [re.findall(r"[\w.]+", part) for part in (printed(shown), re.sub(r"\\|---|\*\*|```text", "", text))]
        assert [word.lower() for word in words[0]] == [word.lower() for word in words[1]], name
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({row.count(" | ") for row in table.splitlines()}) == 1, name


def test_the_next_step_depends_on_the_answer(audits, bridges):
    steps = {name: document.next_step for name, document in every(audits, bridges).items()}
    assert steps["compatible"] == steps["as it is"] == "Switch queries to the new model and keep the old gallery."
    assert steps["incompatible"].startswith("Embed the gallery again")
    assert "more samples" in steps["inconclusive"]
    assert "Send new queries through the map" in steps["queries"]
    assert "the vectors of the old gallery" in steps["gallery"]
    assert "Add samples" in steps["undecided"]


def test_where_only_the_threshold_fails_it_is_moved_first():
    """An axis of its own divides every similarity of new queries by √2: the ranking stays, and accepted pairs go."""
    old = upgrade(0.6, 0.9)[1]
    wider = FeatureSet(np.hstack([old.unit, np.zeros((len(old), 1))]), old.labels)
    new = FeatureSet(np.hstack([old.unit, np.ones((len(old), 1))]), old.labels)
    report = judged(new, wider, far=0.05, retrieval_margin=0.05)
    assert (report.claims["retrieval"], report.claims["threshold"]) == ("compatible", "incompatible")
    assert report.thresholds.far_change.verdict == "compatible"  # fewer false accepts, too
    assert report.answer == (
        "Judged by the accept threshold, new queries should not search the old gallery; judged by retrieval, they may."
    )
    step = document(report).next_step
    moved = re.match(
        r"Keep the old gallery, and set the accept threshold of new queries to a cosine of ([\d.]+) ", step
    )
    assert float(moved[1]) == pytest.approx(report.thresholds.threshold / np.sqrt(2.0), abs=2e-4)
    assert step.endswith("If the old threshold has to stay, embed the gallery again with the new model, or look for a "
                         "map between the models with stationary bridge fit.")  # fmt: skip


def test_the_margin_that_is_named_would_pass(audits):
    for claim, option in (("definition-1", "margin"), ("retrieval", "retrieval-margin")):
        step = document(judged(*upgrade(0.9, 0.9), decide=(claim,))).next_step
        named = re.search(rf"With --{option} ([\d.]+)(%?)", step)
        for factor, verdict in ((1.0, "compatible"), (0.9, "inconclusive")):
            margin = f"{factor * float(named[1])}{named[2]}"
            assert judged(*upgrade(0.9, 0.9), decide=(claim,), **{option.replace("-", "_"): margin}).verdict == verdict


def test_no_plain_yes_where_something_speaks_against_it(audits):
    assert printed(document(audits["in part"])).startswith("COMPATIBLE IN PART  In part. Judged by retrieval, new ")
    assert printed(document(audits["in part"]), colour=True).startswith("\x1b[1;33mCOMPATIBLE IN PART\x1b[0m")
    assert audits["in part"].to_markdown().startswith("### Compatible in part ?\n")


def test_the_claims_that_decide_are_picked_out(audits):
    def table(name):
        (claims,) = (section for section in document(audits[name]).sections if section.heading == "Claims")
        return claims.blocks[0]

    assert [row[0] for row in table("decided").rows] == [
        "retrieval", "mean distances (Definition 1)", "the contrast of classes", "the accept threshold"
    ]  # fmt: skip
    assert table("decided").chosen == (0, 1, 2, 3)
    assert table("compatible").chosen == (0,)


def test_every_verdict_has_a_look():
    assert {look.kind for look in LOOKS.values()} == {"good", "bad", "open"}
    coloured = printed(document(reports()["incompatible"]), colour=True)
    assert coloured.startswith("\x1b[1;31mINCOMPATIBLE\x1b[0m")


# ---- what comes from files is shown, and does nothing


@cache
def hostile() -> tuple[UpgradeReport, BridgeReport]:
    """Reports whose labels, notes and kinds of maps come from somebody who means harm."""
    new, old = upgrade(0.6, 0.9, num_classes=12, dim=16, num_samples=600)
    report = judged(new, old)
    one, name = report.definition1, f"{ATTACK}0"
    classes = tuple(replace(row, label=f"{ATTACK}{row.label}") for row in one.by_class)
    drift = replace(one.drift, worst=replace(one.drift.worst, label=name))
    worst = replace(one.worst, same_class=classes[0])
    one = replace(one, by_class=classes, drift=drift, worst=worst)
    report = replace(report, definition1=one, notes=(f"Left out: {name}.",))
    found = bridge(rotated(new), old, maps=("identity", "orthogonal"))
    kinds = tuple(replace(candidate, kind=ATTACK) for candidate in found.candidates)
    return report, replace(found, candidates=kinds, held_out_classes=(name,), kind=ATTACK, as_is=one)


def test_a_label_cannot_print_a_verdict_or_turn_a_line_around():
    for colour in (False, True):
        for shown in map(document, hostile()):
            text = printed(shown, 400, colour)
            plain = re.sub(r"\x1b\[[\d;]*m", "", text)
            assert not CONTROL.search(plain)
            assert r"\x1b[32mCOMPATIBLE" in plain
            # every green word is a verdict of ours
            for green in re.findall(r"\x1b\[(?:1;)?32m(.*?)\x1b\[0m", text):
                assert green.strip().lower() in ("compatible", "✓")
            assert not CONTROL.search(markdown.render(shown))


def test_pages_show_control_characters_too():
    report, found = hostile()
    for text in (page.render(report, title=ATTACK), page.render(found, title=ATTACK)):
        assert not CONTROL.search(text)
        assert Structure(text).text["h1"] == [SHOWN]
        text.encode()


def test_text_is_made_visible_and_spelling_is_left_alone():
    assert visible(ATTACK) == SHOWN
    for text in ("plain", "Zürich", "日本", "می‌خواهم", "👩‍🔬", "a − b", ""):
        assert visible(text) == text
    assert visible("a\u00adb\tc") == r"a\xadb\tc"
    assert label("x" * 100) == f"{'x' * 20}…{'x' * 19}"
    assert len(label(ATTACK)) == 40
    assert label(7) == "7"


def test_markdown_formats_nothing_and_mentions_nobody():
    report, _ = hostile()
    text = "@octocat see #12 **bold** `code` <img src=x> [a](https://b.c) www.d.e | $x$ a_b_c"
    shown = markdown.render(document(replace(report, notes=(text,))))
    assert "@octocat" not in shown
    assert "#12" not in shown
    assert not re.search(r"(https://|www\.)\w", shown)
    assert "<img" not in re.sub(r"\\<", "", shown)
    assert r"\*\*bold\*\* \`code\`" in shown
    # what is left once the escapes are read is the text itself
    assert text in re.sub(r"\\([^A-Za-z0-9\s])", r"\1", shown.replace("<!-- -->", ""))
    assert "recall@1" in markdown.render(document(reports()["decided"]))


# ---- templates


def test_a_template_refuses_names_that_it_does_not_know():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="is undefined"):
        html._environment().from_string("{{ nobody }}").render()


def test_a_notebook_shows_the_page_in_a_frame(audits, bridges):
    for report in (audits["compatible"], bridges["queries"]):
        frame = Structure(report._repr_html_()).every("iframe")
        assert frame[0]["sandbox"] == ""
        assert Structure(frame[0]["srcdoc"]).text["h2"][0].startswith("Yes")
        assert report.to_markdown().startswith("### Compatible ✓\n")


# ---- model card


def test_a_card_says_who_may_search_what_and_on_which_evidence(audits):
    report = audits["decided"]
    text = markdown.render(card(report, "new v2", "old v1"))
    assert "Queries of new v2 may be searched in galleries of old v1. This was checked on 400 queries of 5 " in text
    assert "new samples of these classes" in text
    assert f"{numbers.points(report.retrieval.change)} points" in text
    assert numbers.estimate(report.definition1.same_class) in text
    assert numbers.digits(report.definition1.margin) in text
    assert f"stationary-representations {report.provenance['version']}" in text
    for of in report.provenance["inputs"].values():
        assert f"| 400 | 8 | {of['sha256']} |" in text
    assert "new classes like these" in markdown.render(card(audits["searched"], "n", "o"))
    for name, says in (
        ("incompatible", "should not be searched"),
        ("inconclusive", "It is not decided whether queries"),
        ("in part", "This does not extend to mean distances (Definition 1)"),
    ):
        assert says in markdown.render(card(audits[name], "n", "o"))
    assert not CONTROL.search(markdown.render(card(report, ATTACK, ATTACK)))


# ---- checks of Theorem 1


def test_a_check_of_the_theorem_is_a_table_for_every_seed():
    compared = Upgrade(*upgrade(0.6, 0.9))
    check = check_theorem(compared)
    names = "fine-tuned CE, embedding not normalised", "retrained"
    trained = [
        TrainedUpgrade(name=name, seed=seed, upgrade=compared, check=check, expected="holds")
        for seed in (0, 1)
        for name in names
    ]
    lines = printed(theorem(trained)).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith("Seed")] == ["Seed 0", "Seed 1"]
    text = " ".join(lines)
    for words in (
        check.answer,
        numbers.plus_minus(check.conclusions.same_class),
        numbers.percent(check.conclusions.different_class.pair_fraction),
        f"drift {numbers.degrees(float(check.hypotheses.new_drift.max()))}",
    ):
        assert text.count(words) == 4
