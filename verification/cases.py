"""The suites by name: which cases each compares. Everything is trained here, from data that needs no download.

"quick" takes under a minute on two cores, "digits" and "ablation" minutes, "fashion" about an hour on one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from learning.lifelong import CL2R
from learning.methods import METHODS
from learning.scenarios import ExtendedClasses, ExtendedData
from learning.training import PRESETS, Recipe
from verification.suites import Case, Variant

SMALL = PRESETS["small"]


def recipe(first_epochs: int, epochs: int, *, from_scratch: bool = False) -> Recipe:
    """The settings for small data with other numbers of epochs; a model from scratch takes the higher rate."""
    update = SMALL.first if from_scratch else SMALL.update
    return Recipe(replace(SMALL.first, epochs=first_epochs), replace(update, epochs=epochs))


def plain(*methods: str) -> tuple[Variant, ...]:
    """Methods with their default settings."""
    return tuple(Variant(method, method) for method in methods)


# without replay in the protocol BCT-ER is BCT
ONE_UPDATE = tuple(method for method in METHODS if method != "bct-er")
# where every classifier is learned, a method and its variant with a learned classifier are one
LEARNED = tuple(method for method in ONE_UPDATE if method not in ("simplex", "first-moment-learned"))


def quick() -> tuple[Case, ...]:
    """Class-incremental digits, six methods, five epochs."""
    methods = ("er", "simplex", "bct-er", "hoc", "first-moment", "hoc+first-moment")
    return (
        Case(
            "class-incremental", lambda seed: CL2R(seed=seed, tasks=3, first_classes=4), recipe(5, 5), plain(*methods)
        ),
    )


def digits() -> tuple[Case, ...]:
    """All methods: more data, more data between unrelated models, classes task by task."""
    return (
        Case("more-data", lambda seed: ExtendedData(seed=seed), SMALL, plain(*ONE_UPDATE)),
        Case(
            "unrelated",
            lambda seed: ExtendedData(seed=seed, fixed_classifier=False, from_scratch=True),
            recipe(25, 25, from_scratch=True),
            plain(*LEARNED),
        ),
        Case("class-incremental", lambda seed: CL2R(seed=seed, tasks=3, first_classes=4), SMALL, plain(*METHODS)),
    )


def fashion(data: str = "fashion-mnist-14") -> tuple[Case, ...]:
    """One update on Fashion-MNIST: more data; an old model that has seen five of ten classes; unrelated models."""
    more = ExtendedData(data=data, old_images=3000, new_images=9000, held_out=4000)
    unrelated = replace(more, fixed_classifier=False, from_scratch=True)
    classes = ExtendedClasses(data=data, old_images=6000, new_images=9000, held_out=4000)
    return (
        Case("more-data", lambda seed: replace(more, seed=seed), recipe(6, 3), plain(*ONE_UPDATE)),
        Case("more-classes", lambda seed: replace(classes, seed=seed), recipe(6, 3), plain(*ONE_UPDATE)),
        Case("unrelated", lambda seed: replace(unrelated, seed=seed), recipe(6, 4, from_scratch=True), plain(*LEARNED)),
    )


SUITES: dict[str, Callable[[], tuple[Case, ...]]] = {
    "quick": quick,
    "digits": digits,
    "fashion": fashion,
    "fashion-28": lambda: fashion("fashion-mnist"),
}
