"""Real encoders: ``python -m benchmarks.real [embed] [audit] [calibrate] [page]``, everything if nothing is named.

Weights, collections and features stay in the cache, decisions go to docs/data/real-upgrades.json, tables into
docs/real-upgrades.md. What is done already is not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.real.page import DATA, write

STEPS = ("embed", "audit", "calibrate", "page")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("steps", nargs="*", choices=(*STEPS, []), help="what to do")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "stationary" / "real")
    parser.add_argument("--audits", type=int, default=300, help="subsamples of each upgrade and way to draw")
    parser.add_argument("--only", nargs="*", default=(), help="upgrades to audit, by their names on the page")
    chosen = parser.parse_args()
    steps = chosen.steps or STEPS
    if "embed" in steps:
        from benchmarks.real.features import embed

        embed(chosen.cache)
    if "audit" in steps:
        from benchmarks.real.upgrades import decide

        decide(chosen.cache, DATA, chosen.only)
    if "calibrate" in steps:
        from benchmarks.real.calibration import calibrate

        calibrate(chosen.cache, DATA, chosen.audits)
    if "page" in steps:
        write()


if __name__ == "__main__":
    main()
