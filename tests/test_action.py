"""action.yml: its shell steps run in an empty folder as GitHub runs them, and end as the inputs promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verification.samples import upgrade

pytestmark = pytest.mark.documents
yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
# radii of the caps, new and old
UPGRADES = {"compatible": (0.5, 1.4), "inconclusive": (1.2, 1.2), "incompatible": (1.4, 0.5)}


def run(name: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess:
    """Run a step: bash that stops at the first error, with the step's variables and none of ours."""
    given = {key.replace("-", "_"): str(about.get("default", "")) for key, about in ACTION["inputs"].items()} | inputs
    context = {
        **{f"inputs.{key}": given[key.replace("-", "_")] for key in ACTION["inputs"]},
        "runner.temp": str(folder / "temp"),
        "github.action_path": str(ROOT),
        "steps.python.outputs.python-path": sys.executable,
    }

    def value(text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: context[found[1]], text)

    env = {key: value(text) for key, text in STEPS[name]["env"].items()}
    env |= {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output.txt", "PATH": os.environ["PATH"]}
    env |= {key: text for key, text in os.environ.items() if key.startswith("PIP_")}
    script = folder / "script.sh"
    script.write_text(STEPS[name]["run"])
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return subprocess.run(bash, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder, and an environment in which the package is this checkout."""
    programs = tmp_path / "temp" / "stationary" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("stationary", "-m stationary"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {module} "$@"\n')
        (programs / name).chmod(0o755)
    return tmp_path


def save(kind: str, folder: Path, suffix: str = "parquet") -> dict[str, str]:
    """Features of an upgrade, and the inputs that name them."""
    names = {"new": f"new {kind}.{suffix}", "old": f"old {kind}.{suffix}"}
    for features, name in zip(upgrade(*UPGRADES[kind], num_samples=300), names.values(), strict=True):
        features.save(folder / name)
    return names


@pytest.mark.parametrize(("kind", "status"), [("compatible", 0), ("inconclusive", 3), ("incompatible", 1)])
def test_the_verdict_is_the_status_and_the_report_is_written(folder, kind, status):
    names = save(kind, folder)
    done = run("audit", folder, **names)
    assert done.returncode == status, done.stderr
    assert (folder / "summary.md").read_text() == (folder / "upgrade-report" / "report.md").read_text()
    assert (folder / "upgrade-report" / "report.html").read_text().rstrip().endswith("</html>")
    verdict, headline = (folder / "output.txt").read_text().splitlines()
    assert verdict == f"verdict={kind}"
    assert headline.startswith("headline=")
    assert f"::{'notice' if status == 0 else 'error'}::{headline.removeprefix('headline=')}" in done.stdout
    if kind == "inconclusive":
        assert run("audit", folder, **names, inconclusive="pass").returncode == 0


def test_every_input_reaches_the_audit(folder):
    import json

    names = save("compatible", folder)
    done = run(
        "audit", folder, **names, gallery=names["old"], decide="definition-1  threshold", margin="3%",
        retrieval_margin="4%", far="0.02", far_margin="50%", tar_margin="5%", classes="drawn", report="out/here",
        options="--confidence 0.9\n--seed 7\n--repeated\n",
    )  # fmt: skip
    assert done.returncode in (0, 1, 3), done.stderr
    found = json.loads((folder / "out" / "here" / "report.json").read_text())
    asked = found["provenance"]["options"]
    for name, value in {
        "margin": "3%", "retrieval_margin": "4%", "far": 0.02, "far_margin": "50%", "tar_margin": "5%",
        "classes": "drawn", "confidence": 0.9, "repeated": True,
    }.items():  # fmt: skip
        assert asked[name] == value, name
    assert found["decided_by"] == ["definition-1", "threshold"]
    assert found["provenance"]["seed"] == 7
    assert found["provenance"]["inputs"]["gallery"]["rows"] == 300


def test_what_cannot_be_judged_closes_the_gate(folder):
    done = run("audit", folder, new="nowhere.npz", old="nowhere.npz")
    assert done.returncode == 2
    assert "nowhere.npz: no such file." in done.stderr
    assert "::error::" in done.stdout
    assert not (folder / "summary.md").exists()
    done = run("audit", folder, new="-x", old="$(touch pwned)", options="; touch pwned", decide="`touch pwned`")
    assert done.returncode == 2
    assert not (folder / "pwned").exists()
    assert run("audit", folder, new="a", old="b", inconclusive="maybe").returncode == 2


def test_no_script_holds_what_a_workflow_hands_in():
    assert all("${{" not in step["run"] for step in STEPS.values())
    assert all(step.get("shell") == "bash" for step in STEPS.values())
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
    page = (ROOT / "docs" / "ci.md").read_text()
    block = next(found for found in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if "OWNER/" in found)
    step = next(each for each in yaml.safe_load(block)["jobs"]["audit"]["steps"] if "OWNER/" in each.get("uses", ""))
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert {"new", "old"} <= set(step["with"])


@pytest.mark.services
def test_the_install_step_makes_an_environment_that_audits(tmp_path):
    done = run("install", tmp_path, extras="test")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "temp/stationary/bin/pytest").exists()
    done = run("audit", tmp_path, **save("compatible", tmp_path))
    assert done.returncode == 0, done.stderr
