"""Claims about decisions at a threshold and about rankings: Theorem D, what follows from it, and where that ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from theory import acceptance, compatibility, decisions, monte_carlo, ranking
from theory.caps import UniformCap
from theory.simplex import simplex_vertices
from theory.von_mises_fisher import VonMisesFisher
from verification.audit.decisions import RateTests, check_decisions
from verification.experiments.claims.ledger import Claim, Finding, Number, Verdict
from verification.experiments.claims.material import SIMPLEX, Material
from verification.experiments.claims.theorem import Z, proved_and_seen, step_by_step
from verification.experiments.decisions import turned_to_old_means
from verification.upgrade import Upgrade

FloatArray = NDArray[np.float64]

DIMS = (2, 3, 9, 64, 512)
RADII = np.array([0.2, 0.6, 1.1, 0.5 * math.pi])
KAPPAS = (0.5, 3.0, 20.0)  # times d
STEPS = np.linspace(0.0, 0.95, 8)  # of the way from the bound to cosine 1
OVERLAPPING = {  # angles of the axes, radius, items of each class
    "two half circles at a right angle": ((0.0, 0.5 * math.pi), 0.5 * math.pi, 50),
    "simplex of three arcs of radius 2.3": ((0.0, 2.0 * math.pi / 3.0, 4.0 * math.pi / 3.0), 2.3, 200),
}
SEPARATED = ((0.3, 0.2, 0.5, 3), (0.7, 0.7, 1.4, 5), (1.0, 1.0, 2.0944, 1))  # α, α', arccos ρ, right items
RELATIVE = 2e-10  # of a rate: twice its error
GRID_ERROR = 1e-4  # of recall on the circle, from 1200 angles


def least_true_accept_gain(radii: FloatArray = RADII) -> tuple[float, float]:
    """Least TAR_t − TAR_k, over TAR_k, of caps α_t < α_k at thresholds from −0.9 up, and the greatest if they widen."""
    least, widened = math.inf, -math.inf
    thresholds = np.linspace(-0.9, 0.95, 8)
    for dim in DIMS:
        for new, old in zip(*np.triu_indices(len(radii), 1), strict=True):
            laws = UniformCap(dim, float(radii[new])), UniformCap(dim, float(radii[old]))
            rate = np.asarray(acceptance.expected_acceptance(laws[1], laws[1], thresholds)) + 1e-300
            least = min(least, float(np.min(_true_gain(*laws, thresholds) / rate)))
            widened = max(widened, float(np.min(_true_gain(*laws[::-1], thresholds))))
    return least, widened


def _true_gain(new: UniformCap, old: UniformCap, thresholds: FloatArray) -> FloatArray:
    return np.asarray(decisions.theorem_d_gaps(new, old, thresholds, 1.0).same_class)


def least_false_accept_gain(law: type = UniformCap) -> tuple[float, float]:
    """Least FAR_k − FAR_t, over FAR_k, from the bound of Theorem D up; and below the bound, where it is silent."""
    above, below = math.inf, math.inf
    for dim in DIMS:
        values = RADII if law is UniformCap else dim * np.array(KAPPAS)[::-1]
        for new, old in zip(*np.triu_indices(len(values), 1), strict=True):
            laws = law(dim, float(values[new])), law(dim, float(values[old]))
            for rho in (-0.5, -1.0 / dim, 0.0, 0.2):
                bound = float(decisions.safe_threshold(*laws, rho))
                if bound > 1.0:
                    continue
                for thresholds, safe in ((bound + (1.0 - bound) * STEPS, True), (bound - 0.5 * STEPS[1:], False)):
                    tau = thresholds[thresholds >= -1.0]
                    rate = np.asarray(acceptance.expected_acceptance(laws[1], laws[1], tau, rho)) + 1e-300
                    gain = np.asarray(decisions.theorem_d_gaps(*laws, tau, rho).different_class) / rate
                    if safe:
                        above = min(above, float(gain.min()))
                    else:
                        below = min(below, float(gain.min(initial=math.inf)))
    return above, below


def _decided(steps: int, refusal: str, least: float, statement: str, evidence: Sequence[Number]) -> Finding:
    """``least`` is a gain over its rate, right to :data:`RELATIVE`."""
    return proved_and_seen(steps, refusal, 0.0 if least >= -RELATIVE else least, statement, tuple(evidence))


def _true_accepts(material: Material) -> Finding:
    steps, refusal = step_by_step(("accept_rates",), ("true_accept_rate",))
    least, widened = least_true_accept_gain()
    evidence = [
        Number.around("least gain of TAR, as a share of it", least, RELATIVE),
        Number("worst loss at a threshold if the caps widen, in the mildest case", widened),
    ]
    if least >= -RELATIVE and widened >= 0.0:
        return Finding("not reproduced", "A widening cap is not seen: the check cannot fail.", tuple(evidence))
    return _decided(steps, refusal, least, "No true accept rate falls, at any threshold, in any dimension.", evidence)


def _false_accepts(material: Material) -> Finding:
    steps, refusal = step_by_step(("accept_rates",), ("paired_levels",), ("false_accept_rate",))
    above, below = least_false_accept_gain()
    evidence = [
        Number.around("least fall of FAR from the bound up, as a share of it", above, RELATIVE),
        Number.around("the same below the bound", below, RELATIVE),
    ]
    if above >= -RELATIVE and below >= 0.0:
        return Finding("not reproduced", "No rise is seen below the bound: the check cannot fail.", tuple(evidence))
    sentence = "From the bound up no false accept rate rises, whatever the distance and the number of classes."
    return _decided(steps, refusal, above, sentence, evidence)


def _soft(material: Material) -> Finding:
    steps, refusal = step_by_step(("false_accept_rate_of_soft_laws",))
    above, _ = least_false_accept_gain(VonMisesFisher)
    evidence = [Number.around("least fall of FAR from ρ up, as a share of it", above, RELATIVE)]
    sentence = "For κ_t ≥ κ_k and ρ ≤ 0 no false accept rate rises at a threshold of at least ρ."
    return _decided(steps, refusal, above, sentence, evidence)


def _every_threshold(material: Material) -> Finding:
    dim, rho, tau = 9, -1.0 / 9.0, -0.24
    new, old = UniformCap(dim, 0.3), UniformCap(dim, 0.6)
    gap = float(decisions.theorem_d_gaps(new, old, tau, rho).different_class)
    shares = [
        monte_carlo.estimate_distance(law, old, rho, lambda c: np.where(c < tau, 1.0, 0.0), material.samples, rng=seed)
        for seed, law in enumerate((new, old))
    ]
    sampled = shares[0].mean - shares[1].mean
    half = Z * math.hypot(*(share.standard_error for share in shares))
    evidence = (
        Number.around("FAR_k − FAR_t, quadrature", gap, 1e-10),
        Number.around("the same, Monte Carlo", sampled, half),
    )
    if abs(sampled - gap) > half:
        return Finding("not reproduced", "Quadrature and Monte Carlo do not agree.", evidence)
    if gap < 0.0 and sampled + half < 0.0:
        case = f"d = 9, ρ = −1/9, radii 0.3 < 0.6, τ = −0.24: FAR rises by {-gap:.6f}."
        return Finding("contradicted", f"Below ρ it does rise. {case}", evidence)
    return Finding("verified numerically", "No rise is seen below ρ either.", evidence)


def _best_bound(material: Material) -> Finding:
    radius, rho = 0.6, 0.3
    bound = float(decisions.safe_threshold(UniformCap(3, radius - 1e-4), UniformCap(3, radius), rho))
    dims = (3, 9, 64, 1024)
    exact = [decisions.exact_threshold(UniformCap(d, radius - 1e-4), UniformCap(d, radius), rho) for d in dims]
    evidence = (
        Number("bound ρ/cos²α", bound),
        *(Number(f"exact threshold, d = {d}", value) for d, value in zip(dims, exact, strict=True)),
    )
    if max(exact) > bound + 1e-6:
        return Finding("contradicted", f"The rate rises up to {max(exact):.4f}, above the bound {bound:.4f}.", evidence)
    # the distance to the bound falls like 1/d
    if bound - exact[-1] < 1e-3:
        sentence = f"The exact threshold comes within {bound - exact[-1]:.1g} of the bound {bound:.4f} at d = 1024."
        return Finding("verified numerically", sentence, evidence)
    return Finding("not reproduced", f"The exact threshold stays {bound - exact[-1]:.2g} below the bound.", evidence)


def circle_axes(*angles: float) -> FloatArray:
    """Unit vectors of the plane."""
    return np.array([[math.cos(angle), math.sin(angle)] for angle in angles])


def _recall(material: Material) -> Finding:
    half = 0.5 * math.pi
    evidence, falls = [], []
    for name, (turns, radius, size) in OVERLAPPING.items():
        axes = circle_axes(*turns)
        arcs = [UniformCap(2, radius)] * len(axes)
        before, after = (
            ranking.expected_ranking(UniformCap(2, query), arcs, axes, [size] * len(axes)).recall
            for query in (radius, 0.05)
        )
        evidence += [
            Number.around(f"{name}: recall@1 before", before, GRID_ERROR),
            Number.around(f"{name}: recall@1 after", after, GRID_ERROR),
        ]
        falls.append(after < before - 2.0 * GRID_ERROR)
    gain = decisions.theorem_d_gaps(UniformCap(2, 0.05), UniformCap(2, half), np.linspace(0.0, 0.9, 10), 0.0)
    least = float(np.min(gain.different_class))
    evidence.append(Number.around("two half circles: least fall of FAR at τ ≥ 0", least, 1e-10))
    if falls[0] and least >= -1e-10:
        before, after = evidence[0].value, evidence[1].value
        return Finding(
            "contradicted",
            f"Two half circles at a right angle, 50 items each, α_t = 0.05: no false accept rate rises at τ ≥ 0, and "
            f"recall@1 falls from {before:.4f} to {after:.4f}.",
            tuple(evidence),
        )
    return Finding("verified numerically", "Recall@1 does not fall in these designs.", tuple(evidence))


def _wrong_items(old: float, other: float, between: float, new: float, size: int) -> tuple[float, float]:
    """Expected wrong items above the best right one on the circle, before and after."""
    laws = [UniformCap(2, old), UniformCap(2, other)]
    axes = circle_axes(0.0, between)
    before, after = (
        ranking.expected_ranking(UniformCap(2, query), laws, axes, [size, 1]).wrong_above for query in (old, new)
    )
    return before, after


def _one_class_separated(material: Material) -> Finding:
    before, after = _wrong_items(0.1, 0.52, 0.5, 0.01, 5)
    evidence = (
        Number.around("wrong items above the best right one, before", before, 1e-6),
        Number.around("the same, after", after, 1e-6),
    )
    if after > before + 2e-6:
        case = "d = 2, arccos ρ = 0.5, α_k = 0.1, α' = 0.52, α_t = 0.01, 5 right items"
        return Finding("contradicted", f"{case}: they rise from {before:.6f} to {after:.6f}.", evidence)
    return Finding("verified numerically", "They do not rise in this design.", evidence)


def _separated(material: Material) -> Finding:
    steps, refusal = step_by_step(("separated_classes",))
    evidence, least = [], math.inf
    for old, other, between, size in SEPARATED:
        before, after = _wrong_items(old, other, between, 0.4 * old, size)
        evidence.append(Number.around(f"fewer wrong items, α {old:g} and {other:g}", before - after, 1e-6))
        least = min(least, before - after)
    control = _wrong_items(0.1, 0.52, 0.5, 0.01, 5)
    evidence.append(Number.around("overlapping classes, the control", control[0] - control[1], 1e-6))
    if least >= -1e-6 and control[0] >= control[1]:
        return Finding("not reproduced", "Overlapping classes are not seen: the check cannot fail.", tuple(evidence))
    sentence = "Where classes do not overlap, seen from the query's axis, no measure of a ranking falls."
    return proved_and_seen(steps, refusal, 0.0 if least >= -1e-6 else least, sentence, tuple(evidence))


def _drift(material: Material) -> Finding:
    steps, refusal = step_by_step(("drift_inside",))
    new, old, turn, tau = UniformCap(2, 0.05), UniformCap(2, 0.6), 0.4, math.cos(0.5)
    loss = float(decisions.theorem_d_gaps(new, old, tau, -1.0, turn).same_class)
    limit = float(decisions.safe_drift(new, old))
    thresholds = np.cos(np.linspace(0.05, 1.5, 12))
    gain = float(np.min(decisions.theorem_d_gaps(new, old, thresholds, -1.0, limit).same_class))
    evidence = (
        Number("steps derived", steps),
        Number.around("gain of TAR at ω = 0.4 < α_k − α_t, τ = cos 0.5", loss, 1e-10),
        Number.around("least gain of TAR at ω = min(α_t, α_k − α_t)", gain, 1e-10),
    )
    if gain < -1e-10:
        return Finding("contradicted", f"TAR falls by {-gain:.3g} at the drift that is called safe.", evidence)
    if loss >= 0.0:
        return Finding("verified numerically", "No loss is seen while the new cap lies in the old one.", evidence)
    verdict: Verdict = "verified numerically" if refusal else "holds under stated conditions"
    sentence = refusal or (
        "It holds while ω ≤ min(α_t, α_k − α_t). Inside the old cap alone is not enough: for d = 2, 0.05 < 0.6 and "
        f"ω = 0.4, TAR falls by {-loss:.4f} at τ = cos 0.5."
    )
    return Finding(verdict, sentence, evidence)


def _flat_distance(material: Material) -> Finding:
    steps, refusal = step_by_step(("flat_below",))
    new, old = UniformCap(9, 0.2), UniformCap(9, 0.3)
    named = {"1 − max(c, 0)³": lambda c: 1.0 - np.maximum(c, 0.0) ** 3, "1 − c³": lambda c: 1.0 - c**3}
    gaps = []
    for metric in named.values():
        cross, within = (
            monte_carlo.estimate_distance(law, old, -1.0 / 9.0, metric, 4 * material.samples, rng=0)
            for law in (new, old)
        )
        gaps.append((cross.mean - within.mean, Z * math.hypot(cross.standard_error, within.standard_error)))
    # gap(1b) = ∫ 3τ² (FAR_k − FAR_t) dτ, over τ ≥ 0 where the distance is flat below
    nodes, weights = np.polynomial.legendre.leggauss(60)
    values = []
    for low in (0.0, -1.0):
        tau = low + (1.0 - low) * (0.5 + 0.5 * nodes)
        fall = np.asarray(decisions.theorem_d_gaps(new, old, tau, -1.0 / 9.0).different_class)
        values.append(float(0.5 * (1.0 - low) * weights @ (3.0 * tau**2 * fall)))
    evidence = tuple(
        number
        for name, value, (mean, half) in zip(named, values, gaps, strict=True)
        for number in (
            Number.around(f"{name}: gap of 1b from the accept rates", value, 1e-7),
            Number.around(f"{name}: gap of 1b, Monte Carlo", mean, half),
        )
    )
    if any(abs(value - mean) > half for value, (mean, half) in zip(values, gaps, strict=True)):
        return Finding("not reproduced", "Accept rates and Monte Carlo do not agree on a gap.", evidence)
    if values[1] >= 0.0:
        return Finding("not reproduced", "1 − c³ is not seen to fail: the check cannot fail.", evidence)
    sentence = f"1 − max(c, 0)³ satisfies 1b by {values[0]:.6f} where 1 − c³ violates it by {-values[1]:.6f}."
    return proved_and_seen(steps, refusal, values[0], sentence, evidence)


def _more_classes(material: Material) -> Finding:
    dim = 8
    new, old = UniformCap(dim, 0.1), UniformCap(dim, 0.2)
    axes = np.random.default_rng(0).standard_normal((2 * dim + 1, dim))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    cosines = (axes @ axes.T)[np.triu_indices(len(axes), 1)]
    m_new, m_old = (float(law.mean_resultant_length()) for law in (new, old))
    gaps = compatibility.class_pair_gaps(m_new * axes, m_old * axes)[np.triu_indices(len(axes), 1)]
    bound = float(decisions.safe_threshold(new, old, float(cosines.max())))
    thresholds = bound + (1.0 - bound) * STEPS
    rates = np.asarray(acceptance.expected_acceptance(old, old, thresholds[:, None], cosines))
    falls = np.asarray(decisions.theorem_d_gaps(new, old, thresholds[:, None], cosines).different_class)
    lost, acute = gaps < 0.0, cosines > 0.0
    least = float((falls / (rates + 1e-300)).min())
    evidence = (
        Number("pairs of 17 classes in 8 dimensions", len(cosines)),
        Number("pairs with ρ > 0", int(acute.sum())),
        Number("pairs that lose 1b", int(lost.sum())),
        Number("bound of the largest ρ", bound),
        Number("pairs and thresholds from there up at which FAR falls", int((falls > 0.0).sum())),
        Number.around("least fall of FAR from that bound up, as a share of it", least, RELATIVE),
    )
    if not lost.any():
        return Finding("verified numerically", "No pair loses 1b.", evidence)
    if not np.array_equal(lost, acute) or least < -RELATIVE:
        return Finding("not reproduced", "The pairs that lose 1b are not those with ρ > 0, or FAR rises.", evidence)
    return Finding(
        "holds under stated conditions",
        f"1b fails on exactly the {int(lost.sum())} of {len(cosines)} pairs with ρ > 0, and more than 2d classes have "
        f"such pairs. Decisions survive: no false accept rate rises from {bound:.3f} up, the bound of the largest ρ.",
        evidence,
    )


def _unseen(material: Material) -> Finding:
    dim, classes = 9, 10
    new, old = UniformCap(dim, 0.2), UniformCap(dim, 0.4)
    vertices = simplex_vertices(classes, dim)
    place = np.random.default_rng(1).standard_normal(dim)
    rho = vertices @ (place / np.linalg.norm(place))
    m_new, m_old = (float(law.mean_resultant_length()) for law in (new, old))
    gaps = -2.0 * rho * m_old * (m_new - m_old)
    bound = float(decisions.safe_threshold(new, old, float(rho.max())))
    tau = bound + (1.0 - bound) * STEPS[:, None]
    rates = np.asarray(acceptance.expected_acceptance(old, old, tau, rho))
    falls = np.asarray(decisions.theorem_d_gaps(new, old, tau, rho).different_class)
    least = float(np.min(falls / (rates + 1e-300)))
    evidence = (
        Number("mean gap of 1b over the known classes", float(gaps.mean())),
        Number("known classes against which 1b fails", int((gaps < 0.0).sum())),
        Number("bound of the nearest known class", bound),
        Number("classes and thresholds from there up at which FAR falls", int((falls > 0.0).sum())),
        Number.around("least fall of FAR from that bound up, as a share of it", least, RELATIVE),
    )
    if least < -RELATIVE or abs(gaps.mean()) > 1e-12:
        return Finding("not reproduced", "FAR rises above the bound, or 1b is not 0 on average.", evidence)
    if gaps.min() >= 0.0:
        return Finding("verified numerically", "1b holds against every known class.", evidence)
    return Finding(
        "holds under stated conditions",
        f"1b fails against {int((gaps < 0.0).sum())} of 10 known classes and is 0 on average. The false accept rate "
        f"does not rise at thresholds from {bound:.3f} up, the bound of the nearest known class.",
        evidence,
    )


def _allowed(tests: RateTests) -> float:
    """The level, and two standard errors of a share of that many classes or pairs."""
    return tests.level + 2.0 * math.sqrt(tests.level * (1.0 - tests.level) / max(tests.families, 1))


def _trained(material: Material) -> Finding:
    evidence, wrong, seen = [], [], 0
    for update in material.updates:
        control = check_decisions(Upgrade(update.old, update.new[SIMPLEX[0]])).wider
        label = f"seed {update.seed}: share of settings in which"
        evidence.append(Number(f"old and new exchanged, {label} TAR falls", control.share))
        seen += control.share > _allowed(control)
        for name in SIMPLEX:
            found = check_decisions(turned_to_old_means(update.upgrade(name)))
            sides = {"TAR falls": found.true_accepts, "FAR rises, τ ≥ bound": found.false_accepts}
            for side, tests in sides.items():
                if tests.families:
                    evidence.append(Number(f"{name}, {label} {side}", tests.share))
                    if tests.share > _allowed(tests):
                        wrong.append(f"{name}, seed {update.seed}: {side}")
    if seen < len(material.updates):
        return Finding("not reproduced", "Classes that become wider are not seen to lose.", tuple(evidence))
    if wrong:
        return Finding("contradicted", f"More settings are worse than the level allows: {wrong[0]}.", tuple(evidence))
    return Finding(
        "verified on trained models",
        "With each class turned back to its old mean, no more accept rates go the wrong way than the level of 2.5 % "
        "allows; with old and new exchanged they do.",
        tuple(evidence),
    )


_CAPS = "Uniform caps with α_t ≤ α_k about one axis, ρ = w·w' of two classes; no condition on a distance."

CLAIMS = (
    Claim(
        name="decisions-true-accepts",
        statement="A stationary update lowers the true accept rate at no threshold.",
        where="beyond the paper: Theorem D, D1",
        hypotheses=_CAPS,
        check=_true_accepts,
    ),
    Claim(
        name="decisions-false-accepts",
        statement="It raises the false accept rate at no threshold from ρ up (ρ ≤ 0), or from ρ/(cos α_k cos α') up.",
        where="beyond the paper: Theorem D, D2 and D3",
        hypotheses=_CAPS + " Radii at most π/2, below π/2 for ρ > 0.",
        check=_false_accepts,
    ),
    Claim(
        name="decisions-von-mises-fisher",
        statement="The same holds for von Mises–Fisher laws, for ρ ≤ 0.",
        where="beyond the paper: Theorem D for other laws",
        hypotheses="κ_t ≥ κ_k about one axis, ρ ≤ 0, τ ≥ ρ.",
        check=_soft,
    ),
    Claim(
        name="decisions-every-threshold",
        statement="The false accept rate rises at no threshold at all.",
        where="beyond the paper: the bound of Theorem D left out",
        hypotheses=_CAPS,
        check=_every_threshold,
    ),
    Claim(
        name="decisions-best-bound",
        statement="The bound ρ/(cos α_k cos α') cannot be improved for all dimensions at once.",
        where="beyond the paper: Theorem D, D3",
        hypotheses="Caps of radii 0.5999 < 0.6, ρ = 0.3.",
        check=_best_bound,
    ),
    Claim(
        name="decisions-flat-distance",
        statement="1b holds for every distance that is flat below the safe threshold, however rough it is.",
        where="beyond the paper: Eq. 1b, from Theorem D",
        hypotheses="F non-increasing in the cosine; computed for d = 9, K = 10, radii 0.2 < 0.3.",
        check=_flat_distance,
    ),
    Claim(
        name="decisions-separated-classes",
        statement="A search of classes that do not overlap gets worse by no measure of a ranking.",
        where="beyond the paper: what follows for retrieval",
        hypotheses="α_k + α'_j ≤ arccos ρ_j for every wrong class j; any gallery.",
        check=_separated,
    ),
    Claim(
        name="decisions-one-class-separated",
        statement="It is enough for the number of wrong items that the query's class is narrow, 2α_k ≤ arccos ρ.",
        where="beyond the paper: what follows for retrieval",
        hypotheses="ρ > 0, the other class wide.",
        check=_one_class_separated,
    ),
    Claim(
        name="decisions-recall",
        statement="Where no false accept rate rises, recall@1 does not fall.",
        where="beyond the paper: what follows for retrieval",
        hypotheses="Caps about one axis before and after, α_t ≤ α_k, ρ ≤ 0; classes overlap.",
        check=_recall,
    ),
    Claim(
        name="decisions-drift",
        statement="The true accept rate does not fall while the turned new cap lies inside the old one.",
        where="beyond the paper: Theorem D where class means drift",
        hypotheses="Uniform caps, the new axis at an angle ω ≤ α_k − α_t to the old one.",
        check=_drift,
    ),
    Claim(
        name="decisions-more-classes",
        statement="More than d + 1 classes stay compatible.",
        where="beyond the paper: K > d + 1",
        hypotheses="17 random axes in 8 dimensions, radii 0.1 < 0.2; 1b in the squared distance, and accept rates.",
        check=_more_classes,
    ),
    Claim(
        name="decisions-unseen-classes",
        statement="Classes that no model was trained on stay compatible with the known ones.",
        where="beyond the paper: open-set classes",
        hypotheses="Known classes at the vertices of a simplex, d = 9, the unseen one anywhere, radii 0.2 < 0.4.",
        check=_unseen,
    ),
    Claim(
        name="decisions-trained-models",
        statement="Accept rates of trained models obey Theorem D where its hypotheses are satisfied.",
        where="beyond the paper: Theorem D on trained models",
        hypotheses="Digits, updates that keep the d-Simplex classifier, 30 thresholds, each class turned to its old "
        "mean; 2.5 % one-sided.",
        check=_trained,
    ),
)
