"""A distance is one entry in the registry, and everything in theory works from it; names are never compared."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import theory
from theory import proofs
from theory.caps import UniformCap
from theory.compatibility import theorem1_gaps, tolerable_drift
from theory.distances import expected_distance
from theory.holds import find_counterexample, theorem1_holds_for
from theory.metrics import METRICS, FunctionDistance, Metric, as_metric
from theory.monte_carlo import estimate_distance
from theory.proofs._derivation import Proof
from theory.proofs.table import SAME_CLASS, settled

NEW, OLD = UniformCap(5, 0.4), UniformCap(5, 0.7)


@pytest.fixture
def squared_angle(monkeypatch) -> str:
    """A distance that nothing in the package knows, added in one place."""
    entry = FunctionDistance("squared angle", "angle in radians, squared", lambda c: np.arccos(c) ** 2)
    monkeypatch.setitem(METRICS, entry.name, entry)
    return entry.name


def test_a_new_distance_works_everywhere(squared_angle):
    """One entry; the values come from routes that do not share code: quadrature, and simulation by every kernel."""
    same, other = expected_distance(NEW, OLD, metric=squared_angle), expected_distance(NEW, OLD, -0.2, squared_angle)
    for rho, expected in ((1.0, same), (-0.2, other)):
        for method in ("scalars", "vectors", "qmc"):
            estimate = estimate_distance(NEW, OLD, rho, squared_angle, 2**16, 1, method)
            assert abs(estimate.mean - expected) < 5 * estimate.standard_error, method
    gaps = theorem1_gaps(NEW, OLD, 6, squared_angle)
    within = expected_distance(OLD, OLD, [1.0, -0.2], squared_angle)
    # each is a difference of distances that are right to 1e-10
    assert gaps.same_class == pytest.approx(within[0] - same, abs=1e-9)
    assert gaps.different_class == pytest.approx(other - within[1], abs=1e-9)
    drift = tolerable_drift(NEW, OLD, 6, squared_angle)
    assert theorem1_gaps(NEW, OLD, 6, squared_angle, drift.same_class).same_class == pytest.approx(0.0, abs=1e-8)
    found = theorem1_holds_for(squared_angle, 5)
    assert (found.metric, found.numerical) == (squared_angle, True)
    find_counterexample(squared_angle, (3,))
    table = proofs.theorem_table([Proof("any", "", (), (), (), settled("proved", (SAME_CLASS,), ("any other",)))])
    assert table[SAME_CLASS][squared_angle] == "proved"


def test_a_new_distance_is_named_in_errors(squared_angle):
    with pytest.raises(ValueError, match=r"metric must be one of .*, squared angle, .*, got 'manhattan'\."):
        expected_distance(NEW, OLD, metric="manhattan")


def test_a_function_called_like_a_distance_stays_itself():
    """It used to be replaced by arccos, whatever it computes."""

    def angular(c):
        return 1.0 - c**3

    assert expected_distance(NEW, OLD, metric=angular) == expected_distance(NEW, OLD, metric=lambda c: 1.0 - c**3)
    assert as_metric(angular).name == "angular"
    nine = theorem1_holds_for(angular, 9)
    assert (nine.verdict, nine.numerical) == ("sufficient condition fails", True)


def test_entries_carry_what_others_need():
    cosines = np.linspace(-1.0, 1.0, 7, dtype=np.float32)
    for name, metric in METRICS.items():
        assert isinstance(metric, Metric)
        assert metric.name == name
        assert metric.description
        values = metric.of_cosine(cosines)
        assert values.dtype == np.float64
        assert values.shape == cosines.shape
        if metric.linear is not None:
            np.testing.assert_allclose(values, metric.linear * (2.0 - 2.0 * cosines.astype(float)), rtol=4e-16)
    assert {name: metric.linear for name, metric in METRICS.items()} == {
        "sqeuclidean": 1.0,
        "cosine": 0.5,
        "euclidean": None,
        "angular": None,
    }


def test_the_cosine_distance_has_its_column():
    settles = settled("proved", (SAME_CLASS,), ("sqeuclidean",))
    row = proofs.theorem_table([Proof("one", "", (), (), (), settles)])[SAME_CLASS]
    assert (row["sqeuclidean"], row["cosine"], row["euclidean"]) == ("proved", "proved", "open")


def comparisons_with_names(source: str) -> list[str]:
    """Comparisons in which one side is the name of a distance, or its ``name``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and side.value in METRICS for side in sides):
                found.append(ast.unparse(node))
    return found


def test_no_code_compares_the_name_of_a_distance():
    for path in Path(inspect.getfile(theory)).parent.rglob("*.py"):
        assert not comparisons_with_names(path.read_text()), path
    assert comparisons_with_names("if metric == 'angular': pass")


def test_metrics_load_without_scipy_and_every_public_name_loads():
    script = "import sys, theory.metrics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert all(getattr(theory, name) is not None for name in theory.__all__)
    declared = [
        alias.name
        for node in ast.walk(ast.parse(inspect.getsource(theory)))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("theory.")
        for alias in node.names
    ]
    assert sorted(declared) == sorted(theory.__all__)
    with pytest.raises(AttributeError, match="no_such"):
        _ = theory.no_such


def test_no_import_inside_theory_goes_in_a_circle():
    """Imports in functions included, but for the optional libraries that are loaded on request."""
    root = Path(inspect.getfile(theory)).parent
    edges = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name != "theory":
            nodes = ast.walk(ast.parse(path.read_text()))
            edges[name] = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, path
        if name not in done:
            for other in edges.get(name, set()) - {name}:
                visit(other, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())
