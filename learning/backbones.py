"""Networks from images to features: φ in the paper's notation.

Each is a trunk, a linear embedding to the feature dimension d, and, if wanted, a batch normalisation of the features.
The trunks for 32×32 images (ResNet-18, SENet-18, RegNetY-400MF) keep the resolution in their first layer; their
parameter counts are those of public implementations.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn


class Backbone(nn.Module):
    """Trunk → linear embedding → features.

    Parameters
    ----------
    trunk : Module
        Images (B, C, H, W) → (B, width).
    width : int
        What the trunk gives.
    dim : int
        Feature dimension d.
    normalize_embedding : bool
        Batch-normalise the features, without affine parameters. On small data it keeps each class's mean within a few
        degrees of its vertex; without it the hypotheses of Theorem 1 fail (means 20–80° off).
    """

    def __init__(self, trunk: nn.Module, width: int, dim: int, normalize_embedding: bool = True) -> None:
        super().__init__()
        self.trunk = trunk
        self.embedding = nn.Linear(width, dim)
        self.norm = nn.BatchNorm1d(dim, affine=False) if normalize_embedding else nn.Identity()

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch dim"]:
        """Images (B, C, H, W) → features (B, d), not normalised to the sphere."""
        return self.norm(self.embedding(self.trunk(images)))


class SmallCNN(Backbone):
    """Two convolutions and a linear layer, for images of 8×8 and more; trains in seconds on a CPU.

    Parameters
    ----------
    dim : int
        Feature dimension d.
    in_channels : int
        Channels of the images.
    normalize_embedding : bool
        See :class:`Backbone`.
    """

    def __init__(self, dim: int, in_channels: int = 1, normalize_embedding: bool = True) -> None:
        trunk = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.ReLU(),  # after pooling: the same function, a quarter of the work
            nn.Conv2d(32, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        super().__init__(trunk, 4 * 64, dim, normalize_embedding)


def lenet_plus_plus(dim: int, in_channels: int = 1, normalize_embedding: bool = True) -> Backbone:
    """LeNet++: three pairs of 5×5 convolutions with PReLU, each pair pooled by two; for 28×28 images.

    References
    ----------
    Wen et al., *A discriminative feature learning approach for deep face recognition*, 2016.
    """
    layers: list[nn.Module] = []
    for width in (32, 64, 128):
        for channels in (in_channels, width):
            layers += [nn.Conv2d(channels, width, 5, padding=2), nn.PReLU(width)]
        layers.append(nn.MaxPool2d(2))
        in_channels = width
    # 3×3 is what 28×28 is pooled to; other sizes are averaged to it
    return Backbone(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten()), 9 * 128, dim, normalize_embedding)


def resnet18(dim: int, in_channels: int = 3, normalize_embedding: bool = False) -> Backbone:
    """ResNet-18 for 32×32 images: a 3×3 first layer and no pooling after it.

    The compatibility paper's released code keeps the 7×7 first layer and the pooling made for 224×224 images.

    References
    ----------
    He et al., *Deep residual learning for image recognition*, 2016.
    """
    return Backbone(_residual(in_channels, _BasicBlock), 512, dim, normalize_embedding)


def senet18(dim: int, in_channels: int = 3, normalize_embedding: bool = False) -> Backbone:
    """SENet-18: a pre-activation ResNet-18 for 32×32 images with squeeze and excitation in every block.

    References
    ----------
    Hu et al., *Squeeze-and-excitation networks*, 2018; He et al., *Identity mappings in deep residual networks*, 2016.
    """
    return Backbone(_residual(in_channels, _PreActivationSEBlock), 512, dim, normalize_embedding)


def regnety_400mf(dim: int, in_channels: int = 3, normalize_embedding: bool = False) -> Backbone:
    """RegNetY-400MF for 32×32 images: first layer and first two stages at full resolution.

    Depths 1, 3, 6, 6, widths 48, 104, 208, 440, groups of 8: the paper's Table. The released code of the compatibility
    paper has other depths and widths under this name (those of RegNetX-400MF).

    References
    ----------
    Radosavovic et al., *Designing network design spaces*, 2020.
    """
    layers: list[nn.Module] = [_conv(in_channels, 32, 3), nn.BatchNorm2d(32), nn.ReLU()]
    channels = 32
    for depth, width, stride in ((1, 48, 1), (3, 104, 1), (6, 208, 2), (6, 440, 2)):
        for block in range(depth):
            layers.append(_RegNetYBlock(channels, width, stride if block == 0 else 1))
            channels = width
    trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(trunk, channels, dim, normalize_embedding)


BACKBONES: dict[str, Callable[[int, int, bool], Backbone]] = {
    "small-cnn": SmallCNN,
    "lenet++": lenet_plus_plus,
    "resnet18": resnet18,
    "senet18": senet18,
    "regnety-400mf": regnety_400mf,
}


def _conv(channels: int, width: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, size, stride, padding=size // 2, groups=groups, bias=False)


def _residual(in_channels: int, block: Callable[[int, int, int], nn.Module]) -> nn.Sequential:
    """Stem, four stages of two blocks, global average: what ResNet-18 and SENet-18 share."""
    layers: list[nn.Module] = [_conv(in_channels, 64, 3), nn.BatchNorm2d(64), nn.ReLU()]
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [block(channels, width, stride), block(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _BasicBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(channels, width, 3, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _conv(width, width, 3),
            nn.BatchNorm2d(width),
        )
        self.shortcut = _shortcut(channels, width, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.residual(x) + self.shortcut(x))


class _PreActivationSEBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.residual = nn.Sequential(
            _conv(channels, width, 3, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _conv(width, width, 3),
            _SqueezeExcite(width, width // 16),
        )
        same = stride == 1 and channels == width
        self.shortcut = None if same else _conv(channels, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(x)
        return self.residual(active) + (x if self.shortcut is None else self.shortcut(active))


class _RegNetYBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(channels, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _conv(width, width, 3, stride, groups=width // 8),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _SqueezeExcite(width, round(channels / 4)),
            _conv(width, width, 1),
            nn.BatchNorm2d(width),
        )
        self.shortcut = _shortcut(channels, width, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.residual(x) + self.shortcut(x))


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.weight = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight(x)


def _shortcut(channels: int, width: int, stride: int) -> nn.Module:
    if stride == 1 and channels == width:
        return nn.Identity()
    return nn.Sequential(_conv(channels, width, 1, stride), nn.BatchNorm2d(width))
