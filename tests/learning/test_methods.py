"""The methods: each objective is the sum that its docstring states, and asks for what it needs."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F

from learning import METHODS, HOCLoss, Images, ModelSpec, Update, cross_entropy, first_moment_loss, make_method
from learning import baselines as terms
from learning.training import embed
from tests.learning.test_losses import naive_first_moment, unit

CLASSES = 6
# float32 sums of some hundred terms of order ten
ROUNDING = 1e-5


@pytest.fixture
def update() -> Update:
    generator = torch.Generator().manual_seed(0)
    data = Images(torch.randn(60, 1, 8, 8, generator=generator), torch.arange(60) % 4)  # classes 4, 5 are absent
    new, old = (ModelSpec(CLASSES, classifier="learned", adapter=True).build(seed) for seed in (0, 1))
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


def expected(name, update, logits, targets, new, old):
    ce = cross_entropy(logits, targets, new)
    means, known, present = update.old_means, update.known, update.present
    moment = first_moment_loss(new, targets, means[:4])
    everything = torch.ones(16, dtype=torch.bool)
    matrix = update.new_model.adapter.weight
    influence = terms.influence_loss(update.old_model.classifier(new), targets, known)
    return {
        "er": ce,
        "simplex": ce,
        "simplex-fd": ce + 5 * terms.feature_distillation(new, old, known[targets]),
        "hoc": HOCLoss(0.1, 10.0, "exclude")(logits, targets, new, old),
        "hoc-zero": HOCLoss(0.1, 10.0, "zero")(logits, targets, new, old),
        "bct": ce + influence,
        "bct-er": ce + influence,
        "cvs": ce + terms.model_coherence(new, old, targets) + terms.data_coherence(new, targets, means, known),
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
    }[name]


@pytest.mark.parametrize("name", METHODS)
def test_the_objective_is_the_stated_sum(name, update, batch):
    method = make_method(name)
    logits, targets, new, old = batch
    objective = method.objective(update)
    loss = objective(logits, targets, new, old if method.old_features else None)
    assert loss.detach() == pytest.approx(float(expected(name, update, *batch).detach()), rel=ROUNDING)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_minimises(name):
    factory = METHODS[name]
    documented = factory.__doc__ or METHODS[name.rsplit("-", 1)[0]].__doc__
    assert "L_CE" in documented
    assert make_method(name).fixed_classifier == (name in FIXED)
    assert make_method(name).replay == (name != "bct")


FIXED = {"simplex", "simplex-fd", "hoc", "hoc-zero", "first-moment", "hoc+first-moment"}


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
    with pytest.raises(ValueError, match=r"method must be one of er, simplex, .*, got 'magic'"):
        make_method("magic")
    with pytest.raises(
        ValueError, match="a setting of method 'hoc' must be one of ce_weight, scale, same_class, got 'temp"
    ):
        make_method("hoc", temperature=3)
    with pytest.raises(ValueError, match=r"ce_weight must be in \[0, 1\], got 2"):
        make_method("hoc", ce_weight=2)
    with pytest.raises(ValueError, match="ce_weight must be a number, got 'much'"):
        make_method("hoc", ce_weight="much")
    with pytest.raises(ValueError, match="a setting of method 'er' must be left out, there is none, got 'scale'"):
        make_method("er", scale=3)
    with pytest.raises(ValueError, match=r"samples must be an integer >= 0, got 2\.5"):
        make_method("first-moment", samples=2.5)
    with pytest.raises(ValueError, match="weight must be > 0, got 0"):
        make_method("first-moment", weight=0)
