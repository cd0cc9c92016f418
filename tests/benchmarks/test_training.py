"""What a training step costs beside the cross-entropy, and the training loop beside a bare one.

``stationary bench-training`` prints the same as a table. The slow tests hold the bounds that are promised.
"""

from __future__ import annotations

import pytest
from rich.console import Console

from learning.benchmark import METHODS, REFERENCE, render, step_costs, throughput


def test_the_table_has_every_method_and_the_loop():
    costs = step_costs(size=8, batch_size=16, rounds=1)
    assert [row.name for row in costs] == [REFERENCE, *METHODS]
    kept = {row.name: row.kept for row in costs}
    # ten means of nine float32 numbers, against a whole network
    assert kept["first-moment"] == 10 * 9 * 4
    assert kept["simplex"] == 0
    assert kept["hoc"] == kept[REFERENCE] > 100 * kept["first-moment"]
    assert costs[0].ratio == 1.0
    speed = throughput("small-cnn", size=8, batch_size=8, batches=2, rounds=1)
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(render(costs, speed))
    assert f"ratio {speed.ratio:.3f}" in " ".join(console.export_text().split())


@pytest.mark.slow
def test_hoc_costs_at_most_a_tenth_more_than_cross_entropy_and_the_old_models_forward_pass():
    ratios = {row.name: row.ratio for row in step_costs(rounds=25)}
    assert ratios["hoc"] < 1.10
    # no forward pass of the old model
    assert ratios["first-moment"] < 1.0


@pytest.mark.slow
def test_the_training_loop_is_as_fast_as_a_bare_one():
    assert throughput(rounds=5).ratio >= 0.95
