"""A base install: what it answers, what it says where an extra is missing, and what it weighs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.verification.samples import upgrade
from theory.extras import EXTRA_OF, MissingExtra, explained

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# names of distributions where they are not those of the modules
DISTRIBUTIONS = {
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "flint": "python-flint",
    "qdrant_client": "qdrant-client",
    "sklearn": "scikit-learn",
}
# a process in which nothing is installed that only an extra brings
WITHOUT = """
import sys
from importlib.machinery import PathFinder

missing, find_spec = set(sys.argv.pop(1).split()), PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, *where: None if name.partition(".")[0] in missing else find_spec(name, *where)
)
"""
COMMAND = f"{WITHOUT}\nsys.argv[0] = 'stationary'\nimport stationary\nstationary.main()"
# the commands of a list, one after another in one process: status, stdout and stderr of each
COMMANDS = f"""{WITHOUT}
import contextlib, io, json, stationary
ended = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["stationary", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            stationary.main()
        except SystemExit as end:
            ended.append((end.code, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""
COMPLAINTS = [
    (["verify"], "stationary verify needs torch: pip install 'stationary-representations[train]'."),
    (["train", "run"], "stationary train needs torch: pip install 'stationary-representations[train]'."),
    (["evaluate", "--suite", "x"], "stationary evaluate needs torch: pip install"),
    (["bench-training"], "stationary bench-training needs torch: pip install"),
    (["theorem"], "theory.proofs needs sympy: pip install 'stationary-representations[proofs]'."),
    (["claims"], "stationary claims needs sympy: pip install 'stationary-representations[proofs,train]'."),
    (["figures"], "stationary figures needs matplotlib: pip install 'stationary-representations[figures]'."),
    (["calibrate", "--output", "x"], "stationary calibrate --output needs matplotlib: pip install"),
    (
        ["bridge", "fit", "OLD", "NEW", "--save", "map.safetensors"],
        "a map of kind ridge needs sklearn: pip install 'stationary-representations[bridge]'.",
    ),
    (["audit", "NEW", "a.pt"], "reading a.pt needs torch: pip install 'stationary-representations[train]'."),
    (["audit", "NEW", "a.h5"], "reading a.h5 needs h5py: pip install 'stationary-representations[hdf5]'."),
    (["audit", "NEW", "a.index"], "a FAISS index needs faiss: pip install 'stationary-representations[retrieval]'"),
    (["audit", "NEW", "qdrant://host/c"], "a Qdrant server needs qdrant_client: pip install"),
    (["audit", "NEW", "pgvector://host/d?table=t"], "pgvector:// needs psycopg: pip install"),
    (["audit", "NEW", "chroma:///f?collection=c"], "chroma:// needs chromadb: pip install"),
    (["audit", "NEW", "s3://bucket/a.parquet"], "the URL s3://bucket/a.parquet needs fsspec: pip install"),
]


def without_extras(
    code: str, *arguments: object, missing: str = " ".join(EXTRA_OF), folder: Path = ROOT
) -> subprocess.CompletedProcess:
    """Run Python code where some packages are missing."""
    return subprocess.run(
        [sys.executable, "-c", code, missing, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> tuple[Path, Path]:
    """(new, old) in Parquet: a compatible upgrade."""
    folder = tmp_path_factory.mktemp("tables")
    paths = folder / "new.parquet", folder / "old.parquet"
    for features, path in zip(upgrade(0.5, 0.9, num_samples=300), paths, strict=True):
        features.save(path)
    return paths


def test_an_import_that_failed_is_explained_by_the_package_and_not_by_its_part():
    found = explained(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), "this")
    assert isinstance(found, MissingExtra)
    assert str(found) == "this needs torch: pip install 'stationary-representations[train]'."
    for name in ("numpy.linalg", "nn", None):  # what the base holds, what is no package, and no name at all
        assert explained(ImportError("cannot import", name=name), "this") is None
    assert explained(found, "something else") is found


def test_extras_are_those_of_the_project():
    extras = PROJECT["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        names = [re.match(r"[\w-]+", wanted)[0] for wanted in extras[extra]]
        assert DISTRIBUTIONS.get(package, package) in names, package
        assert not any(wanted.startswith(DISTRIBUTIONS.get(package, package)) for wanted in PROJECT["dependencies"])
    # every extra that a user installs is part of "all", whose own parts are extras
    everything = set(re.search(r"\[(.*)\]", extras["all"][0])[1].split(","))
    stores = set(re.search(r"\[(.*)\]", extras["stores"][0])[1].split(","))
    assert everything | stores | {"all", "dev", "docs", "benchmark"} == set(extras)


def test_a_base_install_judges_maps_and_shows(tables, tmp_path):
    outputs = [tmp_path / f"report.{suffix}" for suffix in ("json", "html", "md")]
    done = without_extras(
        COMMAND, "audit", *tables, "--json", outputs[0], "--html", outputs[1], "--markdown", outputs[2]
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("COMPATIBLE")
    assert all(path.stat().st_size for path in outputs)
    done = without_extras(
        COMMAND, "bridge", "fit", *reversed(tables), "--maps", "orthogonal", "--save", tmp_path / "m.safetensors"
    )
    assert done.returncode in (0, 1, 3), done.stderr


@pytest.fixture(scope="module")
def complained(tables, tmp_path_factory) -> list[tuple[int, str, str]]:
    """How each of the commands ended, in a folder of its own."""
    folder = tmp_path_factory.mktemp("folder")
    for name in ("a.pt", "a.h5", "a.index"):
        (folder / name).write_bytes(b"something")
    named = dict(zip(("NEW", "OLD"), map(str, tables), strict=True))
    commands = [[named.get(word, word) for word in words] for words, _ in COMPLAINTS]
    done = without_extras(COMMANDS, json.dumps(commands), folder=folder)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {"a.pt", "a.h5", "a.index"}
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", range(len(COMPLAINTS)), ids=[" ".join(words) for words, _ in COMPLAINTS])
def test_a_missing_extra_is_named_in_one_sentence(complained, case):
    status, out, err = complained[case]
    assert (status, out) == (2, "")
    assert COMPLAINTS[case][1] in err
    assert len(err.splitlines()) == 1


def test_a_figure_says_before_work_starts_that_it_trains(tmp_path):
    done = without_extras(COMMAND, "figures", "fig11", "learned_caps", missing="torch", folder=tmp_path)
    assert done.returncode == 2
    assert "figure learned_caps needs torch: pip install 'stationary-representations[train]'." in done.stderr
    assert not (tmp_path / "output").exists()


def test_a_package_that_no_extra_brings_is_a_defect():
    done = without_extras(COMMAND, "theorem", missing="rich")
    assert done.returncode == 70
    assert "defect" in done.stderr


def test_from_python_the_extra_is_named_too():
    for code, extra in (("import learning; learning.HOCLoss", "train"), ("import theory.proofs", "proofs")):
        done = without_extras(f"{WITHOUT}\n{code}")
        assert f"pip install 'stationary-representations[{extra}]'." in done.stderr.splitlines()[-1]


def test_the_suite_names_the_extra_that_trains():
    suite = ["-q", "-p", "no:cacheprovider", "verification/test_theorem1.py"]
    done = without_extras(f"{WITHOUT}\nimport pytest\nsys.exit(pytest.main({suite}))", missing="torch")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "without --new and --old needs torch: pip install 'stationary-representations[train]'." in done.stderr
