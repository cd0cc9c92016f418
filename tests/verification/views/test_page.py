"""The page: what it says, that it stands alone, that nothing breaks out of it, and how it looks in a browser."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from html import escape, unescape
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import upgrade
from theory.files import NotWritten
from verification.audit import UpgradeReport
from verification.audit.judge import Options, judge
from verification.features import FeatureSet
from verification.search.judgements import Judgements
from verification.search.matrices import judge_matrix, judge_outcomes, released_matrices
from verification.search.scores import outcomes
from verification.upgrade import Upgrade
from verification.views import numbers
from verification.views.page import render, to_html

VOID = {"meta", "br"}
HOSTILE = "<script>alert('x')</script>&\"'"
WIDTHS = (400, 1200)


def rotated(features: FeatureSet) -> FeatureSet:
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((features.dim, features.dim)))[0]
    return FeatureSet(features.features @ turn, features.labels)


def judged(new: FeatureSet, old: FeatureSet, gallery: FeatureSet | None = None, **options) -> UpgradeReport:
    return judge(Upgrade(new, old, gallery), Options(**options))


def enrolled(items: FeatureSet) -> FeatureSet:
    """A gallery that lacks two of five classes."""
    some = items.labels < 3
    return FeatureSet(items.features[some], items.labels[some])


def judged_by_relevance(new: FeatureSet, old: FeatureSet) -> UpgradeReport:
    """Queries and items without labels; the item of the place of a query, which is of its class, answers it."""
    queries, before, items = (FeatureSet(f) for f in (new.features[:40], old.features[:40], old.features[40:]))
    answers = Judgements(np.arange(40), np.arange(40), np.ones(40), len(queries), len(items))
    return judge(Upgrade(queries, before, items, relevance=answers))


def full_page(new: FeatureSet, old: FeatureSet, title: str = "new against old", **options) -> str:
    matrix = judge_outcomes(outcomes([old, new], [old, new]))
    return render(judged(new, old, explain=True, **options), title=title, matrix=matrix)


@cache
def reports() -> dict[str, UpgradeReport]:
    """One of each kind."""
    new, old = upgrade(0.6, 0.9)
    same, before = upgrade(0.9, 0.9)
    other, _ = upgrade(0.9, 0.9, seed=5)
    words = [FeatureSet(f.features, np.array([f"class {label}" for label in f.labels])) for f in (new, old)]
    few = upgrade(0.6, 0.9, labels=np.array([0, 0, 1, 2]))
    worse = judged(rotated(new), old, margin=0.05, metric="cosine")
    better = judged(new, old)
    return {
        "compatible": better,
        "incompatible": worse,
        "inconclusive": judged(same, before, weights="classes", decide=("definition-1",)),
        "in part": replace(better, definition1=worse.definition1),
        "gallery": judged(new, old, other),
        "angular": judged(*words, metric="angular"),
        "few": judged(*few),
        "identical": judged(old, old),
        "decided": judged(new, old, far=0.01, margin="2%", decide=("all",)),
        "by parts": judge(Upgrade(new, old), slices=np.where(np.arange(len(new)) % 3, "even", HOSTILE)),
        "identified": judged(new, old, enrolled(other), fpir=0.1),
        "judgements": judged_by_relevance(new, old),
        "searched": judged(new, old, other, threshold=0.99, classes="drawn"),
    }


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    new, old = upgrade(0.6, 0.9)
    labels = np.array([f"{HOSTILE} {'long' * 12} {label}" for label in old.labels])
    hostile = [FeatureSet(features.features, labels) for features in (new, old)]
    many = upgrade(0.6, 0.9, num_classes=30, dim=40, num_samples=120)
    large = judge_matrix(released_matrices()["iamcl2r/notebooks/iamcl2r_ce.ipynb"], 50_000)
    return {
        "compatible": full_page(new, old),
        "incompatible": full_page(rotated(new), old, margin=0.05),
        "inconclusive": full_page(*upgrade(0.9, 0.9), decide=("definition-1",)),
        "bare": render(judged(new, old)),
        "hostile": full_page(*hostile, title=HOSTILE),
        "large": render(judged(*many), matrix=large),
    } | {f"kind {name}": render(report) for name, report in reports().items()}


def plain(page: str) -> str:
    """The page with ordinary spaces inside of numbers."""
    return page.replace("\u00a0", " ")


class Structure(HTMLParser):
    """Elements in order, with the text inside; fails on tags that do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.text[tag][-1] += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_answer_comes_first_and_experts_below_a_fold(pages):
    for name, answer in (("compatible", "Yes"), ("incompatible", "No"), ("inconclusive", "Undecided")):
        page = pages[name]
        headings = Structure(page).text["h2"]
        shown, folded = headings[: headings.index("Compatibility matrix") + 1], headings[-7:]
        assert shown[:3] == [answer, "What changes", "Claims"]
        assert shown[3].startswith("Retrieval: ")
        assert shown[-2:] == ["Not checked", "Compatibility matrix"]
        assert folded == [
            "Scores of every search",
            "Single classes",
            "Rotation of the class means",
            "How intervals and verdicts are meant",
            "The caps before and after",
            "Conditions of Theorem 1",
            "Where this report comes from",
        ]
        places = [page.index(part) for part in (f">{answer}</h2>", "Next:", 'class="axis"', "<table", "<details")]
        assert places == sorted(places)


