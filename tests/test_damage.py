"""Every reader of a file, with files that are damaged, cut, empty, deep, of another kind, folders and pipes.

Whatever the bytes are, a reader returns or raises one sentence that begins with the name of the file, in bounded time
and memory. Few cases here; ``make slow`` runs many more of the same. What is wrong with features, with the sentence for
each, is in ``tests/verification/test_bad_input.py``.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from learning.checkpoints import load_tensors, load_training, save_training
from learning.datasets import _read_features, _read_idx, _read_image
from learning.store import Store, claim
from theory.files import check_memory
from verification.audit.plan import Plan, plan
from verification.bridge.canary import compare_with_canary, save_canary
from verification.bridge.maps import FeatureMap
from verification.experiments.evaluate import load_run
from verification.features import FeatureSet
from verification.search.judgement_files import read_judgements, read_pairs

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((40, 3)), np.arange(40) % 4
# a reader may take this much more memory than before, whatever a file of a few kilobytes says
BYTES = 2**31
SECONDS = 60  # ten times what the slowest takes on a busy machine


@dataclass(frozen=True)
class Reader:
    """How a file is made, and read."""

    name: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]


def training() -> tuple[Any, ...]:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1), torch.Generator()


def load(path: Path) -> None:
    list(FeatureSet.load(path).normalized_blocks(7))


def features(path: Path) -> None:
    FeatureSet(X, Y, ids=np.arange(40)).save(path)


def table(path: Path) -> None:
    rows = [{"features": row.tolist(), "labels": int(label)} for row, label in zip(X, Y, strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        lines = [",".join(map(str, [*row["features"], row["labels"]])) for row in rows]
        path.write_text("\n".join(["f0,f1,f2,labels", *lines]) + "\n")
    else:
        import pyarrow as pa
        from pyarrow import feather

        feather.write_feather(pa.Table.from_pylist(rows), path, compression="uncompressed")


def hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["features"], file["labels"] = X, Y


def index(path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    flat = faiss.IndexFlatL2(3)
    flat.add(X.astype(np.float32))
    faiss.write_index(flat, str(path))


def feature_map(path: Path) -> None:
    FeatureMap("orthogonal", "queries", np.eye(3), np.zeros(3)).save(path)


def run(path: Path) -> None:
    FeatureSet(X, Y).save(path.parent / "task-00.features.npz")
    path.write_text(json.dumps([0, 1]))


def picture(path: Path) -> None:
    Image.fromarray(RNG.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(path)


def idx(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + (2).to_bytes(4, "big") * 2 + bytes(4)))


def stored(path: Path) -> Store:
    return Store(path.parents[1])


def find(path: Path) -> Any:
    return stored(path).find("key", {})


VALUES = {"array": X, "number": 1.5, "text": "a"}
READERS = [
    *(Reader(f"f{kind}", features, load) for kind in (".npz", ".npy", ".safetensors", ".parquet")),
    *(Reader(f"f{kind}", table, load) for kind in (".jsonl", ".csv", ".arrow")),
    Reader("f.h5", hdf5, load),
    Reader("f.index", index, load),
    Reader("f.pt", lambda path: torch.save({"features": torch.tensor(X), "labels": torch.tensor(Y)}, path), load),
    Reader("map.npz", feature_map, FeatureMap.load),
    Reader("map.safetensors", feature_map, FeatureMap.load),
    Reader(
        "canary.npz",
        lambda path: save_canary(FeatureSet(X), path),
        lambda path: compare_with_canary(FeatureSet(X), path),
    ),
    Reader("plan.json", lambda path: plan(FeatureSet(X, Y)).save(path), Plan.load),
    Reader("qrels.txt", lambda path: path.write_text("q1 0 d1 1\nq2 0 d2 0\n"), read_judgements),
    Reader("qrels.jsonl", lambda path: path.write_text('{"query": 1, "item": 2}\n'), read_judgements),
    Reader("pairs.csv", lambda path: path.write_text("a,b,same\nc,d,different\n"), read_pairs),
    Reader("trained.json", run, lambda path: load_run(path.parent, "trained")),
    Reader("run.json", lambda path: claim(path.parent, {"a": 1}), lambda path: claim(path.parent, {"a": 1})),
    *(
        Reader(f"key/{name}", lambda path: stored(path).get("key", {}, VALUES.copy), find)
        for name in ("run.json", "result.json", "arrays.npz")
    ),
    Reader(
        "task-00.partial",
        lambda path: save_training(path, *training(), {"epoch": 1, "seconds": 1.0}),
        lambda path: load_training(path, *training(), {}, 2),
    ),
    Reader(
        "task-00.safetensors",
        lambda path: save_training(path, *training(), {"epoch": 1, "seconds": 1.0}),
        load_tensors,
    ),
    Reader("image.png", picture, lambda path: _read_image(path, 8)),
    Reader("image.jpg", picture, lambda path: _read_image(path, 0)),
    Reader("images.gz", idx, _read_idx),
    Reader("train.npz", lambda path: np.savez(path, features=X, labels=Y), _read_features),
]  # fmt: skip


@pytest.fixture(params=READERS, ids=lambda reader: reader.name)
def reader(request, tmp_path) -> tuple[Reader, Path]:
    path = tmp_path / request.param.name
    path.parent.mkdir(exist_ok=True)
    request.param.make(path)
    request.param.read(path)  # undamaged it is read; and what the reader needs is loaded
    return request.param, path


@pytest.fixture
def little_memory() -> Iterator[None]:
    """No more memory than now and :data:`BYTES`."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def complaint(reader: Reader, path: Path) -> str | None:
    """What a reader says of a file; an error of another kind, or of another file, is a failed test."""
    began = time.monotonic()
    try:
        reader.read(path)
        said = None
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
        assert said.startswith(str(path.parent)), said
        assert "\n" not in said
    assert time.monotonic() - began < SECONDS
    return said


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, most of them where headers and directories are; or the end cut off; or both."""
    content = bytearray(whole)
    near = min(200, len(whole))
    at = int(rng.choice([rng.integers(near), len(whole) - 1 - rng.integers(near), rng.integers(len(whole))]))
    content[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
    return bytes(content[: int(rng.integers(at, len(whole)))] if rng.random() < 0.2 else content)


@pytest.mark.parametrize("rounds", [12, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # of libraries about what they find
def test_damaged_bytes_are_read_or_are_one_sentence(reader, little_memory, rounds):
    kind, path = reader
    whole, rng = path.read_bytes(), np.random.default_rng(rounds)
    complaints = []
    for _ in range(rounds // 4 if path.suffix == ".index" else rounds):  # which is read in a process of its own
        path.write_bytes(damaged(whole, rng))
        complaints.append(complaint(kind, path))
    path.write_bytes(whole)
    kind.read(path)
    assert any(complaints)  # the damage does reach the reader


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_such_file_is_one_sentence(reader, little_memory):
    kind, path = reader
    for content in (b"", b"\0" * 64, b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe", b"null", b"[1]"):
        path.write_bytes(content)
        said = complaint(kind, path)
        assert said is not None or (path.suffix == ".csv" or path.name == "trained.json"), content[:20]
    path.unlink()
    path.mkdir()
    complaint(kind, path)
    path.rmdir()
    os.mkfifo(path)  # to open it would wait for ever
    assert complaint(kind, path) is not None


# ---- what a small file says of its size


def bomb(path: Path, name: str, dtype: str, shape: tuple[int, ...], size: int, **others: np.ndarray) -> None:
    """An archive with a member of so many bytes, nearly all zero, and a header that says so."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in others.items():
            with archive.open(f"{other}.npy", "w") as stream:
                np.save(stream, array)
        with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
            header = {"descr": dtype, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(stream, header)
            for _ in range(size // 2**20):
                stream.write(bytes(2**20))


def test_an_array_larger_than_the_memory_is_refused_before_any_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 2**10 if name == "SC_PHYS_PAGES" else 2**12)  # 4 MiB
    bomb(tmp_path / "f.npz", "labels", "<U2048", (2**10,), 2**23, features=np.ones((2**10, 2)))
    with pytest.raises(ValueError, match=r"f\.npz: an array would take 0 GiB, and this machine has 0 GiB"):
        FeatureSet.load(tmp_path / "f.npz")
    metadata = np.array(json.dumps({"format": 1, "kind": "k", "direction": "queries", "d_in": 2**10, "d_out": 2**10}))
    bomb(tmp_path / "m.npz", "A", "<f8", (2**10, 2**10), 2**23, b=np.zeros(2**10), metadata=metadata)
    with pytest.raises(ValueError, match=r"m\.npz: an array would take"):
        FeatureMap.load(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="all rows in memory would take"):
        _ = FeatureSet(np.ones((2**10, 2**10), np.float32)).unit
    check_memory(2**22, "as much as there is")


def test_bad_rows_are_counted_in_a_few_megabytes(tmp_path):
    """134 megabytes of NaN in some hundred kilobytes: read once more in pieces, and none is listed."""
    import tracemalloc

    header = {"descr": "<f4", "fortran_order": False, "shape": (2**17, 2**8)}
    with (
        zipfile.ZipFile(tmp_path / "f.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("features.npy", "w", force_zip64=True) as stream,
    ):
        np.lib.format.write_array_header_2_0(stream, header)
        for _ in range(2**7):
            stream.write(np.full(2**18, np.nan, np.float32).tobytes())
    read = FeatureSet.load(tmp_path / "f.npz")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"but 131072 of 131072 rows are not, the first is row 0\.$"):
            next(read.blocks(64))
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_dimensions_beyond_what_models_give_are_refused_at_once(tmp_path):
    np.savez(tmp_path / "f.npz", features=np.ones((2, 3 * 10**6), np.float32), labels=[0, 0])
    with pytest.raises(ValueError, match=r"f\.npz: features must have at most 2,097,152 dimensions, got 3,000,000\."):
        FeatureSet.load(tmp_path / "f.npz")
    assert FeatureSet(np.ones((3, 10**6), np.float32)).dim == 10**6


def test_a_picture_larger_than_any_camera_takes_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 2**17
    with pytest.raises(ValueError, match=r"bomb\.png: must have at most 100,000,000 pixels, got 12000 × 12000"):
        _read_image(tmp_path / "bomb.png", 8)


def test_a_damaged_result_that_is_kept_is_made_again(tmp_path):
    """Whatever is damaged: also numbers that are still numbers, and a file that is not there."""
    made = []

    def make() -> dict[str, Any]:
        made.append(1)
        return dict(VALUES)

    def get(remake: bool) -> float:
        return Store(tmp_path, remake=remake).get("key", {"a": 1}, make).values["number"]

    get(True)
    for name in ("run.json", "result.json", "arrays.npz"):
        path = tmp_path / "key" / name
        whole = path.read_bytes()
        for content in (whole.replace(b"1.5", b"2.5"), whole[:-9], b"[" * 10**5, b'"a"', b"", None):
            if content == whole:
                continue
            path.unlink() if content is None else path.write_bytes(content)
            if name != "run.json" or content is not None:
                with pytest.raises(ValueError, match=name.replace(".", r"\.")):
                    get(False)
            before = len(made)
            assert get(True) == 1.5
            assert len(made) == before + 1
