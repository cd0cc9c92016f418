"""``python -m paper_figures``: make the figures; the same as ``stationary figures``."""

from __future__ import annotations

import sys
from pathlib import Path

from paper_figures.make import FIGURES, make

for path in make(sys.argv[1:] or FIGURES, Path("output")):
    print(path)
