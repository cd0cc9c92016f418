"""The page: what it says, that it stands alone, that nothing breaks out of it, and how it looks in a browser."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.verification.samples import cap_features, upgrade
from theory.angles import angle_cdf
from theory.simplex import simplex_vertices
from verification.audit import AuditReport, audit
from verification.decision.decide import decide
from verification.features import FeatureSet
from verification.hypotheses import check_hypotheses
from verification.matrices import judge_matrix, judge_outcomes, released_matrices
from verification.page.html import render, to_html
from verification.polar import polar_angles
from verification.retrieval import outcomes

VOID = {"meta", "br"}
HOSTILE = "<script>alert('x')</script>&\"'"
WIDTHS = (400, 1200)


def rotated(features: FeatureSet) -> FeatureSet:
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((features.dim, features.dim)))[0]
    return FeatureSet(features.features @ turn, features.labels)


def full_page(new: FeatureSet, old: FeatureSet, title: str = "new against old", **options) -> str:
    matrix = judge_outcomes(outcomes([old, new], [old, new]))
    parts = {"polar": polar_angles(new, old), "hypotheses": check_hypotheses(new, old), "matrix": matrix}
    return render(audit(new, old, **options), title=title, **parts)


def reports() -> dict[str, AuditReport]:
    """One of each kind."""
    new, old = upgrade(0.6, 0.9)
    same, before = upgrade(0.9, 0.9)
    other, _ = upgrade(0.9, 0.9, seed=5)
    words = [FeatureSet(f.features, np.array([f"class {label}" for label in f.labels])) for f in (new, old)]
    few = upgrade(0.6, 0.9, labels=np.array([0, 0, 1, 2]))
    return {
        "compatible": audit(new, old),
        "incompatible": audit(rotated(new), old, margin=0.05, metric="cosine"),
        "inconclusive": audit(same, before, weights="classes"),
        "gallery": audit(new, old, gallery=other),
        "angular": audit(*words, metric="angular"),
        "few": audit(*few),
        "identical": audit(old, old),
        "decided": decide(new, old, far=0.01, margin="2%"),
        "searched": decide(new, old, gallery=other, threshold=0.99),
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
        "inconclusive": full_page(*upgrade(0.9, 0.9)),
        "bare": render(audit(new, old)),
        "hostile": full_page(*hostile, title=HOSTILE),
        "large": render(audit(*many), matrix=large),
    } | {f"kind {name}": render(report) for name, report in reports().items()}


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


def test_the_verdict_comes_first_and_what_was_not_checked_is_said(pages):
    for name, answer in (("compatible", "Yes"), ("incompatible", "No"), ("inconclusive", "Undecided")):
        headings = Structure(pages[name]).text["h2"]
        assert headings == [
            answer,
            "How much changes on average",
            "Class by class",
            "How much drift the update bears",
            "The caps before and after",
            "Why: drift and concentration",
            "Retrieval",
            "What was not checked",
            "What this rests on",
        ]
        assert pages[name].index(f">{answer}</h2>") < pages[name].index("<dl>")


def test_the_claims_beside_follow_the_gaps(pages):
    headings = Structure(pages["kind decided"]).text["h2"]
    assert headings[1:4] == [
        "How much changes on average",
        "Retrieval: old gallery, new queries",
        "The accept threshold",
    ]
    page = pages["kind decided"]
    assert "2 % of the old contrast" in page
    assert "At the old accept threshold FAR goes from" in page
    assert "non-inferiority" in page
    assert "Thresholds on scores" not in page
    assert "Thresholds on scores" in pages["bare"]
    assert "the gallery embedded again" in page
    assert "the gallery embedded again" not in pages["kind searched"]  # no new features of those items
    assert "∞" in pages["kind searched"]  # no pair of different classes is accepted: nothing bounds the threshold
    for text in ("FAR", "FRR = 1 − TAR"):
        assert text in Structure(page).text["text"]


def test_retrieval_stands_beside_the_verdict_where_it_was_measured(pages):
    assert re.search(
        r"new queries find the right class in .* of the cases, old queries in .*: less often", pages["incompatible"]
    )
    assert "In a search of the old gallery" not in pages["bare"]
    assert "In a search of the old gallery" not in pages["large"]


def test_what_was_not_given_is_named_as_not_checked(pages):
    missing = "Retrieval itself", "The conditions of Theorem 1", "How the angles"
    for sentence in missing:
        assert sentence in pages["bare"]
        assert sentence not in pages["compatible"]
    assert "The caps before and after" not in pages["bare"]


def test_the_numbers_are_those_of_the_report():
    report = reports()["compatible"]
    side = report.same_class
    page = render(report)
    assert f"<dd>{side.gap:+.3f}</dd>" in page
    assert f"<dd>{side.lower:+.3f} to {side.upper:+.3f}</dd>" in page
    for row in report.by_class:
        assert f'<th scope="row">{row.label}</th><td>{row.num_samples}</td>' in page
    worst = report.worst.different_class
    assert f"{worst.gap:+.3f}".replace("-", "−")[:4] in page


def test_a_boundary_case_says_how_many_samples_would_decide(pages):
    assert re.search(r"about [\d,]+ more samples a class|will hardly decide", pages["inconclusive"])
    assert "already exclude a loss" in pages["inconclusive"]
    assert "more samples a class" not in pages["compatible"]
    assert "They are too few" in pages["kind few"]
    assert "∞" in pages["kind few"]


def test_pages_are_whole_and_accessible(pages):
    for name, page in pages.items():
        structure = Structure(page)
        assert structure.every("html") == [{"lang": "en"}], name
        assert all(cell["scope"] in ("col", "row") for cell in structure.every("th"))
        assert len(structure.every("caption")) == len(structure.every("table"))
        pictures = structure.every("svg")
        assert pictures
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
    report = audit(FeatureSet(np.eye(5)[::-1], few.labels), few)
    assert any(HOSTILE in note for note in report.notes)
    assert HOSTILE not in render(report)


def test_many_classes_show_the_worst(pages):
    assert "20 of 30 classes, the JSON report has them all" in pages["large"]
    assert Structure(pages["large"]).text["h2"].count("Class by class") == 1
    assert pages["large"].count('<td class="bar">') == 20


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    report = reports()["compatible"]
    path = tmp_path / "report.html"
    to_html(report, path)
    assert path.read_text(encoding="utf-8") == render(report)
    with pytest.raises(FileNotFoundError):
        to_html(report, tmp_path / "none" / "report.html")
    monkeypatch.setattr("verification.page.html.render", lambda *a, **k: "\ud800")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
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


# ---- caps


def test_the_cap_of_given_vertices_is_the_one_that_was_drawn():
    dim, radius, labels = 8, 0.7, np.arange(4000) % 5
    new, old = (cap_features(labels, dim, r, np.random.default_rng(3)) for r in (0.5, radius))
    polar = polar_angles(new, old, simplex_vertices(5, dim))
    assert polar.axis == "vertices"
    assert sum(polar.old) == pytest.approx(1.0)
    for drawn, found, shares in ((radius, polar.old_radius, polar.old), (0.5, polar.new_radius, polar.new)):
        # share of the cap within the found radius: 0.9, with four standard errors of a quantile's level
        inside = angle_cdf(found, dim) / angle_cdf(drawn, dim)
        assert abs(inside - 0.9) < 4 * math.sqrt(0.09 / 4000)
        assert np.flatnonzero(shares)[-1] == int(drawn / math.pi * len(shares))


def test_a_sample_does_not_pull_its_own_axis():
    """Features without classes lie at right angles to the axis on average; with their own part in it they would not."""
    rng = np.random.default_rng(1)
    noise = FeatureSet(rng.standard_normal((300, 64)), np.arange(300) // 3)
    polar = polar_angles(noise, noise)
    middle = (np.arange(len(polar.old)) + 0.5) * math.pi / len(polar.old)
    # one angle spreads by about 1/√64, and three of a class depend on each other
    assert abs(np.dot(polar.old, middle) - math.pi / 2) < 4 * math.sqrt(3 / 300 / 64)
    own = noise.unit.reshape(100, 3, 64).sum(axis=1).repeat(3, axis=0)
    pulled = np.arccos(np.einsum("nd,nd->n", noise.unit, own) / np.linalg.norm(own, axis=1))
    assert pulled.mean() < math.pi / 2 - 0.5


def test_axes_that_do_not_fit_are_refused():
    new, old = upgrade(0.6, 0.9)
    with pytest.raises(ValueError, match=r"vertices must have shape \(5, 8\), one row a class, got \(4, 8\)"):
        polar_angles(new, old, simplex_vertices(4, 8))
    with pytest.raises(ValueError, match="some row is all zero"):
        polar_angles(new, old, np.zeros((5, 8)))


# ---- schema


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    text = resources.files("verification").joinpath("schema", "audit-report.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def plain(report: AuditReport) -> dict:
    return json.loads(json.dumps(report.to_dict(), allow_nan=False))


def test_real_reports_are_valid(validator):
    for report in reports().values():
        validator.validate(plain(report))


def test_broken_reports_are_not(validator):
    whole = plain(reports()["compatible"])
    for key in whole:
        assert not validator.is_valid({name: value for name, value in whole.items() if name != key}), key
    broken = [
        {"schema_version": 1},
        {"verdict": "maybe"},
        {"confidence": 1.0},
        {"margin": -0.1},
        {"num_classes": 1},
        {"metric": "manhattan"},
        {"notes": "one"},
        {"same_class": whole["same_class"] | {"lower": "-inf"}},
        {"same_class": whole["same_class"] | {"pair_fraction": 1.1}},
        {"same_class": whole["same_class"] | {"lowest": 0.0}},
        {"by_weighting": {"pairs": whole["by_weighting"]["pairs"]}},
        {"by_class": [whole["by_class"][0] | {"label": 0.5}]},
        {"worst": {"same_class": None}},
    ]
    for change in broken:
        assert not validator.is_valid(whole | change), change
    assert validator.is_valid(whole | {"added_later": 1})


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
