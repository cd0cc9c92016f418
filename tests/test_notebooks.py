"""The notebooks: committed without outputs, and their cells run, in a kernel and an empty folder."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# seconds a cell may take on a busy machine; on an idle one a whole notebook takes less than 15
CELL = 250


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_three():
    assert {path.stem for path in NOTEBOOKS} == {"theory", "train_your_own", "upgrade"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_committed_without_outputs_and_their_links_lead_somewhere(path):
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
    for cell in cells(path, "markdown"):
        for link in re.findall(r"\]\(([^)#]+)", "".join(cell["source"]).replace("\n", " ")):
            assert (path.parent / link).exists(), link


@pytest.mark.documents
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_their_cells_run(path, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "folder").mkdir()
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    client = nbclient.NotebookClient(book, timeout=CELL, resources={"metadata": {"path": str(tmp_path / "folder")}})
    client.execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    # but what a progress bar says where Jupyter has no widgets
    said = [output["text"] for output in shown if output.get("name") == "stderr"]
    assert not [text for text in said if "TqdmWarning" not in text], said
    # a figure or a report is displayed, not only printed
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert kinds & {"image/png", "text/html"}
    if directory := os.environ.get("NOTEBOOKS_EXECUTED"):
        nbformat.write(book, Path(directory) / path.name)
