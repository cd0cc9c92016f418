"""What a compatibility matrix of a sequence of models says."""

from __future__ import annotations

from verification.search.matrices import MatrixReport
from verification.views.document import Cell, Section, Table, named
from verification.views.numbers import confidence, count, number, percent


def matrix(found: MatrixReport) -> Section:
    """The share of queries with a right answer in each gallery, and what it sums up to."""
    size = len(found.matrix)
    low, high = found.average_compatibility_interval
    verdicts = {(entry.new, entry.old): entry.verdict for entry in found.entries}

    def cell(t: int, k: int) -> str | Cell:
        if k > t:
            return ""
        text = number(100.0 * float(found.matrix[t, k]), 1, "")
        return text if k == t else Cell(text=text, verdict=verdicts[t, k])

    rows = tuple((f"queries {t + 1}", *(cell(t, k) for k in range(size))) for t in range(size))
    sums = [("average accuracy AA", percent(found.average_accuracies[-1], 2))]
    if size > 1:
        average = f"{number(found.average_compatibility, 3, '')} ({number(low, 3, '')} to {number(high, 3, '')})"
        sums = [
            ("average compatibility AC", average),
            ("undecided entries", f"{len(found.undecided)} of {len(found.entries)}"),
            *sums,
            ("backward compatibility BC", f"{number(100.0 * found.backward_compatibility, 2)} points"),
            ("forward compatibility FC", f"{number(100.0 * found.forward_compatibility, 2)} points"),
        ]
    how = "query by query" if found.paired else "from the accuracies alone"
    return Section(
        "Compatibility matrix",
        (
            "How often a search finds the right class. ✓ means that the model does better in the gallery than the "
            "gallery's own model, ✗ that it does worse, and ? that these queries do not decide.",
            Table(
                ("", *(f"gallery {k + 1}" for k in range(size))), rows, caption="Queries with a right answer, per cent"
            ),
            named(sums),
            f"{count(found.num_queries)} queries per entry, compared {how}; all verdicts together have "
            f"{confidence(found.confidence)} confidence.",
        ),
    )
