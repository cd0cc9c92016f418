"""rebasis: what ``rebasis probe`` does once vectors are there: judged queries, all maps, the decision."""

import numpy as np
from _draws import Draw, main
from rebasis.probe.groundtruth import build_tier1
from rebasis.probe.runner import run_probe
from rebasis.probe.session import _upgrade_gain

K = 10


def judge(draw: Draw) -> str:
    old, new = draw.old.astype(np.float32), draw.new.astype(np.float32)
    truth = build_tier1(new[draw.gallery], new[draw.queries], [set(items.tolist()) for items in draw.relevant()], k=K)
    # fitted on documents: queries are none of them
    result = run_probe(
        old_doc_vectors=old[draw.gallery],
        new_doc_vectors=new[draw.gallery],
        fit_indices=np.arange(len(draw.labels) // 2),
        ground_truth=truth,
        old_query_vectors=old[draw.queries],
        new_query_vectors=new[draw.queries],
        k=K,
        seed=draw.seed,
        upgrade_gain=_upgrade_gain(truth, old[draw.queries], old[draw.gallery], K),
    )
    return result.decision.decision


main(judge)
