"""Results that figures keep and share: computed again when their parameters change, or the code that computes them.

The code is every file of this project that the maker imports, however indirectly, found by reading the files; with it
go the versions of the packages that compute. A figure whose numbers did not change is drawn again in no time, and
figures that train the same models train them once.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from learning.store import Kept, Store

ROOT = Path(__file__).parent.parent
ROOMS = ("theory", "learning", "verification", "paper_figures")
# ink changes no number
INK = frozenset({"paper_figures._style"})


@functools.cache
def sources(module: str) -> frozenset[Path]:
    """Files of this project that ``module`` imports, itself among them, and the data next to them."""
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
        digest.update(f"{package} {_version(package)}\0".encode())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def user_folder() -> Path:
    """Where results are kept between runs: the user's cache folder of this platform."""
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("stationary")) / "figures"


# what figures share when nothing else is said; `make` puts another in its place while it works
store = Store()


def kept(name: str, modules: tuple[str, ...], parameters: Any, compute: Callable[[], dict[str, Any]]) -> Kept:
    """Return what ``compute`` gives, kept or new.

    Parameters
    ----------
    name : str
        Of the result, for whoever looks into the folder.
    modules : tuple of str
        Whose code makes it.
    parameters : Any
        All that the result depends on besides the code; values that JSON can hold.
    compute : callable
        → dict of what JSON can hold and arrays.
    """
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:24]
    return store.get(f"{name}-{digest}", {"parameters": parameters, "code": code_hash(*modules)}, compute)
