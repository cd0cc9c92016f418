"""The command line, ``stationary COMMAND``: one module for each package, each command a function that calls into it.

Exit status: 0 compatible or done, 1 incompatible or not as predicted, 3 inconclusive, 2 unusable input or arguments,
70 a defect of this program, 74 an output that could not be written.
"""

# a module registers its commands when it is imported: their order in the help
from stationary import audit, bridge, learning, verification, theory, claims, figures, bench  # noqa: F401, I001
from stationary._app import app, main

__all__ = ["app", "main"]
