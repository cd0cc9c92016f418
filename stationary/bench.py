"""Commands that time this program: the Monte Carlo kernels, and a step of training."""

from __future__ import annotations

from typing import Annotated

import typer

from stationary._app import MEASURE, JsonPath, app, check_outputs, user_input


@app.command(rich_help_panel=MEASURE)
def bench(
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Rounds in which the methods take turns; the fastest counts.")
    ] = 9,
    json: JsonPath = None,
) -> None:
    """Time the Monte Carlo kernels beside the drawing of their random numbers and the released cone sampler.

    Example: stationary bench --rounds 3

    The time is CPU time of all threads. The released sampler is timed if it is installed (the extra "benchmark").
    """
    check_outputs(json)
    from dataclasses import asdict

    from rich.console import Console

    from theory.benchmark import compute, render
    from verification.reporting import write_json

    rows = compute(rounds=rounds)
    Console().print(render(rows))
    if json is not None:
        with user_input():
            write_json(json, [asdict(row) for row in rows])


@app.command("bench-training", rich_help_panel=MEASURE)
def bench_training(json: JsonPath = None) -> None:
    """Time a training step of HOC, the first-moment loss and others, and the training loop beside a bare one.

    Example: stationary bench-training --json speed.json
    """
    check_outputs(json)
    from dataclasses import asdict

    from rich.console import Console

    from learning.benchmark import render, step_costs, throughput
    from verification.reporting import write_json

    costs, speed = step_costs(), throughput()
    Console().print(render(costs, speed))
    if json is not None:
        with user_input():
            write_json(json, {"steps": [asdict(row) for row in costs], "loop": asdict(speed) | {"ratio": speed.ratio}})
