"""What the commands share: statuses, one-line complaints, options, a progress bar, and how the program ends."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DONE, NO, UNUSABLE, UNDECIDED, DEFECT = 0, 1, 2, 3, 70
# what the commands import, besides this package
PACKAGES = ("theory", "learning", "verification", "paper_figures")
# seconds of work that need no progress bar
SHORT = 1.0
# Typer brings a click of its own, or imports the installed one: its public names lead to the right one
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    help="Stationary (and therefore compatible) representations: verify the theory, audit a model upgrade.",
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


JsonPath = Annotated[Path | None, typer.Option("--json", metavar="PATH", help="Also write the result as JSON.")]
Device = Annotated[str, typer.Option(help="auto (a GPU when there is one), cpu, cuda, …")]


class Unusable(Exception):
    """What the user gave cannot be used; the message is one sentence."""


@contextmanager
def user_input() -> Iterator[None]:
    """Errors in here are about what the user gave, not defects."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise Unusable(str(error)) from error


def check_output(path: Path | None, *, inputs: Sequence[str] = (), force: bool = True) -> None:
    """Refuse, before work starts, a path that could not be written after it, or that holds what the command reads.

    Without ``force`` a file that is there is refused too.
    """
    if path is None:
        return
    if path.is_dir():
        raise Unusable(f"{path}: must be a file to write, got a folder.")
    if not path.parent.is_dir():
        raise Unusable(f"{path}: its folder does not exist.")
    if any(path.resolve() == Path(name).resolve() for name in inputs if "://" not in name):
        raise Unusable(f"{path}: is what the command reads, name another file to write.")
    if path.exists() and not force:
        raise Unusable(f"{path}: is there already; --force overwrites it.")


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
    try:
        _check_packages()
        status = app(standalone_mode=False)
    except Unusable as error:
        status = _complain(str(error))
    except _UsageError as error:
        status = _complain(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    except ImportError as error:
        from theory.extras import explained

        missing = explained(error, f"stationary {sys.argv[1]}")
        status = _defect() if missing is None else _complain(str(missing))
    except Exception:
        status = _defect()
    sys.exit(status or DONE)


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


def _complain(message: str) -> int:
    print(f"stationary: {' '.join(message.split())}", file=sys.stderr)
    return UNUSABLE
