"""The command ``audit``: may queries of a new model search the gallery of the old one?"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stationary._app import (
    DATA,
    DECIDE,
    OUTPUT,
    QUESTION,
    THRESHOLD,
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
    DistractorLabels,
    Gallery,
    IgnoreLabels,
    Inputs,
    Join,
    JoinOption,
    NewFeatures,
    NewGallery,
    OptionalOldFeatures,
    Qrels,
    SampleSize,
    Seed,
    say_remarks,
    share,
    with_columns,
)

if TYPE_CHECKING:
    from numpy import ndarray

    from verification.audit.plan import Plan
    from verification.audit.report import UpgradeReport
    from verification.features import FeatureSet
    from verification.search.pairs import PairList
    from verification.upgrade import Upgrade


class Weights(StrEnum):
    """What counts once in a mean distance."""

    pairs = "pairs"
    classes = "classes"


class Claim(StrEnum):
    """What may decide."""

    retrieval = "retrieval"
    definition1 = "definition-1"
    contrast = "contrast"
    threshold = "threshold"
    identification = "identification"
    pairs = "pairs"
    all = "all"


class Similarity(StrEnum):
    """How an index ranks."""

    cosine = "cosine"
    dot = "dot"
    l2 = "l2"
    hamming = "hamming"


class Classes(StrEnum):
    """Whom the verdict is about."""

    fixed = "fixed"
    drawn = "drawn"


@app.command(rich_help_panel=DECIDE)
@with_columns(without=())
def audit(
    context: typer.Context,
    new: NewFeatures,
    old: OptionalOldFeatures = None,
    gallery: Gallery = None,
    new_gallery: NewGallery = None,
    truncate: Annotated[
        int | None,
        typer.Option(
            "--truncate",
            metavar="K",
            help="Cut every vector to its first K coordinates, as for Matryoshka embeddings. Without OLD, NEW is "
            "compared with its own cut copy.",
            rich_help_panel=DATA,
        ),
    ] = None,
    columns: Columns = COLUMNS,
    join: JoinOption = Join.exact,
    ignore_label: IgnoreLabels = None,
    distractor_label: DistractorLabels = None,
    qrels: Qrels = None,
    sample: SampleSize = None,
    seed: Seed = 0,
    decide: Annotated[
        list[Claim] | None,
        typer.Option(
            metavar="CLAIM",
            help="Claim that makes the verdict: retrieval, definition-1, contrast, threshold, identification, pairs or "
            "all. Repeatable. Default: retrieval, and threshold if one is given.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    classes: Annotated[
        Classes,
        typer.Option(
            metavar="fixed|drawn",
            help="Whom the verdict is about: new samples of these classes (fixed), or new classes like these (drawn).",
            rich_help_panel=QUESTION,
        ),
    ] = Classes.fixed,
    retrieval_margin: Annotated[
        str, typer.Option(metavar="SHARE", help="Accepted loss of recall@1.", rich_help_panel=QUESTION)
    ] = "1%",
    margin: Annotated[
        str,
        typer.Option(
            metavar="LOSS",
            help="Accepted loss of mean distance: a share of the old model's contrast, or a number in units of the "
            "distance.",
            rich_help_panel=QUESTION,
        ),
    ] = "1%",
    similarity: Annotated[
        Similarity,
        typer.Option(
            metavar="cosine|dot|l2|hamming",
            help="How the index ranks, and the unit of thresholds: the cosine, the inner product (dot) or the "
            "Euclidean distance (l2) of rows as they are stored, or the Hamming distance of binary codes.",
            rich_help_panel=QUESTION,
        ),
    ] = Similarity.cosine,
    metric: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Distance of Definition 1; an unknown name lists them.", rich_help_panel=QUESTION
        ),
    ] = "sqeuclidean",
    weights: Annotated[
        Weights,
        typer.Option(
            metavar="pairs|classes",
            help="What counts once in a mean distance: every pair, or every class.",
            rich_help_panel=QUESTION,
        ),
    ] = Weights.pairs,
    confidence: Annotated[
        float,
        typer.Option(
            parser=share, metavar="LEVEL", help="Confidence of each claim, in (0, 1).", rich_help_panel=QUESTION
        ),
    ] = 0.95,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Judge whether this accept threshold of the old model may be kept. A cosine, unless --similarity says "
            "otherwise.",
            rich_help_panel=THRESHOLD,
        ),
    ] = None,
    far: Annotated[
        float | None,
        typer.Option(
            parser=share,
            metavar="RATE",
            help="Instead: the threshold at which old queries have this false accept rate.",
            rich_help_panel=THRESHOLD,
        ),
    ] = None,
    fpir: Annotated[
        float | None,
        typer.Option(
            parser=share,
            metavar="RATE",
            help="Judge open-set identification, where some queries have no match in the gallery, at this "
            "false-positive identification rate of the old model.",
            rich_help_panel=THRESHOLD,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Judge 1:1 verification over listed pairs: two columns of ids, and same or different.",
            rich_help_panel=THRESHOLD,
        ),
    ] = None,
    far_margin: Annotated[
        str,
        typer.Option(metavar="SHARE", help="FAR may rise by this share of itself.", rich_help_panel=THRESHOLD),
    ] = "0",
    tar_margin: Annotated[
        str, typer.Option(metavar="SHARE", help="TAR may fall by this much.", rich_help_panel=THRESHOLD)
    ] = "0",
    repeated: Annotated[
        bool,
        typer.Option(
            "--repeated",
            metavar="",
            help="Use wider intervals, which stay valid however often you look at growing data.",
            rich_help_panel=QUESTION,
        ),
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Also judge retrieval for each value of this column of NEW, such as a language.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Use the margins, claims and seed of a plan that stationary plan saved.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="If the answer is yes, also write a block for the card of the new model; - prints it.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    names: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="NEW OLD",
            help="Names of the models on the card. Default: the names of the files.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", metavar="", help="Print one line only.", rich_help_panel=OUTPUT)
    ] = False,
    json: JsonPath = None,
    html: HtmlPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Decide whether queries of the NEW model may search a gallery that the OLD one indexed.

    Example: stationary audit new.npz old.npz --html report.html

    If NEW is a compressed copy of OLD (int8 or binary codes, or its first coordinates), queries and gallery are both
    compressed, and this search is compared with that of the original.

    Exit status: 0 yes, 1 no, 3 undecided, by the claims that --decide names. The report shows every other claim too.
    """
    check_outputs(json, html, markdown, card, inputs=(new, old, gallery, new_gallery, qrels, pairs, plan))
    from verification.audit.judge import Options, judge

    with user_input(), progress_when_long() as progress:
        if names is not None and card is None:
            raise ValueError("--names is not used without --card.")
        options = Options(
            metric=metric,
            confidence=confidence,
            margin=margin,
            weights=weights.value,
            retrieval_margin=retrieval_margin,
            threshold=threshold,
            far=far,
            fpir=fpir,
            far_margin=far_margin,
            tar_margin=tar_margin,
            similarity=similarity.value,
            decide=tuple(claim.value for claim in decide or ()),
            classes=classes.value,
            repeated=repeated,
            sample=sample,
        )
        held = None
        if plan is not None:
            held = _held_to(plan, context)
            options, seed = held.held(), held.seed
        options = replace(options, explain=html is not None or json is not None)
        upgrade = Inputs(
            new=new,
            old=old,
            gallery=gallery,
            new_gallery=new_gallery,
            columns=columns,
            join=join,
            ignore=tuple(ignore_label or ()),
            distractors=tuple(distractor_label or ()),
            qrels=qrels,
            truncate=truncate,
            copies=similarity != Similarity.hamming,
            binary=similarity == Similarity.hamming,
            seed=seed,
        ).upgrade()
        if upgrade.compression is not None:
            _check_copy(context)
        parts = None if by is None else _parts(new, by, columns)
        slices = None if parts is None else _slices(parts, upgrade)
        listed = None if pairs is None else _listed(pairs, upgrade)
        report = judge(upgrade, options, slices=slices, pairs=listed, progress=progress)
        if held is not None:
            report = replace(report, provenance={**report.provenance, "plan": held.digest})

    if summary:
        say(report.summary)
    else:
        from rich.console import Console

        from verification.views import documents, terminal

        Console().print(terminal.render(documents.document(report)))
        # read once more for --by, the file says which columns are left; with groups it would call theirs unused
        say_remarks(
            upgrade.new if parts is None or upgrade.new.groups is not None else parts,
            upgrade.old,
            *((upgrade.gallery, upgrade.new_gallery) if columns.selects else ()),
        )
    with user_input():
        if html is not None:
            report.to_html(html, title=title_of(new) if old is None else f"{title_of(new)} → {title_of(old)}")
        if markdown is not None:
            from theory.files import write_text

            write_text(markdown, report.to_markdown())
        if json is not None:
            report.to_json(json)
        if card is not None:
            _write_card(report, card, names or (title_of(new), title_of(old or new)))
    raise typer.Exit(report.verdict.status)


