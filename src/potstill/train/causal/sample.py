"""Write completions: many a question, in batches, each reproducible by itself.

The random numbers of a completion depend on the seed, the question's id and the completion's
number alone, never on its neighbours in a batch. Sums of floats do depend on the batch in their
last digits, so that about one token in a million may still differ between two batchings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from potstill.data import Example
from potstill.spec.recipe import SamplingSpec, TemplateSpec
from potstill.train.causal.start import load_model
from potstill.train.causal.turns import Turns
from potstill.train.encoder import Progress, Quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Finish = Literal["stop", "length"]
"""Whether a completion ended by itself, or was cut."""

_WINDOW = 4096
"""Completions that are sorted by length together; the caller gets them in his own order."""
_ROWS = 256
"""Completions a batch at most: beyond, a core gets no more out of its caches."""
_CACHE_BYTES = 1 << 29
"""Keys and values of a batch at most, outside a GPU."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote for a question.

    Attributes:
        id: of the question.
        number: of the completion among those of its question, from 0.
        text: without special tokens.
        tokens: their number, the end token included.
        finish: `stop` where the model ended it, `length` where it was cut.
    """

    id: str
    number: int
    text: str
    tokens: int
    finish: Finish


@dataclass(frozen=True, slots=True)
class Wanted:
    """A completion that is to be written.

    Attributes:
        id: of the question.
        number: among those of its question.
        prompt: its tokens.
    """

    id: str
    number: int
    prompt: list[int]


def sample(
    start: Path,
    questions: Sequence[Example],
    *,
    spec: SamplingSpec,
    template: TemplateSpec,
    seed: int,
    progress: Progress | None = None,
) -> Iterator[Completion]:
    """Completions of a model, in the order of questions, then of numbers.

    With a GPU and vLLM installed that writes them, otherwise transformers.

    Args:
        start: folder of weights and tokenizer.
        questions: each with an id of its own.
        spec: how many, how warm, how long.
        template: its system turn goes before each question.
        seed: of all draws.
        progress: called as (`sample`, completions done, in all).

    Raises:
        TrainingError: the folder holds no model, or memory is too small.
    """
    batches = sample_batches(
        start, questions, spec=spec, template=template, seed=seed, progress=progress
    )
    ready: dict[tuple[str, int], Completion] = {}
    for question in questions:
        for number in range(spec.samples):
            while (question.id, number) not in ready:
                ready |= {(one.id, one.number): one for one in next(batches)}
            yield ready.pop((question.id, number))


def sample_batches(
    start: Path,
    questions: Sequence[Example],
    *,
    spec: SamplingSpec,
    template: TemplateSpec,
    seed: int,
    done: Collection[tuple[str, int]] = (),
    progress: Progress | None = None,
) -> Iterator[list[Completion]]:
    """The same completions as they come: a batch at a time, in any order.

    Args:
        start: folder of weights and tokenizer.
        questions: each with an id of its own.
        spec: how many, how warm, how long.
        template: its system turn goes before each question.
        seed: of all draws.
        done: id and number of completions that exist. A batch of nothing else is left out; of
            another one all are written again, because whoever went on with other batches would
            get other last digits, and now and then another token.
        progress: called as (`sample`, completions done, in all).

    Raises:
        TrainingError: the folder holds no model, or memory is too small.
    """
    total = len(questions) * spec.samples
    if len(done) == total:
        return
    turns = Turns.load(start, template)
    write = _writer(start, turns, spec, seed)
    so_far = set(done)
    size = max(1, _WINDOW // spec.samples)
    for first in range(0, len(questions), size):
        window = questions[first : first + size]
        wanted = [
            Wanted(question.id, number, prompt)
            for question in window
            for prompt in [turns.prompt(question.text)]
            for number in range(spec.samples)
        ]
        known = [(one.id, one.number) in done for one in wanted]
        for batch in write(wanted, known):
            written = [_completion(wanted[index], ids, turns) for index, ids in batch]
            so_far.update((one.id, one.number) for one in written)
            if progress is not None:
                progress("sample", len(so_far), total)
            yield written


def write_with(
    model: PreTrainedModel, turns: Turns, questions: Sequence[Example], max_new_tokens: int
) -> list[Completion]:
    """One greedy completion a question, in their order, by a model that is in memory.

    No random number is drawn, so that a training in whose midst this happens goes on as without.
    """
    wanted = [Wanted(question.id, 0, turns.prompt(question.text)) for question in questions]
    spec = SamplingSpec(samples=1, temperature=0, max_new_tokens=max_new_tokens)
    learning = model.training
    model.eval()
    try:
        write = _Writing(model, turns, spec, 0)
        written = dict(pair for batch in write(wanted, [False] * len(wanted)) for pair in batch)
    finally:
        model.train(learning)
    return [_completion(one, written[at], turns) for at, one in enumerate(wanted)]


def _completion(wanted: Wanted, ids: list[int], turns: Turns) -> Completion:
    ended = bool(ids) and ids[-1] == turns.end
    text = turns.texts([ids])[0]
    return Completion(wanted.id, wanted.number, text, len(ids), "stop" if ended else "length")


def random_of(seed: int, wanted: Wanted) -> np.random.Generator:
    """The random numbers of one completion."""
    name = f"{seed}\0{wanted.id}\0{wanted.number}".encode()
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "big")
    return np.random.Generator(np.random.Philox(key=key))


class Draw(LogitsProcessor):
    """Leaves one token a row: the one on which the row's own random number falls.

    With it greedy decoding samples: P(token) is the share of softmax(logits / temperature) among
    the tokens of the nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text
    Degeneration", 3.1).
    """

    def __init__(self, spec: SamplingSpec, generators: Sequence[np.random.Generator]) -> None:
        self._spec = spec
        self._generators = generators

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (row, token) with infinity at the chosen token of each row."""
        drawn = [generator.random() for generator in self._generators]
        # In (0, 1], so that no token of probability 0 is ever the first to reach it.
        points = 1 - torch.tensor(drawn, dtype=torch.float64, device=scores.device)
        shares = torch.softmax(scores.double() / self._spec.temperature, dim=-1)
        if self._spec.top_p < 1:
            shares = _nucleus(shares, self._spec.top_p)
        reached = shares.cumsum(dim=-1)
        points = (points * reached[:, -1]).unsqueeze(1)
        chosen = torch.searchsorted(reached, points)
        return scores.scatter(1, chosen, float("inf"))


