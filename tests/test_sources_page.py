"""docs/sources.md: its blocks run, in order, in one folder; those of a PostgreSQL server in its own tests."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

pytestmark = pytest.mark.documents
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "sources.md").read_text()
BLOCKS = re.findall(r"```(python|console)\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_blocks_that_need_no_server_run(tmp_path: Path, call, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    pytest.importorskip("qdrant_client")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    names: dict[str, object] = {}
    verdicts = []
    for language, code in BLOCKS:
        if language == "python":
            exec(compile(code, "docs/sources.md", "exec"), names)
            continue
        for command in re.findall(r"^\$ stationary (.*)$", code, flags=re.MULTILINE):
            if ".example" not in command:
                status, out, err = call(*shlex.split(os.path.expandvars(command)))
                assert (status, err) == (0, "")
                verdicts.append(out)
    assert len(verdicts) == 3
    # the same upgrade, wherever it is read from
    assert len(set(verdicts)) == 1
    assert names["report"].verdict == "compatible"
