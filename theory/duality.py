r"""Proposition 1: HOC's convex combination is cross-entropy under a constraint (paper, Eqs. 2 to 4).

On a problem small enough to solve exactly, the new features themselves are the variables. The cross-entropy
with the fixed simplex classifier and the contrastive term against given old features are both log-sum-exp of
linear functions minus a linear one, so **both are convex in the features**. Then

.. math:: \min_u \mathrm{CE}(u)\ \text{s.t.}\ L_{con}(u) ≤ ε
   \qquad\text{and}\qquad \min_u λ\,\mathrm{CE}(u) + (1−λ)\,L_{con}(u),\quad λ = \frac{1}{1+ν},

have the same solutions, ν the multiplier of the constraint, *if the features range over a convex set* (here
the unit ball) *and ε exceeds the smallest contrastive loss there* (Slater). From the weighted problem to the
constrained one (with ε the loss reached) no convexity is needed. The other way it is: on the unit sphere,
where the paper's features live, there are constrained minimisers that no λ attains. A network's weights are
no convex set either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, nnls
from scipy.special import logsumexp

from theory._validation import check_integer
from theory.simplex import simplex_vertices

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FreeFeatureProblem:
    """New features as free variables, against a fixed simplex classifier and given old features.

    Parameters
    ----------
    targets : array of int, shape (N,)
        Class of each sample, in [0, num_classes).
    old_features : array, shape (N, dim)
        The old model's features v_i of the same samples, normalised here.
    num_classes : int
        K, 2 ≤ K ≤ dim + 1: the classifier's rows are the vertices of the regular simplex.
    scale : float
        µ > 0, the inverse temperature of the contrastive term.

    Raises
    ------
    ValueError
        For shapes or values outside these rules.
    """

    targets: NDArray[np.int64]
    old_features: FloatArray
    num_classes: int
    scale: float = 10.0
    vertices: FloatArray = field(init=False)
    _allowed: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        targets = np.asarray(self.targets)
        old = np.asarray(self.old_features, dtype=np.float64)
        if old.ndim != 2 or targets.shape != old.shape[:1]:
            raise ValueError(
                f"old_features must be (N, dim) beside N targets, got shapes {old.shape} and {targets.shape}."
            )
        if not np.issubdtype(targets.dtype, np.integer) or np.any((targets < 0) | (targets >= self.num_classes)):
            raise ValueError(f"targets must be integers in [0, {self.num_classes}), got {targets!r}.")
        norms = np.linalg.norm(old, axis=1, keepdims=True)
        if not (np.all(np.isfinite(norms)) and np.all(norms > 0)):
            raise ValueError("old_features must be finite and not zero, got a row that cannot be normalised.")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be a finite number > 0, got {self.scale!r}.")
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "old_features", old / norms)
        object.__setattr__(self, "vertices", simplex_vertices(self.num_classes, old.shape[1]))
        # the denominator of Eq. 4: the positive (own old feature) and the old features of other classes
        mask = (targets[:, None] != targets) | np.eye(len(targets), dtype=bool)
        object.__setattr__(self, "_allowed", np.where(mask, 0.0, -np.inf))

    def cross_entropy(self, features: ArrayLike) -> tuple[float, FloatArray]:
        """Mean cross-entropy of the logits W u_i (Eq. 3) and its gradient, shape (N, dim)."""
        u = np.asarray(features, dtype=np.float64)
        return _softmax_loss(u @ self.vertices.T, self.targets, self.vertices)

    def contrastive(self, features: ArrayLike) -> tuple[float, FloatArray]:
        """Contrastive loss (Eq. 4) of new anchors, old features of other classes as negatives; and its gradient."""
        u = np.asarray(features, dtype=np.float64)
        keys = self.scale * self.old_features
        return _softmax_loss(u @ keys.T + self._allowed, np.arange(len(u)), keys)


def _softmax_loss(logits: FloatArray, answers: NDArray[np.int64], keys: FloatArray) -> tuple[float, FloatArray]:
    """Mean of logsumexp(logits) − logit of the answer, and its gradient: logits = u @ keys.T + constant."""
    rows = np.arange(len(logits))
    normaliser = logsumexp(logits, axis=1)
    excess = np.exp(logits - normaliser[:, None])
    excess[rows, answers] -= 1.0
    return float(np.mean(normaliser - logits[rows, answers])), excess @ keys / len(logits)


@dataclass(frozen=True, eq=False)
class Duality:
    """Both minimisers of Proposition 1 and what ties them.

    Attributes
    ----------
    constrained, weighted : ndarray, shape (N, dim)
        Minimisers of CE subject to L_con ≤ ε, and of λ·CE + (1−λ)·L_con.
    multiplier, weight : float
        ν ≥ 0 of the constraint and λ = 1/(1+ν).
    stationarity, feasibility, complementarity : float
        KKT residuals of ``constrained``: the largest entry of ∇CE + ν∇L_con + normals, the largest violation
        of a constraint, and |ν·(L_con − ε)|.
    distance : float
        Largest Euclidean distance between a sample's two features.
    weighted_excess : float
        λ·CE + (1−λ)·L_con at ``constrained`` less its minimum: 0 where the proposition holds, even when
        minimisers are not unique (dim > num_classes − 1 leaves directions that the classifier does not see).
    """

    constrained: FloatArray
    weighted: FloatArray
    multiplier: float
    weight: float
    stationarity: float
    feasibility: float
    complementarity: float
    distance: float
    weighted_excess: float


def _minimise(
    problem: FreeFeatureProblem,
    weight: float,
    domain: str,
    starts: FloatArray,
    epsilon: float | None = None,
) -> FloatArray:
    """Best of the starts for λ·CE + (1−λ)·L_con, subject to L_con ≤ ε if one is given."""
    shape = problem.old_features.shape
    n, d = shape

    def objective(z: FloatArray) -> tuple[float, FloatArray]:
        ce, ce_gradient = problem.cross_entropy(z.reshape(shape))
        con, con_gradient = problem.contrastive(z.reshape(shape))
        return weight * ce + (1 - weight) * con, (weight * ce_gradient + (1 - weight) * con_gradient).ravel()

    def norms_jacobian(z: FloatArray) -> FloatArray:
        jacobian = np.zeros((n, n, d))
        jacobian[np.arange(n), np.arange(n)] = -2.0 * z.reshape(shape)
        return jacobian.reshape(n, n * d)

    constraints = [
        {
            "type": "ineq" if domain == "ball" else "eq",
            "fun": lambda z: 1.0 - np.sum(z.reshape(shape) ** 2, axis=1),
            "jac": norms_jacobian,
        }
    ]
    if epsilon is not None:
        constraints.append(
            {
                "type": "ineq",
                "fun": lambda z: epsilon - problem.contrastive(z.reshape(shape))[0],
                "jac": lambda z: -problem.contrastive(z.reshape(shape))[1].ravel(),
            }
        )
    best: FloatArray | None = None
    best_value = math.inf
    for start in starts:
        found = minimize(
            objective,
            start.ravel(),
            jac=True,
            method="SLSQP",
            constraints=constraints,
            options={"ftol": 1e-14, "maxiter": 300},
        ).x.reshape(shape)
        excess = np.sum(found**2, axis=1) - 1.0
        violation = np.max(np.abs(excess) if domain == "sphere" else excess)
        if epsilon is not None:
            violation = max(violation, problem.contrastive(found)[0] - epsilon)
        value = objective(found.ravel())[0]
        if violation < 1e-8 and value < best_value:
            best, best_value = found, value
    if best is None:
        raise RuntimeError(f"SLSQP reached a feasible point from none of {len(starts)} starts; give more.")
    return best


def solve_duality(
    problem: FreeFeatureProblem,
    epsilon: float,
    domain: str = "ball",
    num_starts: int = 1,
    rng: int | np.random.Generator = 0,
) -> Duality:
    r"""Solve the constrained problem and, at its multiplier, the convex combination.

    Parameters
    ----------
    problem : FreeFeatureProblem
    epsilon : float
        Bound ε on the contrastive loss, above the smallest one on the domain.
    domain : {"ball", "sphere"}
        ‖u_i‖ ≤ 1, where the proposition holds, or ‖u_i‖ = 1, where it can fail.
    num_starts : int
        Random starts beside the old features; one is enough on the ball, the sphere has local minima.
    rng : int or Generator
        Seed of the starts.

    Returns
    -------
    Duality
        Minimisers, ν (fitted to the KKT system by non-negative least squares), λ and the residuals.

    Raises
    ------
    ValueError
        If the domain is unknown, or no point has a contrastive loss below ``epsilon``.
    RuntimeError
        If the solver ends at a feasible point from no start.

    References
    ----------
    Paper, Proposition 1; Boyd & Vandenberghe, *Convex Optimization*, 2004, sections 4.7.4 and 5.5.
    """
    if domain not in ("ball", "sphere"):
        raise ValueError(f"domain must be 'ball' or 'sphere', got {domain!r}.")
    num_starts = check_integer("num_starts", num_starts, 0)
    old = problem.old_features
    random = np.random.default_rng(rng).standard_normal((num_starts, *old.shape))
    starts = np.concatenate([old[None], random / np.linalg.norm(random, axis=-1, keepdims=True)])

    closest = _minimise(problem, 0.0, domain, starts)
    least = problem.contrastive(closest)[0]
    if not epsilon > least:
        raise ValueError(
            f"epsilon must be > {least!r}, the smallest contrastive loss on the {domain}, got {epsilon!r}: "
            "no feature satisfies the constraint strictly."
        )
    constrained = _minimise(problem, 1.0, domain, np.concatenate([closest[None], starts]), epsilon)
    (_, ce_gradient), (loss, con_gradient) = (
        problem.cross_entropy(constrained),
        problem.contrastive(constrained),
    )
    norms = np.linalg.norm(constrained, axis=1)

    # ∇CE + ν∇L_con + Σ η_i u_i = 0, ν ≥ 0, η_i ≥ 0 on the ball (any sign on the sphere); inactive ones vanish
    bound_active = epsilon - loss < 1e-6 * max(1.0, abs(epsilon))
    normals = [np.zeros_like(old) for _ in range(len(old))]
    for i in np.flatnonzero(norms > 1.0 - 1e-6):
        normals[i][i] = constrained[i]
    columns = [
        con_gradient * bound_active,
        *normals,
        *([-normal for normal in normals] if domain == "sphere" else []),
    ]
    matrix = np.stack([column.ravel() for column in columns], axis=1)
    solution, _ = nnls(matrix, -ce_gradient.ravel())
    multiplier = float(solution[0])
    weight = 1.0 / (1.0 + multiplier)
    weighted = _minimise(problem, weight, domain, starts)

    def combined(features: FloatArray) -> float:
        return weight * problem.cross_entropy(features)[0] + (1 - weight) * problem.contrastive(features)[0]

    radial = np.max(np.abs(norms - 1.0)) if domain == "sphere" else max(0.0, float(np.max(norms - 1.0)))
    return Duality(
        constrained=constrained,
        weighted=weighted,
        multiplier=multiplier,
        weight=weight,
        stationarity=float(np.max(np.abs(matrix @ solution + ce_gradient.ravel()))),
        feasibility=float(max(0.0, loss - epsilon, radial)),
        complementarity=abs(multiplier * (loss - epsilon)),
        distance=float(np.max(np.linalg.norm(constrained - weighted, axis=1))),
        weighted_excess=combined(constrained) - combined(weighted),
    )


def nonconvex_example() -> tuple[FreeFeatureProblem, float]:
    """A problem on the circle and an ε whose constrained minimiser minimises λ·CE + (1−λ)·L_con for no λ.

    The middle sample belongs to the second vertex, at angle π, and its old feature lies at 0, between those
    of two samples of the first class. As λ grows, its weighted minimiser jumps from near 0 to π, past every
    point between, and the constraint asks for one of those. Two mirror images then solve the constrained
    problem.
    """
    angles = np.array([-0.5, 0.0, 0.5])
    old = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return FreeFeatureProblem(np.array([0, 1, 0]), old, num_classes=2, scale=5.0), 0.47
