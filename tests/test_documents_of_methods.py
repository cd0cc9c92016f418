"""The numbers of docs/methods.md and docs/first-moment-loss.md are those of the runs in docs/data."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest

from learning import METHODS, make_method
from verification.experiments.suites.cases import SUITES, TUNED

DOCS = Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)
DATA = sorted(path.stem for path in (DOCS / "data").glob("*.json") if path.stem in SUITES)


@pytest.mark.parametrize("page", tables.PAGES)
def test_a_page_is_what_its_runs_say(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert tables.rewritten(text) == text
    # a number that was changed by hand is found
    block = next(text.index(header) for header in ("| method |", "| dim | exact |", "| design, ") if header in text)
    digit = next(i for i in range(block, len(text)) if text[i - 1] == "." and text[i].isdigit())
    spoilt = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    assert tables.rewritten(spoilt) == text


@pytest.mark.parametrize("suite", DATA)
def test_the_runs_are_of_the_suite_that_the_command_runs(suite):
    """Same cases and methods, as many seeds as the command beside a table says, or three; it makes that table."""
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    given = re.search(rf"--suite {suite} --seeds (\d+)", page)
    seeds = 3 if given is None else int(given[1])
    rows = tables.load(suite)
    cases = SUITES[suite]()
    assert [(row.case, row.label) for row in rows] == [(c.name, v.label) for c in cases for v in c.variants]
    for row in rows:
        case = next(c for c in cases if c.name == row.case)
        assert [result.seed for result in row.results] == list(range(case.first_seed, case.first_seed + seeds))
    for case in cases:
        for variant in case.variants:
            make_method(variant.method, **variant.settings)
    assert json.loads((DOCS / "data" / f"{suite}.json").read_text())["suite"] == suite


def test_the_tuned_settings_are_those_that_the_rule_chooses():
    found = {tables.chosen(method)[0] for method in ("hoc", "first-moment", "hoc+first-moment")}
    assert found == {variant.label for variant in TUNED} | {"hoc+first-moment(10,0.05)"}
    default = inspect.signature(METHODS["hoc+first-moment"]).parameters
    assert (default["weight"].default, default["slack"].default) == (10.0, 0.05)
