"""The methods: each objective is the sum that its docstring states, and asks for what it needs."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import torch.nn.functional as F

from learning import METHODS, HOCLoss, Images, ModelSpec, Update, cross_entropy, first_moment_loss, make_method
from learning import baselines as terms
from learning.stateful import UniversalPrototypes
from learning.training import embed
from tests.learning.test_losses import naive_first_moment, unit

CLASSES = 6
# float32 sums of some hundred terms of order ten
ROUNDING = 1e-5


@pytest.fixture
def update() -> Update:
    generator = torch.Generator().manual_seed(0)
    data = Images(torch.randn(60, 1, 8, 8, generator=generator), torch.arange(60) % 4)  # classes 4, 5 are absent
    new, old = (ModelSpec(CLASSES, classifier="learned", adapter="linear").build(seed) for seed in (0, 1))
    # farther from an orthogonal map than λ allows
    torch.nn.init.normal_(new.adapter.weight, std=2.0, generator=generator)
    known = torch.tensor([True, True, False, False, False, False])
    return Update(new.eval(), old.eval(), data, known)


@pytest.fixture
def batch(update):
    generator = torch.Generator().manual_seed(1)
    new, old = torch.randn(2, 16, CLASSES - 1, generator=generator)
    return update.new_model.classifier(new), torch.arange(16) % 4, new, old


def test_old_means_and_radii_are_those_of_the_loop(update):
    features = unit(embed(update.old_model, update.data).double())
    for c in range(CLASSES):
        own = features[update.data.labels == c]
        if c < 4:
            mean = own.mean(dim=0)
            torch.testing.assert_close(update.old_means[c].double(), mean, atol=ROUNDING, rtol=0)
            smallest = min(float(x @ mean / mean.norm()) for x in own)
            assert float(update.old_radius[c]) == pytest.approx(smallest, abs=ROUNDING)
        else:
            assert not update.old_means[c].any()
    assert update.present.tolist() == [True] * 4 + [False] * 2


def test_means_may_be_of_the_first_few_images_of_each_class(update):
    features = unit(embed(update.old_model, update.data).double())
    for c in range(4):
        mean = features[update.data.labels == c][:3].mean(dim=0)
        torch.testing.assert_close(update.means_of(3)[c].double(), mean, atol=ROUNDING, rtol=0)
    assert torch.equal(update.means_of(1000), update.old_means)
    assert not update.means_of(3)[4:].any()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.34, 0.99, 1.0])
def test_quantiles_of_cosines_are_the_loop(update, share):
    """Of fifteen old features of a class the one with so many below it, and the last where all are."""
    features = unit(embed(update.old_model, update.data).double())
    found = update.old_cosine_quantile(share)
    for c in range(4):
        own = features[update.data.labels == c]
        mean = own.mean(dim=0)
        cosines = sorted(float(x @ mean / mean.norm()) for x in own)
        assert float(found[c]) == pytest.approx(cosines[min(int(share * 15), 14)], abs=ROUNDING)
    assert found[4:].tolist() == [1.0, 1.0]
    assert update.old_radius[4:].tolist() == [1.0, 1.0]


def test_an_unconstrained_model_is_trained_once_and_frozen(update):
    with pytest.raises(ValueError, match="does not know how to train a model without constraints"):
        update.unconstrained  # noqa: B018 (a property that trains)
    trained = []

    def train():
        trained.append(ModelSpec(CLASSES).build().train())
        return trained[-1]

    one = Update(update.new_model, update.old_model, update.data, update.known, train)
    assert one.unconstrained is one.unconstrained is trained[0]
    assert len(trained) == 1
    assert not trained[0].training
    assert not any(p.requires_grad for p in trained[0].parameters())


def expected(name, update, logits, targets, new, old):
    ce = cross_entropy(logits, targets, new)
    means, known, present = update.old_means, update.known, update.present
    moment = first_moment_loss(new, targets, means[:4])
    everything = torch.ones(16, dtype=torch.bool)
    matrix = update.new_model.adapter.weight
    influence = terms.influence_loss(update.old_model.classifier(new), targets, known)
    pseudo = terms.pseudo_classification(new, targets, means, present)
    return {
        "er": ce,
        "simplex": ce,
        "simplex-fd": ce + 5 * terms.feature_distillation(new, old, known[targets]),
        "hoc": HOCLoss(0.1, 10.0, "exclude")(logits, targets, new, old),
        "hoc-zero": HOCLoss(0.1, 10.0, "zero")(logits, targets, new, old),
        "bct": ce + influence,
        "bct-er": ce + influence,
        "cvs": ce + 10 * terms.model_coherence(new, old, targets) + terms.data_coherence(new, targets, means, known),
        "lce": ce
        + 100 * terms.alignment_loss(update.new_model.classifier.weight, means, present)
        + terms.boundary_loss(new, targets, means, update.old_radius),
        "hot-refresh": ce + terms.hot_refresh_loss(new, old, targets),
        "lambda-orthogonality": ce
        + terms.feature_distillation(new, old, everything)
        + terms.orthogonality_excess(matrix, 1.0),
        "first-moment": ce + 10 * moment,
        "first-moment-learned": ce + 10 * moment,
        "hoc+first-moment": HOCLoss()(logits, targets, new, old) + 10 * moment,
        "simplex-fd-released": ce + 5 * terms.feature_distillation(new, old, known[targets]),  # as many new as old
        "er-released": F.cross_entropy(logits[:, :4], targets),
        "hot-refresh-hard": ce + terms.hot_refresh_loss(new, old, targets, 0.01, 10),
        "hoc+contrast": HOCLoss(0.1, 5.0, "zero")(logits, targets, new, old) + terms.supervised_contrast(new, targets),
        "hoc+contrast+constraint": HOCLoss(0.1, 5.0, "zero")(logits, targets, new, old)
        + terms.supervised_contrast(new, targets)
        + lagrangian(new, targets, means[:4], 30.0, 0.05),
        "prototype+contrast+constraint": HOCLoss(0.1, 10.0, "zero")(
            logits, targets, new, 0.2 * unit(old) + 0.8 * unit(means[:4])[targets]
        )
        + terms.supervised_contrast(new, targets)
        + lagrangian(new, targets, means[:4], 10.0, 0.1),
        "bct-pseudo": ce + pseudo,
        "uni-bct": ce,  # before the prototypes are made
        "l2": ce + 10 * terms.weakened_l2(new, old, 0.0),
        "weakened-l2": ce + 10 * terms.weakened_l2(new, old, 0.2),
        "oca": 5 * F.cross_entropy(logits, targets, label_smoothing=0.1)
        + 10 * terms.pseudo_classification(new, targets, means, present, 0.1)
        + 5 * (1 - F.cosine_similarity(new, means[targets])).mean(),
        "bt2": ce
        + 10 * pseudo
        + terms.feature_distillation(new, old, everything)
        + 5 * terms.feature_distillation(new, old, everything),
        "djaa": ce
        + 10 * terms.prototype_distillation(new, old, means[:2], known[targets])
        + 20 * terms.relation_distillation(new, old, known[targets]),
        "dual-tuning": ce + terms.feature_distillation(new, old, everything) + terms.supervised_contrast(new, targets),
        "r3an": ce + F.mse_loss(new, old),
        "hbct": ce + naive_hyperbolic(new, old, targets),
    }[name]


def lagrangian(new, targets, means, stiffness, slack):
    gaps = terms.class_mean_gaps(new, targets, means, slack)
    return sum(max(0.0, 1.0 - stiffness * float(gap)) ** 2 for gap in gaps) / (2 * stiffness)


def naive_hyperbolic(new, old, targets):
    u, v, size = unit(new), unit(old), len(new)
    total = 0.0
    for i in range(size):
        distances = [10 * float(terms.hyperbolic_distance(u[i : i + 1], v[j : j + 1])) for j in range(size)]
        kept = [math.exp(-d) for j, d in enumerate(distances) if j == i or targets[j] != targets[i]]
        total += math.log(sum(kept)) + distances[i]
    return total / size


# their objectives remember: tests of their own, below
STATEFUL = {"mix-bct", "adv-bct", "nccl", "fact"}


@pytest.mark.parametrize("name", [name for name in METHODS if name not in STATEFUL])
def test_the_objective_is_the_stated_sum(name, update, batch):
    method = make_method(name)
    logits, targets, new, old = batch
    objective = method.objective(update)
    # of BT² the old features are the old model's and, beside them, a free model's: here the same once more
    given = torch.cat([old, old], dim=1) if name == "bt2" else old
    loss = objective(logits, targets, new, given if method.old_features else None)
    assert loss.detach() == pytest.approx(float(expected(name, update, *batch).detach()), rel=ROUNDING)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_minimises(name):
    factory = METHODS[name]
    documented = getattr(factory, "func", factory).__doc__
    assert "L_CE" in documented
    assert make_method(name).fixed_classifier == (name in FIXED)
    assert make_method(name).replay == (name != "bct")


FIXED = {
    *("simplex", "simplex-fd", "simplex-fd-released", "hoc", "hoc-zero", "first-moment", "hoc+first-moment"),
    *("hoc+contrast", "hoc+contrast+constraint", "prototype+contrast+constraint"),
}


def test_released_distillation_grows_with_the_share_of_new_classes(update, batch):
    logits, targets, new, old = batch
    known = torch.tensor([True, False, False, False, False, False])  # of four present classes three are new
    other = Update(update.new_model, update.old_model, update.data, known)
    loss = make_method("simplex-fd-released").objective(other)(logits, targets, new, old)
    distilled = terms.feature_distillation(new, old, known[targets])
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets) + 5 * math.sqrt(3) * distilled)
    nothing = Update(update.new_model, update.old_model, update.data, torch.zeros(6, dtype=torch.bool))
    loss = make_method("simplex-fd-released").objective(nothing)(logits, targets, new, old)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))


def test_mix_bct_replaces_a_share_of_trusted_rows(update, batch):
    _, targets, new, old = batch
    objective = make_method("mix-bct", share=0.5, trusted=0.9).objective(update)
    features, labels = update.old_features
    trusted = objective.candidates(labels, features)
    for c in range(4):
        # of fifteen old features the lowest one in ten, rounded down, is not trusted
        assert int(trusted[labels == c].sum()) == 14
        lowest = (features[labels == c] @ update.old_means[c]).argmin()
        assert not trusted[labels == c][lowest]
    loss = objective(torch.zeros(16, CLASSES), targets, new, old)
    draws = torch.rand(16, generator=torch.Generator().manual_seed(0)) < 0.5
    replaced = draws & objective.candidates(targets, old)
    mixed = terms.mixed_features(new, old, replaced)
    torch.testing.assert_close(loss, F.cross_entropy(update.new_model.classifier(mixed), targets))
    assert int(objective.step) == 1
    everything = make_method("mix-bct", share=1.0, trusted=1.0).objective(update)
    aligned = update.old_means[targets]
    mixed = aligned * new.norm(dim=1, keepdim=True) / aligned.norm(dim=1, keepdim=True)
    loss = everything(torch.zeros(16, CLASSES), targets, new, aligned)
    torch.testing.assert_close(loss, F.cross_entropy(update.new_model.classifier(mixed), targets))


def test_nccl_holds_the_last_old_features_in_its_queue(update, batch):
    logits, targets, new, old = batch
    objective = make_method("nccl", size=24).objective(update)
    objective(logits, targets, new, old)
    loss = objective(logits, targets, new, 2.0 * old + 1.0)
    queue = torch.cat([old[8:], 2.0 * old + 1.0])
    labels = torch.cat([targets[8:], targets])
    expected = F.cross_entropy(logits, targets) + terms.queue_contrast(new, targets, queue, labels)
    expected = expected + 0.01 * terms.queue_contrast(logits, targets, update.old_model.classifier(queue), labels)
    torch.testing.assert_close(loss, expected)


def test_adv_bct_turns_the_gradient_round_and_lets_go_linearly(update, batch):
    logits, targets, new, old = batch
    objective = make_method("adv-bct").objective(update)
    widest = (2 - 2 * update.old_radius).clamp(min=0).sqrt()
    torch.testing.assert_close(objective.radius, (0.5 + widest) / 2)  # half way at first
    x = new.clone().requires_grad_()
    objective.begin(5, 10)
    loss = objective(logits, targets, x, old)
    both = torch.cat([unit(x), unit(old)])
    side = torch.cat([torch.ones(16), torch.zeros(16)]).long()
    guess = F.cross_entropy(objective.discriminator(both), side)
    boundary = terms.point_to_set(x, targets, update.old_means, objective.radius)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets) + 0.5 * guess + boundary)
    (found,) = torch.autograd.grad(loss, x, retain_graph=True)
    (plain,) = torch.autograd.grad(guess, x, retain_graph=True)
    (pull,) = torch.autograd.grad(boundary, x, retain_graph=True)
    strength = 2 / (1 + math.exp(-5.0)) - 1
    torch.testing.assert_close(found, pull - 0.5 * strength * plain, atol=1e-6, rtol=1e-5)
    assert all(g is not None for g in torch.autograd.grad(loss, list(objective.parameters()), allow_unused=True))


def test_uni_bct_makes_its_prototypes_at_ten_and_twenty_of_thirty_five_epochs(update, batch):
    logits, targets, new, _ = batch
    objective = make_method("uni-bct").objective(update)
    made = []
    for epoch in range(35):
        before = objective.rows.clone()
        objective.begin(epoch, 35)
        if not torch.equal(before, objective.rows):
            made.append(epoch)
        with torch.no_grad():  # another graph each time
            update.new_model.backbone.embedding.weight[0] += 1.0
    assert made == [10, 20]
    loss = objective(logits, targets, new, None)
    pseudo = terms.pseudo_classification(new, targets, objective.rows, update.present)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets) + pseudo)


def test_multipliers_grow_while_a_gap_is_negative_and_vanish_when_both_are_positive(update, batch):
    logits, targets, new, old = batch
    objective = make_method("hoc+contrast+constraint").objective(update)
    means = update.old_means[:4]
    gaps = [float(gap) for gap in terms.class_mean_gaps(new, targets, means, 0.05)]
    objective(logits, targets, new, old)
    expected = [max(0.0, 1.0 - gap) for gap in gaps]
    torch.testing.assert_close(objective.multipliers, torch.tensor(expected), atol=1e-5, rtol=0)


def test_fact_reserves_room_for_classes_without_images(update, batch):
    logits, targets, new, _ = batch
    model = update.new_model
    loss = make_method("fact", weight=0.5, orthogonality=2.0).objective(update)(logits, targets, new, None)
    reserved = torch.tensor([False] * 4 + [True] * 2)
    share = torch.frac(1e3 * new.abs().sum(dim=1, keepdim=True))
    mixed = model.classifier(share * new + (1 - share) * torch.roll(new, 1, 0))
    rows = unit(model.directions.detach())
    off = [float(rows[a] @ rows[b]) ** 2 for a in (4, 5) for b in range(6) if a != b]
    expected = F.cross_entropy(logits, targets) + 0.5 * terms.virtual_mixup(logits, mixed, targets, reserved)
    torch.testing.assert_close(loss, expected + 2.0 * sum(off) / 12)
    everything = Update(update.new_model, update.old_model, update.data, torch.ones(6, dtype=torch.bool))
    plain = make_method("fact").objective(everything)(logits, targets, new, None)
    torch.testing.assert_close(plain, F.cross_entropy(logits, targets))


def test_the_first_moment_method_counts_present_classes_only(update, batch):
    """Absent classes have no mean; with a row of zeros for each the loss would be another."""
    logits, targets, new, _ = batch
    loss = make_method("first-moment", weight=2.0, slack=0.1).objective(update)(logits, targets, new, None)
    naive = naive_first_moment(new.double(), targets, update.old_means[:4].double(), 0.1)
    assert float(loss.detach()) == pytest.approx(
        float(F.cross_entropy(logits, targets).detach()) + 2 * naive, rel=ROUNDING
    )


def test_settings_are_passed_on_and_unknown_ones_refused():
    assert make_method("bct", replay=True).replay
    for name, factory in METHODS.items():
        parameters = inspect.signature(factory).parameters.values()
        make_method(name, **{p.name: p.default for p in parameters})
    with pytest.raises(ValueError, match=r"method must be one of er, er-released, simplex, .*, got 'magic'"):
        make_method("magic")
    with pytest.raises(
        ValueError, match="a setting of method 'hoc' must be one of ce_weight, scale, same_class, got 'temp"
    ):
        make_method("hoc", temperature=3)
    with pytest.raises(ValueError, match=r"ce_weight must be in \[0, 1\], got 2"):
        make_method("hoc", ce_weight=2)
    with pytest.raises(ValueError, match="ce_weight must be a number, got 'much'"):
        make_method("hoc", ce_weight="much")
    with pytest.raises(ValueError, match="a setting of method 'simplex' must be left out, there is none, got 'scale'"):
        make_method("simplex", scale=3)
    with pytest.raises(ValueError, match=r"samples must be an integer >= 0, got 2\.5"):
        make_method("first-moment", samples=2.5)
    with pytest.raises(ValueError, match="weight must be > 0, got 0"):
        make_method("first-moment", weight=0)


# as the papers' code or their text has them, and for methods of this project what they were measured with
SETTINGS = {
    "er": {"released": False},
    "er-released": {"released": True},
    "simplex": {},
    "simplex-fd": {"weight": 5.0, "by_classes": False},
    "simplex-fd-released": {"weight": 5.0, "by_classes": True},
    "hoc": {"ce_weight": 0.1, "scale": 10.0, "same_class": "exclude"},
    "hoc-zero": {"ce_weight": 0.1, "scale": 10.0, "same_class": "zero"},
    "bct": {"weight": 1.0, "replay": False},
    "bct-er": {"weight": 1.0, "replay": True},
    "cvs": {"coherence": 10.0, "data": 1.0, "margin": 0.1},
    "lce": {"alignment": 100.0, "boundary": 1.0},
    "hot-refresh": {"weight": 1.0, "temperature": 0.05, "hardest": 0, "detach": False},
    "hot-refresh-hard": {"weight": 1.0, "temperature": 0.01, "hardest": 10, "detach": True},
    "lambda-orthogonality": {"threshold": 1.0, "alignment": 1.0, "penalty": 1.0},
    "first-moment": {"weight": 10.0, "slack": 0.05, "samples": 0, "fixed_classifier": True},
    "first-moment-learned": {"weight": 10.0, "slack": 0.05, "samples": 0, "fixed_classifier": False},
    "hoc+first-moment": {
        "weight": 10.0, "slack": 0.05, "ce_weight": 0.1, "scale": 10.0, "same_class": "exclude", "samples": 0
    },
    "hoc+contrast": {
        "ce_weight": 0.1, "scale": 5.0, "same_class": "zero", "contrast": 1.0, "contrast_scale": 10.0
    },
    "hoc+contrast+constraint": {
        "ce_weight": 0.1, "scale": 5.0, "contrast": 1.0, "contrast_scale": 10.0, "prototype": 0.0,
        "stiffness": 30.0, "rate": 1.0, "slack": 0.05,
    },
    "prototype+contrast+constraint": {
        "ce_weight": 0.1, "scale": 10.0, "contrast": 1.0, "contrast_scale": 10.0, "prototype": 0.8,
        "stiffness": 10.0, "rate": 0.5, "slack": 0.1,
    },
    "bct-pseudo": {"weight": 1.0},
    "uni-bct": {"weight": 1.0},
    "mix-bct": {"share": 0.3, "trusted": 0.9},
    "adv-bct": {"adversarial": 1.0, "boundary": 1.0},
    "l2": {"weight": 10.0, "slack": 0.0},
    "weakened-l2": {"weight": 10.0, "slack": 0.2},
    "nccl": {"weight": 1.0, "logit_weight": 0.01, "size": 8192},
    "oca": {"new": 5.0, "pseudo": 10.0, "alignment": 5.0, "smoothing": 0.1, "dims": 32},
    "bt2": {"pseudo": 10.0, "unconstrained": 1.0, "old_weight": 5.0, "dims": 32},
    "djaa": {"prototypes": 10.0, "relations": 20.0},
    "fact": {"weight": 0.01, "orthogonality": 1.0},
    "dual-tuning": {"weight": 1.0, "scale": 10.0},
    "r3an": {"weight": 1.0},
    "hbct": {"weight": 1.0, "scale": 10.0},
}  # fmt: skip


def test_the_settings_of_every_method_are_the_stated_ones():
    found = {
        name: {p.name: p.default for p in inspect.signature(factory).parameters.values()}
        for name, factory in METHODS.items()
    }
    assert found == SETTINGS


def test_what_methods_ask_of_a_model():
    asked = {name: make_method(name) for name in METHODS}
    assert {name: method.extra_dims for name, method in asked.items() if method.extra_dims} == {"oca": 32, "bt2": 32}
    assert make_method("oca", dims=5).extra_dims == make_method("bt2", dims=5).extra_dims == 5
    assert {name: method.adapter for name, method in asked.items() if method.adapter} == {
        "lambda-orthogonality": "linear",
        "oca": "orthogonal",
        "bt2": "orthogonal",
    }
    assert {name for name, method in asked.items() if method.shift} == {
        "hoc+contrast+constraint",
        "prototype+contrast+constraint",
    }
    assert {name for name, method in asked.items() if not method.embedding} == {"er-released"}
    assert {name for name, method in asked.items() if method.reference} == {"bt2"}
    assert {name for name, method in asked.items() if not method.old_features} == {
        *("er", "er-released", "simplex", "bct", "bct-er", "lce", "first-moment", "first-moment-learned"),
        *("bct-pseudo", "uni-bct", "oca", "fact"),
    }


def test_bt2_reads_both_models_side_by_side(update, batch):
    logits, targets, _, old = batch
    free = ModelSpec(CLASSES, classifier="learned").build(7).eval()
    given = Update(update.new_model, update.old_model, update.data, update.known, lambda: free)
    images = update.data.images[:16]
    found = make_method("bt2").reference(given).features(images)
    with torch.no_grad():
        torch.testing.assert_close(found, torch.cat([m.features(images) for m in (update.old_model, free)], dim=1))
    # of eight new dimensions the first five are the old model's view, and the last five the free model's
    new = torch.randn(16, 8, generator=torch.Generator().manual_seed(3))
    loss = make_method("bt2").objective(given)(logits, targets, new, torch.cat([old, 2.0 - old], dim=1))
    everything = torch.ones(16, dtype=torch.bool)
    expected = (
        F.cross_entropy(logits, targets)
        + 10 * terms.pseudo_classification(new[:, :5], targets, update.old_means, update.present)
        + terms.feature_distillation(new[:, 3:], 2.0 - old, everything)
        + 5 * terms.feature_distillation(new[:, :5], old, everything)
    )
    torch.testing.assert_close(loss, expected)


def test_djaa_is_cross_entropy_where_no_known_class_has_images(update, batch):
    known = torch.tensor([False] * 4 + [True] * 2)
    other = Update(update.new_model, update.old_model, update.data, known)
    logits, targets, new, old = batch
    torch.testing.assert_close(
        make_method("djaa").objective(other)(logits, targets, new, old), F.cross_entropy(logits, targets)
    )


def test_first_moments_may_be_of_few_images_and_the_smallest_settings_are_allowed(update, batch):
    logits, targets, new, _ = batch
    loss = make_method("first-moment", samples=3, slack=0.0).objective(update)(logits, targets, new, None)
    expected = F.cross_entropy(logits, targets) + 10 * first_moment_loss(new, targets, update.means_of(3)[:4], 0.0)
    torch.testing.assert_close(loss, expected)
    half = make_method("first-moment", samples=3, slack=0.0, weight=0.5).objective(update)(logits, targets, new, None)
    torch.testing.assert_close(half, expected - 9.5 * first_moment_loss(new, targets, update.means_of(3)[:4], 0.0))
    one = make_method("first-moment", samples=1).objective(update)(logits, targets, new, None)
    assert float(one.detach()) != pytest.approx(float(loss.detach()))
    with pytest.raises(ValueError, match="method must be a name or a Method, got int"):
        make_method(3)
    with pytest.raises(ValueError, match="same_class must be a name, got 1"):
        make_method("hoc", same_class=1)


@pytest.mark.parametrize("most", [7, 20, 60, 61])
def test_uni_bct_makes_its_graph_of_no_more_images_than_it_may(update, most):
    """Every second, third … image of the update, so that at most so many are left."""
    objective = UniversalPrototypes(update, most=most)
    features, labels = update.old_features
    objective.begin(1, 3)
    chosen = torch.arange(0, 60, math.ceil(60 / most))
    assert len(chosen) <= most
    new = embed(update.new_model, update.data)[chosen]
    expected = terms.smoothed_prototypes(new, features[chosen], labels[chosen], CLASSES)
    torch.testing.assert_close(objective.rows, expected, atol=1e-5, rtol=0)
