"""Networks from images to features: φ in the paper's notation.

Each is a trunk, a linear embedding to the feature dimension d, and, if wanted, a batch normalisation of the features.
The trunks for 32×32 images (ResNet-18, SENet-18, RegNetY-400MF) keep the resolution in their first layer; their
parameter counts are those of public implementations.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Backbone(nn.Module):
    """Trunk → linear embedding → features.

    Parameters
    ----------
    trunk : Module
        Images (B, C, H, W) → (B, width).
    width : int
        Number of features that the trunk returns.
    dim : int
        Feature dimension d.
    normalize_embedding : bool
        Batch-normalise the features, without affine parameters. On small data it keeps each class's mean within a few
        degrees of its vertex; without it the hypotheses of Theorem 1 fail (means 20–80° away).

    Attributes
    ----------
    width : int
    """

    def __init__(self, trunk: nn.Module, width: int, dim: int, normalize_embedding: bool = True) -> None:
        super().__init__()
        self.trunk = trunk
        self.width = width
        self.embedding: nn.Module = nn.Linear(width, dim)
        self.norm: nn.Module = nn.BatchNorm1d(dim, affine=False) if normalize_embedding else nn.Identity()

    def add_shift(self, dim: int) -> None:
        """Add a learned vector, initially 0, to the features; it lets embeddings share a common mean."""
        self.norm = nn.Sequential(self.norm, Shift(dim))

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch dim"]:
        """Images (B, C, H, W) → features (B, d), not normalised to the sphere."""
        features: Tensor = self.norm(self.embedding(self.trunk(images)))
        return features


class Shift(nn.Module):
    """Features plus a learned vector."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Features (B, d) → features (B, d)."""
        return features + self.shift


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

    The compatibility paper's released code keeps the first layer of 224×224 images: :func:`resnet18_7x7`.

    References
    ----------
    He et al., *Deep residual learning for image recognition*, 2016.
    """
    return Backbone(_residual(in_channels, _BasicBlock), 512, dim, normalize_embedding)


def resnet18_7x7(dim: int, in_channels: int = 3, normalize_embedding: bool = False) -> Backbone:
    """ResNet-18 with the 7×7 first layer of stride 2 and the pooling of 224×224 images, as the paper's released code.

    ``src/iamcl2r/models/resnet.py`` there. A sixth of the work of :func:`resnet18` on 32×32 images.
    """
    trunk = list(_residual(in_channels, _BasicBlock))
    stem = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return Backbone(nn.Sequential(stem, *trunk[1:3], pool, *trunk[3:]), 512, dim, normalize_embedding)


def resnet32(dim: int, in_channels: int = 3, normalize_embedding: bool = False) -> Backbone:
    """ResNet-32 for 32×32 images: three stages of five blocks, 16, 32 and 64 channels; the network of CL²R.

    References
    ----------
    He et al., *Deep residual learning for image recognition*, 2016, section 4.2.
    """
    return Backbone(_residual(in_channels, _BasicBlock, (16, 32, 64), 5), 64, dim, normalize_embedding)


def head(dim: int, in_channels: int, normalize_embedding: bool = True) -> Backbone:
    """A linear map of frozen features, which come as images of one pixel with as many channels as dimensions."""
    return Backbone(nn.Flatten(), in_channels, dim, normalize_embedding)


def mlp_head(dim: int, in_channels: int, normalize_embedding: bool = True) -> Backbone:
    """Two layers on frozen features, the hidden one as wide as they are, batch-normalised."""
    hidden = nn.Linear(in_channels, in_channels, bias=False)
    trunk = nn.Sequential(nn.Flatten(), hidden, nn.BatchNorm1d(in_channels), nn.ReLU())
    return Backbone(trunk, in_channels, dim, normalize_embedding)


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
    "head": head,
    "mlp-head": mlp_head,
    "resnet18": resnet18,
    "resnet18-7x7": resnet18_7x7,
    "resnet32": resnet32,
    "senet18": senet18,
    "regnety-400mf": regnety_400mf,
}


OwnBackbone = nn.Module | Callable[[], nn.Module]


def own_name(backbone: OwnBackbone) -> str:
    """What a network of one's own is called: "own:" and the name of its class or function."""
    return f"own:{getattr(backbone, '__qualname__', type(backbone).__qualname__)}"


