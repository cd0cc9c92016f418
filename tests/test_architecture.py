"""The rooms and the one direction of imports: theory ← learning ← verification ← paper_figures ← stationary."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["theory", "learning", "verification", "paper_figures", "stationary"]


def imported_roots(path: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_before_it(room):
    later = set(ROOMS[ROOMS.index(room) + 1 :]) | {"tests"}
    paths = list((ROOT / room).rglob("*.py"))
    assert paths
    for path in paths:
        assert not imported_roots(path) & later, path


# folders and modules of verification: what one loads when it is imported stands before it
LAYERS = (
    "features",
    "reporting",
    "statistics",
    "search",
    "upgrade",
    "audit",
    "distributed",
    "bridge",
    "views",
    "testing",
    "experiments",
)


def layer_of(path: Path) -> str | None:
    """Layer of a module of verification; none for the package itself and the checks of models, above all of them."""
    first = path.relative_to(ROOT / "verification").parts[0].removesuffix(".py")
    return None if first in ("__init__", "conftest") or first.startswith("test_") else first


def loaded_layers(path: Path) -> set[str]:
    """Layers of verification that a module loads at once, not inside a function or for its types."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "verification":
            names += [f"verification.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return {name.split(".")[1] for name in names if name.startswith("verification.")}


def test_every_module_of_verification_lies_in_a_layer():
    layers = {layer_of(path) for path in (ROOT / "verification").rglob("*.py")} - {None}
    assert layers == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_inside_verification_imports_go_one_way_too(layer):
    before = set(LAYERS[: LAYERS.index(layer) + 1])
    paths = [path for path in (ROOT / "verification").rglob("*.py") if layer_of(path) == layer]
    for path in paths:
        # a name of the package itself loads everything
        assert loaded_layers(path) <= before, path


def test_the_direction_test_can_fail(tmp_path):
    offender = tmp_path / "offender.py"
    offender.write_text("def f():\n    from verification.audit import audit\n")
    assert "verification" in imported_roots(offender)
    assert loaded_layers(offender) == set()
    offender.write_text("from verification.bridge.maps import FeatureMap\nimport verification.audit.report\n")
    assert loaded_layers(offender) == {"bridge", "audit"}
    offender.write_text("from verification import views, audit\n")
    assert loaded_layers(offender) == {"views", "audit"}
    assert layer_of(ROOT / "verification" / "claims" / "ledger.py") not in LAYERS


def test_theory_needs_numpy_scipy_and_sympy_alone():
    # python-flint for certify and torch for a GPU are imported inside functions
    allowed = {"numpy", "scipy", "sympy", "theory", *sys.stdlib_module_names}
    for path in (ROOT / "theory").rglob("*.py"):
        roots = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                roots.add(node.module.split(".")[0])
        assert roots <= allowed, path


@pytest.mark.parametrize("module", ["theory", "verification", "paper_figures"])
def test_importing_does_not_load_torch(module):
    assert "torch" not in modules_after(f"import {module}")


def test_sympy_loads_with_the_proofs_only():
    assert "sympy" not in modules_after("import theory")


def test_an_audit_starts_without_what_it_does_not_need():
    """SciPy's statistics and optimisation, the theory and the other checks cost most of a start together."""
    loaded = modules_after("import verification.audit.judge, verification.views.terminal")
    assert not loaded & {
        "scipy.stats",
        "scipy.optimize",
        "verification.audit.hypotheses",
        "pyarrow",
        "safetensors",
    }
    assert {name for name in loaded if name.startswith("theory.")} == {
        "theory.extras",
        "theory.files",  # how reports are written
        "theory.metrics",  # the names of distances
    }
    # and yet they are there when asked for
    assert "verification.audit.theorem" in modules_after("from verification import check_theorem")


def test_help_loads_nothing_that_takes_long():
    """Neither the libraries that cost seconds, nor our own packages, which import them."""
    help_page = "import contextlib, io, sys, stationary\nsys.argv = ['stationary', '--help']\n" + (
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n    stationary.main()"
    )
    loaded = modules_after(help_page)
    assert "stationary.verification" in loaded
    heavy = {"torch", "scipy", "numpy", "sympy", "sklearn", "matplotlib", "pyarrow", "jaxtyping", "pytest"}
    assert not loaded & (heavy | {"theory", "learning", "verification"})
