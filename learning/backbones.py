"""Networks from images to features: φ in the paper's notation."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Two convolutions and a linear layer, for images of 8×8 and more; trains in seconds on a CPU.

    Parameters
    ----------
    dim : int
        Feature dimension d.
    in_channels : int
        Channels of the images.
    normalize_embedding : bool
        Batch-normalise the features, without affine parameters. It keeps each class's mean within a few degrees of its
        vertex at this size and length of training; without it the hypotheses of Theorem 1 fail (means 20–80° off).
    """

    def __init__(self, dim: int, in_channels: int = 1, normalize_embedding: bool = True) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.embedding = nn.Linear(4 * 64, dim)
        self.norm = nn.BatchNorm1d(dim, affine=False) if normalize_embedding else nn.Identity()

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch dim"]:
        """Images (B, C, H, W) → features (B, d), not normalised to the sphere."""
        return self.norm(self.embedding(self.trunk(images)))
