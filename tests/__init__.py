"""Tests. In every one of them, arrays are checked against the shapes and dtypes that annotations state.

The option ``--jaxtyping-packages`` in pyproject.toml names the packages, and :func:`check_arrays` as what checks them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

# an int where a float is asked for, as PEP 484 has it
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def _of_arrays(hint: Any) -> bool:
    """Whether a hint has a jaxtyping array in it."""
    return (inspect.isclass(hint) and issubclass(hint, AbstractArray)) or any(map(_of_arrays, get_args(hint)))


def check_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and results that jaxtyping annotates; the rest is validated by the functions themselves.

    jaxtyping calls this with functions of its own making, whose annotations are evaluated.
    """
    arrays = {name: hint for name, hint in function.__annotations__.items() if _of_arrays(hint)}
    function.__annotations__ = arrays
    return _check(function) if arrays else function


# a shape and a dtype, as annotations that are not evaluated yet state them
_SHAPE = re.compile(r"\[(np\.|torch\.)?(ndarray|Tensor)\b")
_wrap = jaxtyping.jaxtyped


def _wrap_where_arrays_are(function: Any = None, *, typechecker: Any = None) -> Any:
    """Wrap what annotates arrays and leave the rest as it is: a wrapper costs more than most functions do."""
    if function is None:
        return lambda some: _wrap_where_arrays_are(some, typechecker=typechecker)
    hints = getattr(function, "__annotations__", {}).values() if inspect.isfunction(function) else ()
    if inspect.isfunction(function) and not any(_SHAPE.search(str(hint)) for hint in hints):
        return function
    return _wrap(function, typechecker=typechecker)


jaxtyping.jaxtyped = _wrap_where_arrays_are
