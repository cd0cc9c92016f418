"""embedflow: ``run_probe``, the frozen diagnostic of ``embedflow analyze``, on at most 200 queries a draw."""

from types import SimpleNamespace

import numpy as np
from _draws import Draw, load, main, nearest
from embedflow.migration.compatibility import run_probe

PROBES = 200


def model(queries: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(
        dimension=queries.shape[1], encode_queries=lambda texts: np.array([queries[int(text)] for text in texts])
    )


class Index:
    def __init__(self, gallery: np.ndarray) -> None:
        self.gallery = gallery

    def size(self) -> int:
        return len(self.gallery)

    def search(self, query: np.ndarray, k: int) -> list[SimpleNamespace]:
        rows = nearest(query[None], self.gallery, k)[0]
        scores = self.gallery[rows] @ query
        return [
            SimpleNamespace(document_id=str(row), score=float(score), source_rank=rank)
            for rank, (row, score) in enumerate(zip(rows.tolist(), scores, strict=True), 1)
        ]


def probe(draw: Draw) -> dict:
    old, new = draw.old.astype(np.float32), draw.new.astype(np.float32)
    texts = [(str(row), str(row)) for row in range(min(PROBES, len(draw.labels) // 2))]
    vectors = {str(row): vector for row, vector in enumerate(new[draw.gallery])}
    return run_probe(
        model(old[draw.queries]),
        model(new[draw.queries]),
        Index(old[draw.gallery]),
        None,
        texts,
        seed=draw.seed,
        target_document_vectors=vectors,
    )


def judge(draw: Draw) -> str:
    return probe(draw)["diagnostic"]


def look() -> dict[str, str]:
    """Is the feature called deepest_p90 a 90th percentile over queries?"""
    import sys

    with open(sys.argv[1]) as listed:
        paths = [path for path in listed.read().split() if "same_law-5000" in path]
    if not paths:
        return {}
    found = probe(load(paths[0]))
    depths = [row["deepest_p90"] for row in found["per_query"]]
    said, mean, p90 = found["features"]["deepest_p90"], np.mean(depths), np.percentile(depths, 90)
    verdict = "still there" if abs(said - mean) < 1e-9 * mean < abs(said - p90) else "gone"
    return {
        "what is called a 90th percentile must not be a mean": f"{verdict}: deepest_p90 is {said:.1f}; over the "
        f"queries the mean is {mean:.1f}, the 90th percentile {p90:.1f}"
    }


main(judge, look)
