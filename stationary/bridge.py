"""Commands about two models' spaces: what happened between them, and whether a map brings them together."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stationary._app import (
    DECIDE,
    DONE,
    NO,
    OUTPUT,
    QUESTION,
    HtmlPath,
    JsonPath,
    MarkdownPath,
    app,
    check_outputs,
    progress_when_long,
    say,
    title_of,
    user_input,
)
from stationary._inputs import (
    COLUMNS,
    Columns,
    Inputs,
    Join,
    JoinOption,
    NewFeatures,
    OldFeatures,
    OptionalOldFeatures,
    SampleSize,
    Seed,
    say_remarks,
    share,
    with_columns,
)

if TYPE_CHECKING:
    from verification.views.document import Document


class Direction(StrEnum):
    """What is mapped."""

    queries = "queries"
    gallery = "gallery"


maps = typer.Typer(
    help="Fit and apply a map between two models, if new queries may not search the old gallery.", no_args_is_help=True
)
app.add_typer(maps, name="bridge", rich_help_panel=DECIDE)
MAP = "Map"
Force = Annotated[
    bool, typer.Option("--force", metavar="", help="Overwrite a file that exists.", rich_help_panel=OUTPUT)
]


@maps.command()
@with_columns()
def fit(
    new: NewFeatures,
    old: OldFeatures,
    columns: Columns = COLUMNS,
    join: JoinOption = Join.exact,
    direction: Annotated[
        Direction,
        typer.Option(
            metavar="queries|gallery",
            help="Map new queries into the old space, or the old gallery into the new one.",
            rich_help_panel=MAP,
        ),
    ] = Direction.queries,
    kinds: Annotated[
        str | None,
        typer.Option(
            "--maps",
            metavar="KINDS",
            help="Maps that compete, separated by commas: identity, translation, cut, orthogonal, lambda-orthogonal, "
            "ridge, adapter, qdc, bottleneck, slerp. Default: all but the last three.",
            rich_help_panel=MAP,
        ),
    ] = None,
    drift: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MAP",
            help="For qdc: the saved translation of one update between neighbouring models. Repeatable.",
            rich_help_panel=MAP,
        ),
    ] = None,
    margin: Annotated[
        str,
        typer.Option(
            metavar="LOSS",
            help="Accepted loss of mean distance: a share of the old model's contrast, or a number in squared "
            "distance.",
            rich_help_panel=QUESTION,
        ),
    ] = "0",
    confidence: Annotated[
        float,
        typer.Option(
            parser=share, metavar="LEVEL", help="Confidence of the verdict, in (0, 1).", rich_help_panel=QUESTION
        ),
    ] = 0.95,
    closed_set: Annotated[
        bool,
        typer.Option(
            "--closed-set",
            metavar="",
            help="The gallery will hold no other classes, so do not judge classes that the map was not fitted to.",
            rich_help_panel=QUESTION,
        ),
    ] = False,
    seed: Seed = 0,
    save: Annotated[
        Path | None, typer.Option(metavar="MAP", help="Save the map: .npz or .safetensors.", rich_help_panel=OUTPUT)
    ] = None,
    force: Force = False,
    json: JsonPath = None,
    html: HtmlPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Fit maps between NEW and OLD, choose one, and audit it, each on a separate part of the samples.

    Example: stationary bridge fit new.npz old.npz --save map.npz

    Without labels a map is fitted and chosen by how near it brings rows that it was not fitted to, and there is
    no verdict.

    Exit status: 0 compatible (through the map, or as it is), 1 no map makes it compatible, 3 undecided, or not judged
    because there are no labels.
    """
    check_outputs(json, html, markdown, save, inputs=(new, old, *(drift or ())), fresh=None if force else save)
    from verification.bridge import BridgeReport, FeatureMap, FittedReport, fit_pairs
    from verification.bridge import bridge as build
    from verification.bridge.maps import check_suffix

    chosen = None if kinds is None else [kind.strip() for kind in kinds.split(",")]
    with user_input(), progress_when_long() as show:
        if save is not None:
            check_suffix(save)
        drifts = [FeatureMap.load(path) for path in drift or ()]
        upgrade = Inputs(
            new=new,
            old=old,
            columns=columns,
            join=join,
            same_dim=False,
            seed=seed,
        ).upgrade()
        if columns.selects:
            say_remarks(upgrade.new, upgrade.old)
        report: BridgeReport | FittedReport
        if len(upgrade.labels):
            report = build(
                upgrade.new,
                upgrade.old,
                direction.value,
                chosen,
                confidence,
                margin,
                closed_set,
                seed,
                lambda stage: show(stage, 0, None),
                drifts,
            )
        else:
            judging = {"--margin": margin != "0", "--confidence": confidence != 0.95, "--closed-set": closed_set}
            if unused := [name for name, given in judging.items() if given]:
                raise ValueError(f"{unused[0]} is not used without labels, which a verdict needs (--labels).")
            report = fit_pairs(
                upgrade.new, upgrade.old, direction.value, chosen, seed, lambda stage: show(stage, 0, None), drifts
            )

    from rich.console import Console

    from verification.views import documents, terminal

    shown = documents.document(report)
    Console().print(terminal.render(shown))
    with user_input():
        if save is not None:
            report.save_map(save)
        _write_pages(shown, f"{title_of(new)} → {title_of(old)}", html, markdown)
        if json is not None:
            from verification.reporting import write_json

            write_json(json, report.to_dict())
    raise typer.Exit(report.verdict.status)


