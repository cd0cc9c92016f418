"""The suites by name: which cases each compares. Everything is trained here, from data that needs no download.

"quick" takes under a minute on two cores, the others on digits minutes, "fashion" most of an hour and "fashion-28", the
same at full resolution, hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from learning.lifelong import CL2R
from learning.methods import METHODS
from learning.recipes import PRESETS, Recipe
from learning.scenarios import ExtendedClasses, ExtendedData
from verification.experiments.suites.suite import Case, Variant

SMALL = PRESETS["small"]


def recipe(first_epochs: int, epochs: int, *, from_scratch: bool = False) -> Recipe:
    """The settings for small data with other numbers of epochs; a model from scratch takes the higher rate."""
    update = SMALL.first if from_scratch else SMALL.update
    return Recipe(replace(SMALL.first, epochs=first_epochs), replace(update, epochs=epochs))


def plain(*methods: str) -> tuple[Variant, ...]:
    """Methods with their default settings."""
    return tuple(Variant(method, method) for method in methods)


# those of the first comparisons; CVS there has the weight that its parser has as default, not that of its scripts
FIRST = tuple(
    Variant(name, name, {"coherence": 1.0} if name == "cvs" else {})
    for name in (
        *("er", "simplex", "simplex-fd", "hoc", "hoc-zero", "bct", "bct-er", "cvs", "lce", "hot-refresh"),
        *("lambda-orthogonality", "first-moment", "first-moment-learned", "hoc+first-moment"),
    )
)
# without replay in the protocol BCT-ER is BCT
ONE_UPDATE = tuple(variant for variant in FIRST if variant.label != "bct-er")
# where every classifier is learned, a method and its variant with a learned classifier are one
LEARNED = tuple(variant for variant in ONE_UPDATE if variant.label not in ("simplex", "first-moment-learned"))


# chosen among nine settings each by the suite "tuning", on digits: the most accurate queries of the old gallery among
# the settings whose mean gap of 1a is positive in every case (of HOC there is none, so among all; equals by that gap);
# of HOC with the first-moment loss it is the default
TUNED = (
    Variant("hoc(0.1,5)", "hoc", {"ce_weight": 0.1, "scale": 5.0}),
    Variant("first-moment(30,0.15)", "first-moment", {"weight": 30.0, "slack": 0.15}),
)


def quick() -> tuple[Case, ...]:
    """Class-incremental digits, six methods, five epochs."""
    methods = ("er", "simplex", "bct-er", "hoc", "first-moment", "hoc+first-moment")
    return (
        Case(
            "class-incremental", lambda seed: CL2R(seed=seed, tasks=3, first_classes=4), recipe(5, 5), plain(*methods)
        ),
    )


def digits() -> tuple[Case, ...]:
    """Class-incremental digits, all methods."""
    scenario = CL2R(tasks=3, first_classes=4)
    return (Case("class-incremental", lambda seed: replace(scenario, seed=seed), SMALL, FIRST),)


# those of the paper's comparison, both maskings of HOC, and HOC with contrast
COMPARED = ("er", "bct-er", "cvs", "simplex-fd", "hoc", "hoc-zero", "hoc+contrast")


# 100 classes, 30 of them open; few images, so that a run takes seconds
PAIRS = CL2R(data="digit-pairs", tasks=4, first_classes=10, open_classes=30, images_per_class=40, held_out=1500)


def searches(
    methods: tuple[str, ...] = tuple(METHODS), images_per_class: int = 40, held_out: int = 1500
) -> tuple[Case, ...]:
    """Methods on 100 classes of which 30 are open, by both searches; few images, so that a run takes seconds."""
    scenario = replace(PAIRS, images_per_class=images_per_class, held_out=held_out)
    scales = tuple(Variant(f"hoc-zero µ={scale:g}", "hoc-zero", {"scale": scale}) for scale in (1.0, 2.0, 5.0))
    variants = plain(*methods) if methods == COMPARED else (*plain(*methods), *scales)
    return (Case("digit-pairs", lambda seed: replace(scenario, seed=seed), recipe(8, 8), variants),)


def fashion(data: str = "fashion-mnist-14") -> tuple[Case, ...]:
    """One update on Fashion-MNIST: more data; an old model that has seen five of ten classes; unrelated models."""
    more = ExtendedData(data=data, old_images=2000, new_images=6000, held_out=3000)
    unrelated = replace(more, fixed_classifier=False, from_scratch=True)
    classes = ExtendedClasses(data=data, old_images=4000, new_images=6000, held_out=3000)
    return (
        Case("more-data", lambda seed: replace(more, seed=seed), recipe(6, 3), ONE_UPDATE),
        Case("more-classes", lambda seed: replace(classes, seed=seed), recipe(6, 3), ONE_UPDATE),
        Case("unrelated", lambda seed: replace(unrelated, seed=seed), recipe(6, 4, from_scratch=True), LEARNED),
    )


def longer() -> tuple[Case, ...]:
    """More images and epochs; HOC, the first-moment loss and both, as they are and as tuned on digits."""
    data = ExtendedData(data="fashion-mnist-14", old_images=5000, new_images=16_000, held_out=4000)
    unrelated = replace(data, fixed_classifier=False, from_scratch=True)
    classes = ExtendedClasses(data="fashion-mnist-14", old_images=8000, new_images=16_000, held_out=4000)
    compared = (*plain("simplex", "hoc", "first-moment", "hoc+first-moment"), *TUNED)
    return (
        Case("more-classes", lambda seed: replace(classes, seed=seed), recipe(8, 4), compared),
        Case("unrelated", lambda seed: replace(unrelated, seed=seed), recipe(8, 4, from_scratch=True), compared),
    )


def tuning() -> tuple[Case, ...]:
    """Nine settings each of HOC, the first-moment loss and both together, on digits under seeds of their own."""
    hoc = [
        Variant(f"hoc({weight:g},{scale:g})", "hoc", {"ce_weight": weight, "scale": scale})
        for weight in (0.1, 0.3, 0.7)
        for scale in (5.0, 10.0, 20.0)
    ]
    moment = [
        Variant(f"{method}({weight:g},{slack:g})", method, {"weight": weight, "slack": slack})
        for method in ("first-moment", "hoc+first-moment")
        for weight in (3.0, 10.0, 30.0)
        for slack in (0.0, 0.05, 0.15)
    ]
    unrelated = ExtendedData(old_images=300, fixed_classifier=False, from_scratch=True)
    classes = ExtendedClasses(old_images=600)
    return (
        Case("more-classes", lambda seed: replace(classes, seed=seed), recipe(15, 10), (*hoc, *moment), 100),
        Case(
            "unrelated",
            lambda seed: replace(unrelated, seed=seed),
            recipe(15, 10, from_scratch=True),
            (*hoc, *moment),
            100,
        ),
    )


def ablation() -> tuple[Case, ...]:
    """Where HOC is ahead and where not: λ, scale, masking, preallocated classes, learning rate; digits, more data."""
    more = ExtendedData()

    def case(name: str, rate: float, variants: tuple[Variant, ...], **changes: int | bool) -> Case:
        return Case(
            name,
            lambda seed: replace(more, seed=seed, **changes),  # type: ignore[arg-type]
            Recipe(replace(SMALL.first, epochs=15), replace(SMALL.update, epochs=15, learning_rate=rate)),
            variants,
        )

    losses = (
        *(Variant(f"hoc λ={weight:g}", "hoc", {"ce_weight": weight}) for weight in (0.0, 0.1, 0.3, 0.6, 0.9)),
        *(Variant(f"hoc µ={scale:g}", "hoc", {"scale": scale}) for scale in (1.0, 3.0, 30.0)),
        Variant("hoc-zero", "hoc-zero"),
        Variant("simplex", "simplex"),
    )
    both = plain("simplex", "hoc", "first-moment")
    return (
        case("loss", 5e-4, losses),
        *(case(f"preallocated={number}", 5e-4, both, preallocated=number) for number in (16, 64)),
        *(case(f"rate={rate:g}", rate, both) for rate in (1e-4, 2e-3)),
        case("embedding-not-normalised", 5e-4, both, normalize_embedding=False),
    )


def first_moment() -> tuple[Case, ...]:
    """What might break the first-moment loss, one change at a time to unrelated models with learned classifiers."""
    base = ExtendedData(fixed_classifier=False, from_scratch=True)
    pairs = replace(base, data="digit-pairs", num_classes=100, old_images=2000, new_images=6000, held_out=2000)
    classes = ExtendedClasses(old_images=600, fixed_classifier=False)
    compared = plain("hoc", "first-moment", "hoc+first-moment")

    def case(name: str, scenario: ExtendedData, epochs: int = 15, variants: tuple[Variant, ...] = compared) -> Case:
        scratch = scenario.from_scratch
        return Case(
            name, lambda seed: replace(scenario, seed=seed), recipe(epochs, epochs, from_scratch=scratch), variants
        )

    few = tuple(
        Variant(f"{method}, {samples} a class", method, {"samples": samples})
        for method in ("first-moment", "hoc+first-moment")
        for samples in (1, 5)
    )
    return (
        case("control", base, variants=plain("er", "bct") + compared + few),
        case("wrong-labels", replace(base, wrong_labels=0.2)),
        case("unequal-classes", replace(base, old_images=250, imbalance=10.0)),
        case("other-dimension", replace(base, new_dim=32)),
        case("other-architecture", replace(base, new_backbone="lenet++"), 6),
        Case("unseen-classes", lambda seed: replace(classes, seed=seed), recipe(15, 15), compared),
        case("100-classes", pairs, 5),
        case("100-classes-simplex", replace(pairs, fixed_classifier=True, from_scratch=False), 5),
    )


SUITES: dict[str, Callable[[], tuple[Case, ...]]] = {
    "quick": quick,
    "digits": digits,
    "searches": searches,
    "searches-compared": lambda: searches(COMPARED),
    "searches-all-images": lambda: searches(images_per_class=0, held_out=0),
    "ablation": ablation,
    "first-moment": first_moment,
    "tuning": tuning,
    "fashion": fashion,
    "longer": longer,
    "fashion-28": lambda: fashion("fashion-mnist"),
}
