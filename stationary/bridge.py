"""Commands about two models' spaces: what happened between them, and whether a map brings them together."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stationary._app import (
    DONE,
    NO,
    VERDICT_STATUS,
    JsonPath,
    Unusable,
    app,
    check_output,
    progress_when_long,
    title_of,
    user_input,
)

if TYPE_CHECKING:
    from verification.bridge import BridgeReport


class Direction(StrEnum):
    """What is mapped."""

    queries = "queries"
    gallery = "gallery"


@app.command()
def bridge(
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW",
            help="Features by the new model, files or URLs; with --apply, of the model that the map takes.",
        ),
    ],
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="Features of the same samples by the old model; with --apply, the file to write."
        ),
    ],
    direction: Annotated[
        Direction | None,
        typer.Option(
            help="Map new queries into the old space, or the old gallery into the new one. [default: queries]"
        ),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(
            help="Maps that compete, with commas: identity, translation, orthogonal, lambda-orthogonal, ridge, "
            "adapter. [default: all]"
        ),
    ] = None,
    margin: Annotated[
        str, typer.Option(help="Acceptable loss of gap: in squared distance, or 5% of the old model's contrast.")
    ] = "0",
    confidence: Annotated[float, typer.Option(help="Of the verdict, in (0, 1).")] = 0.95,
    closed_set: Annotated[
        bool,
        typer.Option(
            "--closed-set", help="The gallery will hold no other classes: do not ask about those not fitted to."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the three parts and of the fits.")] = 0,
    save: Annotated[Path | None, typer.Option(metavar="MAP", help="Save the map: .npz or .safetensors.")] = None,
    apply: Annotated[
        Path | None, typer.Option(metavar="MAP", help="Do not judge: send NEW through this map and write OLD.")
    ] = None,
    json: JsonPath = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Also write a page.")] = None,
) -> None:
    """Is there a map that makes NEW compatible with OLD? Fitted, chosen and audited on three parts of the samples.

    stationary bridge NEW OLD --save MAP, then stationary bridge --apply MAP FEATURES OUT.

    Status of the verdict through the map: 0 compatible (through the map, or as it is), 1 no map makes it compatible,
    3 inconclusive. The verdict without a map is printed beside it.
    """  # fmt: skip
    for path in (json, html, save):
        check_output(path)
    if apply is not None:
        _apply(apply, new, Path(old), direction)
        return
    report = _judge(new, old, direction or Direction.queries, maps, confidence, margin, closed_set, seed, save)
    with user_input():
        if save is not None:
            report.save_map(save)
        if html is not None:
            from verification.bridge.page import write_page

            write_page(report, html, title=f"{title_of(new)} → {title_of(old)}")
        if json is not None:
            from verification.audit import write_json

            write_json(json, report.to_dict())

    from rich.console import Console

    from verification.bridge.table import bridge_table

    Console().print(bridge_table(report))
    raise typer.Exit(VERDICT_STATUS[report.verdict])


def _judge(
    new: str,
    old: str,
    direction: Direction,
    maps: str | None,
    confidence: float,
    margin: str,
    closed_set: bool,
    seed: int,
    save: Path | None,
) -> BridgeReport:
    from verification.bridge import bridge as build
    from verification.bridge.maps import check_suffix
    from verification.features import FeatureSet

    kinds = None if maps is None else [kind.strip() for kind in maps.split(",")]
    with user_input(), progress_when_long() as show:
        if save is not None:
            check_suffix(save)
        sets = FeatureSet.load(new), FeatureSet.load(old)
        return build(
            *sets,
            direction.value,
            kinds,
            confidence,
            margin,
            closed_set,
            seed,
            lambda stage: show(stage, 0, None),
        )


def _apply(path: Path, features: str, out: Path, direction: Direction | None) -> None:
    check_output(out)
    from verification.bridge import FeatureMap
    from verification.bridge.apply import apply as write
    from verification.features import FeatureSet

    with user_input(), progress_when_long() as show:
        found = FeatureMap.load(path)
        if direction is not None and found.direction != direction.value:
            raise Unusable(f"{path}: maps {found.takes}, --direction {direction.value} asks for the other.")
        write(found, FeatureSet.load(features), out, lambda done, total: show("rows", done, total))
    print(f"{out}: {found.kind} map of {found.takes}, dimension {found.dims[0]} → {found.dims[1]}.")


@app.command()
def check(
    new: Annotated[str, typer.Argument(help="Features by the new model, files or URLs.")],
    old: Annotated[str, typer.Argument(help="Features meant to be of the same samples, by the old model.")],
    tolerance: Annotated[
        float | None, typer.Option(help="Unit rows nearer than this are equal. [default: 0.0039, copies in bfloat16]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the rows that are compared, where there are many.")] = 0,
    json: JsonPath = None,
) -> None:
    """What happened between NEW and OLD: nothing, a permutation, a rotation, another space, rows out of order?

    Status 0 the same model, 1 anything else.
    """
    check_output(json)
    from rich.console import Console

    from verification.audit import write_json
    from verification.bridge.identify import TOLERANCE, identify
    from verification.features import FeatureSet

    with user_input(), progress_when_long() as show:
        show("comparing", 0, None)
        sets = FeatureSet.load(new), FeatureSet.load(old)
        found = identify(*sets, TOLERANCE if tolerance is None else tolerance, seed)
        if json is not None:
            write_json(json, found.to_dict())
    console = Console()
    console.print(f"[bold]{found.relation.upper()}[/bold]  {found.sentence}", highlight=False)
    for line in found.lines():
        console.print(line, highlight=False, markup=False)
    raise typer.Exit(DONE if found.relation == "same model" else NO)
