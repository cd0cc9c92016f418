"""What is embedded: descriptions of Debian's packages, files of a system, and rendered words.

A collection is a list of samples with an id, a label, and the group of those that are not independent of each other. It
is drawn with a fixed seed, so that only the lists of packages and the files of the machine decide what is in it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SEED = 20240
# the largest sections, and how many descriptions of each
SECTIONS, PER_SECTION = 25, 480
# of the sections, what trains heads: from source packages that the collection does not hold
TRAINING = 120
QUERIES = 1000
# source packages that are classes of their own, and the fewest and most descriptions of each
SOURCES, FEWEST, MOST = 600, 4, 4
# files of one extension, fewest and most; the most of them in one folder, and the fewest folders; bytes of a file
FILES, MOST_FILES, OF_FOLDER, FEWEST_FOLDERS, LARGEST = 40, 100, 4, 20, 2**22
WORDS, FONTS, DRAWS = 40, 8, 3


@dataclass(frozen=True)
class Sample:
    """One thing that is embedded; ``content`` is a text, the path of a file, or how a word is drawn."""

    id: str
    label: str
    group: str
    content: str


@dataclass(frozen=True)
class Package:
    """What a list of packages says of one."""

    name: str
    section: str
    source: str
    description: str


def packages(listing: str) -> list[Package]:
    """Packages of a list in Debian's format, the first of those with equal descriptions."""
    found: dict[str, Package] = {}
    for stanza in listing.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line and not line.startswith(" "))
        if "Description" in fields and "Section" in fields:
            name = fields["Package"]
            own = Package(
                name,
                fields["Section"].rpartition("/")[2],
                fields.get("Source", name).split(" ")[0],
                fields["Description"],
            )
            found.setdefault(own.description, own)
    return list(found.values())


def text_collections(known: Sequence[Package]) -> dict[str, list[Sample]]:
    """Collections of descriptions: ``sections``, ``training``, ``names`` (queries) and ``sources``."""
    rng = np.random.default_rng(SEED)
    sections = [name for name, _ in Counter(package.section for package in known).most_common(SECTIONS)]
    by_source: dict[str, list[Package]] = defaultdict(list)
    for package in known:
        by_source[package.source].append(package)
    order = rng.permutation(sorted(by_source)).tolist()
    taken: dict[str, list[Package]] = {section: [] for section in sections}
    spare: dict[str, list[Package]] = {section: [] for section in sections}
    for source in order:
        own = [package for package in by_source[source] if package.section in taken]
        chosen = [package for package in own if len(taken[package.section]) < PER_SECTION]
        for package in chosen:
            if len(taken[package.section]) < PER_SECTION:
                taken[package.section].append(package)
        if not chosen:
            for package in own:
                spare[package.section].append(package)
    collection = [package for own in taken.values() for package in own]
    here: dict[str, list[Package]] = defaultdict(list)
    for package in collection:
        here[package.source].append(package)
    asked = [here[source][0] for source in rng.permutation(sorted(here))[:QUERIES].tolist()]
    large = [source for source in order if len(by_source[source]) >= FEWEST][:SOURCES]
    return {
        "sections": [_described(package, package.section) for package in collection],
        "training": [_described(package, package.section) for own in spare.values() for package in own[:TRAINING]],
        "names": [Sample(f"name:{package.name}", package.section, package.source, package.name) for package in asked],
        # here the source is the class, and no two descriptions are of one thing
        "sources": [
            Sample(package.name, source, package.name, package.description)
            for source in large
            for package in by_source[source][:MOST]
        ],
    }


def judgements(queries: Sequence[Sample], items: Sequence[Sample]) -> Iterator[str]:
    """TREC lines: what answers a name is every description of its source package."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for item in items:
        by_source[item.group].append(item.id)
    for query in queries:
        for item in by_source[query.group]:
            yield f"{query.id} 0 {item} 1"


def _described(package: Package, label: str) -> Sample:
    return Sample(package.name, label, package.source, package.description)


def files(folders: Sequence[Path]) -> list[Sample]:
    """Files, their extension as label and their folder as group; equal contents once.

    Of one folder few files of an extension are taken, and an extension that only few folders have is left out: its
    files are versions of one thing, and a search that skips the query's own folder would find nothing.
    """
    by_kind: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            kind = path.suffix[1:].lower()
            if kind.isalnum() and not path.is_symlink() and path.is_file() and 64 <= path.stat().st_size <= LARGEST:
                by_kind[kind].append(path)
    rng = np.random.default_rng(SEED)
    samples, seen = [], set()
    for kind in sorted(by_kind):
        own, taken = [], Counter[Path]()
        for i in rng.permutation(len(by_kind[kind])):
            path = by_kind[kind][i]
            if len(own) == MOST_FILES or taken[path.parent] == OF_FOLDER:
                continue
            digest = hashlib.sha256(path.read_bytes()).digest()
            if digest not in seen:
                seen.add(digest)
                taken[path.parent] += 1
                own.append(Sample(str(path), kind, str(path.parent), str(path)))
        if len(own) >= FILES and len(taken) >= FEWEST_FOLDERS:
            samples += own
    return samples


def words(known: Sequence[Package], fonts: Sequence[Path]) -> list[Sample]:
    """Names of packages, each drawn in several fonts and several times: size, angle and noise by a seed."""
    rng = np.random.default_rng(SEED)
    names = sorted(package.name for package in known if package.name.isalnum() and 4 <= len(package.name) <= 7)
    chosen = rng.permutation(names)[:WORDS].tolist()
    return [
        Sample(f"{word}/{font.stem}/{draw}", word, font.stem, json.dumps([word, str(font), draw]))
        for word in chosen
        for font in fonts[:FONTS]
        for draw in range(DRAWS)
    ]


def listing() -> str:
    """The list of available packages as this machine has it."""
    return subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout


def write(samples: Sequence[Sample], path: Path) -> None:
    """One sample a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(sample)) + "\n" for sample in samples), encoding="utf-8")


def read(path: Path) -> list[Sample]:
    """The samples that :func:`write` wrote."""
    return [Sample(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
