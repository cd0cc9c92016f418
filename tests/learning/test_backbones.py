"""Backbones: parameters counted by hand or as published, and the shapes that they take and give."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from learning.backbones import BACKBONES, SmallCNN, _BasicBlock, _PreActivationSEBlock, _RegNetYBlock, _SqueezeExcite

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


# side of the maps that are averaged at the end, by how often each network halves them
SIDES = {
    "small-cnn": 4,
    "lenet++": 3,
    "resnet18": 4,
    "resnet18-7x7": 1,
    "resnet32": 8,
    "senet18": 4,
    "regnety-400mf": 8,
}


@pytest.mark.parametrize("name", SIDES)
def test_maps_shrink_as_often_as_stated(name):
    channels, side, *_ = EXPECTED[name]
    model = BACKBONES[name](5, channels, False).eval()
    seen = []
    pool = [module for module in model.trunk.children() if isinstance(module, nn.AdaptiveAvgPool2d)][-1]
    pool.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2:]))
    with torch.no_grad():
        model(torch.zeros(1, channels, side, side))
    assert seen == [(SIDES[name], SIDES[name])]


def test_what_the_networks_take_if_nothing_is_said():
    for name, build in BACKBONES.items():
        defaults = {p.name: p.default for p in inspect.signature(build).parameters.values() if p.name != "dim"}
        small = name in ("small-cnn", "lenet++")
        assert defaults == {
            "in_channels": inspect.Parameter.empty if "head" in name else 1 if small else 3,
            "normalize_embedding": small or "head" in name,
        }, name


def test_blocks_add_what_goes_round_them():
    """With a last normalisation of weight 0 a block is its shortcut; squeeze and excitation of weight 0 halves."""
    x = torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(2))
    for block in (_BasicBlock(16, 16, 1), _RegNetYBlock(16, 16, 1)):
        nn.init.zeros_(block.residual[-1].weight)
        torch.testing.assert_close(block(x), x.relu())
        assert isinstance(block.shortcut, nn.Identity)
    block = _PreActivationSEBlock(16, 16, 1)
    nn.init.zeros_(block.residual[3].weight)
    torch.testing.assert_close(block(x), x)
    for made in (
        _BasicBlock(16, 16, 2),
        _BasicBlock(16, 32, 1),
        _PreActivationSEBlock(16, 32, 1),
        _RegNetYBlock(16, 32, 1),
    ):
        assert sum(p.numel() for p in made.shortcut.parameters()) >= 16 * 16
    wide = _PreActivationSEBlock(16, 32, 1)
    nn.init.zeros_(wide.residual[3].weight)
    torch.testing.assert_close(wide(x), wide.shortcut(wide.activation(x)))
    squeeze = _SqueezeExcite(16, 4)
    for layer in (squeeze.weight[1], squeeze.weight[3]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    torch.testing.assert_close(squeeze(x), 0.5 * x)


def test_a_shift_is_added_after_the_normalisation():
    model = SmallCNN(4).eval()
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    before = model(images)
    model.add_shift(4)
    assert torch.equal(model(images), before)
    nn.init.constant_(model.norm[1].shift, 2.5)
    torch.testing.assert_close(model(images), before + 2.5)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_normalised_embedding_has_mean_zero_and_variance_one(name):
    channels, side, _, _ = EXPECTED[name]
    images = torch.randn(8, channels, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = BACKBONES[name](5, channels, True)(images)
    # float32 sums of eight; the normalisation adds 1e-5 to a variance that may be small
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(5), atol=1e-4, rtol=0)
    assert float(features.var(dim=0, correction=0).max()) <= 1.0 + 1e-4
