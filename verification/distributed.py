"""The audit over many processes or machines (Dask, the extra ``distributed``), with the numbers of a single process.

Features are cut into parts where the data says so, whatever the number of workers. A worker opens the files itself,
reads its part to per-class sums and the rows to keep, and these merge in the order of the parts: every number of the
report is the same bit by bit, on processors of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from theory.extras import require
from verification.audit.definition1 import audit
from verification.audit.report import Definition1Report
from verification.features import FeatureSet

# parts under way at once: their results are held in memory together
WINDOW = 32


def audit_distributed(new: FeatureSet, old: FeatureSet, client: Any = None, **arguments: Any) -> Definition1Report:
    """Judge Definition 1 as :func:`verification.audit` does, the features read by the workers of a Dask cluster.

    Parameters
    ----------
    new, old : FeatureSet
        Sets of files (:meth:`FeatureSet.load`) that the workers find under the same paths.
    client : dask.distributed.Client, optional
        Client of a cluster; without it, the scheduler that Dask is set to, or its threads.
    **arguments
        Arguments of :func:`verification.audit`; ``gallery`` must be a set of files too.

    Returns
    -------
    Definition1Report

    Raises
    ------
    ValueError
        If a set is not one of files, and as for :func:`verification.audit`.
    ImportError
        If Dask is not installed.
    """
    require("audit_distributed", "dask")
    from dask.base import compute
    from dask.delayed import delayed

    for name, features in (("new", new), ("old", old), ("gallery", arguments.get("gallery"))):
        if features is not None and any(piece.path is None for piece in features.pieces()):
            raise ValueError(f"{name} must be loaded from files, which workers read themselves, got arrays in memory.")

    def run(function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterator[Any]:
        tasks = (delayed(partial(function, *args), traverse=False)() for args in zip(*iterables, strict=True))
        while window := list(islice(tasks, WINDOW)):
            yield from compute(*window, scheduler=client, traverse=False)

    return audit(new, old, run=run, **arguments)
