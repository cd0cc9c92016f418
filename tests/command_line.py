"""The command line, called in this process."""

from __future__ import annotations

import sys

import pytest

import stationary


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments) -> tuple[int, str, str]:
    """Status, stdout and stderr of ``stationary ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["stationary", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        stationary.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err
