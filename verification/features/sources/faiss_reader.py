"""Reads a FAISS index file in a process of its own: FAISS trusts what a file says, and a damaged one can end it.

It is run with the path and, for rows, the first of them. On stdout come a line of JSON and then the ids in the order in
which they are stored, or the vectors in the order of their ids; on stderr what is wrong with the index, and status 2.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

_EXACT = ("IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexFlat1D", "IndexHNSWFlat")
_EXACT_BY_LIST = ("IndexIVFFlat",)
_WITH_IDS = ("IndexIDMap", "IndexIDMap2")
_ROWS = 2**12


def main(path: str, start: str = "") -> None:
    """Write ids, or vectors from a row on."""
    from importlib import import_module

    faiss: Any = import_module("faiss")
    try:
        # mapped rather than read where the kind of index allows it
        index: Any = faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        sys.exit(f"is not a readable FAISS index ({str(error).rpartition(': ')[2].strip()}).")
    places = np.arange(index.ntotal, dtype=np.int64)
    outer, ids, keys = index, places, places
    if type(index).__name__ in _WITH_IDS:
        ids = faiss.vector_to_array(index.id_map)
        index = faiss.downcast_index(index.index)
    kind = type(index).__name__
    if kind in _EXACT_BY_LIST:
        index.set_direct_map_type(faiss.DirectMap.Hashtable)
        # ids of an inverted file, ascending: the order in which they were added is not kept
        sizes = [index.invlists.list_size(each) for each in range(index.nlist)]
        parts = [faiss.rev_swig_ptr(index.invlists.get_ids(i), size).copy() for i, size in enumerate(sizes) if size]
        keys = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        ids = keys if outer is index else ids
    elif kind not in _EXACT:
        sys.exit(
            f"an index must keep its vectors exactly ({', '.join((*_EXACT, *_EXACT_BY_LIST))}), got {kind}, which "
            "gives approximations or other vectors than were added; audit the vectors that were added to it."
        )
    out = sys.stdout.buffer
    if not start:
        said = {"count": len(ids), "dim": index.d, "as_added": bool(np.array_equal(keys, places))}
        out.write(json.dumps(said).encode() + b"\n" + np.ascontiguousarray(ids, np.int64).tobytes())
        return
    order = keys[np.argsort(ids, kind="stable")]
    for first in range(int(start), len(order), _ROWS):
        out.write(index.reconstruct_batch(np.ascontiguousarray(order[first : first + _ROWS], np.int64)).tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
