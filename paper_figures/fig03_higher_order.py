r"""Fig. 3: what cross-entropy and HOC keep of the old representation, at first order and beyond.

Caption. LeNet++ with the fixed d-Simplex classifier, fine-tuned several times, each time on more images of the same
classes: with the cross-entropy (Eq. 3, dashed) and with HOC (Eq. 2, solid); measured on held-out images between each
model and the one before. (a) First order: cosine between a class's mean and its vertex, mean over classes. (b) Distance
of the covariances of the features within classes. (c) Linear CKA within classes, unbiased: 0 for features that share
the class and no more. (d) InfoNCE's lower bound on the mutual information of the two models' features, over all images
and (thin) within classes, with two standard errors; nats. The paper's panel is the contrastive loss read as such a
bound.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from paper_figures import _style
from theory.simplex import simplex_vertices
from verification.experiments.dependence import class_means, mean_alignment, measure_dependence
from verification.features import FeatureSet
from verification.upgrade import Upgrade

SEED = 0
METHODS = {"simplex": "cross-entropy", "hoc": "HOC"}
LOOKS = {"simplex": (_style.COLORS[2], "--", "s"), "hoc": (_style.COLORS[1], "-", "o")}


def compute(quick: bool = False) -> dict[str, Any]:
    """Fine-tune with both losses and measure dependence between consecutive models.

    Returns
    -------
    dict
        ``data``, ``models``, ``held_out`` (images) and, for each method, lists over models: ``vertex_alignment``, with
        the first model, and over updates: ``alignment``, ``covariance_distance``, ``cka`` (within classes),
        ``information`` and ``information_within`` (dicts with ``bound`` and ``standard_error``).
    """
    from paper_figures._growing_data import GrowingData
    from paper_figures._runs import full_data, recipe, sequence

    data = "digits" if quick else full_data()
    scenario = GrowingData(seed=SEED, data=data, backbone="lenet++", models=3, first_images=400, step_images=200)
    found: dict[str, Any] = {"data": data, "models": scenario.models}
    for method in METHODS:
        sets = sequence(scenario, method, recipe(6 if data == "digits" else 4))
        found[method] = measured(sets)
        found["held_out"] = len(sets[0])
    return found


def measured(sets: list[FeatureSet]) -> dict[str, Any]:
    """First- and higher-order dependence along a sequence of models."""
    vertices = simplex_vertices(len(sets[0].classes), sets[0].dim)
    size = min(128, len(sets[0]) // 2)
    updates = [measure_dependence(Upgrade(new, old), batch_size=size, seed=SEED) for old, new in pairwise(sets)]
    information = {
        name: [{"bound": getattr(u, name).bound, "standard_error": getattr(u, name).standard_error} for u in updates]
        for name in ("information", "information_within")
    }
    return {
        "vertex_alignment": [float(np.mean(mean_alignment(features, vertices))) for features in sets],
        "length": [float(np.mean(np.linalg.norm(class_means(features), axis=1))) for features in sets],
        "alignment": [u.alignment for u in updates],
        "covariance_distance": [u.covariance_distance_within for u in updates],
        "cka": [u.cka_within for u in updates],
        **information,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Four panels, from what :func:`compute` returns."""
    with matplotlib.rc_context(_style.RC):
        figure = Figure(figsize=(_style.COLUMN_WIDTH, 3.9))
        (first, covariance), (cka, information) = figure.subplots(2, 2, sharex=True)
        updates = np.arange(1, data["models"])
        for method, name in METHODS.items():
            found, (colour, style, marker) = data[method], LOOKS[method]
            look = {"color": colour, "linestyle": style, "marker": marker}
            first.plot(np.arange(data["models"]), found["vertex_alignment"], **look)
            covariance.plot(updates, found["covariance_distance"], **look)
            cka.plot(updates, found["cka"], label=name, **look)
            for which, width in (("information", 1.3), ("information_within", 0.7)):
                bound, error = ([row[key] for row in found[which]] for key in ("bound", "standard_error"))
                information.errorbar(
                    updates, bound, 2.0 * np.array(error), linewidth=width, elinewidth=0.7, capsize=1.5, **look
                )
        first.set(title="(a) first order", ylabel="cosine to the vertex")
        covariance.set(title="(b) covariances", ylabel="distance, within classes", ylim=(0, None))
        cka.set(title="(c) linear CKA", xlabel="update", ylabel="within classes", ylim=(min(0.0, *cka.get_ylim()), 1))
        information.set(title="(d) InfoNCE bound", xlabel="update", ylabel="information (nats)")
        information.set_ylim(bottom=min(0.0, information.get_ylim()[0]))
        cka.legend(loc="center left")
        cka.set_xticks(np.arange(data["models"]))
        return figure


def findings(data: dict[str, Any]) -> str:
    """What came out, in words with numbers."""

    def last(key: str) -> str:
        values = []
        for method, name in METHODS.items():
            value = data[method][key][-1]
            shown = (
                f"{value['bound']:.2f} ± {value['standard_error']:.2f}" if isinstance(value, dict) else f"{value:.3f}"
            )
            values.append(f"{name} {shown}")
        return ", ".join(values)

    return (
        f"{data['data']}, {data['held_out']} held-out images, at the last update. First order (cosine to the vertex): "
        f"{last('vertex_alignment')}. Beyond, within classes: covariance distance {last('covariance_distance')}; CKA "
        f"{last('cka')}; information {last('information_within')} nats (over all images {last('information')}). Mean "
        f"resultant length of a class: {last('length')}."
    )
