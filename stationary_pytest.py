"""The pytest plugin behind ``pytest --pyargs verification --new FILE --old FILE``; it imports nothing of the package.

pytest takes options from the ``conftest.py`` of folders that are named on its command line, and does not look for that
of a package. So the package's name is replaced by its folder; every other run of pytest is left as it is.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

SUITE = "verification"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Name the folder of the suite where ``--pyargs`` names its package."""
    known = early_config.known_args_namespace
    if not known.pyargs or SUITE not in known.file_or_dir:
        return
    spec = find_spec(SUITE)
    if spec is not None and spec.submodule_search_locations:
        for words in (args, known.file_or_dir):
            words[words.index(SUITE)] = spec.submodule_search_locations[0]
