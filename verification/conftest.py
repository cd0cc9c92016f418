"""Models for the checks: trained here on digits under two seeds, or features that the user brings."""

from __future__ import annotations

import functools

import pytest

from verification.audit import check_paired
from verification.features import FeatureSet
from verification.theorem import check_theorem
from verification.upgrades import SEEDS, Upgrade, train_upgrades


def pytest_addoption(parser):
    group = parser.getgroup("stationary")
    group.addoption("--new", metavar="FILE", help="check these features of a new model instead of training")
    group.addoption("--old", metavar="FILE", help="features of the same samples by the old model")


@functools.cache
def trained(seed: int) -> dict[str, Upgrade]:
    """All upgrades of one seed, by name; trained once a run."""
    from learning.scenarios import ExtendedData

    return {upgrade.name: upgrade for upgrade in train_upgrades(ExtendedData(seed=seed))}


@functools.cache
def brought(new: str, old: str) -> Upgrade:
    """The user's features, of which the theorem must show as it does of ours."""
    sets = FeatureSet.load(new), FeatureSet.load(old)
    return Upgrade("brought", 0, *sets, check_theorem(*sets), expected="holds")


def pytest_configure(config):
    new, old = config.getoption("--new", None), config.getoption("--old", None)
    if (new is None) != (old is None):
        raise pytest.UsageError("--new and --old belong together: give both files or none.")
    if new is not None:
        try:
            sets = FeatureSet.load(new), FeatureSet.load(old)
            check_paired(*sets)
            if sets[0].dim < len(sets[0].classes) - 1:
                raise ValueError(
                    f"{new}: Theorem 1 needs a simplex of {len(sets[0].classes)} classes, which does not fit in dim "
                    f"{sets[0].dim}."
                )
        except (ValueError, OSError) as error:
            raise pytest.UsageError(str(error)) from None


def _sources(config) -> list[tuple[str, str | int, str]]:
    """(test id, where from, name) of every upgrade with the fixed classifier."""
    if config.getoption("--new"):
        return [("brought", config.getoption("--new"), config.getoption("--old"))]
    from learning.scenarios import LEARNED_CLASSIFIER, UPDATES

    return [(f"{name}-seed{seed}", seed, name) for seed in SEEDS for name in UPDATES if name != LEARNED_CLASSIFIER]


def pytest_generate_tests(metafunc):
    if "stationary_upgrade" in metafunc.fixturenames:
        ids, *_ = zip(*(sources := _sources(metafunc.config)), strict=True)
        metafunc.parametrize("stationary_upgrade", [source[1:] for source in sources], ids=ids, indirect=True)
    if "seed_upgrades" in metafunc.fixturenames:
        seeds = [] if metafunc.config.getoption("--new") else list(SEEDS)
        metafunc.parametrize("seed_upgrades", seeds, ids=[f"seed{seed}" for seed in seeds], indirect=True)


@pytest.fixture
def stationary_upgrade(request) -> Upgrade:
    """An upgrade whose models share the fixed classifier (or the user's)."""
    source, name = request.param
    return trained(source)[name] if isinstance(source, int) else brought(source, name)


@pytest.fixture
def seed_upgrades(request) -> dict[str, Upgrade]:
    """Every upgrade of one seed, the controls among them; not there when the user brings features."""
    return trained(request.param)
