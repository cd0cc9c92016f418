"""The wheel, installed into an environment of its own outside the checkout: the base, and the suite as an extra.

Packages come from the index that pip is set to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather

from tests.verification.samples import upgrade
from verification.features import FeatureSet

pytestmark = pytest.mark.services
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "install.md").read_text()
# what pip and venv bring themselves
TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def run(*command: object, folder: Path) -> subprocess.CompletedProcess:
    # nothing of this checkout on the path
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command], cwd=folder, env={**env, "COLUMNS": "80"}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Folder of an environment with the wheel alone, and of Parquet files: a pair of 10 000 × 128, and a small one."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT, folder=folder)
    assert built.returncode == 0, built.stderr
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    (wheel,) = folder.glob("*.whl")
    done = run(folder / "venv/bin/pip", "-q", "install", wheel, "-c", ROOT / "constraints.txt", folder=folder)
    assert done.returncode == 0, done.stderr
    for features, name in zip(
        upgrade(0.85, 0.9, num_samples=10_000, num_classes=100, dim=128), ("new", "old"), strict=True
    ):
        FeatureSet(features.features.astype(np.float32), features.labels).save(folder / f"{name}.parquet")
    for features, name in zip(upgrade(0.4, 0.6, num_samples=600), ("a", "b"), strict=True):
        features.save(folder / f"{name}.parquet")
    return folder


def stated(pattern: str) -> float:
    """A number of the page on installing."""
    return float(re.search(pattern, PAGE)[1])


def test_the_base_environment_weighs_what_the_page_says(installed):
    (packages,) = installed.glob("venv/lib/*/site-packages")
    files = [
        path for path in packages.rglob("*") if path.is_file() and path.relative_to(packages).parts[0] not in TOOLS
    ]
    weight = sum(path.stat().st_size for path in files if path.suffix != ".pyc") / 1e6
    # wheels differ from one platform and release to the next
    assert weight == pytest.approx(stated(r"takes (\d+) MB"), rel=0.15)
    large = 0.0
    for name, pattern in (("pyarrow", r"Arrow (\d+)"), ("scipy", r"SciPy (\d+)"), ("numpy", r"NumPy (\d+)")):
        own = [path for path in files if path.relative_to(packages).parts[0].partition(".")[0] == name]
        size = sum(path.stat().st_size for path in own if path.suffix != ".pyc") / 1e6
        assert size == pytest.approx(stated(pattern), rel=0.15), name
        large += size
    assert weight - large == pytest.approx(stated(r"everything else together (\d+)"), rel=0.25)
    assert not any(
        (packages / name).exists() for name in ("torch", "sympy", "matplotlib", "sklearn", "pandas", "pytest")
    )


def test_the_base_environment_audits_parquet_files(installed):
    audit = [installed / "venv/bin/stationary", "audit", "a.parquet", "b.parquet", "--summary"]
    done = run(*audit, folder=installed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("compatible by retrieval")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the lowest NumPy has no wheels for later Pythons")
def test_the_lowest_versions_that_are_declared_do_the_same(installed, tmp_path):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lowest = [name.replace(">=", "==") for name in declared]
    (wheel,) = installed.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    # typer took any release of click then, also those that came later and are too new for it
    done = run(tmp_path / "venv/bin/pip", "-q", "install", wheel, *lowest, "click<8.2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    command = tmp_path / "venv/bin/stationary"
    for suffix in ("parquet", "npz", "safetensors", "jsonl", "csv", "feather"):
        for name in ("a", "b"):
            features = FeatureSet.load(installed / f"{name}.parquet")
            write(features, tmp_path / f"{name}.{suffix}")
        pair = [f"a.{suffix}", f"b.{suffix}"]
        pages = [f"--{kind}={tmp_path / kind}" for kind in ("json", "html", "markdown")]
        done = run(command, "audit", *pair, *pages, folder=tmp_path)
        assert (done.returncode, done.stderr.strip()) == (0, ""), suffix
        assert done.stdout.startswith("COMPATIBLE")
    done = run(command, "bridge", "fit", "b.npz", "a.npz", "--maps", "orthogonal", "--save", "m.npz", folder=tmp_path)
    assert done.returncode in (0, 1, 3), done.stderr


def write(features: FeatureSet, path: Path) -> None:
    """In any of the formats, which :meth:`FeatureSet.save` does not all write."""
    table = pa.table({"features": features.features.tolist(), "labels": features.labels})
    if path.suffix == ".feather":
        feather.write_feather(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif path.suffix == ".csv":
        columns = {f"features{i}": column for i, column in enumerate(features.features.T)}
        csv.write_csv(pa.table(columns | {"label": features.labels}), path)
    else:
        features.save(path)


def test_starting_and_judging_definition_1_costs_what_the_page_says(installed):
    """CPU time of a process of its own; a busy machine doubles it, and loading one more large package does too."""
    code = (
        "import time; from verification import FeatureSet, audit\n"
        "report = audit(FeatureSet.load('new.parquet'), FeatureSet.load('old.parquet'))\n"
        "print(report.verdict, time.process_time())"
    )
    python = [installed / "venv/bin/python", "-c", code]
    run(*python, folder=installed)  # modules are compiled once
    verdict, seconds = run(*python, folder=installed).stdout.split()
    assert verdict == "compatible"
    assert float(seconds) < 3.0 * stated(r"costs\s+([\d.]+) s of CPU")


def test_the_suite_runs_from_the_wheel(installed):
    (wheel,) = installed.glob("*.whl")
    pip = [installed / "venv/bin/pip", "-q", "install", "-c", ROOT / "constraints.txt"]
    done = run(*pip, f"{wheel}[test]", folder=installed)
    assert done.returncode == 0, done.stderr
    suite = [installed / "venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "verification"]
    suite += ["-k", "same_class_pairs"]
    for names, status in ((("a", "b"), 0), (("b", "a"), 1)):
        done = run(
            *suite,
            *(f"--{which}={name}.parquet" for which, name in zip(("new", "old"), names, strict=True)),
            folder=installed,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert ("test_same_class_pairs_come_nearer[brought]" in done.stdout) == (status == 1)
    done = run(*suite, folder=installed)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "without --new and --old needs torch: pip install 'stationary-representations[train]'." in done.stderr
