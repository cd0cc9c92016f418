"""Read draws from files and write down what a tool said of each; runs in a peer's environment, with NumPy alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Draw:
    """Half of the samples are the gallery, half are queries; classes are in both in equal numbers."""

    new: np.ndarray
    old: np.ndarray
    labels: np.ndarray
    seed: int

    @property
    def gallery(self) -> slice:
        return slice(0, len(self.labels) // 2)

    @property
    def queries(self) -> slice:
        return slice(len(self.labels) // 2, None)

    def relevant(self) -> list[np.ndarray]:
        """For each query, the places in the gallery of its class."""
        return [np.flatnonzero(self.labels[self.gallery] == label) for label in self.labels[self.queries]]


def load(path: str) -> Draw:
    with np.load(path) as arrays:
        new, old = (unit(arrays[name]) for name in ("new", "old"))
        return Draw(new, old, arrays["labels"], int(arrays["seed"]))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest(queries: np.ndarray, gallery: np.ndarray, k: int) -> np.ndarray:
    """Rows of the k nearest gallery items to each query by cosine, nearest first."""
    similarity = queries @ gallery.T
    found = np.argpartition(-similarity, min(k, len(gallery)) - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(similarity, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def main(judge: Callable[[Draw], str], look: Callable[[], dict[str, str]] | None = None) -> None:
    """Arguments: a file of paths, and the file to write, a line of JSON a draw."""
    paths, output = sys.argv[1:3]
    with open(paths) as listed, open(output, "w") as written:
        if look is not None:
            written.write(json.dumps({"defects": look()}) + "\n")
        for path in listed.read().split():
            draw = load(path)
            start = time.process_time()
            try:
                said = {"words": judge(draw)}
            except Exception as error:  # what a tool does not survive is a result
                said = {"error": f"{type(error).__name__}: {error}"[:200]}
            said["seconds"] = time.process_time() - start
            written.write(json.dumps({"path": path, **said}) + "\n")
            written.flush()
