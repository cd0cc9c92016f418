"""The rooms and the one direction in which imports go: theory ← learning ← verification ← paper_figures."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["theory", "learning", "verification", "paper_figures"]


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
    later = set(ROOMS[ROOMS.index(room) + 1 :]) | {"stationary", "tests"}
    for path in (ROOT / room).rglob("*.py"):
        assert not imported_roots(path) & later, path


# of verification: what a module loads when it is imported lies before it; the floor is what is in no room
FLOOR = ["files", "sources", "features", "statistics", "floor", "page", "decision", "bridge", "simulated", "suites"]


def loaded_rooms(path: Path) -> set[str]:
    """Rooms of verification that a module there imports at once, not inside a function or for its types."""
    statements = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    names = [node.module.split(".") for node in statements if node.module and node.module.startswith("verification.")]
    return {name[1] if name[1] in FLOOR else "floor" for name in names}


@pytest.mark.parametrize("room", FLOOR)
def test_inside_verification_imports_go_one_way_too(room):
    folder = ROOT / "verification"
    modules = {"floor": folder.glob("*.py"), "features": [folder / "features.py"]}.get(
        room, (folder / room).rglob("*.py")
    )
    later = set(FLOOR[FLOOR.index(room) + 1 :])
    for path in modules:
        if room == "features" or path.name != "features.py":
            assert not loaded_rooms(path) & later, path


def test_the_direction_test_can_fail(tmp_path):
    offender = tmp_path / "offender.py"
    offender.write_text("def f():\n    from verification.audit import audit\n")
    assert "verification" in imported_roots(offender)
    offender.write_text("from verification.bridge.maps import FeatureMap\nfrom verification.audit import audit\n")
    assert loaded_rooms(offender) == {"bridge", "floor"}


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
    loaded = modules_after("import verification.decision.decide, verification.report")
    assert not loaded & {"scipy.stats", "scipy.optimize", "theory", "verification.hypotheses", "pyarrow", "safetensors"}
    # and yet they are there when asked for
    assert "verification.theorem" in modules_after("from verification import check_theorem")


def test_help_is_quick():
    """Half a second is promised; what costs seconds (torch, SciPy, NumPy) must not be loaded at all."""
    assert not modules_after("import stationary") & {"torch", "scipy", "numpy", "sympy", "matplotlib"}

    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "stationary", "--help"], cwd=ROOT, capture_output=True, check=True)
        return time.perf_counter() - start

    # the least of several runs is the program's own time, the rest is what else the machine does
    assert min(seconds() for _ in range(7)) < 0.5
