"""Results that are kept: in the process, and on disk under the hash of the parameters and the code that made them.

The code is every file of this project that the maker imports, however indirectly, found by reading the files; with it
go the versions of the packages that compute. A figure whose numbers did not change is drawn again in no time, and
figures that train the same models train them once.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from verification.files.atomic import write_atomically

ROOT = Path(__file__).parent.parent
ROOMS = ("theory", "learning", "verification", "paper_figures")
# ink changes no number
INK = frozenset({"paper_figures._style"})
Value = TypeVar("Value")


@functools.cache
def sources(module: str) -> frozenset[Path]:
    """Files of this project that ``module`` imports, itself among them, and the data beside them."""
    found: set[Path] = set()
    waiting, seen = [module], set(INK)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in seen or path is None:
            continue
        seen.add(name)
        found |= {path, *path.parent.rglob("*.json")}
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return frozenset(found)


def _file(module: str) -> Path | None:
    if module.partition(".")[0] not in ROOMS:
        return None
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def code_hash(*modules: str) -> str:
    """Hash of the content of all :func:`sources`, and of the versions of what computes."""
    digest = hashlib.sha256()
    for path in sorted(set().union(*map(sources, modules))):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    for package in ("numpy", "scipy", "torch", "scikit-learn"):
        digest.update(f"{package} {metadata.version(package)}\0".encode())
    return digest.hexdigest()


def user_folder() -> Path:
    """Where results are kept between runs: the user's cache folder of this platform."""
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("stationary")) / "figures"


class Store:
    """Results by key, with the seconds that each took.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept on disk; in this process alone if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._held: dict[str, tuple[float, Any]] = {}
        self._spared = 0.0

    def get(
        self, name: str, modules: tuple[str, ...], parameters: Any, compute: Callable[[], Value]
    ) -> tuple[Value, float]:
        """Return what ``compute`` gives, kept or new, and the seconds that it took, nested results included.

        Parameters
        ----------
        name : str
            Of the result, for whoever looks into the folder.
        modules : tuple of str
            Whose code makes it.
        parameters : Any
            All that the result depends on beside the code; values that JSON can hold.
        compute : callable
            → dict of what JSON can hold and arrays.
        """
        description = json.dumps([name, parameters, code_hash(*modules)], sort_keys=True)
        key = f"{name}-{hashlib.sha256(description.encode()).hexdigest()[:24]}"
        if key not in self._held:
            self._held[key] = self._kept(key) or self._made(key, compute)
        else:
            self._spared += self._held[key][0]
        seconds, value = self._held[key]
        return value, seconds

    def _kept(self, key: str) -> tuple[float, Any] | None:
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as arrays:
                held = json.loads(str(arrays["json"]))
                value = held["value"] | {name[1:]: arrays[name] for name in arrays.files if name != "json"}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None  # not there, or unusable: it is made again
        self._spared += held["seconds"]
        return held["seconds"], value

    def _made(self, key: str, compute: Callable[[], Any]) -> tuple[float, Any]:
        began, spared = time.perf_counter(), self._spared
        value = compute()
        # what the parts took that were kept is part of what the whole takes
        seconds = time.perf_counter() - began + self._spared - spared
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays: dict[str, Any] = {f"-{name}": item for name, item in value.items() if isinstance(item, np.ndarray)}
            plain = {name: item for name, item in value.items() if not isinstance(item, np.ndarray)}
            buffer = io.BytesIO()
            np.savez_compressed(buffer, json=json.dumps({"seconds": seconds, "value": plain}), **arrays)
            write_atomically(self.folder / f"{key}.npz", lambda file: file.write(buffer.getvalue()))
        return seconds, value


# what figures share when nothing else is said; `make` puts another in its place while it works
store = Store()


def kept(name: str, modules: tuple[str, ...], parameters: Any, compute: Callable[[], Value]) -> Value:
    """As :meth:`Store.get` of the current store, without the seconds."""
    return store.get(name, modules, parameters, compute)[0]