def _nucleus(shares: torch.Tensor, top_p: float) -> torch.Tensor:
    """Shares (row, token) with 0 outside the fewest tokens that hold `top_p` together."""
    ordered, order = shares.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    return shares.scatter(1, order, ordered.masked_fill(before >= top_p, 0.0))


class _Writing:
    """Writing with transformers."""

    def __init__(self, model: PreTrainedModel, turns: Turns, spec: SamplingSpec, seed: int) -> None:
        self._turns, self._spec, self._seed = turns, spec, seed
        self._model = model
        self._device = torch.device(model.device)
        self._config: Any = self._model.config.get_text_config()

    def __call__(
        self, wanted: Sequence[Wanted], known: Sequence[bool]
    ) -> Iterator[list[tuple[int, list[int]]]]:
        """Batches of positions in `wanted` with what was written there, in any order.

        Batches are those of all that is wanted; one whose every row is known is left out.
        """
        order = sorted(range(len(wanted)), key=lambda index: len(wanted[index].prompt))
        while order:
            longest = len(wanted[order[-1]].prompt)
            room, batch = self._room(longest), list[int]()
            while order and len(batch) < self._rows(longest):
                # The shorter must not be cut for the longest one's lack of room.
                if self._room(len(wanted[order[-1]].prompt)) != room:
                    break
                batch.append(order.pop())
            if not all(known[index] for index in batch):
                written = self._write([wanted[index] for index in batch])
                yield list(zip(batch, written, strict=True))

    def _room(self, prompt_tokens: int) -> int:
        """Tokens that can still be written behind a prompt."""
        positions = getattr(self._config, "max_position_embeddings", None) or 1 << 30
        return min(self._spec.max_new_tokens, positions - prompt_tokens)

    def _rows(self, prompt_tokens: int) -> int:
        """Rows of a batch, by the memory of its keys and values, four bytes each."""
        config = self._config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        a_token = 2 * config.num_hidden_layers * heads * width * 4
        budget = _CACHE_BYTES
        if self._device.type == "cuda":
            budget = torch.cuda.mem_get_info()[0] // 2
        tokens = prompt_tokens + max(1, self._room(prompt_tokens))
        return max(1, min(_ROWS, budget // (a_token * tokens)))

    @torch.inference_mode()
    def _write(self, batch: Sequence[Wanted]) -> list[list[int]]:
        longest = max(len(wanted.prompt) for wanted in batch)
        room = self._room(longest)
        if room < 1:
            return [[] for _ in batch]
        pad = cast("int", self._turns.tokenizer.pad_token_id)
        fill = [longest - len(wanted.prompt) for wanted in batch]
        ids = [[pad] * less + wanted.prompt for less, wanted in zip(fill, batch, strict=True)]
        mask = [[0] * less + [1] * (longest - less) for less in fill]
        draws = LogitsProcessorList()
        if self._spec.temperature > 0:
            draws.append(Draw(self._spec, [random_of(self._seed, wanted) for wanted in batch]))
        with Quiet():
            written: Any = cast("Any", self._model).generate(
                input_ids=torch.tensor(ids, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                generation_config=GenerationConfig(
                    max_new_tokens=room,
                    do_sample=False,
                    eos_token_id=self._turns.end,
                    pad_token_id=pad,
                    disable_compile=True,
                ),
                logits_processor=draws,
            )
        return [_ended(row, self._turns.end) for row in written[:, longest:].tolist()]


def _ended(ids: list[int], end: int) -> list[int]:
    """Tokens up to the first end token, which stays."""
    return ids[: ids.index(end) + 1] if end in ids else ids


def _writer(start: Path, turns: Turns, spec: SamplingSpec, seed: int) -> Any:
    from potstill.train.causal.vllm_rollouts import VllmWriting, vllm_is_here

    if vllm_is_here():
        return VllmWriting(start, turns, spec, seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return _Writing(cast("Any", load_model(start)).to(device).eval(), turns, spec, seed)
