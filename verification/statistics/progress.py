"""How far long work is: told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable

# stage, done, total
Progress = Callable[[str, int, int], None]
# how much was done since it was last told
Tick = Callable[[int], None]


def counter(progress: Progress | None, stage: str, total: int) -> Tick:
    """Sum up what is done of a stage and tell it."""
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(stage, done, total)

    return tick