def register_backbone(backbone: OwnBackbone, shape: tuple[int, ...], name: str = "") -> str:
    """Enter a network of your own in :data:`BACKBONES`; return its name there.

    Parameters
    ----------
    backbone : Module or callable
        Images (B, C, H, W) → vectors (B, width). A module is copied, weights included, for every model that starts from
        scratch; a function without arguments is called for each, with the generator of the model's seed.
    shape : tuple of int
        (C, H, W) of an image.
    name : str
        Name by which it can be found again by :func:`~learning.models.load_model` in another process after
        the same registration; else "own:" and the name of its class or function.

    Raises
    ------
    ValueError
        If it does not give one vector per image, or the name is taken by another network.
    """
    name = name or own_name(backbone)
    found = BACKBONES.get(name)
    if found is not None and getattr(found, "own", None) is backbone:
        return name
    if found is not None:
        raise ValueError(f"name must be free, got {name!r}, which is another network's. Give this one a name.")

    def trunk() -> nn.Module:
        made = copy.deepcopy(backbone) if isinstance(backbone, nn.Module) else backbone()
        if not isinstance(made, nn.Module):
            raise ValueError(f"backbone must be a module or a function that makes one, got {type(made).__name__}.")
        return made.requires_grad_(True)

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            given = trunk().eval()(torch.zeros(2, *shape))
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"backbone must be a module, or a function without arguments that makes one, and must read images of shape "
            f"{tuple(shape)}, which {name!r} does not ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(given, Tensor) or given.ndim != 2 or len(given) != 2:
        what = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ValueError(
            f"backbone must give one vector per image, shape (2, width) for 2 images of {tuple(shape)}, got {what}. "
            "Take its classifier off (model.fc = torch.nn.Identity()), average its maps (torch.nn."
            "AdaptiveAvgPool2d(1), torch.nn.Flatten()), or wrap it so that it returns the vector only."
        )

    def build(dim: int, in_channels: int, normalize_embedding: bool) -> Backbone:
        return Backbone(trunk(), given.shape[1], dim, normalize_embedding)

    build.own = backbone  # type: ignore[attr-defined]
    BACKBONES[name] = build
    return name


def backbone_name(backbone: str | OwnBackbone, shape: tuple[int, ...]) -> str:
    """Return the name of a backbone; a network of your own is registered for images of that shape.

    Raises
    ------
    ValueError
        For an unknown name, or a network that gives no vectors.
    """
    if not isinstance(backbone, str):
        return register_backbone(backbone, shape)
    check_backbone(backbone)
    return backbone


def check_backbone(backbone: str | OwnBackbone, name: str = "backbone") -> None:
    """Raise ValueError for an unknown name; a network of your own is checked when it meets the images."""
    if isinstance(backbone, str) and backbone not in BACKBONES:
        own = " A network of your own is registered with register_backbone." if backbone.startswith("own:") else ""
        raise ValueError(
            f"{name} must be one of {', '.join(BACKBONES)}, or a network of your own, got {backbone!r}.{own}"
        )


def _conv(channels: int, width: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, size, stride, padding=size // 2, groups=groups, bias=False)


def _residual(
    in_channels: int,
    block: Callable[[int, int, int], nn.Module],
    widths: tuple[int, ...] = (64, 128, 256, 512),
    depth: int = 2,
) -> nn.Sequential:
    """Stem, stages of ``depth`` blocks each, global average: what the residual networks share."""
    channels = widths[0]
    layers: list[nn.Module] = [_conv(in_channels, channels, 3), nn.BatchNorm2d(channels), nn.ReLU()]
    for stage, width in enumerate(widths):
        layers.append(block(channels, width, 2 if stage else 1))
        layers += [block(width, width, 1) for _ in range(depth - 1)]
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
        result: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return result


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
        result: Tensor = self.residual(active) + (x if self.shortcut is None else self.shortcut(active))
        return result


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
        result: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return result


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
        result: Tensor = x * self.weight(x)
        return result


def _shortcut(channels: int, width: int, stride: int) -> nn.Module:
    if stride == 1 and channels == width:
        return nn.Identity()
    return nn.Sequential(_conv(channels, width, 1, stride), nn.BatchNorm2d(width))
