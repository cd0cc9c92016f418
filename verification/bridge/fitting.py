r"""Maps from one model's unit rows to the other's, fitted to pairs of one sample's rows; the most rigid first.

Labels are not used: a map is fitted to where the other model puts the same sample. What a map may do is what tells
them apart. A rigid one (identity, translation, orthogonal) keeps what the model knows and its spread; a regression
(ridge, adapter) also shrinks what does not predict the other model, and with it classes that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import linalg, optimize

from theory.extras import require
from verification.bridge.maps import Direction, FeatureMap
from verification.statistics.rows import stream

# kinds that compete only where they are named: they take more than a query's new row, or longer
BY_NAME = ("qdc", "bottleneck", "slerp")
# of the mapped query, where one is interpolated
SLERP_WEIGHT = 0.5
Source = Float[ndarray, "n d_in"]
Target = Float[ndarray, "n d_out"]
# root mean square of the squared singular values' distance from 1 that costs a λ-orthogonal map nothing
RELAXATION = 0.25
RIDGE_PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2)
# rows that choose the ridge penalty, leaving one out at a time
RIDGE_ROWS = 4096
# what a kind imports when it is fitted, of the extra "bridge"
PACKAGES = {"ridge": ("sklearn",), "adapter": ("torch",)}


def fit(
    kind: str,
    source: Source,
    target: Target,
    direction: Direction,
    seed: int = 0,
    drifts: Sequence[FeatureMap] = (),
) -> FeatureMap:
    """Fit one kind of map to pairs of unit rows.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`; ``identity``, ``translation`` and ``qdc`` need equal dimensions, ``cut`` needs
        d_in > d_out, and ``slerp`` maps queries.
    source, target : ndarray, shape (n, d_in) and (n, d_out), float64
        Rows of the same samples.
    direction : {"queries", "gallery"}
    seed : int
        Seed of the fit: of the rows that choose the ridge penalty, and of the maps that are trained.
    drifts : sequence of FeatureMap
        Translations of single updates, which ``qdc`` adds up.
    """
    if kind == "qdc":
        return FeatureMap(kind, direction, *add_drifts(drifts, source.shape[1], direction))
    arrays = KINDS[kind](source, target, stream(seed, f"fit {kind}"))
    return FeatureMap.of_arrays(kind, direction, arrays)


def add_drifts(
    drifts: Sequence[FeatureMap], dim: int, direction: Direction
) -> tuple[Float[ndarray, "dim dim"], Float[ndarray, " dim"]]:
    """A and b of query drift compensation over several updates, as released: mean drifts of single updates, added up.

    Each drift was measured between neighbouring models on the samples that there were then, and nothing is normalised
    between them. Of one update that is its translation.

    Parameters
    ----------
    drifts : sequence of FeatureMap
        In any order.
    dim : int
    direction : {"queries", "gallery"}

    Raises
    ------
    ValueError
        If there is none, or one is no translation of this dimension and direction.

    References
    ----------
    Goswami et al., *Query drift compensation*, 2025, and its released code.
    """
    if not drifts:
        raise ValueError(
            "the qdc map adds up drifts of single updates: give them (--drift MAP, each a translation that was saved)."
        )
    for drift in drifts:
        if drift.kind not in ("translation", "qdc") or drift.dims != (dim, dim) or drift.direction != direction:
            raise ValueError(
                f"a drift must be a translation of {direction} in dimension {dim}, got a {drift.kind} map of "
                f"{drift.direction}, dimension {drift.dims[0]} → {drift.dims[1]}."
            )
    return np.eye(dim), np.sum([drift.b for drift in drifts], axis=0)


def require_packages(kinds: Sequence[str]) -> None:
    """Refuse kinds whose package is not installed, before anything is fitted.

    Raises
    ------
    MissingExtra
    """
    for kind in kinds:
        require(f"a map of kind {kind}", *PACKAGES.get(kind, ()), extra="bridge")


def available(d_in: int, d_out: int) -> tuple[str, ...]:
    """Kinds that map between these dimensions, the most rigid first."""
    equal = {"identity", "translation", "qdc"}
    impossible = {"cut"} if d_in == d_out else equal | ({"cut"} if d_in < d_out else set())
    return tuple(kind for kind in KINDS if kind not in impossible)


def _identity(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    return {"A": np.eye(source.shape[1]), "b": np.zeros(target.shape[1])}


def _translation(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    """Drift compensation: the mean drift, added (Goswami et al., *Query drift compensation*, 2025)."""
    return {"A": np.eye(source.shape[1]), "b": target.mean(axis=0) - source.mean(axis=0)}


def _cut(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    """The first coordinates, as of embeddings that were trained to be cut (Kusupati et al., *Matryoshka*, 2022)."""
    return {"A": np.eye(source.shape[1], target.shape[1]), "b": np.zeros(target.shape[1])}


def _orthogonal(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    r"""Centred orthogonal Procrustes: minimise ‖(X − x̄)Q − (Y − ȳ)‖ over QᵀQ = I; unequal dimensions zero-padded.

    Between unequal dimensions the block of Q that is used has orthonormal rows, or columns, as there are fewer.
    """
    turn = procrustes(source - source.mean(axis=0), target - target.mean(axis=0))
    return _through_means(turn, source, target)


def procrustes(source: Source, target: Target) -> Float[ndarray, "d_in d_out"]:
    """The orthogonal map (orthonormal rows or columns) that takes centred rows nearest to their partners."""
    d_in, d_out = source.shape[1], target.shape[1]
    dim = max(d_in, d_out)
    # Procrustes asks for no more than the product of both matrices, and SciPy forms it from what it is given
    cross = np.zeros((dim, dim))
    cross[:d_in, :d_out] = source.T @ target
    return linalg.orthogonal_procrustes(np.eye(dim), cross)[0][:d_in, :d_out]


def _through_means(matrix: ndarray, source: Source, target: Target) -> dict[str, ndarray]:
    return {"A": matrix, "b": target.mean(axis=0) - source.mean(axis=0) @ matrix}


def _lambda_orthogonal(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    r"""Least squares over matrices that are nearly orthogonal: ‖XA − Y‖²/‖Y‖² + relu(‖G − I‖_F − λ)².

    G is AᵀA or AAᵀ, the smaller one, of size m; λ = :data:`RELAXATION` · √m. L-BFGS from the orthogonal map, on second
    moments alone. The method trains such a map beside the model with a smooth threshold; here it is fitted to features
    that are there, by our reading of the constraint.

    References
    ----------
    Ricci et al., *λ-orthogonality regularization for compatible representation learning*, 2025.
    """
    x, y = source - source.mean(axis=0), target - target.mean(axis=0)
    total = float(np.sum(y**2))
    own, cross = x.T @ x / total, x.T @ y / total
    shape = cross.shape
    threshold = RELAXATION * np.sqrt(min(shape))

    def loss(flat: ndarray) -> tuple[float, ndarray]:
        a = flat.reshape(shape)
        product = own @ a
        value = 1.0 + float(np.sum(a * (product - 2.0 * cross)))
        slope = 2.0 * (product - cross)
        tall = shape[0] >= shape[1]
        off = (a.T @ a if tall else a @ a.T) - np.eye(min(shape))
        distance = float(np.linalg.norm(off))
        if (excess := distance - threshold) > 0.0:
            value += excess**2
            slope += 4.0 * excess / distance * (a @ off if tall else off @ a)
        return value, slope.ravel()

    start = procrustes(x, y)
    found = optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return _through_means(found.x.reshape(shape), source, target)


def _ridge(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    """Affine ridge regression; its penalty is the one with the least leave-one-out error."""
    from sklearn.linear_model import Ridge, RidgeCV

    some = rng.permutation(len(source))[:RIDGE_ROWS]
    # sums of squares grow with the rows, and the penalty that weighs the same with them
    penalties = np.array(RIDGE_PENALTIES)
    chosen = RidgeCV(penalties).fit(source[some], target[some]).alpha_
    model = Ridge(chosen * len(source) / len(some), solver="cholesky").fit(source, target)
    return {"A": np.ascontiguousarray(model.coef_.T), "b": model.intercept_}


def _adapter(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    from verification.bridge.adapter import train_adapter

    return train_adapter(_orthogonal(source, target, rng), source, target, rng)


def _bottleneck(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    from verification.bridge.bottleneck import train_bottleneck

    return train_bottleneck(_orthogonal(source, target, rng), source, target, rng)


def _slerp(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    """The orthogonal map, from whose image the query goes half of the way back to the old model's own query.

    Both models embed every query. The weight is a half; the method leaves it to be tuned.

    References
    ----------
    Shoemake, *Animating rotation with quaternion curves*, 1985, for the interpolation.
    """
    return {**_orthogonal(source, target, rng), "weight": np.array(SLERP_WEIGHT)}


def _no_fit(source: Source, target: Target, rng: np.random.Generator) -> dict[str, ndarray]:
    raise ValueError("the qdc map is not fitted, its drifts were.")


KINDS: dict[str, Callable[[Source, Target, np.random.Generator], dict[str, ndarray]]] = {
    "identity": _identity,
    "translation": _translation,
    "qdc": _no_fit,
    "cut": _cut,
    "orthogonal": _orthogonal,
    "lambda-orthogonal": _lambda_orthogonal,
    "ridge": _ridge,
    "adapter": _adapter,
    "bottleneck": _bottleneck,
    "slerp": _slerp,
}
