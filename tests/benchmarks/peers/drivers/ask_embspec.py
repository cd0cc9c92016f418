"""embspec: ``neighbor_stability`` of the two models' queries in the gallery as it is, and its deploy gate."""

from _draws import Draw, main, nearest
from embspec import neighbor_stability


def judge(draw: Draw) -> str:
    gallery = draw.old[draw.gallery]
    old, new = (
        {str(probe): [str(row) for row in rows] for probe, rows in enumerate(nearest(queries, gallery, 10).tolist())}
        for queries in (draw.old[draw.queries], draw.new[draw.queries])
    )
    return "safe to deploy" if neighbor_stability(old, new, k=10).is_safe_to_deploy() else "not safe to deploy"


main(judge)
