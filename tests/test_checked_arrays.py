"""Arrays are checked against their annotations in every test, and only arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from learning import contrastive_loss
from theory import simplex_vertices
from verification.statistics.rows import Rows

FEATURES, TARGETS = torch.eye(4), torch.tensor([0, 1, 0, 1])


def test_arrays_that_annotations_forbid_are_refused():
    contrastive_loss(FEATURES, FEATURES, TARGETS)
    for targets in (TARGETS[:3], TARGETS.float()):
        with pytest.raises(TypeCheckError, match="contrastive_loss"):
            contrastive_loss(FEATURES, FEATURES, targets)
    with pytest.raises(TypeCheckError, match="Rows"):
        Rows(models=np.ones((2, 3)), codes=np.zeros(3, np.int64), sizes=np.array([3]))


def test_what_is_no_array_is_left_to_the_function():
    with pytest.raises(ValueError, match=r"num_classes must be an integer >= 2, got 2\.5"):
        simplex_vertices(2.5)


@pytest.mark.usefixtures("unchecked")
def test_checks_can_be_left_out():
    with pytest.raises(ValueError, match="one shape"):
        contrastive_loss(FEATURES, FEATURES[:3], TARGETS)
