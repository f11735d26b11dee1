"""A Llama of a few thousand weights, and sums for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from potstill.data import Example, Text
from potstill.spec.recipe import ScratchSpec, TemplateSpec


@pytest.fixture(scope="session")
def sums() -> list[Example]:
    """Sixty sums of one digit each, with thoughts of two lengths."""
    return [
        Example(
            id=f"{a}+{b}",
            input=f"{a}+{b}=",
            target=Text(str(a + b)),
            reasoning=f"{a}+{b} is {a + b}" if a % 2 else f"{a} and {b}",
        )
        for a in range(10)
        for b in range(6)
    ]


@pytest.fixture(scope="session")
def plain() -> TemplateSpec:
    return TemplateSpec()


@pytest.fixture(scope="session")
def make_start(
    sums: list[Example], plain: TemplateSpec, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """``make_start(hidden=16)``: a folder of random weights."""
    from potstill.train.causal.start import make_scratch
    from potstill.train.causal.turns import all_texts

    def make(hidden: int = 16) -> Path:
        folder = tmp_path_factory.mktemp("start") / "weights"
        spec = ScratchSpec(hidden=hidden, layers=2, heads=2, positions=64)
        make_scratch(spec, all_texts(sums), template=plain, seed=3, folder=folder)
        return folder

    return make


@pytest.fixture(scope="session")
def start(make_start: Callable[..., Path]) -> Path:
    return make_start()


@pytest.fixture
def weights_of() -> Callable[[Path], dict[str, object]]:
    """All tensors of a folder of weights."""
    from safetensors.torch import load_file

    def read(folder: Path) -> dict[str, object]:
        return dict(load_file(folder / "model.safetensors"))

    return read
