"""What the site does with a page: formulas become MathML, docstrings Markdown, links into the repository plain text.

MkDocs calls the functions, mkdocstrings the class.
"""

from __future__ import annotations

import re
from html import unescape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_FONT = "STIXTwoMath-Regular.ttf"


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not there."""
    config.nav = _present(config.nav, Path(config.docs_dir))
    return config


def _present(entries: list[Any], folder: Path) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            kept += [{title: found} for title, pages in entry.items() if (found := _present(pages, folder))]
        elif (folder / entry).exists():
            kept.append(entry)
    return kept


def on_files(files: Files, config: Any) -> Files:
    """Ship a font with the tables that formulas need: few readers have one."""
    font = distribution("ziamath").locate_file(f"ziamath/fonts/{_FONT}")
    files.append(File.generated(config, f"assets/{_FONT}", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Of links to files outside docs/, which are for readers of the repository, keep the text."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Draw formulas without a script; tidy what docstrings leave in types."""
    html = re.sub(r"(<code>[^<]*?)``([^<`]*)``", r"\1\2", html)
    html = re.sub(r"–\s*(<div class=\"doc-md-description\">\s*</div>)", r"\1", html)
    return _FORMULA.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    tex = re.sub(r"\\(mathbb|mathcal) (\w)", r"\\\1{\2}", unescape(found[2]))
    tex = tex.replace("≤", r"\le ").replace("≥", r"\ge ").replace("∈", r"\in ")
    markup = convert(tex, display="block" if found[1] == "div" else "inline")
    # the converter leaves no space about names of functions, and too much about a sign after a bracket
    markup = re.sub(r"<mi>(\w{2,})</mi>", r'<mo form="prefix" lspace="0.167em" rspace="0.167em">\1</mo>', markup)
    markup = re.sub(r"([(\[]|&#x00028;|&#x0005B;)</mo><mo>(&#x02212;|−)", r'\1</mo><mo form="prefix">\2', markup)
    return f'<div class="formula">{markup}</div>' if found[1] == "div" else markup


class Docstrings(griffe.Extension):
    """The few marks of Sphinx that docstrings have, as Markdown."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every docstring of a package before any is parsed."""
        self._rewrite(pkg)

    def _rewrite(self, obj: griffe.Object) -> None:
        for member in obj.members.values():
            if not member.is_alias:
                self._rewrite(member)
        if obj.docstring is None:
            return
        text = re.sub(r"^\.\. math:: *(.*(?:\n +\S.*)*)", r"$$\1$$", obj.docstring.value, flags=re.MULTILINE)
        text = re.sub(r":math:`(.*?)`", r"$\1$", text, flags=re.DOTALL)
        text = re.sub(r":(?:func|class|meth|mod|data|attr):`~?(.*?)`", r"`\1`", text)
        # a space that no parser takes for one: "ndarray, shape (K, d)" is prose and not a call
        obj.docstring.value = re.sub(r"\bshape \(", "shape\u00a0(", text)
