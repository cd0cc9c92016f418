"""Models for the checks: trained here on digits under two seeds, or features that the user brings."""

from __future__ import annotations

import functools

import pytest

from theory.extras import MissingExtra, require
from verification.audit.theorem import check_theorem
from verification.experiments.upgrades import LEARNED_CLASSIFIER, SEEDS, WAYS, TrainedUpgrade, train_upgrades
from verification.features import FeatureSet
from verification.upgrade import Upgrade


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stationary")
    group.addoption("--new", metavar="FILE", help="check these features of a new model instead of training")
    group.addoption("--old", metavar="FILE", help="features of the same samples by the old model")
    group.addoption(
        "--real", metavar="FOLDER", help="features of a real encoder, as python -m benchmarks.real makes them"
    )


@functools.cache
def trained(seed: int) -> dict[str, TrainedUpgrade]:
    """All upgrades of one seed, by name; trained once a run."""
    from learning.scenarios import ExtendedData

    return {upgrade.name: upgrade for upgrade in train_upgrades(ExtendedData(seed=seed))}


@functools.cache
def brought(new: str, old: str) -> TrainedUpgrade:
    """The user's features, of which the theorem must show as it does of ours."""
    upgrade = Upgrade(FeatureSet.load(new), FeatureSet.load(old))
    return TrainedUpgrade(name="brought", seed=0, upgrade=upgrade, check=check_theorem(upgrade), expected="holds")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulations: counts over many draws, ten seconds and more")
    new, old = config.getoption("--new", None), config.getoption("--old", None)
    try:
        require("pytest --pyargs verification", "hypothesis")
        if new is None:
            require(
                "pytest --pyargs verification without --new and --old", "torch", "accelerate", "sklearn", extra="train"
            )
    except MissingExtra as error:
        raise pytest.UsageError(str(error)) from None
    if (new is None) != (old is None):
        raise pytest.UsageError("--new and --old belong together: give both files or none.")
    if new is not None:
        try:
            upgrade = Upgrade(FeatureSet.load(new), FeatureSet.load(old))
            upgrade.check_pairs()
            if upgrade.old.dim < upgrade.num_classes - 1:
                raise ValueError(
                    f"{new}: Theorem 1 needs a simplex of {upgrade.num_classes} classes, which does not fit in dim "
                    f"{upgrade.old.dim}."
                )
        except (ValueError, OSError) as error:
            raise pytest.UsageError(str(error)) from None


def _sources(config: pytest.Config) -> list[tuple[str, str | int, str]]:
    """(test id, where from, name) of every upgrade with the fixed classifier."""
    if config.getoption("--new"):
        return [("brought", config.getoption("--new"), config.getoption("--old"))]
    return [(f"{name}-seed{seed}", seed, name) for seed in SEEDS for name in WAYS if name != LEARNED_CLASSIFIER]


def _marks(source: str | int) -> list[pytest.MarkDecorator]:
    """One seed is a fast test, the others are simulations; ``pytest verification/`` runs all."""
    return [pytest.mark.simulations] if source in SEEDS[1:] else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stationary_upgrade" in metafunc.fixturenames:
        some = [
            pytest.param((source, name), id=own, marks=_marks(source))
            for own, source, name in _sources(metafunc.config)
        ]
        metafunc.parametrize("stationary_upgrade", some, indirect=True)
    if "seed_upgrades" in metafunc.fixturenames:
        seeds = [] if metafunc.config.getoption("--new") else list(SEEDS)
        some = [pytest.param(seed, id=f"seed{seed}", marks=_marks(seed)) for seed in seeds]
        metafunc.parametrize("seed_upgrades", some, indirect=True)


@pytest.fixture
def stationary_upgrade(request: pytest.FixtureRequest) -> TrainedUpgrade:
    """An upgrade whose models share the fixed classifier (or the user's)."""
    source, name = request.param
    return trained(source)[name] if isinstance(source, int) else brought(source, name)


@pytest.fixture
def seed_upgrades(request: pytest.FixtureRequest) -> dict[str, TrainedUpgrade]:
    """Every upgrade of one seed, the controls among them; not there when the user brings features."""
    return trained(request.param)
