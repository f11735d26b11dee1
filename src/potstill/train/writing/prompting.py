"""The instruction of a writer, in the form that its base was taught to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jinja2 import TemplateError

from potstill.runtime.prompt import Prompt
from potstill.spec.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SOURCE = "<<<source>>>"
"""Stands for the source while a chat template is filled in."""


def instruction_of(task: Task) -> str:
    """What a writer is told: the task's question, its bound and its rubric.

    The student learns the style from its rows. What it is told beforehand only shortens the
    way, so rules and examples stay with the teacher.
    """
    asked = task.description or "Summarise the text."
    return " ".join([asked, f"At most {task.text.max_words} words.", *task.text.rubric])


def prompt_of(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, instruction: str
) -> Prompt:
    """The prompt around a source.

    Args:
        tokenizer: its chat template is used where it has one.
        model: its generation settings name what ends a text.
        instruction: see `instruction_of`.
    """
    before, after = _frame(tokenizer, instruction)
    said = model.generation_config and model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id, *(said if isinstance(said, list) else [said])]
    return Prompt(
        before=tuple(tokenizer.encode(before, add_special_tokens=False)),
        after=tuple(tokenizer.encode(after, add_special_tokens=False)),
        ends=tuple(dict.fromkeys(cast("int", end) for end in ends if end is not None)),
    )


def _frame(tokenizer: PreTrainedTokenizerBase, instruction: str) -> tuple[str, str]:
    """What stands before the source and behind it."""
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{instruction}\n\n", "\n\n"
    system = {"role": "system", "content": instruction}
    try:
        filled = _fill(tokenizer, [system, {"role": "user", "content": _SOURCE}])
    except TemplateError:  # some templates know no system turn, and refuse it
        filled = _fill(tokenizer, [{"role": "user", "content": f"{instruction}\n\n{_SOURCE}"}])
    before, _, after = filled.partition(_SOURCE)
    return before, after


def _fill(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]) -> str:
    filled: Any = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return filled
