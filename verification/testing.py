"""An upgrade as a test of your own test suite: one assertion, whose message is the report.

The module imports no pytest; the assertion works in any test runner.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import Any, Literal

from verification.audit.judge import Options, judge
from verification.audit.report import UpgradeReport
from verification.features import FeatureSet
from verification.statistics.interval import Verdict
from verification.upgrade import Upgrade

Features = FeatureSet | str | os.PathLike[str]
# what `stationary audit` accepts unless told otherwise; at margin 0 an upgrade that changes nothing stays undecided
DECISION = Options(margin="1%", retrieval_margin="1%")


def assert_upgrade(
    new: Features,
    old: Features,
    gallery: Features | None = None,
    *,
    options: Options = DECISION,
    inconclusive: Literal["fail", "pass"] = "fail",
    **pairing: Any,
) -> UpgradeReport:
    """Assert that queries of the new model may search the gallery of the old one.

    Parameters
    ----------
    new, old : FeatureSet, or path or URL of one
        Features of the same N samples by the two models.
    gallery : FeatureSet, or path or URL of one, optional
        Old-model features of what is searched; the queries themselves if not given.
    options : Options
        The question: margins, the claims that decide, thresholds. As the command line asks it if not given: losses of
        one point of recall@1 and of 1 % of the old contrast are accepted, and retrieval decides.
    inconclusive : {"fail", "pass"}
        What an undecided upgrade does. To skip instead, catch :class:`Undecided`.
    **pairing
        Arguments of :class:`verification.Upgrade`: ``join``, ``ignore``, ``distractors``, ``relevance``, ``seed``.

    Returns
    -------
    UpgradeReport
        Report of an upgrade that passes.

    Raises
    ------
    AssertionError
        If the verdict is incompatible. The message is the whole report. :class:`Undecided`, if it is inconclusive.
    ValueError, OSError
        If the features cannot be used; see :class:`verification.Upgrade` and :func:`verification.judge`.

    Examples
    --------
    >>> from verification.testing import assert_upgrade
    >>> def test_the_candidate_may_search_the_old_gallery():
    ...     assert_upgrade("features/candidate.parquet", "features/production.parquet")
    """
    __tracebackhide__ = True  # a traceback of pytest ends in the user's test
    if inconclusive not in ("fail", "pass"):
        raise ValueError(f"inconclusive must be 'fail' or 'pass', got {inconclusive!r}.")
    searched = None if gallery is None else _loaded(gallery)
    report = judge(Upgrade(_loaded(new), _loaded(old), searched, **pairing), replace(options, explain=False))
    if report.verdict == Verdict.incompatible:
        raise AssertionError(_text(report))
    if report.verdict == Verdict.inconclusive and inconclusive == "fail":
        raise Undecided(_text(report))
    return report


class Undecided(AssertionError):
    """These samples are too few for an answer: neither yes nor no."""


def _loaded(features: Features) -> FeatureSet:
    return features if isinstance(features, FeatureSet) else FeatureSet.load(features)


def _text(report: UpgradeReport) -> str:
    """The report as a terminal shows it, without colours, below an empty line that parts it from the error's name."""
    from rich.console import Console

    from verification.views import documents, terminal

    with io.StringIO() as text:
        Console(file=text, width=100, color_system=None).print(terminal.render(documents.document(report)))
        return f"\n{text.getvalue()}"
