"""Two trainings that are given one folder cannot mix: one works there, the other is refused, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from learning import CL2R, run_scenario
from learning.recipes import PRESETS
from learning.store import alone, claim

RECIPE = PRESETS["small"].changed(epochs=1, device="cpu")


def test_a_second_training_in_the_same_folder_is_refused(tmp_path):
    """Before it has written anything, whether its description is the same or another."""
    seen = []

    def second(*_: object) -> None:
        if seen:
            return
        for seed, said in ((0, "another training is writing into it"), (1, "holds another run: its seed is 0")):
            with pytest.raises(ValueError, match=said):
                run_scenario(replace(scenario, seed=seed), "simplex", RECIPE, directory=tmp_path)
            seen.append(said)

    scenario = CL2R(tasks=2, images_per_class=20)
    first = run_scenario(scenario, "simplex", RECIPE, directory=tmp_path, progress=second)
    assert len(seen) == 2
    # when it has ended the folder is free, and what is there is not trained again
    again = run_scenario(scenario, "simplex", RECIPE, directory=tmp_path, progress=lambda *_: pytest.fail("trained"))
    assert all((a == b).all() for a, b in zip(first.features, again.features, strict=True))


def _claimed(folder: Path, seed: int, barrier: threading.Barrier, answers: multiprocessing.Queue) -> None:
    barrier.wait()
    try:
        claim(folder, {"seed": seed})
        answers.put(seed)
    except ValueError:
        answers.put(None)


def test_of_processes_that_claim_a_folder_at_once_one_wins(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(10):
        barrier, answers = context.Barrier(4), context.Queue()
        folder = tmp_path / str(attempt)
        processes = [context.Process(target=_claimed, args=(folder, seed, barrier, answers)) for seed in range(4)]
        for process in processes:
            process.start()
        found = [answers.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
        assert sum(answer is not None for answer in found) == 1
        assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_a_folder_is_free_again_when_its_process_is_gone(tmp_path):
    context = multiprocessing.get_context("fork")
    taken = context.Event()

    def hold() -> None:
        with alone(tmp_path):
            taken.set()
            threading.Event().wait()

    process = context.Process(target=hold)
    process.start()
    assert taken.wait(60)
    with pytest.raises(ValueError, match="another training"), alone(tmp_path):
        pass
    process.kill()
    process.join()
    with alone(tmp_path):
        pass
