"""What the site does with a page: formulas become MathML, docstrings Markdown, links into the repository plain text.

The reference of the command line is written from the program itself, so that it lists every command and option.

MkDocs calls the functions, mkdocstrings the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_CODE = re.compile(r"<code>.*?</code>", re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z0-9]+(-[a-z0-9]+)*")
_FONT = "STIXTwoMath-Regular.ttf"


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not there."""
    config.nav = _present(config.nav, Path(config.docs_dir))
    return config


def _present(entries: list[Any], folder: Path) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        (title, pages), *_ = entry.items() if isinstance(entry, dict) else [("", entry)]
        if isinstance(pages, list):
            kept += [{title: found}] if (found := _present(pages, folder)) else []
        elif (folder / pages).exists():
            kept.append(entry)
    return kept


def on_files(files: Files, config: Any) -> Files:
    """Ship a font with the tables that formulas need: few readers have one."""
    font = distribution("ziamath").locate_file(f"ziamath/fonts/{_FONT}")
    files.append(File.generated(config, f"assets/{_FONT}", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in the reference of the command line; of links to files outside docs/ keep the text."""
    markdown = re.sub(r"^<!-- commands: .*? -->$", lambda _: "\n".join(reference()), markdown, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def reference() -> Iterator[str]:
    """Every command with its arguments and options, in Markdown, in the groups that the help shows."""
    from typer.main import get_command

    from stationary import app

    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        parts = getattr(command, "commands", None)
        for part, each in parts.items() if parts else (("", command),):
            groups.setdefault(command.rich_help_panel, []).append((f"{name} {part}".strip(), each))
    for group, commands in groups.items():
        yield f"## {group}\n"
        for name, command in commands:
            yield from _command(name, command)


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    words = [_value(each) if each.required else f"[{_value(each)}]" for each in arguments]
    yield f"### stationary {name}\n"
    yield f"```text\nstationary {' '.join([name, *words])} [OPTIONS]\n```\n"
    for paragraph in command.help.split("\n\n"):
        example = re.fullmatch(r"Example: (.*)", paragraph.strip())
        yield f"```console\n$ {example[1]}\n```\n" if example else f"{' '.join(paragraph.split())}\n"
    panels: dict[str, list[Any]] = {"Arguments": arguments} if arguments else {}
    for each in command.params:
        if each.param_type_name == "option":
            panels.setdefault(each.rich_help_panel or "Options", []).append(each)
    yield "| | value | meaning |\n| --- | --- | --- |"
    for panel, parameters in panels.items():
        yield f"| **{panel}** | | |"
        for each in parameters:
            named = [f"`{option}`" for option in (*each.opts, *each.secondary_opts)]
            words = ["" if each in arguments else ", ".join(named), _value(each)]
            words = [f"`{words[1]}`", ""] if each in arguments else [words[0], words[1] and f"`{words[1]}`"]
            default = None if isinstance(each.default, bool) or not each.show_default else each.default
            meaning = each.help if default is None else f"{each.help} Default: {getattr(default, 'value', default)}."
            yield f"| {words[0]} | {words[1]} | {meaning} |"
    yield ""


def _value(parameter: Any) -> str:
    return str(parameter.name.upper() if parameter.metavar is None else parameter.metavar)


def on_page_content(html: str, **_: Any) -> str:
    """Draw formulas without a script; tidy what docstrings leave in types; keep an option on one line."""
    html = re.sub(r"(<code>[^<]*?)``([^<`]*)``", r"\1\2", html)
    html = re.sub(r"–\s*(<div class=\"doc-md-description\">\s*</div>)", r"\1", html)
    html = _CODE.sub(lambda code: _OPTION.sub(r'<span class="option">\g<0></span>', code[0]), html)
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
