"""What the commands that read features share: options that name columns and rows, and how sets become an upgrade."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stationary._app import DATA, say

if TYPE_CHECKING:
    from verification.features import FeatureSet
    from verification.features.compression import Compression
    from verification.upgrade import Upgrade


def share(given: str | float) -> float:
    """Read a rate or a level as a number, or in per cent."""
    from verification.audit.margin import number_of

    try:
        return number_of(given)[0]
    except ValueError:
        raise typer.BadParameter(f"must be a number or a percentage, such as 0.01 or 1%, got {given!r}.") from None


class Join(StrEnum):
    """What happens to ids that only one of two sets has."""

    exact = "exact"
    inner = "inner"


NewFeatures = Annotated[
    str,
    typer.Argument(
        metavar="NEW",
        help="Features of the new model: .npz, .npy, .safetensors, Parquet, Arrow, JSON lines, CSV, a FAISS .index, a "
        "folder of shards, or the URL of a store.",
    ),
]
OldFeatures = Annotated[str, typer.Argument(metavar="OLD", help="Features of the same samples by the old model.")]
OptionalOldFeatures = Annotated[
    str | None, typer.Argument(metavar="OLD", help="Features of the same samples by the old model.")
]
Gallery = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Old-model features of the gallery, if it is not OLD.", rich_help_panel=DATA),
]
NewGallery = Annotated[
    str | None,
    typer.Option(
        "--new-gallery",
        metavar="FILE",
        help="The same gallery embedded by the new model, to show what embedding it again would add.",
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
        help="TEXT separates the labels of an item that has several, written as one string; lists need no option. An "
        "item then answers a query if they share a label.",
        rich_help_panel=DATA,
    ),
]
IdsName = Annotated[
    str | None,
    typer.Option(
        "--ids",
        metavar="NAME",
        help="Column of ids, by which the rows of NEW and OLD are joined.",
        rich_help_panel=DATA,
    ),
]
GroupsName = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="NAME",
        help="Column that names the object or session that several rows show; a query never finds a row of its own "
        "label and group.",
        rich_help_panel=DATA,
    ),
]
WhereRows = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Read only rows with this value in this column, of every file or store; repeat it for further values, or "
        "for further columns, all of which must match.",
        rich_help_panel=DATA,
    ),
]
DropIncomplete = Annotated[
    bool,
    typer.Option(
        "--drop-incomplete",
        metavar="",
        help="Leave out rows without a vector or a label, and say how many; they need ids.",
        rich_help_panel=DATA,
    ),
]
JoinOption = Annotated[
    Join,
    typer.Option(
        "--join",
        metavar="exact|inner",
        help="exact: refuse ids that only one set has; inner: leave them out.",
        rich_help_panel=DATA,
    ),
]
IgnoreLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-label", metavar="LABEL", help="Leave out rows with this label. Repeatable.", rich_help_panel=DATA
    ),
]
DistractorLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--distractor-label",
        metavar="LABEL",
        help="Rows with this label stay in the gallery and answer no query. Repeatable.",
        rich_help_panel=DATA,
    ),
]
Qrels = Annotated[
    Path | None,
    typer.Option(
        "--qrels",
        metavar="FILE",
        help="Judgements of which gallery items answer which query: TREC, BEIR tsv or JSON lines. They need ids and "
        "replace labels.",
        rich_help_panel=DATA,
    ),
]
SampleSize = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        help="Compare a random sample of N rows, drawn by class and in whole groups if there are groups. Other rows "
        "are not read if the source allows it.",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of every random choice.", rich_help_panel=DATA)]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns in every file of a command, and which rows are read."""

    features: str | None = None
    labels: str | None = None
    ids: str | None = None
    groups: str | None = None
    separator: str | None = None
    where: list[str] | None = None
    drop_incomplete: bool = False

    @property
    def selects(self) -> bool:
        """Whether some rows are left out, which is then said."""
        return bool(self.where) or self.drop_incomplete

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
                where=self.where,
                drop_incomplete=self.drop_incomplete,
            )


