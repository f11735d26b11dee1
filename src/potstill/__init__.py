"""Potstill distils one task out of a large language model into a small one.

The names below are the whole public surface; each is imported when it is first used, so that
``import potstill`` costs nothing and a server never loads a training library.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.api import check, compare, evaluate, load, run, trace
    from potstill.data import Example, Prediction, Predictor, Source
    from potstill.errors import PotstillError
    from potstill.runtime import Model
    from potstill.spec import load_task
    from potstill.spec.task import Task

__version__ = "0.1.0"

# onnxruntime from 1.29 on tells its maker, unasked, which graphs are run. Models and texts stay on
# this machine; whoever wants to tell sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Example",
    "Model",
    "PotstillError",
    "Prediction",
    "Predictor",
    "Source",
    "Task",
    "check",
    "compare",
    "evaluate",
    "load",
    "load_task",
    "run",
    "trace",
]

_HOMES = {
    "Example": "potstill.data",
    "Model": "potstill.runtime",
    "PotstillError": "potstill.errors",
    "Prediction": "potstill.data",
    "Predictor": "potstill.data",
    "Source": "potstill.data",
    "Task": "potstill.spec.task",
    "check": "potstill.api",
    "compare": "potstill.api",
    "evaluate": "potstill.api",
    "load": "potstill.api",
    "load_task": "potstill.spec",
    "run": "potstill.api",
    "trace": "potstill.api",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'potstill' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
