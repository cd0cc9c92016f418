"""The site: it builds without a warning, no link is dead, nothing comes from elsewhere, and a browser shows it."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.documents
ROOT = Path(__file__).parent.parent
needs_mkdocs = pytest.mark.skipif(find_spec("mkdocs") is None, reason="the extra docs is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # from the repository and nowhere else: no proxy leads out
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


# ---- what the pages hold


class Page(HTMLParser):
    """Names that links may lead to, links, what is loaded, formulas, and text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.formulas: list[str] = []
        self.text = ""
        self.inside: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.names |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        if tag == "math":
            self.formulas.append("")
        if tag in ("math", "code", "script", "style", "title"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if "math" in self.inside:
            self.formulas[-1] += data
        elif not self.inside:
            self.text += data


def complaints(site: Path) -> list[str]:
    """Dead links and anchors, and what is loaded from elsewhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    found.append(f"{path.name} loads {link}")
                continue
            # the error page is shown at any address and counts from the root
            target = (
                site / parts.path.lstrip("/") if path.name == "404.html" else path.parent / unquote(parts.path)
            ).resolve()
            target = path if not parts.path else target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{path.name}: dead link {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{path.name}: dead anchor {link}")
    for sheet in site.rglob("*.css"):
        found += [
            f"{sheet.name} loads {url}"
            for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
        ]
    return found


@needs_mkdocs
def test_no_link_is_dead_and_nothing_comes_from_elsewhere(site):
    assert (site / "index.html").exists()
    assert complaints(site) == []


def test_dead_links_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        "<p id='here'><a href='#here'></a><a href='#away'></a><a href='no.html'></a><a href='https://a.b/'></a>"
        "<a href='sub/page.html#x'></a><img src='no.png'><script src='https://a.b/c.js'></script>"
        "<link rel='stylesheet' href='style.css'>"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.html").write_text("<a href='../index.html#here'></a><a href='../sub'></a>")
    (tmp_path / "style.css").write_text("@font-face { src: url('https://a.b/c.woff') }")
    assert complaints(tmp_path) == [
        "index.html: dead anchor #away",
        "index.html: dead link no.html",
        "index.html: dead anchor sub/page.html#x",
        "index.html: dead link no.png",
        "index.html loads https://a.b/c.js",
        "page.html: dead link ../sub",
        "style.css loads https://a.b/c.woff",
    ]


@needs_mkdocs
def test_formulas_are_drawn_and_none_is_left_as_tex(site):
    count = 0
    for path in site.rglob("*.html"):
        page = Page(path)
        count += len(page.formulas)
        assert not [formula for formula in page.formulas if "\\" in formula], path.name
        assert not re.findall(r"\\[(\[a-z]|\$|:math:|\.\. math", page.text), path.name
    assert len(Page(site / "what-is-proved.html").formulas) > 80
    assert count > 100


@needs_mkdocs
@pytest.mark.parametrize("package", ["theory", "learning", "verification"])
def test_the_api_pages_hold_every_public_name(site, package):
    public = import_module(package)
    # constants have no docstring
    listed = [name for name in public.__all__ if not name.isupper()]
    assert len(listed) > 10
    shown = Page(site / "api" / f"{package}.html").names
    assert [name for name in listed if not {f"{package}.{name}", _defined(getattr(public, name))} & shown] == []


@needs_mkdocs
def test_the_reference_lists_every_command_and_option(site):
    from typer.main import get_command

    import stationary

    page = Page(site / "commands.html")
    text = (site / "commands.html").read_text()
    shown = '<code><span class="option">{}</span></code>'  # on one line
    count = 0
    for name, command in get_command(stationary.app).commands.items():
        for part, each in (getattr(command, "commands", None) or {"": command}).items():
            assert f"stationary {name} {part}".strip().replace(" ", "-") in page.names
            for parameter in each.params:
                for option in parameter.opts:
                    count += option.startswith("--")
                    assert not option.startswith("--") or shown.format(option) in text, (name, option)
    assert count > 100
    assert {"exit-status"} <= page.names


def _defined(thing: object) -> str:
    """Where something is defined: a function with the name of a module is shown there."""
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


# ---- how a browser shows them

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTH = 400
MEASURE = """
<!DOCTYPE html><meta charset="utf-8"><title>-</title><script>
addEventListener("load", async () => {
  await new Promise(done => setTimeout(done, 1000));
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, view = frame.contentWindow, wide = [];
    const main = page.querySelector(".md-content");
    for (const element of main.querySelectorAll("*")) {
      const box = element.getBoundingClientRect();
      const scrolls = element.closest(".md-typeset__scrollwrap, pre, code, .formula, .headerlink");
      if (box.right > frame.clientWidth + 0.5 && !scrolls) wide.push(element.outerHTML.slice(0, 120));
    }
    const loaded = view.performance.getEntriesByType("resource").map(entry => entry.name);
    found[frame.title] = {
      page: page.documentElement.scrollWidth, wide: wide,
      broken: [...page.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src),
      elsewhere: loaded.filter(name => new URL(name).host && new URL(name).host !== location.host),
      text: view.getComputedStyle(main).color,
      ground: view.getComputedStyle(page.body).backgroundColor,
      fonts: [...page.fonts].filter(font => font.status === "loaded").map(font => font.family),
    };
  }
  document.title = JSON.stringify(found);
});
</script>
"""


def shown(site: Path, names: list[str], folder: Path, dark: bool) -> tuple[dict[str, dict], list[str]]:
    """Pages as a telephone shows them, measured; and what the browser's console says."""
    frames = (f'<iframe title="{n}" src="{n}" style="width:{WIDTH}px;height:800px;border:0"></iframe>' for n in names)
    (site / "frames.htm").write_text(MEASURE + "".join(frames))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", "--virtual-time-budget=20000",
            f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--dump-dom", f"http://127.0.0.1:{server.server_port}/frames.htm",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        server.shutdown()
    (site / "frames.htm").unlink()
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "favicon" not in line]
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1])), said


def brightness(colour: str) -> float:
    """Of a computed colour, 0 to 255."""
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3


@needs_mkdocs
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_open_on_a_telephone_in_both_schemes(site, tmp_path, dark):
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    found, said = shown(site, names, tmp_path, dark)
    assert said == []
    assert sorted(found) == names
    for name, page in found.items():
        assert page["page"] <= WIDTH, name
        assert page["wide"] == [], name
        assert page["broken"] == [], name
        assert page["elsewhere"] == [], name
        text, ground = brightness(page["text"]), brightness(page["ground"])
        assert (text > 150 > 60 > ground) if dark else (text < 100 < 250 < ground), name
    assert found["what-is-proved.html"]["fonts"] == ["STIX Two Math"]


@needs_mkdocs
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_browser_test_can_fail(site, tmp_path):
    broken = tmp_path / "site"
    shutil.copytree(site, broken)
    page = broken / "index.html"
    bad = '<p style="width:700px">wide</p><img src="no.png"><script>console.error("bad")</script>'
    page.write_text(page.read_text().replace("</article>", f"{bad}</article>"))
    found, said = shown(broken, ["index.html"], tmp_path, dark=False)
    assert found["index.html"]["page"] > WIDTH or found["index.html"]["wide"]
    assert [Path(name).name for name in found["index.html"]["broken"]] == ["no.png"]
    assert any("bad" in line for line in said)