@maps.command()
@with_columns()
def apply(
    map_file: Annotated[Path, typer.Argument(metavar="MAP", help="A map that bridge fit saved.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="FEATURES", help="Features to map, by the model that the map was fitted for: files or URLs."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .npz, .npy, .safetensors, .parquet.")],
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="FEATURES", help="For slerp: features of the same queries by the old model."),
    ] = None,
    columns: Columns = COLUMNS,
    force: Force = False,
) -> None:
    """Send features of any size through a map, block by block.

    Example: stationary bridge apply map.npz queries.npz mapped.npz
    """
    check_outputs(out, inputs=(map_file, source, other), fresh=None if force else out)
    from verification.bridge import FeatureMap
    from verification.bridge.apply import apply as write

    with user_input(), progress_when_long() as show:
        found = FeatureMap.load(map_file)
        beside, given = None if other is None else columns.load(other), columns.load(source)
        write(found, given, out, lambda done, total: show("rows", done, total), beside)
    if columns.selects:
        say_remarks(given)
    say(f"{out}: {found.kind} map of {found.takes}, dimension {found.dims[0]} → {found.dims[1]}.")


@app.command(rich_help_panel=DECIDE)
@with_columns(without=("separator", "groups"))
def check(
    new: NewFeatures,
    old: OptionalOldFeatures = None,
    columns: Columns = COLUMNS,
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also say whose vectors a gallery holds: the new model's, the old model's, or both.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    canary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compare NEW with a canary that --save wrote, instead of OLD.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Save 50 rows of NEW and their ids as a canary: .npz.", rich_help_panel=OUTPUT
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write which rows differ: .npy (positions) or .txt (ids).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            help="Unit rows nearer than this count as equal. Default: the rounding of float16.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    sample: SampleSize = None,
    seed: Seed = 0,
    force: Force = False,
    json: JsonPath = None,
    html: HtmlPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Say what happened between NEW and OLD: nothing, rounding, a rotation, other rows, an update, another space.

    Example: stationary check new.npz old.npz --rows changed.txt

    No labels are needed. If there are many rows, a random part is compared; --rows compares all, and --sample only N.

    A canary shows later whether a deployed model is still the same: save one with --save, compare with --canary.

    Exit status: 0 the same model, up to the rounding of stored values; 1 anything else.
    """
    for path in (save, rows):
        check_outputs(json, html, markdown, path, inputs=(new, old, gallery, canary), fresh=None if force else path)
    with user_input():
        others: dict[str, object] = {
            "--gallery": gallery,
            "--rows": rows,
            "--tolerance": tolerance,
            "--sample": sample,
            "--json": json,
            "--html": html,
            "--markdown": markdown,
        }
        _check_use(old, canary, save, others)
    if save is not None:
        from verification.bridge.canary import save_canary

        with user_input():
            kept = save_canary(columns.load(new), save, seed=seed)
        say(f"{save}: {kept} rows of {title_of(new)}.")
        raise typer.Exit(DONE)
    from rich.console import Console

    from verification.bridge.canary import compare_with_canary
    from verification.bridge.origin import origin, with_gallery
    from verification.bridge.relation import check_rows_path, relate, write_rows
    from verification.reporting import write_json
    from verification.views import documents, terminal

    with user_input(), progress_when_long() as show:
        show("comparing", 0, None)
        if rows is not None:
            check_rows_path(rows)
        if canary is not None:
            found, about = compare_with_canary(columns.load(new), canary, tolerance), None
        else:
            assert old is not None
            sets = columns.load(new), columns.load(old)
            if columns.selects:
                say_remarks(*sets)
            found = relate(*sets, tolerance, seed, every_row=rows is not None, sample=sample)
            about = sets[1]
            if gallery is not None:
                items = columns.load(gallery)
                show("assigning the gallery", 0, None)
                whose = origin(items, *sets, seed)
                found, about = with_gallery(found, whose), items if whose.mixed else about
    shown = documents.document(found, ids=None if about is None else about.ids)
    Console().print(terminal.render(shown))
    with user_input():
        _write_pages(shown, f"{title_of(new)} → {title_of(old or str(canary))}", html, markdown)
        if rows is not None:
            write_rows(rows, found.rows, None if about is None else about.ids)
        if json is not None:
            write_json(json, found.to_dict())
    raise typer.Exit(DONE if found.same else NO)


def _write_pages(shown: Document, title: str, html: Path | None, markdown: Path | None) -> None:
    """Write what was printed as a page and as Markdown, where a path is given."""
    from theory.files import write_text

    if html is not None:
        from verification.views.html import render

        write_text(html, render(shown, title))
    if markdown is not None:
        from verification.views.markdown import render as as_markdown

        write_text(markdown, as_markdown(shown))


def _check_use(old: str | None, canary: Path | None, save: Path | None, others: dict[str, object]) -> None:
    """Refuse what does not belong together: NEW is compared with one thing, or kept."""
    given = [name for name, value in (("OLD", old), ("--canary", canary), ("--save", save)) if value is not None]
    if len(given) != 1:
        got = "none of them" if not given else " and ".join(given)
        raise ValueError(f"NEW is compared with OLD or with --canary FILE, or kept by --save FILE, got {got}.")
    if save is not None and (unused := [name for name, value in others.items() if value is not None]):
        raise ValueError(f"{unused[0]} is not used with --save, which compares nothing.")
    for name in ("--gallery", "--rows"):
        if canary is not None and others[name] is not None:
            raise ValueError(f"{name} is not used with --canary, which holds a few rows only.")
        if others["--sample"] is not None and (others[name] is not None or canary is not None):
            raise ValueError(
                f"--sample is not used with {name if canary is None else '--canary'}, which needs all rows."
            )
