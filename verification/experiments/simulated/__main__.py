"""The four cases, many seeds each: ``python -m verification.experiments.simulated --seeds 200 --samples 5000``."""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from verification.bridge import bridge
from verification.experiments.simulated.bridge import LINEAR
from verification.experiments.simulated.known_upgrades import CASES


def main() -> None:
    """Print how often each pair of verdicts was given."""
    parser = argparse.ArgumentParser(prog="python -m verification.experiments.simulated", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5000)
    arguments = parser.parse_args()
    print(f"{arguments.samples} samples, {arguments.seeds} seeds, maps {', '.join(LINEAR)}")
    for name, case in CASES.items():
        counts: Counter[str] = Counter()
        for seed in range(arguments.seeds):
            sets = case.draw(arguments.samples, np.random.default_rng([11, seed]))
            counts[bridge(*sets, maps=LINEAR, seed=seed).sentence] += 1
        print(f"{name}:", flush=True)
        for sentence, count in counts.most_common():
            print(f"  {count / arguments.seeds:6.1%}  {sentence}", flush=True)


if __name__ == "__main__":
    main()