def _write_card(report: UpgradeReport, path: Path, names: tuple[str, str]) -> None:
    """Write the block of a model card, or say on stderr why there is none."""
    from verification.statistics.interval import Verdict
    from verification.views import markdown
    from verification.views.card import card

    if report.verdict != Verdict.compatible:
        print(
            f"stationary: {path}: no card was written, because the answer is {report.verdict.word.lower()}: a "
            "card says whose galleries may be searched.",
            file=sys.stderr,
        )
        return
    text = markdown.render(card(report, *names))
    if str(path) == "-":
        print(text)
    else:
        from theory.files import write_text

        write_text(path, text)


def _given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Which of some options were given."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _check_copy(context: typer.Context) -> None:
    """Refuse options about Definition 1, which is not judged of a compressed copy."""
    if given := _given(context, ("margin", "metric", "weights")):
        raise ValueError(
            f"--{given[0]} is about new queries in the old gallery, and NEW is a compressed copy, of which retrieval "
            "and thresholds are judged (--retrieval-margin, --far)."
        )


def _held_to(path: Path, context: typer.Context) -> Plan:
    """The plan, which no option beside it may contradict."""
    from verification.audit.plan import FIXED, Plan

    given = _given(context, (*FIXED, "seed"))
    if given:
        raise ValueError(f"--plan fixes --{given[0].replace('_', '-')}: leave that out, or plan anew.")
    return Plan.load(path)


