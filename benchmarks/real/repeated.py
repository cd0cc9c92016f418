"""The whole of all-MiniLM-L6-v2 tuned many times: with other seeds, for longer, and for a fixed simplex.

``python -m benchmarks.real.repeated CACHE`` needs the weights and tokens that ``python -m benchmarks.real embed``
leaves in a cache, and a GPU to end within minutes. It writes docs/data/repeated.json, of which
``python -m benchmarks.real page`` makes a table. What is measured are facts about whole collections.

Two kinds of update are repeated:

- of all-MiniLM-L6 itself, with the losses of :mod:`benchmarks.real.whole`;
- of an encoder that was tuned on a quarter of the texts for the vertices of a fixed simplex, the paper's setting. Its
  update on all texts goes on from it, with cross-entropy alone or the HOC loss, or begins again from all-MiniLM-L6 and
  shares nothing but the classifier; the control begins again too and learns a classifier of its own.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from benchmarks.real.features import path_of
from benchmarks.real.heads import ENCODER, TRAINING, Texts, objectives
from benchmarks.real.page import REPEATED
from benchmarks.real.upgrades import FAR, known_of
from benchmarks.real.whole import (
    COLLECTIONS,
    TOKENS,
    Encoder,
    Model,
    Projected,
    Training,
    embedded,
    epochs,
    features_of,
    numbers,
)
from learning import SimplexClassifier
from theory.files import write_text
from verification import FeatureSet, Upgrade

SEEDS, EPOCHS = 5, (1, 2, 4, 8)
# of the encoder that is tuned for a simplex first: a quarter of the texts four times are as many steps as all once
OLD_SHARE, OLD_EPOCHS = 4, 4
BLOCK = 2048


Embedded = dict[str, FeatureSet]


@dataclass(frozen=True)
class Data:
    """Tokens and class numbers of the texts to train on, and each collection as tokens."""

    tokens: Int[Tensor, "n t"]
    targets: Int[Tensor, " n"]
    collections: dict[str, FeatureSet]

    @classmethod
    def load(cls, cache: Path, device: str) -> Data:
        """Read the tokens that are in a cache."""
        training, *others = (FeatureSet.load(str(path_of(cache, TOKENS, name))) for name in (TRAINING, *COLLECTIONS))
        codes = torch.as_tensor(training.codes, device=device)
        return cls(numbers(training).to(device), codes, dict(zip(COLLECTIONS, others, strict=True)))

    def after(self, old: Model) -> Training:
        """The texts to train on, with an old model's unit features."""
        unit = nn.functional.normalize(embedded(old, self.tokens))
        return Training(self.tokens, Texts(unit, self.targets))

    def embed(self, encoder: Model) -> Embedded:
        """Features of each collection."""
        return {name: features_of(encoder, tokens) for name, tokens in self.collections.items()}