def test_claims_about_thresholds_have_curves_and_their_changes_in_the_picture(pages):
    page = plain(pages["kind decided"])
    assert Structure(page).text["h2"][1:5] == [
        "What changes",
        "Claims",
        "Retrieval: compatible ✓",
        "Accept threshold: compatible ✓",
    ]
    for words in ("which is 2 % of the old contrast", "fall of FAR", "non-inferiority"):
        assert words in page
    assert "An accept threshold (--threshold, --far)" not in page
    assert "An accept threshold (--threshold, --far)" in pages["bare"]
    assert "then a new gallery" in page
    assert "then a new gallery" not in pages["kind searched"]  # no new features of those items
    assert "∞" in pages["kind searched"]  # no pair of different classes is accepted: nothing bounds the threshold
    for text in ("FAR", "FRR = 1 − TAR"):
        assert text in Structure(page).text["text"]


def test_what_explains_the_answer_is_shown_where_it_was_asked_for(pages):
    for heading in ("Conditions of Theorem 1", "The caps before and after"):
        assert heading in pages["compatible"]
        assert heading not in pages["bare"]


def test_no_plain_yes_where_something_speaks_against_it(pages):
    page = pages["kind in part"]
    assert Structure(page).text["h2"][0] == "In part"
    assert '<section class="verdict open"' in page
    assert "judged by mean distances (Definition 1) and the contrast of classes, they may not" in page


def test_the_numbers_are_those_of_the_report():
    report = reports()["compatible"]
    one = report.definition1
    page = plain(render(report))
    for found in (one.same_class.fixed, one.same_class.drawn):
        assert f"<td>{found.value:+.3f} ± {found.half:.3f}</td>" in page
    for row in one.by_class:
        assert f'<th scope="row">{row.label}</th><td>{row.num_samples}</td>' in page
    assert f"{one.worst.different_class.gap:+.2f}".replace("-", "−") in page
    assert report.provenance["inputs"]["new"]["sha256"] in page
    assert report.provenance["date"] in page


def test_gaps_and_contrast_are_on_one_axis_in_shares_of_the_contrast():
    report = reports()["compatible"]
    one = report.definition1
    page = plain(render(report))
    picture = page[page.index("Change in % of the old contrast") : page.index("To the right is better")]
    for gap in (one.same_class, one.different_class, one.contrast_gap):
        value = 100.0 * gap.value / one.contrast
        places = numbers.decimals(100.0 * gap.interval.half / one.contrast)
        assert f"{numbers.number(value, places)} (" in picture
    assert picture.count("<svg") == 3
    assert picture.count("</figure>") == 1


def test_a_boundary_case_says_how_many_samples_would_decide(pages):
    assert re.search(r"about [\d,]+ more samples per class|will hardly decide", plain(pages["inconclusive"]))
    assert re.search(r"With --margin 0.0\d+ \(.* % of the contrast\) or more", plain(pages["inconclusive"]))
    assert "more samples per class" not in pages["compatible"]
    assert "∞" in pages["kind few"]


def test_pages_are_whole_and_accessible(pages):
    for name, page in pages.items():
        structure = Structure(page)
        assert structure.every("html") == [{"lang": "en"}], name
        assert all(cell["scope"] in ("col", "row") for cell in structure.every("th"))
        assert len(structure.every("caption")) == len(structure.every("table"))
        pictures = structure.every("svg")
        assert pictures, name
        assert all(picture["role"] == "img" for picture in pictures)
        assert all(text.strip() for text in structure.text["title"])
        assert len(structure.every("title")) == 1 + len(pictures)
        ids = [attributes["id"] for _, attributes in structure.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        named = {
            attributes["aria-labelledby"] for _, attributes in structure.elements if "aria-labelledby" in attributes
        }
        assert named <= set(ids)
        levels = [int(tag[1]) for tag, _ in structure.elements if re.fullmatch(r"h\d", tag)]
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"<[^>]+>", " ", page)), name


