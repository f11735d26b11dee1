"""Completions by vLLM, where there is a GPU and the package.

No test runs this: it needs both. It is kept apart, and small, for that reason.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from potstill.spec.recipe import SamplingSpec
from potstill.train.causal.turns import Turns

if TYPE_CHECKING:
    from potstill.train.causal.sample import Wanted


def vllm_is_here() -> bool:
    """Whether vLLM can be used: a GPU and the package."""
    return torch.cuda.is_available() and importlib.util.find_spec("vllm") is not None


class VllmWriting:
    """Writing with vLLM, which batches by itself."""

    def __init__(self, start: Path, turns: Turns, spec: SamplingSpec, seed: int) -> None:
        from vllm import LLM  # pyright: ignore[reportMissingImports]

        self._turns, self._spec, self._seed = turns, spec, seed
        self._engine: Any = LLM(model=str(start), seed=seed % 2**31, disable_log_stats=True)

    def __call__(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, list[int]]]:
        """Positions in `wanted` with what was written there."""
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

        from potstill.train.causal.sample import random_of

        settings = [
            SamplingParams(
                temperature=self._spec.temperature,
                top_p=self._spec.top_p,
                max_tokens=self._spec.max_new_tokens,
                stop_token_ids=[self._turns.end],
                # vLLM draws by its own means; a seed a request makes each reproducible.
                seed=int(random_of(self._seed, one).integers(2**31)),
            )
            for one in wanted
        ]
        prompts = [{"prompt_token_ids": one.prompt} for one in wanted]
        outputs: Any = self._engine.generate(prompts, settings, use_tqdm=False)
        for index, output in enumerate(outputs):
            found = output.outputs[0]
            ids = list(found.token_ids)
            stopped = found.finish_reason == "stop" and (not ids or ids[-1] != self._turns.end)
            yield index, [*ids, self._turns.end] if stopped else ids
