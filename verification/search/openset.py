"""Open-set identification: probes search a gallery in which some of them are not enrolled.

The nearest item is accepted when its similarity is at least the threshold. FPIR, the false-positive identification
rate, is the share of probes that are not enrolled and yet accepted. DIR, the detection and identification rate
at rank 1, is the share of enrolled probes whose nearest item is right and accepted.

References
----------
Grother & Ngan, *Face recognition vendor test: performance of face identification algorithms*, NIST IR 8009, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Int
from numpy import ndarray

from verification.search.nearest import Found
from verification.search.rates import AcceptReport, RateChange, Rates, compare_rates


@dataclass(frozen=True, kw_only=True)
class OpenSetReport:
    """Open-set identification by the old and by the new model.

    Attributes
    ----------
    rank1 : RateChange
        Share of enrolled probes whose nearest item is right, at any similarity.
    rates : AcceptReport
        FPIR (``false_accepts``) and DIR (``true_accepts``) at the old threshold, and at the one that keeps FPIR.
    """

    rank1: RateChange
    rates: AcceptReport


def compare_open_set(
    found: Found,
    right: Bool[ndarray, "2 q"],
    enrolled: Bool[ndarray, " q"],
    *,
    threshold: float | None = None,
    fpir: float | None = None,
    groups: Int[ndarray, " q"] | None = None,
    confidence: float = 0.95,
) -> OpenSetReport:
    """Compare identification by old and by new probes, probe by probe.

    Parameters
    ----------
    found : Found
        By the old and by the new model, in this order; the nearest item is looked at.
    right : ndarray of bool, shape (2, q)
        Whether the nearest item is the right one.
    enrolled : ndarray of bool, shape (q,)
        Whether the gallery has a right item that the probe may find.
    threshold : float
        The old accept threshold, of the similarity in ``found``.
    fpir : float
        In (0, 1), instead of it: the FPIR that it has with old probes, at most.
    groups : ndarray of int, shape (q,), optional
        Probes of one group depend on each other: then the group is the unit of the intervals, else the probe.
    confidence : float
        Confidence of each interval, in (0, 1).

    Raises
    ------
    ValueError
        If all probes are enrolled, or none, or an argument is out of range.
    """
    if enrolled.all() or not enrolled.any():
        some = "all" if enrolled.all() else "none"
        raise ValueError(f"open-set identification needs probes that are enrolled and probes that are not, got {some}.")
    rates = Rates(confidence, [] if groups is None else [groups], "sample" if groups is None else "group")
    return OpenSetReport(
        rank1=rates.paired(right[0], right[1], enrolled),
        rates=compare_rates(
            found.similarity[:, :, 0], enrolled, rates, right=right, threshold=threshold, false_rate=fpir
        ),
    )
