"""Families of reasoning-gym: each brings its own scorer, which needs the whole entry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import isnan
from typing import Any

from potstill.errors import MissingExtraError
from potstill.verify.answers import final_answer
from potstill.verify.base import Verdict
from potstill.verify.mathematics import MAX_ANSWER_SIGNS, MAX_FOUND_SIGNS, Mathematics
from potstill.verify.notation import fold, unwrapped
from potstill.verify.workers import WorkerFault, Workers, shared_workers


def gym_wanted(entry: Mapping[str, Any]) -> str:
    """What `ReasoningGym` wants to know of an entry: all of it, as JSON."""
    return json.dumps(
        {"question": entry["question"], "answer": entry["answer"], "metadata": entry["metadata"]}
    )


@dataclass(frozen=True)
class ReasoningGym:
    """Whether the scorer of an entry's family gives full marks; ``wanted`` is `gym_wanted`.

    Scorers give partial marks to a sentence around the right answer (0.067 for "The answer is
    3"), so the final answer is taken out first and only full marks count as right. A scorer is
    a third party's code, so it runs in a process that can be killed.

    Raises:
        MissingExtraError: reasoning-gym is not installed.
    """

    timeout_s: float = 5.0
    workers: Workers = field(default_factory=shared_workers)

    def __post_init__(self) -> None:
        if find_spec("reasoning_gym") is None:
            raise MissingExtraError("reasoning-gym", "gym")

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        try:
            entry = json.loads(wanted)
            gold = str(entry["answer"])
        except (ValueError, TypeError, KeyError):
            return Verdict(None, "unreadable_wanted", wanted[:80])
        text = answer[-MAX_ANSWER_SIGNS:]
        said = final_answer(text, words=True)
        # The answer of many a family has several lines: a grid, a list of moves.
        whole = text.strip() if "\n" in gold and said.place == "line" else unwrapped(said.text)
        tried = [whole]
        if fold(gold).replace(".", "").lstrip("-").isdigit():
            tried.append(Mathematics(self.timeout_s, self.workers).extract(answer, fold(gold)))
        if not any(tried):
            return Verdict(False, "no_answer")
        best: bool | None = False
        for found in dict.fromkeys(filter(None, tried)):
            request = {"found": found[: 10 * MAX_FOUND_SIGNS], "entry": entry}
            try:
                score = self.workers.ask("reasoning_gym", request, self.timeout_s)
            except WorkerFault as fault:
                return Verdict(None, fault.name, found[:200])
            if not isinstance(score, int | float) or isnan(score):
                return Verdict(None, "not_a_number", found[:200])
            best = best or score >= 1.0
        return Verdict(best, None, tried[0][:200])
