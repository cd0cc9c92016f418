"""Models by their description: what is built, what maps beside them do, and descriptions that contradict themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from learning import EmbeddingModel, ModelSpec, load_model, save_model
from learning.checkpoints import check_weights, load_tensors, load_weights, save_tensors
from learning.models import Adapter, Orthogonal
from learning.progress import counter


def images(num=4):
    return torch.randn(num, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_an_orthogonal_layer_begins_as_the_identity_and_stays_orthogonal():
    torch.manual_seed(0)
    x = torch.randn(6, 5)
    layer = Orthogonal(5)
    torch.testing.assert_close(layer(x), x)
    nn.init.normal_(layer.weight)
    turned = layer(x)
    assert not torch.allclose(turned, x, atol=0.1)
    torch.testing.assert_close(turned @ turned.T, x @ x.T, atol=1e-5, rtol=1e-5)  # float32 sums of five
    # of the weight only what is above the diagonal counts
    upper = torch.triu(layer.weight.detach(), diagonal=1)
    torch.testing.assert_close(turned, x @ torch.linalg.matrix_exp(upper - upper.T).T)
    assert torch.autograd.grad(layer(x.requires_grad_()).sum(), x)[0].any()


def test_an_adapter_begins_as_the_identity_and_gives_no_gradient_back():
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    layer = Adapter(5)
    assert torch.equal(layer(x), x)
    assert layer.bias is None
    nn.init.constant_(layer.weight, 0.5)
    torch.testing.assert_close(layer(x), 0.5 * x.sum(dim=1, keepdim=True).expand(6, 5))
    assert torch.autograd.grad(layer(x).sum(), x, allow_unused=True)[0] is None


def test_features_go_through_the_adapter_and_logits_do_not():
    model = ModelSpec(4, adapter="linear").build().eval()
    plain = ModelSpec(4).build().eval()
    nn.init.zeros_(model.adapter.weight)
    with torch.no_grad():
        features, logits = model(images())
        assert not features.any()
        assert torch.equal(logits, plain(images())[1])
        assert torch.equal(model.features(images()), features)
        assert torch.equal(plain.features(images()), plain(images())[0])


def test_what_a_description_builds():
    assert vars(ModelSpec(4)) == {
        "num_classes": 4, "backbone": "small-cnn", "classifier": "simplex", "dim": None, "in_channels": 1,
        "normalize_embedding": True, "adapter": "", "head": 0, "bias": True, "embedding": True, "shift": False,
    }  # fmt: skip
    for kind, dim in (("simplex", 3), ("orthoplex", 2), ("cube", 2), ("learned", 3)):
        model = ModelSpec(4, classifier=kind).build()
        assert model.directions.shape == (4, dim)
        assert model.backbone.embedding.weight.shape[0] == dim
        assert model.backbone.embedding.bias is not None
        assert isinstance(model.backbone.norm, nn.BatchNorm1d)
    learned = ModelSpec(4, classifier="learned", dim=7).build()
    assert learned.directions.shape == (4, 7)
    assert learned.classifier.bias is not None
    assert ModelSpec(4, bias=False).build().backbone.embedding.bias is None
    assert isinstance(ModelSpec(4, normalize_embedding=False).build().backbone.norm, nn.Identity)
    assert isinstance(ModelSpec(4, adapter="orthogonal").build().adapter, Orthogonal)
    assert isinstance(ModelSpec(4, adapter="linear").build().adapter, Adapter)
    assert isinstance(ModelSpec(4).build().adapter, nn.Identity)
    head = ModelSpec(4, dim=6, head=3).build()
    assert (head.adapter.weight.shape, head.adapter.bias) == ((3, 6), None)
    trunk = ModelSpec(4, classifier="learned", embedding=False).build()
    assert trunk(images())[0].shape == (4, 256)
    assert trunk.classifier.bias is None
    shifted = ModelSpec(4, classifier="learned", embedding=False, shift=True).build()
    assert shifted.backbone.norm[1].shift.shape == (256,)


def test_weights_follow_the_seed_and_the_global_generator_stays():
    state = torch.random.get_rng_state()
    one, again, other = (ModelSpec(4).build(seed).backbone.embedding.weight for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(ModelSpec(4).build().backbone.embedding.weight, ModelSpec(4).build(0).backbone.embedding.weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classifier": "sphere"}, "classifier must be one of simplex, orthoplex, cube, learned, got 'sphere'"),
        ({"adapter": "affine"}, "adapter must be '', 'linear' or 'orthogonal', got 'affine'"),
        ({"embedding": False}, "embedding must be True with a fixed classifier"),
        ({"adapter": "linear", "head": 3}, "adapter must be '' beside a head to dimension 3: both lead to one space"),
        ({"backbone": "vgg"}, "backbone must be one of small-cnn"),
    ],
)
def test_descriptions_that_contradict_themselves_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec(4, **settings)


def test_weights_that_do_not_fit_are_named_and_change_nothing(tmp_path):
    module = nn.Linear(3, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    weight, bias = torch.ones(2, 3), torch.ones(2)
    for tensors, message in (
        ({"weight": weight}, "there: the checkpoint lacks 'bias', which the model has"),
        ({"weight": weight, "bias": bias, "more": bias}, "there: the checkpoint has 'more', which the model lacks"),
        (
            {"weight": weight.double(), "bias": bias},
            r"'weight' must be torch.float32 of shape \(2, 3\) .* torch.float64",
        ),
        (
            {"weight": weight, "bias": torch.ones(3)},
            r"'bias' must be .* shape \(2,\) .* got torch.float32 of shape \(3,\)",
        ),
    ):
        for check in (check_weights, load_weights):
            with pytest.raises(ValueError, match=message):
                check("there", module, tensors)
        assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    load_weights("there", module, {"weight": weight, "bias": bias})
    assert torch.equal(module.weight, weight)


def test_a_description_that_is_none_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_tensors(path, {}, [1, 2])
    with pytest.raises(ValueError, match="has no readable description"):
        load_tensors(path)
    spec = ModelSpec(4)
    model = spec.build()
    save_model(path, model, spec, seconds=2.5)
    assert load_tensors(path)[1]["seconds"] == 2.5
    other = EmbeddingModel(spec.build(1).backbone, spec.build(1).classifier).train()
    assert load_model(path, into=other) is other
    assert not other.training
    assert torch.equal(other.backbone.embedding.weight, model.backbone.embedding.weight)
    save_model(path, model, spec)
    assert load_tensors(path)[1]["seconds"] == 0.0


def test_progress_counts_what_is_done():
    told = []
    tick = counter(lambda *what: told.append(what), "reading", 7)
    for more in (2, 1, 4):
        tick(more)
    assert told == [("reading", 2, 7), ("reading", 3, 7), ("reading", 7, 7)]
    counter(None, "reading", 7)(3)