# as far as they are not given
COLUMNS = Columns()
# by the fields of Columns, in the order of a help text
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "features": (FeaturesName, None),
    "labels": (LabelsName, None),
    "separator": (LabelSeparator, None),
    "ids": (IdsName, None),
    "groups": (GroupsName, None),
    "where": (WhereRows, None),
    "drop_incomplete": (DropIncomplete, False),
}


def with_columns(without: Collection[str] = ("separator",)) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, in the place of its parameter ``columns``, an option for each field of :class:`Columns`.

    Parameters
    ----------
    without : collection of str
        Fields that the command has no option for.
    """
    names = [name for name in _OPTIONS if name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name != "columns":
                parameters.append(parameter)
                continue
            for name in names:
                annotation, default = _OPTIONS[name]
                parameters.append(parameter.replace(name=name, annotation=annotation, default=default))

        @wraps(command)
        def read(**given: Any) -> None:
            command(columns=Columns(**{name: given.pop(name) for name in names}), **given)

        read.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        read.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return read

    return decorate


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a command was given to compare."""

    new: str
    old: str | None
    gallery: str | None = None
    new_gallery: str | None = None
    columns: Columns = COLUMNS
    join: Join = Join.exact
    ignore: tuple[str, ...] = ()
    distractors: tuple[str, ...] = ()
    qrels: Path | None = None
    truncate: int | None = None
    copies: bool = False
    binary: bool = False
    same_dim: bool = True
    seed: int = 0

    def upgrade(self) -> Upgrade:
        """Read the sets and pair their rows."""
        from verification.upgrade import Upgrade

        new, old, gallery, new_gallery, compression = self._sets()
        return Upgrade(
            new,
            old,
            gallery,
            new_gallery,
            compression=compression,
            join=self.join.value,
            ignore=self.ignore,
            distractors=self.distractors,
            relevance="labels" if self.qrels is None else self.qrels,
            same_dim=self.same_dim,
            seed=self.seed,
        )

    def _sets(
        self,
    ) -> tuple[FeatureSet, FeatureSet, FeatureSet | None, FeatureSet | None, Compression | None]:
        """New and old set and their galleries, cut as asked, and how the new one is a copy of the old one."""
        new = self.columns.load(self.new)
        old, gallery, new_gallery = (
            None if path is None else self.columns.load(path) for path in (self.old, self.gallery, self.new_gallery)
        )
        if self.binary:
            from verification.bridge.copies import signs_of

            new = signs_of(new)
            old, gallery, new_gallery = (each and signs_of(each) for each in (old, gallery, new_gallery))
        if old is None:
            if self.truncate is None:
                raise ValueError("NEW is audited against OLD, or by itself with --truncate K; give one of the two.")
            if self.binary:
                raise ValueError("--similarity hamming compares two sets of binary codes: give NEW and OLD.")
            if new_gallery is not None:
                raise ValueError("--new-gallery is not used with --truncate and one set, whose gallery is cut here.")
            from verification.features.compression import truncate

            copy, compression = truncate(new, self.truncate)
            return copy, new, gallery, gallery and truncate(gallery, self.truncate)[0], compression
        if (k := self.truncate) is not None:
            smallest = min(each.dim for each in (new, old, gallery, new_gallery) if each is not None)
            if not 1 <= k <= smallest:
                raise ValueError(f"--truncate must be from 1 to {smallest}, the least dimension, got {k}.")
            new, old = new.first(k), old.first(k)
            gallery, new_gallery = (each and each.first(k) for each in (gallery, new_gallery))
        if self.copies and (gallery is None) == (new_gallery is None):
            from verification.bridge.copies import compressed_copy

            if (found := compressed_copy(new, old, self.seed)) is not None:
                decode, compression = found
                return decode(new), old, gallery, new_gallery and decode(new_gallery), compression
        return new, old, gallery, new_gallery, None


def say_remarks(*sets: FeatureSet | None) -> None:
    """Print on stderr what is to be known of how sets were read."""
    for remark in dict.fromkeys(remark for each in sets if each is not None for remark in each.remarks):
        say(remark, error=True)


@contextmanager
def as_options() -> Iterator[None]:
    """Name parameters as the options that they are on the command line."""
    try:
        yield
    except ValueError as error:
        raise ValueError(re.sub(r"\b(features|labels|ids|groups)=(?=[.;, ]|$)", r"--\1", str(error))) from error
