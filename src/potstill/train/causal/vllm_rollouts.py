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

    def __call__(
        self, wanted: Sequence[Wanted], known: Sequence[bool]
    ) -> Iterator[list[tuple[int, list[int]]]]:
        """Positions in `wanted` with what was written there; what is known is left out."""
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

        from potstill.train.causal.sample import random_of

        missing = [index for index in range(len(wanted)) if not known[index]]
        settings = [
            SamplingParams(
                temperature=self._spec.temperature,
                top_p=self._spec.top_p,
                max_tokens=self._spec.max_new_tokens,
                stop_token_ids=[self._turns.end],
                # vLLM draws by its own means; a seed a request makes each reproducible.
                seed=int(random_of(self._seed, wanted[index]).integers(2**31)),
            )
            for index in missing
        ]
        prompts = [{"prompt_token_ids": wanted[index].prompt} for index in missing]
        outputs: Any = self._engine.generate(prompts, settings, use_tqdm=False)
        yield [
            (index, self._ids(output.outputs[0]))
            for index, output in zip(missing, outputs, strict=True)
        ]

    def _ids(self, found: Any) -> list[int]:
        ids = list(found.token_ids)
        stopped = found.finish_reason == "stop" and (not ids or ids[-1] != self._turns.end)
        return [*ids, self._turns.end] if stopped else ids
