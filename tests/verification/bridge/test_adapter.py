"""Maps that are trained, against a plain loop of PyTorch, and the layers that they are folded into."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from verification.bridge import adapter, bottleneck
from verification.bridge.judge import unit
from verification.bridge.maps import FeatureMap

RNG = np.random.default_rng(0)
SOURCE, TARGET = unit(RNG.standard_normal((57, 5))), unit(RNG.standard_normal((57, 4)))
START = {"A": RNG.standard_normal((5, 4)), "b": RNG.standard_normal(4)}


def plain(seed: int, epochs: int, batch: int) -> dict[str, np.ndarray]:
    """AdamW on mean(1 − cos) with a cosine schedule; of the states between epochs the best on a tenth of the rows."""
    rng = np.random.default_rng(seed)
    w = torch.tensor(rng.standard_normal((5, adapter.HIDDEN)) * np.sqrt(2 / 5), dtype=torch.float32)
    a, b = (torch.tensor(START[name], dtype=torch.float32) for name in "Ab")
    weights = [a, b, w, torch.zeros(adapter.HIDDEN), torch.zeros(adapter.HIDDEN, 4)]
    for weight in weights:
        weight.requires_grad_()
    x, y = (torch.tensor(rows, dtype=torch.float32) for rows in (SOURCE, TARGET))

    def loss(rows):
        a, b, w, c, v = weights
        mapped = x[rows] @ a + b + torch.relu(x[rows] @ w + c) @ v
        return 1.0 - (unit_rows(mapped) * y[rows]).sum(dim=1).mean()

    order = torch.from_numpy(rng.permutation(57))
    apart, rest = order[:5], order[5:]
    optimizer = torch.optim.AdamW(weights, 1e-3, weight_decay=1e-2)
    states, losses = [], []
    for epoch in range(epochs + 1):
        states.append([weight.detach().clone().numpy() for weight in weights])
        losses.append(float(loss(apart).detach()))
        if epoch < epochs:
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 + np.cos(np.pi * epoch / epochs)) / 2
            for rows in torch.split(rest[torch.from_numpy(rng.permutation(52))], batch):
                optimizer.zero_grad()
                loss(rows).backward()
                optimizer.step()
    return dict(zip("AbWcV", states[int(np.argmin(losses))], strict=True))


def unit_rows(rows: torch.Tensor) -> torch.Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(("most", "epochs"), [(200_000, 3), (2 * 52, 2), (2 * 52 - 1, 1), (10, 1)])
def test_the_adapter_is_the_plain_loop(most, epochs, monkeypatch):
    """As many passes as there are to be, and no more rows than there may be, but one pass at least."""
    for name, value in (("EPOCHS", 3), ("MOST_ROWS", most), ("BATCH", 16)):
        monkeypatch.setattr(adapter, name, value)
    threads = torch.get_num_threads()
    found = adapter.train_adapter(START, SOURCE, TARGET, np.random.default_rng(1))
    assert torch.get_num_threads() == threads
    for name, array in plain(1, epochs, 16).items():
        # float32, the same operations in another order
        np.testing.assert_allclose(found[name], array, atol=2e-5, err_msg=name)


def test_folded_layers_are_those_that_were_trained(monkeypatch):
    seen = {}

    def caught(parameters, predict, arrays, *rest):
        seen.update(parameters=parameters, predict=predict, arrays=arrays)
        return arrays()

    monkeypatch.setattr(bottleneck, "descend", caught)
    start = bottleneck.train_bottleneck(START, SOURCE, TARGET, np.random.default_rng(2))
    np.testing.assert_allclose(
        FeatureMap.of_arrays("bottleneck", "queries", start)(SOURCE), SOURCE @ START["A"] + START["b"], atol=1e-6
    )
    assert {name: array.shape for name, array in start.items()} == {
        "A": (5, 4), "b": (4,), "W1": (4, 5, 16), "c1": (4, 16), "s1": (4, 16), "W2": (4, 16, 16), "c2": (4, 16),
        "s2": (4, 16), "W3": (4, 16, 4), "c3": (4, 4), "s3": (4, 4),
    }  # fmt: skip
    assert np.all(start["s1"] == 0.25)
    # He's initialisation, through a normalisation of variance 1: √(2/5) to five standard errors of 320 draws
    assert start["W1"].std() == pytest.approx(np.sqrt(2 / 5), rel=5 / np.sqrt(2 * 320))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in seen["parameters"]:
            parameter.copy_(torch.randn(parameter.shape))
        x = torch.tensor(SOURCE, dtype=torch.float32)
        for _ in range(3):
            seen["predict"](x, True)
        expected = seen["predict"](x, False).numpy()
        assert not np.allclose(seen["predict"](x, True).numpy(), expected, atol=1e-2)
        # one row has no variance: it is mapped as it will be
        np.testing.assert_allclose(seen["predict"](x[:1], True).numpy(), seen["predict"](x[:1], False).numpy())
        found = FeatureMap.of_arrays("bottleneck", "queries", seen["arrays"]())
        np.testing.assert_allclose(found(SOURCE), seen["predict"](x, False).numpy(), rtol=1e-3, atol=1e-3)
