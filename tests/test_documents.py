"""README and pages do what they say: their code runs, prints what stands there, and draws what they show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests import documents
from tests.documents import PAGES, has_code, has_slow_code, pictures, rewrite, run, same, shortened

pytestmark = pytest.mark.documents
# mean difference of two pictures, of 255: antialiasing and a few points that moved, not another curve
SAME_PICTURE = 2.0


def check(page, folder, slow=False):
    differences = list(run(page, folder, slow))
    assert not differences, "\n".join(map(str, differences))
    for kept, drawn in pictures(page, folder):
        assert difference(kept, drawn) < SAME_PICTURE, f"{page.name}: {kept.name} is not what the code draws"


def difference(one, other) -> float:
    first, second = (np.asarray(Image.open(path).convert("RGB"), float) for path in (one, other))
    return np.abs(first - second).mean() if first.shape == second.shape else 255.0


@pytest.mark.parametrize("page", [page for page in PAGES if has_code(page)], ids=lambda page: page.name)
def test_code_does_what_the_page_says(page, tmp_path):
    check(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if has_slow_code(page)], ids=lambda page: page.name)
def test_code_that_takes_long_does_too(page, tmp_path):
    check(page, tmp_path, slow=True)


def test_the_pages_left_out_have_tests_of_their_own():
    for page, test in documents._TESTED_ELSEWHERE.items():
        assert (documents.ROOT / "docs" / page).exists()
        assert page.removesuffix(".md") in (documents.ROOT / test).read_text()


PAGE = """# Page

```python
x = 2
print(x + 1, 0.5)
```

```text
3 0.5
```

<!-- of another tool --> Prose.

<!-- slow -->
```python
print("slow", x)
```

```text
slow 2
```

<!-- not run: there is no server -->
```console
$ python -m http.no.server
```

```console
$ make something
$ python -m calendar 2026 1 | head -1; (exit 3); echo $?
```

```text
    January 2026
3
```
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    (tmp_path / "run").mkdir()
    return path


def test_a_page_that_is_right_passes(page, tmp_path):
    for slow in (False, True):
        assert list(run(page, tmp_path / "run", slow)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "slow"),
    [("3 0.5\n", "4 0.5\n", False), ("slow 2\n", "slow 3\n", True), ("January 2026\n3", "January 2026\n1", False)],
)
def test_a_page_that_states_another_output_is_found_and_mended(page, tmp_path, right, wrong, slow):
    page.write_text(PAGE.replace(right, wrong))
    (found,) = run(page, tmp_path / "run", slow)
    assert right.strip() in found.printed
    rewrite(page)
    assert page.read_text() == PAGE


def test_code_that_fails_is_named_by_its_line(page, tmp_path):
    page.write_text(PAGE.replace("x = 2", "x = 2 / 0"))
    with pytest.raises(AssertionError, match=r"page.md:3 fails:(?s:.*)line 4.*(?s:.*)ZeroDivisionError"):
        list(run(page, tmp_path / "run"))
    page.write_text(PAGE.replace("; echo $?", ""))
    with pytest.raises(AssertionError, match=r"calendar.*status 3"):
        list(run(page, tmp_path / "run"))


def test_a_page_says_with_which_status_a_command_ends(page, tmp_path):
    ended = PAGE.replace("; echo $?", "").replace("January 2026\n3", "January 2026")
    page.write_text(ended.replace("```console\n$ make", "<!-- status 3 -->\n```console\n$ make"))
    assert list(run(page, tmp_path / "run")) == []
    page.write_text(ended.replace("```console\n$ make", "<!-- status 1 -->\n```console\n$ make"))
    with pytest.raises(AssertionError, match=r"calendar.*status 3"):
        list(run(page, tmp_path / "run"))


def test_a_command_that_takes_too_long_is_named(page, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "TOO_LONG", (0.1, 0.1))
    page.write_text(PAGE.replace("(exit 3)", "sleep 5"))
    with pytest.raises(AssertionError, match=r"calendar.*took over 0.1 s"):
        list(run(page, tmp_path / "run"))


def test_numbers_may_differ_by_what_the_page_says():
    assert same("gap +0.0312  in [-1, 2]", "gap +0.03 in [-1, 2.01]", 0.02)
    assert not same("gap +0.0312", "gap -0.0312", 0.02)
    assert not same("gap 1", "slack 1", 0.02)
    assert not same("1 2", "1", 0.02)


def test_a_page_may_leave_out_lines_between_the_first_and_the_last():
    printed = "\n".join("abcde")
    assert shortened(printed, "x\n…\ny\nz") == "a\n…\nd\ne"
    assert shortened(printed, "x\n…") == "a\n…"
    assert shortened(printed, "a\nb") == printed
    assert shortened("a", "x\n…\ny") == "a\n…"


def test_another_picture_is_found(page, tmp_path):
    page.write_text("![a](a.png) ![b](b.png)\n")
    Image.new("RGB", (20, 10), "white").save(tmp_path / "a.png")
    for colour, alike in (("white", True), ("black", False)):
        Image.new("RGB", (20, 10), colour).save(tmp_path / "run" / "a.png")
        ((kept, drawn),) = pictures(page, tmp_path / "run")
        assert (difference(kept, drawn) < SAME_PICTURE) == alike
