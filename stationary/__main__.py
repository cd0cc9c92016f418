"""``python -m stationary``: the same as ``stationary``."""

from stationary import main

main()
