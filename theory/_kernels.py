"""The kernels of the Monte Carlo estimates: distances of many pairs from a few scalars each, on NumPy or torch.

Only the inner product of a pair matters, so a pair needs two polar angles and one projection in any dimension. With
haversines a = sin²(θ/2) and b of the two polar angles around one axis, and t the first coordinate of a uniform point
of S^{d−2}, the haversine y = (1 − u·v)/2 of the pair is

    y = a + b − 2(ab + t·√(a(1−a) b(1−b))),

free of trigonometric functions and right to rounding at the scale of the caps, however small they are. A second
axis is one more step of the same formula: it turns the polar angle around w' into the one around w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from theory._laws import Law, parameter
from theory._sampling import CapQuantile, cap_quantile, vmf_haversine, vmf_quantile
from theory.caps import UniformCap
from theory.metrics import Metric

Array = Any  # of NumPy or of torch
Uniform = Callable[[int], Array]  # count → that many uniform variates in [0, 1)
Draw = Callable[[int, Uniform], Array]  # count, source → as many haversines, or projections
Kernel = Callable[[int, Any], Array]  # count, source → one row of values a quantity, shape (quantities, count)


def haversine_between(a: Array, b: Array, t: Array, xp: Any = np) -> Array:
    """(1 − u·v)/2 from the haversines a, b of two polar angles and the cosine t between their azimuths."""
    product = a * b
    root = 1.0 - a
    root *= 1.0 - b
    root *= product
    xp.sqrt(root, out=root)
    root *= t
    root += product
    root *= -2.0
    root += a
    root += b
    return xp.clip(root, 0.0, 1.0, out=root)


class Scalars:
    """The pieces of a scalar kernel on one backend: NumPy, or torch on ``device``.

    With ``inverted`` each piece takes one uniform variate and rejects none, as a Sobol sequence needs.
    """

    def __init__(self, torch: Any = None, device: str = "cpu", inverted: bool = False) -> None:
        self.torch, self.device, self.inverted = torch, device, inverted
        self.xp = np if torch is None else torch

    def _cap(self, dim: int, radius: float) -> CapQuantile:
        quantile = cap_quantile(dim, radius)
        return quantile if self.torch is None else quantile.to(self.torch, self.device)

    def polar(self, law: Law) -> Draw:
        """Haversines of the angle to the law's own axis."""
        if isinstance(law, UniformCap):
            cap = self._cap(law.dim, float(parameter(law)))
            return lambda count, uniform: cap.haversine(uniform(count))
        kappa = float(parameter(law))
        if self.inverted:
            quantile = vmf_quantile(law.dim, kappa)
            return lambda count, uniform: quantile(uniform(count))
        sphere = self._cap(law.dim, math.pi)
        return lambda count, uniform: vmf_haversine(law.dim, kappa, count, uniform, sphere)

    def projection(self, dim: int) -> Draw:
        """First coordinates of uniform points of S^{dim−2}; ±1 at dim 2."""
        if dim == 2:
            return lambda count, uniform: 2.0 * self.xp.floor(2.0 * uniform(count)) - 1.0
        sphere = self._cap(dim - 1, math.pi)
        return lambda count, uniform: sphere.cosine(uniform(count))

    def pairs(self, new: Law, old: Law, axis_cosine: float, metric: Metric) -> Kernel:
        """Distances of independent pairs, shape (1, count)."""
        draw_new, draw_old = self.polar(new), self.polar(old)
        project = self.projection(new.dim)
        tilt = 0.5 * (1.0 - axis_cosine)

        def kernel(count: int, uniform: Uniform) -> Array:
            a, b = draw_new(count, uniform), draw_old(count, uniform)
            if tilt > 0.0:
                b = haversine_between(b, tilt, project(count, uniform), self.xp)
            return metric.of_haversine(haversine_between(a, b, project(count, uniform), self.xp), self.xp)[None]

        return kernel

    def triples(self, new: Law, old: Law, axis_cosine: float) -> Kernel:
        """Whether Eq. 1a and Eq. 1b hold for independent triples, shape (2, count)."""
        draw_new, draw_old, project = self.polar(new), self.polar(old), self.projection(new.dim)
        tilt = 0.5 * (1.0 - axis_cosine)

        def kernel(count: int, uniform: Uniform) -> Array:
            a_new, a_old, b = draw_new(count, uniform), draw_old(count, uniform), draw_old(count, uniform)
            t_new, t_old = project(count, uniform), project(count, uniform)

            def excess(partner: Array) -> Array:
                new_old = haversine_between(a_new, partner, t_new, self.xp)
                return new_old - haversine_between(a_old, partner, t_old, self.xp)

            other = haversine_between(b, tilt, project(count, uniform), self.xp)
            return self.xp.stack([excess(b) <= 0.0, excess(other) >= 0.0])

        return kernel

    def source(self, seed: np.random.SeedSequence) -> Uniform:
        """A stream of uniform variates."""
        torch, device = self.torch, self.device
        if torch is None:
            return np.random.default_rng(seed).random
        generator = torch.Generator(device).manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        return lambda count: torch.rand(count, dtype=torch.float64, device=device, generator=generator)


def vector_pairs(new: Law, old: Law, axis_cosine: float, metric: Metric) -> Kernel:
    """As :meth:`Scalars.pairs`, from full vectors; its source is a Generator."""
    axis = np.zeros(new.dim)
    axis[:2] = axis_cosine, math.sqrt((1.0 - axis_cosine) * (1.0 + axis_cosine))

    def kernel(count: int, rng: Any) -> Array:
        chord = new.sample(count, rng=rng)
        chord -= old.sample(count, axis=axis, rng=rng)
        haversine = 0.25 * np.einsum("ij,ij->i", chord, chord)
        return metric.of_haversine(np.clip(haversine, 0.0, 1.0))[None]

    return kernel
