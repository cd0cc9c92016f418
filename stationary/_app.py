"""What the commands share: statuses, one-line complaints, options, a progress bar, and how the program ends."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stationary._streams import guarded, stopped_by_signals

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DONE, NO, UNUSABLE, UNDECIDED, DEFECT, UNWRITTEN = 0, 1, 2, 3, 70, 74
# what the commands import, besides this package
PACKAGES = ("theory", "learning", "verification", "paper_figures")
# seconds of work that need no progress bar
SHORT = 1.0
# Typer brings a click of its own, or imports the installed one: its public names lead to the right one
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

# headings in the help: groups of commands, and of options
DECIDE, TRAINING, PAPER, MEASURE = (
    "Decide on an upgrade",
    "Train compatible models",
    "The paper",
    "Measure this program",
)
DATA, QUESTION, THRESHOLD, OUTPUT = "Data", "Question", "Accept threshold", "Output"

app = typer.Typer(
    help="Decide whether queries of a new embedding model may search the gallery of an old one; train models for "
    "which they may; check the theory. Start with: stationary audit NEW OLD",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"stationary {version('stationary-representations')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None: ...


JsonPath = Annotated[
    Path | None,
    typer.Option("--json", metavar="PATH", help="Also write the result as JSON.", rich_help_panel=OUTPUT),
]
HtmlPath = Annotated[
    Path | None,
    typer.Option("--html", metavar="PATH", help="Also write the result as one HTML page.", rich_help_panel=OUTPUT),
]
MarkdownPath = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="PATH", help="Also write Markdown, for a pull request.", rich_help_panel=OUTPUT),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto (a GPU if there is one), cpu or cuda.")]


class Unusable(Exception):
    """What the user gave cannot be used; the message is one sentence."""


@contextmanager
def user_input() -> Iterator[None]:
    """Errors in here are about what the user gave, not defects; a file that cannot be written is neither."""
    try:
        yield
    except (ValueError, OSError) as error:
        if _is_unwritten(error):
            raise
        raise Unusable(str(error)) from error


def check_outputs(*paths: Path | None, inputs: Sequence[str | Path | None] = (), fresh: Path | None = None) -> None:
    """Refuse, before work starts, paths that could not be written after it, or that hold what the command reads.

    Parameters
    ----------
    *paths : Path or None
        What is written.
    inputs : sequence of str, Path or None
        What is read: files, folders, URLs.
    fresh : Path, optional
        One of the paths that must not be there already.
    """
    given = [path for path in paths if path is not None]
    for place, path in enumerate(given):
        if path.is_dir():
            raise Unusable(f"{path}: must be a file to write, got a folder.")
        if not path.parent.is_dir():
            raise Unusable(f"{path}: its folder does not exist.")
        if not path.exists() and not os.access(path.parent, os.W_OK):
            raise Unusable(f"{path}: cannot be written, its folder is read-only.")
        if path.is_file() and not os.access(path, os.W_OK):
            raise Unusable(f"{path}: cannot be written, it is read-only.")
        if any(_is_part_of(path, Path(name)) for name in inputs if name and "://" not in str(name)):
            raise Unusable(f"{path}: is what the command reads; name another file to write.")
        if not path.exists() or path.is_file():  # many may be written into one pipe
            for other in given[:place]:
                if path.resolve() == other.resolve():
                    raise Unusable(f"{path}: two outputs cannot be one file; name another.")
    if fresh is not None and fresh.is_file():
        raise Unusable(f"{fresh}: exists already; --force overwrites it.")


def check_folder(folder: Path, inputs: Sequence[str | None]) -> None:
    """Refuse, before work starts, a folder to write into that holds what the command reads, or lies in it."""
    for name in inputs:
        if name is not None and (_is_part_of(folder, Path(name)) or folder.resolve() in Path(name).resolve().parents):
            raise Unusable(f"{folder}: holds or is what the command reads ({name}); give another folder.")


def _is_part_of(path: Path, source: Path) -> bool:
    """Whether a file is another one, by any name, lies inside it, or beside it as its labels or ids."""
    if path.exists() and source.exists() and path.samefile(source):
        return True
    if source.is_dir():
        return source.resolve() in path.resolve().parents
    of = path.resolve().with_suffix("")
    beside = path.suffix == ".npy" and of.suffix in (".labels", ".labelled", ".ids", ".groups")
    return beside and of.with_suffix("") == source.resolve().with_suffix("")


def progress_bar() -> Progress:
    """A progress bar on stderr that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[note]}"))
    # in a file there is nobody to watch, and each bar would leave an empty line
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def show_progress(bar: Progress, task: TaskID, before: str = "") -> Callable[..., None]:
    """Return what a training or a suite calls to move ``task``: stage, done, total and a note."""

    def show(stage: str, done: int, total: int, note: object = "") -> None:
        bar.update(task, description=f"{before}{stage}", completed=done, total=total, note=str(note))

    return show


