"""What several derivations share: functions of one coordinate of a sphere, their Laplacian, and the chain rule."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp


def axial_laplacian(first: sp.Expr, second: sp.Expr, x: sp.Symbol, dim: sp.Expr) -> sp.Expr:
    """Laplacian on the unit sphere of R^dim of G(x), x a coordinate: (1−x²)G″ − (dim−1)xG′, from G′ and G″."""
    return (1 - x**2) * second - (dim - 1) * x * first


def as_total_derivative(x: sp.Symbol, dim: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Two expressions that are equal: the Laplacian has mean 0 on the sphere, being a derivative over the density.

    They are d/dx[(1−x²)^{(dim−1)/2} G′]/(1−x²)^{(dim−3)/2} and the axial Laplacian of G(x).
    """
    first = sp.diff(sp.Function("G")(x), x)
    derivative = sp.diff((1 - x**2) ** ((dim - 1) / 2) * first, x) / (1 - x**2) ** ((dim - 3) / 2)
    return sp.simplify(derivative), axial_laplacian(first, sp.diff(first, x), x, dim)


@dataclass(frozen=True)
class Composite:
    """G(inner) for an unknown G, linear in its derivatives at the inner expression, which are symbols."""

    first: sp.Symbol
    second: sp.Symbol

    def slope(self, inner: sp.Expr, x: sp.Symbol) -> sp.Expr:
        """∂G(inner)/∂x."""
        return self.first * sp.diff(inner, x)

    def bend(self, inner: sp.Expr, x: sp.Symbol) -> sp.Expr:
        """∂²G(inner)/∂x²."""
        return self.second * sp.diff(inner, x) ** 2 + self.first * sp.diff(inner, x, 2)

    def axial(self, inner: sp.Expr, x: sp.Symbol, dim: sp.Expr) -> sp.Expr:
        """The axial Laplacian in x of G(inner)."""
        return axial_laplacian(self.slope(inner, x), self.bend(inner, x), x, dim)
