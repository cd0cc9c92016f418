"""What a base install leaves out: packages, the extra that brings each, and the sentence where one is missing.

Extras are those of ``pyproject.toml``. A base install holds what an audit of files loads.
"""

from __future__ import annotations

from importlib.util import find_spec

# package → the extra that brings it, for a command that says nothing else
EXTRA_OF = {
    "PIL": "train",
    "accelerate": "train",
    "chromadb": "chroma",
    "dask": "distributed",
    "faiss": "retrieval",
    "flint": "certify",
    "fsspec": "remote",
    "h5py": "hdf5",
    "hypothesis": "test",
    "joblib": "train",
    "lancedb": "lancedb",
    "matplotlib": "figures",
    "pooch": "train",
    "psycopg": "pgvector",
    "pymilvus": "milvus",
    "pytest": "test",
    "qdrant_client": "qdrant",
    "sklearn": "bridge",
    "sympy": "proofs",
    "torch": "train",
}


class MissingExtra(ImportError):
    """A package is not installed; the message is one sentence that says which command installs it."""


def require(what: str, *packages: str, extra: str | None = None) -> None:
    """Refuse to go on where a package is missing; nothing is imported.

    Parameters
    ----------
    what : str
        What needs the packages, the subject of the sentence.
    *packages : str
        Names that are imported; keys of :data:`EXTRA_OF`.
    extra : str, optional
        The extra to install, where it is not that of the package.

    Raises
    ------
    MissingExtra
        For the first package that is not there.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(sentence(what, package, extra))


def explained(error: ImportError, what: str) -> MissingExtra | None:
    """The sentence for an import that failed, where an extra brings the package; None for any other."""
    if isinstance(error, MissingExtra):
        return error
    package = (error.name or "").partition(".")[0]
    return MissingExtra(sentence(what, package)) if package in EXTRA_OF else None


def sentence(what: str, package: str, extra: str | None = None) -> str:
    """What to install for a package that is missing."""
    return f"{what} needs {package}: pip install 'stationary-representations[{extra or EXTRA_OF[package]}]'."
