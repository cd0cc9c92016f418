"""How long work says how far it is: one protocol for trainings, runs, suites and audits. It loads no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Called as ``progress(stage, done, total, note)``.

    ``stage`` names what is being done, ``done`` of ``total`` units of it are finished, and ``str(note)`` says how it
    goes; of a training it is an :class:`EpochMeans`.
    """

    def __call__(self, stage: str, done: int, total: int, note: object = "", /) -> None:
        """Take notice."""


# called with how much was done since the last call
Tick = Callable[[int], None]


def counter(progress: Progress | None, stage: str, total: int) -> Tick:
    """Return a function that adds up what is done of a stage and tells ``progress`` the sum."""
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(stage, done, total)

    return tick


@dataclass(frozen=True)
class EpochMeans:
    """Means over an epoch's training batches.

    Attributes
    ----------
    loss, accuracy : float
    drift : float
        Mean angle of the class means to the classifier's rows, radians; NaN where they have different dimensions.
    concentration : float
        Mean resultant length of the classes, in [0, 1].
    """

    loss: float
    accuracy: float
    drift: float
    concentration: float

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.3f} accuracy {self.accuracy:.2f} drift {self.drift:.2f} "
            f"concentration {self.concentration:.2f}"
        )
