"""vectormigrate: ``compare_search_paths``, both models' queries in the old gallery, items of the class relevant."""

from _draws import Draw, main, nearest
from vectormigrate.evaluation import compare_search_paths
from vectormigrate.models import QueryCase, SearchHit


def judge(draw: Draw) -> str:
    gallery = draw.old[draw.gallery]

    def search(queries):
        ranked = nearest(queries, gallery, 10)
        return lambda text, top_k: [SearchHit(str(row), 0.0, "gallery") for row in ranked[int(text)][:top_k]]

    cases = [
        QueryCase(str(row), str(row), {str(item): 1.0 for item in items.tolist()})
        for row, items in enumerate(draw.relevant())
    ]
    shadow = compare_search_paths(cases, search(draw.old[draw.queries]), search(draw.new[draw.queries]))
    return "passes" if shadow.passes else "does not pass"


main(judge)
