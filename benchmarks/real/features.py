"""Features of every collection by every encoder, kept outside the project with their SHA-256."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.real import environment, heads, samples, whole
from verification import FeatureSet

TEXTS = ("sections", "names", "training", "sources")
# which encoders embed which collections
ENCODED = {
    "bert-tokens": ("training", "sections", "names"),
    "minilm-l3": ("sections", "names", "sources"),
    "minilm-l6": TEXTS,
    "wordllama": ("sections",),
    "minilm-l6-int8": ("sources",),
    "ddddocr-old": ("words",),
    "ddddocr-new": ("words",),
    "magika-0.5.1": ("files",),
    "magika-1.0.3": ("files",),
}
FOLDERS = tuple(map(Path, ("/usr/share", "/usr/include", "/usr/lib/python3")))


def path_of(cache: Path, encoder: str, collection: str) -> Path:
    """Where the features of a collection are."""
    return cache / "features" / f"{collection}.{encoder}.npz"


def embed(cache: Path) -> None:
    """Draw the collections, make the environment and embed; what is there stays."""
    python, weights = environment.make(cache)
    draw(cache, python)
    for encoder, collections in ENCODED.items():
        for collection in collections:
            out = path_of(cache, encoder, collection)
            if out.exists():
                continue
            out.parent.mkdir(parents=True, exist_ok=True)
            start = time.monotonic()
            command = ["nice", "-n", "10", python, Path(__file__).with_name("encoders.py"), encoder, weights]
            done = subprocess.run(
                [*map(str, command), str(_samples(cache, collection)), str(out)],
                capture_output=True,
                text=True,
                env=environment.quiet(),
            )
            if done.returncode:  # the page says that it was not measured
                print(f"{encoder} on {collection}: {done.stderr.strip().splitlines()[-1]}")
            else:
                print(f"{encoder} on {collection}: {time.monotonic() - start:.0f} s", flush=True)
    if all(path_of(cache, name, own).exists() for name in (heads.ENCODER, whole.TOKENS) for own in ENCODED[name]):
        heads.tune(cache)
        whole.tune(cache, weights)
    (cache / "features.json").write_text(json.dumps(dict(digests(cache)), indent=1) + "\n")


def draw(cache: Path, python: Path) -> None:
    """Write the collections and the judgements, unless they are there."""
    if not all(_samples(cache, name).exists() for name in (*TEXTS, "words")):
        known = samples.packages(samples.listing())
        drawn = samples.text_collections(known) | {"words": samples.words(known, environment.fonts(python))}
        for name, own in drawn.items():
            samples.write(own, _samples(cache, name))
        judged = samples.judgements(drawn["names"], drawn["sections"])
        (cache / "collections" / "names.qrels").write_text("\n".join(judged) + "\n")
    if not _samples(cache, "files").exists():
        samples.write(samples.files(FOLDERS), _samples(cache, "files"))


def _samples(cache: Path, collection: str) -> Path:
    return cache / "collections" / f"{collection}.jsonl"


def digests(cache: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """SHA-256, rows and dimension of each file of features."""
    for path in sorted((cache / "features").glob("*.npz")):
        found = FeatureSet.load(str(path))
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        yield path.stem, {"sha256": sha, "rows": len(found), "dim": found.dim}
