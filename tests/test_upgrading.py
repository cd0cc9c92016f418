"""The guide 'Upgrading a model' prints what its commands print, where the features of its encoders are at hand.

``python -m benchmarks.real embed --cache FOLDER`` makes them, and the variable ``STATIONARY_REAL`` names that folder.
On another machine the collections hold other package descriptions, so the numbers are other ones.
"""

from __future__ import annotations

import os

import pytest

from tests import documents

pytestmark = pytest.mark.documents


@pytest.mark.timeout(1800)
def test_the_guide_prints_what_its_commands_print(tmp_path):
    if documents.REAL not in os.environ:
        pytest.skip(f"needs the features of `python -m benchmarks.real embed`: set {documents.REAL} to their folder")
    documents.lay_out(tmp_path)
    differences = list(documents.run(documents.ROOT / "docs" / "upgrading.md", tmp_path))
    assert not differences, "\n".join(map(str, differences))