def test_pages_stand_alone(pages):
    for page in pages.values():
        structure = Structure(page)
        tags = {tag for tag, _ in structure.elements}
        assert not tags & {"script", "link", "img", "iframe", "object", "embed", "a", "form"}
        assert not {key for _, attributes in structure.elements for key in attributes} & {"src", "href", "xlink:href"}
        assert not re.search(r"https?:|url\(|@import|\bon\w+=", re.sub(re.escape(escape(HOSTILE)), "", page))
        assert "default-src 'none'" in page


def test_words_of_users_are_escaped(pages):
    page = pages["hostile"]
    assert HOSTILE not in page
    structure = Structure(page)
    assert structure.text["h1"] == [HOSTILE]
    assert structure.text["title"][0] == HOSTILE
    assert any(text.startswith("<script>alert(") and "…" in text for text in structure.text["th"])
    few = FeatureSet(np.eye(5), np.array([HOSTILE, "a", "a", "b", "b"]))
    report = judged(FeatureSet(np.eye(5)[::-1], few.labels), few)
    assert any(HOSTILE in note for note in report.notes)
    assert HOSTILE not in render(report)


def test_many_classes_show_the_worst(pages):
    assert "the lowest 20 of 30 classes" in pages["large"]
    folded = pages["large"].partition('<details class="experts">')[2]
    assert folded.count('<svg viewBox="0 0 100 20"') == 20
    assert "The classes nearest to their limit; 10 of 30 classes" in folded


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    report = reports()["compatible"]
    path = tmp_path / "report.html"
    to_html(report, path)
    assert path.read_text(encoding="utf-8") == render(report)
    with pytest.raises(NotWritten, match="cannot be written"):
        to_html(report, tmp_path / "none" / "report.html")

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("theory.files.os.fsync", full)
    with pytest.raises(OSError, match=r"no space left|cannot be written"):
        to_html(report, path)
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == render(report)


# ---- colours


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    style = resources.files("verification").joinpath("data", "report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme]))
    assert set(colours) == set(dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[1 - scheme])))
    text = ("ink", "soft", "good", "bad", "open", "old", "new")
    pairs = [(front, back) for front in text for back in ("paper", "card")]
    pairs += [(front, f"{kind}-tint") for kind in ("good", "bad", "open") for front in (kind, "ink", "soft")]
    for front, back in pairs:
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)


def test_the_contrast_test_can_fail():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#888888") < 4.5


# ---- browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MEASURE = """
<script>
onload = () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = frame.clientWidth, out = [];
    for (const element of page.body.querySelectorAll("*")) {
      const box = element.getBoundingClientRect();
      if (box.right > width + 0.5 && !element.closest(".scroll")) out.push(element.outerHTML.slice(0, 80));
    }
    const texts = [...page.querySelectorAll("svg text")].map(text => text.getBoundingClientRect().height);
    found[frame.title] = {
      page: page.documentElement.scrollWidth, width: width, out: out, text: Math.min(...texts, 99),
      ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      answer: page.querySelector("h2").getBoundingClientRect().top,
    };
  }
  document.title = JSON.stringify(found);
};
</script>
"""


def measured(pages: dict[str, str], folder: Path, dark: bool) -> dict[str, dict]:
    """Lay every page out in frames of several widths, and measure."""
    frames = [
        f'<iframe title="{name} {width}" style="width:{width}px;height:800px;border:0" '
        f'srcdoc="{escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in WIDTHS
    ]
    wrapper = folder / "frames.html"
    wrapper.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><title>-</title>{MEASURE}{''.join(frames)}", encoding="utf-8"
    )
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--dump-dom", wrapper.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_fit_the_screen_in_both_schemes(pages, tmp_path, dark):
    shown = {name: pages[name] for name in ("compatible", "incompatible", "hostile", "large", "kind few")}
    found = measured(shown, tmp_path, dark)
    assert len(found) == len(WIDTHS) * len(shown)
    for name, frame in found.items():
        assert frame["page"] <= frame["width"], name
        assert frame["out"] == [], name
        assert frame["text"] >= 9.0, name  # pixels: legible
        assert frame["ground"] == ("rgb(18, 22, 27)" if dark else "rgb(255, 255, 255)"), name
        assert frame["answer"] < 300, name  # on the first screen


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_browser_test_can_fail(pages, tmp_path):
    wide = pages["bare"].replace("<main>", '<main><p style="width:700px">wide</p>')
    found = measured({"wide": wide}, tmp_path, dark=False)
    assert found["wide 400"]["page"] > 400
    assert found["wide 400"]["out"]
    assert not found["wide 1200"]["out"]


def test_where_relevance_was_judged_every_view_speaks_of_queries():
    """Not of classes, of which there are none."""
    report = judged_by_relevance(*upgrade(0.6, 0.9))
    plain = report.to_dict()
    texts = (render(report, title="judged"), report.to_markdown(), plain["headline"], plain["summary"])
    for text in texts:
        assert "new queries like these" in text
        assert "these classes" not in text
        assert "new classes" not in text
