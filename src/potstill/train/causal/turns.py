"""Questions and completions as the tokens of one chat turn: the same for learning and sampling.

A prompt is what the tokenizer's own chat template makes of the question, up to where the model
goes on. A completion is tokenised by itself and ends with the end token. A model is thereby taught
exactly the tokens that it is asked to write later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers import AutoConfig, AutoTokenizer

from potstill.data import Example, Text
from potstill.errors import DataError, TrainingError
from potstill.spec.recipe import TemplateSpec
from potstill.train.encoder import Quiet
from potstill.verify.completion import write_completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LENGTH_WARNING = "sequence-length-is-longer-than-the-specified-maximum"


@dataclass(frozen=True)
class Turns:
    """A tokenizer with the recipe's way of writing.

    Attributes:
        tokenizer: with a chat template and an end token.
        template: the recipe's marks and its system turn.
    """

    tokenizer: PreTrainedTokenizerBase
    template: TemplateSpec

    @classmethod
    def load(cls, folder: Path, template: TemplateSpec) -> Turns:
        """The tokenizer of a folder.

        Raises:
            TrainingError: transformers finds no tokenizer there.
        """
        try:
            with Quiet():
                tokenizer = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"no tokenizer can be loaded: {str(error).splitlines()[0]}",
                where=str(folder),
                hint="Give a folder that transformers' save_pretrained wrote.",
            ) from error
        # Every caller sees to what is too long, and counts it; the tokenizer need not warn.
        cast("Any", tokenizer).deprecation_warnings[_LENGTH_WARNING] = True
        return cls(tokenizer, template)

    @property
    def end(self) -> int:
        """The end token."""
        return cast("int", self.tokenizer.eos_token_id)

    def messages(self, question: str) -> list[dict[str, str]]:
        """The turns before the model's own."""
        system = self.template.system
        before = [{"role": "system", "content": system}] if system else []
        return [*before, {"role": "user", "content": question}]

    def prompt(self, question: str) -> list[int]:
        """Tokens of a question up to where the model goes on."""
        rendered: Any = self.tokenizer.apply_chat_template(
            self.messages(question), add_generation_prompt=True, return_dict=True
        )
        return list(rendered["input_ids"])

    def completion(self, text: str) -> list[int]:
        """Tokens of a completion, the end token included."""
        ids: Any = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, self.end]

    def texts(self, completions: Sequence[Sequence[int]]) -> list[str]:
        """Texts of sampled tokens, without special tokens."""
        return self.tokenizer.batch_decode(
            [list(ids) for ids in completions], skip_special_tokens=True
        )


def completion_text(example: Example, template: TemplateSpec) -> str:
    """What a model is to write for a row: its thought between the marks, then its answer.

    A row without a thought gives the answer alone.

    Raises:
        DataError: the row's target is no text.
    """
    if not isinstance(example.target, Text):
        raise DataError(
            f"the row {example.id!r} has no text to learn.",
            hint="Give every row an answer, or leave the row out.",
        )
    answer = example.target.text
    if example.reasoning is None:
        return answer
    return write_completion(example.reasoning, answer, template)


def all_texts(examples: Iterable[Example]) -> list[str]:
    """Questions, thoughts and answers: what a tokenizer that is made here must know."""
    found: list[str] = []
    for example in examples:
        found.append(example.text)
        if example.reasoning is not None:
            found.append(example.reasoning)
        if isinstance(example.target, Text):
            found.append(example.target.text)
    return found


def positions_of(folder: Path) -> int:
    """Tokens that a model can read and write together; very many where it sets no limit."""
    config: Any = AutoConfig.from_pretrained(folder)
    return getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 30
