"""What the commands that read features share: options that name columns and rows, and how sets become an upgrade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from verification.features import FeatureSet
    from verification.upgrade import Upgrade

DATA = "Data"


class Join(StrEnum):
    """What happens to ids that only one of two sets has."""

    exact = "exact"
    inner = "inner"


NewFeatures = Annotated[
    str,
    typer.Argument(
        metavar="NEW",
        help="Features by the new model: .npz, .npy, .safetensors, Parquet, Arrow, JSON lines, CSV, a FAISS .index, a "
        "folder of shards, or the URL of a store.",
    ),
]
OldFeatures = Annotated[str, typer.Argument(metavar="OLD", help="Features of the same samples by the old model.")]
Gallery = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Old-model features of what is searched, if not OLD.", rich_help_panel=DATA),
]
NewGallery = Annotated[
    str | None,
    typer.Option(
        "--new-gallery",
        metavar="FILE",
        help="The gallery embedded by the new model, to see what that would add.",
        rich_help_panel=DATA,
    ),
]
FeaturesName = Annotated[
    str | None,
    typer.Option("--features", metavar="NAME", help="Column that holds the vectors.", rich_help_panel=DATA),
]
LabelsName = Annotated[
    str | None,
    typer.Option("--labels", metavar="NAME", help="Column that holds the labels.", rich_help_panel=DATA),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        help="Labels are texts that hold several labels, with TEXT between them. Lists need no option. An item then "
        "answers a query if they share a label.",
        rich_help_panel=DATA,
    ),
]
IdsName = Annotated[
    str | None,
    typer.Option("--ids", metavar="NAME", help="Column of ids, by which rows are joined.", rich_help_panel=DATA),
]
GroupsName = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="NAME",
        help="Column that names what several rows show, such as an object or a session; a query never finds a row of "
        "its own label and group.",
        rich_help_panel=DATA,
    ),
]
JoinOption = Annotated[
    Join,
    typer.Option("--join", help="inner: leave out rows whose id only one set has.", rich_help_panel=DATA),
]
IgnoreLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-label", metavar="LABEL", help="Leave out rows with this label; repeat it.", rich_help_panel=DATA
    ),
]
DistractorLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--distractor-label",
        metavar="LABEL",
        help="Rows with this label stay in the gallery and are never right; repeat it.",
        rich_help_panel=DATA,
    ),
]
Qrels = Annotated[
    Path | None,
    typer.Option(
        "--qrels",
        metavar="FILE",
        help="Judgements of which gallery items answer which query: TREC, BEIR tsv or JSON lines. Then ids are needed, "
        "and labels are not.",
        rich_help_panel=DATA,
    ),
]
SampleSize = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        help="Compare a random sample of N rows, by class and by whole groups where there are such; other rows are not "
        "fetched where the source allows it.",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.", rich_help_panel=DATA)]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns in every file of a command."""

    features: str | None = None
    labels: str | None = None
    ids: str | None = None
    groups: str | None = None
    separator: str | None = None

    def load(self, path: str) -> FeatureSet:
        """Open features by these names; an error says which option names another column."""
        from verification.features import FeatureSet

        with as_options():
            return FeatureSet.load(
                path,
                features=self.features,
                labels=self.labels,
                ids=self.ids,
                groups=self.groups,
                separator=self.separator,
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a command was given to compare."""

    new: str
    old: str
    gallery: str | None = None
    new_gallery: str | None = None
    columns: Columns = Columns()
    join: Join = Join.exact
    ignore: tuple[str, ...] = ()
    distractors: tuple[str, ...] = ()
    qrels: Path | None = None
    same_dim: bool = True
    seed: int = 0

    def upgrade(self) -> Upgrade:
        """Read the sets and pair their rows."""
        from verification.upgrade import Upgrade

        def load(path: str | None) -> FeatureSet | None:
            return None if path is None else self.columns.load(path)

        return Upgrade(
            self.columns.load(self.new),
            self.columns.load(self.old),
            load(self.gallery),
            load(self.new_gallery),
            join=self.join.value,
            ignore=self.ignore,
            distractors=self.distractors,
            relevance="labels" if self.qrels is None else self.qrels,
            same_dim=self.same_dim,
            seed=self.seed,
        )


@contextmanager
def as_options() -> Iterator[None]:
    """Name parameters as the options that they are on the command line."""
    try:
        yield
    except ValueError as error:
        raise ValueError(re.sub(r"\b(features|labels|ids|groups)=(?=[.;, ]|$)", r"--\1", str(error))) from error
