"""What all tests share: how Hypothesis looks for examples, and the command line as a fixture."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest
from hypothesis import settings

from tests.command_line import run

# Thirty examples a law: the arrays of each are checked. On CI every run tries the same ones; elsewhere other ones each
# time, and those that failed again. A limit per example would fail on a busy machine.
_PROFILE: dict[str, Any] = {"derandomize": True, "database": None} if "CI" in os.environ else {}
settings.register_profile("tests", max_examples=30, deadline=None, **_PROFILE)
settings.load_profile("tests")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Call ``stationary ARGUMENTS`` and return status, stdout and stderr."""
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arrays through that annotations forbid, so that a function refuses them itself."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
