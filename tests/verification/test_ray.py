"""The recipe for Ray on the page about large galleries gives the verdict of one process, where Ray is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.services
ray = pytest.importorskip("ray")
PAGE = (Path(__file__).parents[2] / "docs" / "large.md").read_text(encoding="utf-8")


def test_sums_merge_on_ray(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    recipe = next(number for number, block in enumerate(blocks) if "import ray" in block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes a token into the home folder
    # functions of __main__ travel to the workers with their code
    namespace: dict[str, Any] = {"__name__": "__main__"}
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        for block in blocks[: recipe + 1]:
            if "dask" not in block and "audit_distributed" not in block:
                exec(block, namespace)
    finally:
        ray.shutdown()
    total, report = namespace["total"], namespace["report"]
    assert total.counts.sum() == 600
    found = total.report(namespace["Criterion"](margin=0.01))
    assert found.verdict == report.verdict
    # sums are exact up to rounding; which rows are kept for the error depends on the parts
    assert found.same_class.value == pytest.approx(report.same_class.value, rel=1e-12)
    assert found.different_class.value == pytest.approx(report.different_class.value, rel=1e-12)
