"""Backbones: parameters counted by hand or as published, and the shapes that they take and give."""

from __future__ import annotations

import pytest
import torch

from learning.backbones import BACKBONES

# name → channels, image side, trunk width, parameters of the trunk
EXPECTED = {
    # 3·3·32 + 3·3·32·64 weights, two per channel of both normalisations
    "small-cnn": (1, 8, 256, 288 + 18432 + 2 * (32 + 64)),
    # 5×5 convolutions with biases, 1→32→32→64→64→128→128, and one slope a channel
    "lenet++": (1, 28, 1152, 832 + 25632 + 51264 + 102464 + 204928 + 409728 + 2 * (32 + 64 + 128)),
    "head": (7, 1, 7, 0),
    # one layer of weights, two per channel of the normalisation
    "mlp-head": (7, 1, 7, 49 + 14),
    # 3·3·3 weights a channel in the first layer, 7·7·3 in that of 224×224 images
    "resnet18-7x7": (3, 32, 512, 11_173_962 - 5_130 + 64 * 3 * (49 - 9)),
    # a published implementation with convolutions in its shortcuts: 466 906 with a head of 65·10
    "resnet32": (3, 32, 64, 466_906 - 650),
    # published implementations for 32×32 images: 11 173 962 and 11 260 354 with a head of 513·10
    "resnet18": (3, 32, 512, 11_173_962 - 5_130),
    "senet18": (3, 32, 512, 11_260_354 - 5_130),
    # torchvision's regnet_y_400mf: 4 344 144 with a head of 441·1000
    "regnety-400mf": (3, 32, 440, 4_344_144 - 441_000),
}


def test_every_backbone_is_checked():
    assert BACKBONES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_parameters_and_shapes(name):
    channels, side, width, parameters = EXPECTED[name]
    model = BACKBONES[name](12, channels, False)
    assert sum(p.numel() for p in model.trunk.parameters()) == parameters
    assert sum(p.numel() for p in model.embedding.parameters()) == 12 * (width + 1)
    images = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))
    features = model(images)
    assert features.shape == (2, 12)
    features.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_normalised_embedding_has_mean_zero_and_variance_one(name):
    channels, side, _, _ = EXPECTED[name]
    images = torch.randn(8, channels, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = BACKBONES[name](5, channels, True)(images)
    # float32 sums of eight; the normalisation adds 1e-5 to a variance that may be small
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(5), atol=1e-4, rtol=0)
    assert float(features.var(dim=0, correction=0).max()) <= 1.0 + 1e-4
