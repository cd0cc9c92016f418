"""What only a GPU can tell: kernels against exact values and the CPU, the speed of training, a run that is resumed.

``python -m benchmarks.gpu`` (``make gpu``) takes under eight minutes on one card and writes docs/data/gpu.json, from
which docs/gpu.md is made. Without a GPU it says so and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from learning.benchmark import throughput
from learning.lifelong import CL2R
from learning.losses import HOCLoss
from learning.models import ModelSpec
from learning.recipes import Recipe, TrainingConfig
from learning.runs import run_scenario
from theory import UniformCap, expected_distance
from theory.monte_carlo import estimate_distance

RESULT = Path(__file__).parent.parent / "docs" / "data" / "gpu.json"
DIMS = (9, 128, 1023)
# standard errors; of six estimates one is farther off by chance once in a million runs
FAR = 5.0


class Interrupted(Exception):
    """Stands for a process that is killed."""


def kernels(device: str, samples: int = 2**24) -> list[dict[str, Any]]:
    """Expected distances by Monte Carlo on ``device`` against the exact value and the CPU's estimate."""
    rows = []
    for dim in DIMS:
        new, old = UniformCap(dim, 0.3), UniformCap(dim, 0.6)
        exact = float(expected_distance(new, old))
        cpu = estimate_distance(new, old, num_samples=min(samples, 2**20), rng=0)
        estimate_distance(new, old, num_samples=samples, rng=1, device=device)  # warm
        began = time.perf_counter()
        found = estimate_distance(new, old, num_samples=samples, rng=0, device=device)
        _wait(device)
        seconds = time.perf_counter() - began
        rows.append(
            {
                "dim": dim,
                "exact": exact,
                "estimate": found.mean,
                "standard_error": found.standard_error,
                "off": (found.mean - exact) / found.standard_error,
                "off_from_cpu": (found.mean - cpu.mean) / float(np.hypot(found.standard_error, cpu.standard_error)),
                "pairs_per_second": samples / seconds,
            }
        )
    return rows


def bandwidth(device: str, numbers: int = 2**28) -> float:
    """Bytes per second that a copy reads and writes: what a kernel that holds its numbers in memory can reach."""
    source = torch.empty(numbers, device=device)
    target = torch.empty_like(source)
    seconds = _fastest(lambda: target.copy_(source), device, 10)
    return 2.0 * source.element_size() * numbers / seconds


def steps(device: str, batch_size: int = 512, rounds: int = 30, compiled: bool = True) -> list[dict[str, Any]]:
    """Seconds of a training step of ResNet-18 at 32×32 in bf16: HOC beside cross-entropy with the old forward pass."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, 3, 32, 32, generator=generator).to(device, memory_format=torch.channels_last)
    targets = torch.randint(100, (batch_size,), generator=generator).to(device)
    spec = ModelSpec(128, "resnet18", in_channels=3, normalize_embedding=False)
    objectives: dict[str, Callable[..., torch.Tensor]] = {
        "cross-entropy + old forward": lambda logits, labels, new, old: (
            F.cross_entropy(logits, labels) + 0.0 * old.sum()
        ),
        "hoc": HOCLoss(),
    }
    rows = []
    for compile_it in (False, True) if compiled else (False,):
        for name, objective in objectives.items():
            model, old = (spec.build(seed).to(device) for seed in (0, 1))
            old.eval().requires_grad_(False)
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
            forward, reference = (
                (torch.compile(model), torch.compile(old.features)) if compile_it else (model, old.features)
            )

            def step() -> None:
                with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                    features, logits = forward(images)  # noqa: B023 (called before the next one is made)
                    with torch.no_grad():
                        known = reference(images)  # noqa: B023
                loss = objective(logits.float(), targets, features.float(), known.float())  # noqa: B023
                optimizer.zero_grad(set_to_none=True)  # noqa: B023
                torch.autograd.backward(loss)
                optimizer.step()  # noqa: B023

            row: dict[str, Any] = {"step": name, "compiled": compile_it}
            try:
                row["seconds"] = _fastest(step, device, rounds)
            except Exception as error:  # torch.compile needs a compiler of its own, which a machine may lack
                if not compile_it:
                    raise
                row["failed"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            rows.append(row)
    return rows


def resumed(device: str, size: int = 600) -> dict[str, float]:
    """Train a short sequence once whole and once interrupted, and compare the held-out features."""
    config = TrainingConfig(epochs=3, device=device, precision="bf16")
    scenario = CL2R(tasks=2, first_classes=5, held_out=size)
    recipe = Recipe(config, replace(config, learning_rate=5e-4))

    def stop(stage: str, epoch: int, total: int, note: object = "", /) -> None:
        if (stage, epoch) == ("task-01", 2):
            raise Interrupted

    whole = run_scenario(scenario, "hoc", recipe)
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(Interrupted):
            run_scenario(scenario, "hoc", recipe, directory=folder, progress=stop)
        again = run_scenario(scenario, "hoc", recipe, directory=folder)
    unit = [
        features / np.linalg.norm(features, axis=1, keepdims=True) for features in (*whole.features, *again.features)
    ]
    return {"largest_difference": float(max(np.abs(a - b).max() for a, b in zip(unit[:2], unit[2:], strict=True)))}


def compute(device: str = "cuda") -> dict[str, Any]:
    """Run all of it on one card."""
    properties = torch.cuda.get_device_properties(device)
    speed = throughput("resnet18", 32, batch_size=256, batches=20)
    return {
        "device": properties.name,
        "torch": torch.__version__,
        "kernels": kernels(device),
        "bytes_per_second": bandwidth(device),
        "steps": steps(device),
        "loop": {"images_per_second": speed.images_per_second, "bare": speed.bare, "ratio": speed.ratio},
        "resumed": resumed(device),
    }


def faults(found: dict[str, Any]) -> list[str]:
    """What in these numbers is wrong, one sentence each."""
    wrong = [
        f"The Monte Carlo estimate in dimension {row['dim']} is {row[which]:.1f} standard errors off."
        for row in found["kernels"]
        for which in ("off", "off_from_cpu")
        if not abs(row[which]) <= FAR
    ]
    if not found["resumed"]["largest_difference"] <= 0.05:
        wrong.append(f"The resumed run differs by {found['resumed']['largest_difference']:.3f} in a unit feature.")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Run on the GPU, write the numbers, print what is wrong; 0 where all is well or there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULT, help="where to write the numbers")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("No GPU here: nothing was measured and nothing was written.")
        return 0
    found = compute()
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    wrong = faults(found)
    print(f"{found['device']}: wrote {options.json}. " + (" ".join(wrong) or "All values are as they should be."))
    return 1 if wrong else 0


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _fastest(run: Callable[[], object], device: str, rounds: int) -> float:
    """Seconds of the fastest round after three that do not count."""
    seconds = float("inf")
    for turn in range(rounds + 3):
        _wait(device)
        began = time.perf_counter()
        run()
        _wait(device)
        if turn >= 3:
            seconds = min(seconds, time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
