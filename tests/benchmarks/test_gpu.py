"""The GPU's checks, run small on a CPU: each finds what it looks for, and there is a clear word where no GPU is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_written(tmp_path, capsys):
    assert gpu.main(["--json", str(tmp_path / "gpu.json")]) == 0
    assert capsys.readouterr().out == "No GPU here: nothing was measured and nothing was written.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.simulations
def test_the_checks_run_and_the_page_is_made_of_them(tmp_path, tables, monkeypatch):
    found = {
        "device": "a CPU",
        "torch": torch.__version__,
        "kernels": gpu.kernels("cpu", 2**14),
        "bytes_per_second": gpu.bandwidth("cpu", 2**16),
        "steps": gpu.steps("cpu", batch_size=4, rounds=1, compiled=False),
        "loop": {"images_per_second": 3.0, "bare": 4.0, "ratio": 0.75},
        "resumed": gpu.resumed("cpu", 50),
    }
    assert gpu.faults(found) == []
    assert found["resumed"]["largest_difference"] == 0.0  # bit by bit on a CPU
    found["kernels"][0]["off"] = -7.0
    found["resumed"]["largest_difference"] = float("nan")
    assert gpu.faults(found) == [
        "The Monte Carlo estimate in dimension 9 is -7.0 standard errors off.",
        "The resumed run differs by nan in a unit feature.",
    ]
    found["resumed"]["largest_difference"] = 1e-3
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gpu.json").write_text(json.dumps(found))
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    page = tables.gpu()
    assert "3 images per second in the training loop, 4 in a bare one, ratio 0.750" in page
    assert "| hoc | no |" in page
    assert "| 1023 |" in page


def test_the_page_says_when_nothing_was_measured(tables, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    assert tables.gpu().startswith("Not measured yet")
    assert tables.searches("searches", "digit-pairs").startswith("Not measured yet: `stationary evaluate")