def repeat(cache: Path, device: str, seed: int) -> list[dict[str, Any]]:
    """Train and measure every update with one seed."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(seed)
    pretrained = Encoder(cache / "weights").to(device).eval()
    data = Data.load(cache, device)
    found = []
    for name, old, courses in _updates(data, pretrained, seed):
        before = data.embed(old)
        at = threshold(before["sections"], device)
        for course, states in courses.items():
            began = time.perf_counter()
            for epoch, (encoder, _) in enumerate(states, start=1):
                if epoch in EPOCHS:
                    about = {"old": name, "update": course, "seed": seed, "epochs": epoch}
                    found.append(about | measured(data.embed(encoder), before, at, device))
            print(f"seed {seed}, {name} -> {course}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def _updates(
    data: Data, pretrained: Encoder, seed: int
) -> Iterator[tuple[str, Model, dict[str, Iterator[tuple[Model, nn.Module]]]]]:
    """Old models, and of each the states of its updates after each epoch."""
    training, most = data.after(pretrained), max(EPOCHS)
    losses = objectives(training.texts)
    yield (
        ENCODER,
        pretrained,
        {name: epochs(training, copy.deepcopy(pretrained), loss, most, seed) for name, loss in losses.items()},
    )
    count = training.texts.num_classes
    simplex = SimplexClassifier(count)

    def projected() -> Projected:
        return Projected(copy.deepcopy(pretrained), count - 1).to(data.tokens.device)

    quarter = training.some(torch.arange(len(data.tokens), device=data.tokens.device)[::OLD_SHARE])
    *_, (old, _) = epochs(quarter, projected(), losses["ce"], OLD_EPOCHS, seed, simplex)
    known = data.after(old)
    yield (
        "simplex",
        old,
        {
            "goes on, cross-entropy": epochs(known, copy.deepcopy(old), losses["ce"], most, seed, simplex),
            "goes on, HOC": epochs(known, copy.deepcopy(old), losses["hoc"], most, seed, simplex),
            "begins again, cross-entropy": epochs(known, projected(), losses["ce"], most, seed, simplex),
            "begins again, learned classifier": epochs(known, projected(), losses["ce"], most, seed),
        },
    )


def measured(new: Embedded, old: Embedded, at: float, device: str) -> dict[str, Any]:
    """Facts about the whole collection of sections, and the share of names whose nearest description answers."""
    known = known_of(Upgrade(new["sections"], old["sections"]), at)
    sections = new["sections"]
    again = hit_rate(sections, sections, sections.labels, sections.labels, device, apart=True)
    names = [
        hit_rate(queries["names"], gallery["sections"], queries["names"].groups, sections.groups, device)
        for queries, gallery in ((old, old), (new, old), (new, new))
    ]
    return known | {"threshold": at, "recall again": again, "names": names}


def hit_rate(
    queries: FeatureSet,
    items: FeatureSet,
    asked: ndarray | None,
    answers: ndarray | None,
    device: str,
    *,
    apart: bool = False,
) -> float:
    """Share of the answerable queries whose nearest item answers.

    ``asked`` and ``answers`` are equal where an item answers; with ``apart`` a query meets no item of its group.
    """
    wanted, codes = _codes(asked, answers, device)
    groups = _codes(queries.groups, items.groups, device) if apart else None
    rows, gallery = (torch.as_tensor(each.unit, dtype=torch.float32, device=device) for each in (queries, items))
    hits = answerable = 0
    for start in range(0, len(rows), BLOCK):
        some = slice(start, start + BLOCK)
        may = torch.ones((len(rows[some]), len(gallery)), dtype=torch.bool, device=device)
        if groups is not None:
            may = groups[0][some, None] != groups[1]
        found = (rows[some] @ gallery.T).masked_fill(~may, -2.0).argmax(dim=1)
        can: Bool[Tensor, " n"] = ((wanted[some, None] == codes) & may).any(dim=1)
        hits += int(((codes[found] == wanted[some]) & can).sum())
        answerable += int(can.sum())
    return hits / answerable


def threshold(rows: FeatureSet, device: str) -> float:
    """The cosine that a share ``FAR`` of all pairs of different classes reach."""
    unit = torch.as_tensor(rows.unit, dtype=torch.float32, device=device)
    codes = torch.as_tensor(rows.codes, device=device)
    apart = int((codes[:, None] != codes).sum())
    # the highest cosines of each block of queries hold the highest of all
    best: Float[Tensor, " n"] = torch.empty(0, device=device)
    most = max(1, round(FAR * apart))
    for start in range(0, len(unit), BLOCK):
        some = slice(start, start + BLOCK)
        own = (unit[some] @ unit.T)[codes[some, None] != codes]
        best = torch.cat([best, own]).topk(min(most, len(best) + len(own))).values
    return float(best[-1])


def _codes(first: ndarray | None, second: ndarray | None, device: str) -> tuple[Tensor, Tensor]:
    """Numbers of the names in both, equal where these are."""
    assert first is not None
    assert second is not None
    codes = torch.as_tensor(np.unique(np.concatenate([first, second]), return_inverse=True)[1].ravel(), device=device)
    return codes[: len(first)], codes[len(first) :]


def main(arguments: list[str] | None = None) -> None:
    """Repeat with each seed in a process of its own, and write what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real.repeated", description=__doc__.split("\n")[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=SEEDS, help="processes (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=REPEATED, help="where to write")
    chosen = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.workers, mp_context=context) as pool:
        found = list(pool.map(partial(repeat, chosen.cache, device), range(chosen.seeds)))
    made = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - began),
        "far": FAR,
        "runs": [run for runs in found for run in runs],
    }
    write_text(chosen.json, json.dumps(made) + "\n")
    print(f"wrote {chosen.json} after {made['seconds']} s")


if __name__ == "__main__":
    main()