def _listed(path: Path, upgrade: Upgrade) -> PairList:
    """The pairs of a file, by the ids of queries and items."""
    from verification.search.pairs import PairList

    ids = upgrade.old.ids, upgrade.items.ids
    if ids[0] is None or ids[1] is None:
        raise ValueError("pairs name ids, and the features have none: name their column (--ids).")
    return PairList.from_file(path, ids[0], ids[1])


def _parts(path: str, by: str, columns: Columns) -> FeatureSet:
    """The new features, with the part that each belongs to as group."""
    if not by:
        raise ValueError("--by needs the name of a column.")
    try:
        return replace(columns, groups=by).load(path)
    except ValueError as error:
        said = str(error).replace("--groups", "--by")
        raise ValueError(re.sub(r"(?<=: )groups (?=must)", "values of --by ", said)) from None


def _slices(new: FeatureSet, upgrade: Upgrade) -> ndarray:
    """The part that each query belongs to, in the order in which the rows were paired."""
    from verification.features import places

    assert new.groups is not None  # a column that is not there was refused
    if new.ids is None or upgrade.new.ids is None:
        if len(new) != len(upgrade.codes):
            raise ValueError(
                "--by needs a value for each query, but rows were left out and have no ids: name their column (--ids)."
            )
        return new.groups
    return new.groups[places(new.ids, upgrade.new.ids)]


@app.command(rich_help_panel=DECIDE)
@with_columns()
def plan(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="Features of the old model: those of the audit, or a part of them.")
    ],
    gallery: Gallery = None,
    columns: Columns = COLUMNS,
    seed: Seed = 0,
    decide: Annotated[
        list[Claim] | None,
        typer.Option(
            metavar="CLAIM",
            help="Claim that will make the verdict, as for audit. Repeatable. Default: retrieval.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    classes: Annotated[
        Classes,
        typer.Option(
            metavar="fixed|drawn",
            help="Whom the verdict will be about: new samples of these classes, or new classes.",
            rich_help_panel=QUESTION,
        ),
    ] = Classes.fixed,
    retrieval_margin: Annotated[
        str, typer.Option(metavar="SHARE", help="Accepted loss of recall@1.", rich_help_panel=QUESTION)
    ] = "1%",
    margin: Annotated[
        str,
        typer.Option(metavar="LOSS", help="Accepted loss of mean distance, as for audit.", rich_help_panel=QUESTION),
    ] = "1%",
    effect: Annotated[
        str,
        typer.Option(
            metavar="CHANGE",
            help="Change of mean distance that you expect; positive means better.",
            rich_help_panel=QUESTION,
        ),
    ] = "0",
    retrieval_effect: Annotated[
        str,
        typer.Option(
            metavar="CHANGE", help="Change of recall@1 that you expect: 0.01 or 1%.", rich_help_panel=QUESTION
        ),
    ] = "0",
    confidence: Annotated[
        float,
        typer.Option(
            parser=share, metavar="LEVEL", help="Confidence of each claim, in (0, 1).", rich_help_panel=QUESTION
        ),
    ] = 0.95,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan, for audit --plan.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Compute how many samples, groups and classes would decide an audit, before the new model exists.

    Example: stationary plan old.npz --retrieval-margin 1% --save plan.json
    """
    check_outputs(save, inputs=(old, gallery))
    from verification.audit.judge import Options
    from verification.audit.plan import plan as make

    with user_input():
        options = Options(
            confidence=confidence,
            margin=margin,
            retrieval_margin=retrieval_margin,
            decide=tuple(claim.value for claim in decide or ()),
            classes=classes.value,
        )
        sets = columns.load(old), None if gallery is None else columns.load(gallery)
        if columns.selects:
            say_remarks(*sets)
        found = make(
            sets[0],
            options,
            gallery=sets[1],
            effect=effect,
            retrieval_effect=retrieval_effect,
            seed=seed,
        )
    from rich.console import Console

    from verification.views import documents, terminal

    Console().print(terminal.render(documents.document(found)))
    if save is not None:
        with user_input():
            found.save(save)
        say(f"{save}: plan {found.digest[:12]} was written. Run the audit with --plan {save}.")