@contextmanager
def progress_when_long() -> Iterator[Callable[..., None]]:
    """A function to tell stage, done, total and a note; the bar appears when work is not short.

    What is read of a database meanwhile is shown too.
    """
    from verification.features.sources import watching

    begun = time.monotonic()
    with ExitStack() as stack:
        bars: list[Progress] = []

        def show(stage: str, done: int, total: int | None, note: object = "") -> None:
            if not bars and time.monotonic() - begun > SHORT:
                bars.append(stack.enter_context(progress_bar()))
                bars[0].add_task("", total=None, note="")
            for bar in bars:
                text = "" if not done else f"{done:,}" if total is None else f"{done:,} of {total:,}"
                name = stage.replace("[", "\\[")  # not markup
                bar.update(
                    bar.task_ids[0], description=name, completed=done, total=total, note=f"{text} {note}".strip()
                )

        def show_source(source: str, what: str, done: int, total: int | None) -> None:
            show(f"{source}: {what}", done, total)

        with watching(show_source):
            yield show


def title_of(features: str) -> str:
    """Name of a file, or of a collection or table, for a heading."""
    return features.partition("?")[0] if "://" in features else Path(features).name


def main() -> None:
    """Run the command line and exit with its status; nothing but a defect shows a traceback."""
    with guarded() as (out, _), stopped_by_signals():
        status = _run()
        out.flush()
        lost = out.failure
        # a reader that has seen enough closes its pipe; anything else loses what the status stands for
        if lost is not None and not isinstance(lost, BrokenPipeError) and status in (DONE, NO, UNDECIDED):
            status = _complain(f"standard output cannot be written ({lost.strerror}).", UNWRITTEN)
    sys.exit(status)


def _run() -> int:
    try:
        _check_packages()
        return app(standalone_mode=False) or DONE
    except Unusable as error:
        return _complain(str(error))
    except _UsageError as error:
        return _complain(error.format_message())
    except MemoryError as error:
        return _complain(f"the memory of this machine is not enough ({error}); fewer rows or dimensions need less.")
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except ImportError as error:
        from theory.extras import explained

        missing = explained(error, f"stationary {sys.argv[1]}")
        return _defect() if missing is None else _complain(str(missing))
    except Exception as error:
        return _complain(str(error), UNWRITTEN) if _is_unwritten(error) else _defect()


def _check_packages() -> None:
    """Refuse to run with somebody else's modules under the names of ours; nothing is imported."""
    root = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin and root not in Path(spec.origin).resolve().parents:
            raise Unusable(
                f"{spec.origin} shadows the package {name!r} of this program. Python looks there first: run the "
                "command stationary instead of python -m stationary, or run it from another folder, without it on "
                "PYTHONPATH."
            )


def _defect() -> int:
    traceback.print_exc()
    print("stationary: this is a defect of the program, please report it with the lines above.", file=sys.stderr)
    return DEFECT


def _is_unwritten(error: Exception) -> bool:
    """Whether an output could not be written."""
    from theory.files import NotWritten

    return isinstance(error, NotWritten)


def _complain(message: str, status: int = UNUSABLE) -> int:
    """Print a sentence below what was printed so far, and return the status."""
    sys.stdout.flush()
    say(f"stationary: {' '.join(message.split())}", error=True)
    return status


def say(sentence: str, *, error: bool = False) -> None:
    """Print a sentence; control characters in the names of files and columns are shown, not obeyed."""
    if not (sentence.isascii() and sentence.isprintable()):  # others have nothing to hide, and cost no import
        from verification.views.labels import visible

        sentence = visible(sentence)
    print(sentence, file=sys.stderr if error else sys.stdout)
