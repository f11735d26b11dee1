"""How good the weights of a stage are, and whether the recipe goes on from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from potstill.data import Example, Text
from potstill.data.files import write_json, write_jsonl
from potstill.evaluate.stability import (
    Sample,
    Stability,
    StabilityComparison,
    compare_stability,
    stability,
)
from potstill.run.events import Event
from potstill.run.recipe.drawing import DRAWN, draw
from potstill.run.recipe.places import ANSWERS, JUDGEMENT, WEIGHTS, Places
from potstill.run.recipe.rivals import rivals_of
from potstill.spec.recipe import StageSpec, TemplateSpec, Verifier
from potstill.verify import consistency_of, parse_completion, verifier_of
from potstill.verify.loops import find_loop


class Written(Protocol):
    """A completion that a model wrote."""

    @property
    def id(self) -> str:
        """Of the question."""
        ...

    @property
    def text(self) -> str:
        """What was written."""
        ...

    @property
    def tokens(self) -> int:
        """How long it is."""
        ...

    @property
    def finish(self) -> str:
        """``stop``, or ``length`` where it was cut."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """A completion, taken apart and judged.

    Attributes:
        id: of the question.
        text: what was written.
        thought: between the marks; empty without them.
        answer: behind them.
        found: the final answer that the verifier read in it; empty where there is none.
        tokens: how long it is.
        cut: whether it was cut.
        right: None where nobody knows, or the verifier could not tell.
        form: whether there is exactly one closed thought with an answer behind it.
        language: share of the thought in the template's language, 0 to 1.
        loops: whether the thought goes round in circles.
        fault: of form or verifier; None without one.
    """

    id: str
    text: str
    thought: str
    answer: str
    found: str
    tokens: int
    cut: bool
    right: bool | None
    form: bool
    language: float | None
    loops: bool
    fault: str | None

    @property
    def sample(self) -> Sample:
        """What counts for stability."""
        return Sample(
            question=self.id,
            answer=self.found or None,
            tokens=self.tokens,
            cut=self.cut,
            right=self.right,
            well_formed=self.form,
            language=self.language,
            loops=self.loops,
        )


def judged(
    written: Iterable[Written],
    questions: Sequence[Example],
    *,
    template: TemplateSpec,
    verifier: Verifier,
) -> Iterator[Answered]:
    """Completions with their verdicts, in order.

    Args:
        written: completions.
        questions: to which they belong, by id.
        template: how they should look.
        verifier: says which answers are right; of a question without one nobody knows.
    """
    wanted = {row.id: row.target.text for row in questions if isinstance(row.target, Text)}
    # Many samples say the same, and a proof that two terms are equal can take seconds.
    verify = cache(verifier_of(verifier))
    for one in written:
        parsed = parse_completion(one.text, template)
        verdict = verify(parsed.answer, wanted[one.id]) if one.id in wanted else None
        yield Answered(
            id=one.id,
            text=one.text,
            thought=parsed.thought,
            answer=parsed.answer,
            found=(verdict.found if verdict else "") or parsed.answer,
            tokens=one.tokens,
            cut=one.finish == "length",
            right=None if verdict is None else verdict.right,
            form=parsed.fault is None,
            language=consistency_of(parsed.thought, template.language).share,
            loops=find_loop(parsed.thought) is not None,
            fault=parsed.fault or (verdict.fault if verdict else None),
        )


def judge_weights(places: Places, stage: str, questions: Sequence[Example]) -> Stability:
    """Let the weights of a stage answer the test questions, several times each.

    Leaves ``answers.jsonl`` and ``judgement.json`` in the folder of the stage.

    Args:
        places: of the run.
        stage: or `base`.
        questions: that no stage learns from.
    """
    recipe, folder = places.recipe, places.of(stage)
    asked = questions[: recipe.judge.rows]
    written = draw(places, stage, folder / WEIGHTS, asked, recipe.judge, file=folder / DRAWN)
    answers = list(
        judged(written, questions, template=recipe.template, verifier=recipe.judge.verifier)
    )
    found = stability([one.sample for one in answers], name=stage, seed=recipe.seed)
    write_jsonl(folder / ANSWERS, map(asdict, answers))
    write_json(folder / JUDGEMENT, found.to_json())
    return found


def load_answers(file: Path) -> list[Answered]:
    """Completions that a stage left."""
    with file.open("rb") as lines:
        return [Answered(**orjson.loads(line)) for line in lines]


def settle(places: Places, stage: StageSpec, found: Stability) -> Mapping[str, Any]:
    """Decide whether later stages go on from a stage's weights, and remember it.

    Args:
        places: of the run.
        stage: that has left weights.
        found: how its own were judged.

    Returns:
        Facts for the manifest: the figures, the difference from the weights beside which it is
        judged (see `rivals_of`) and from further ones, and whether the stage was refused.
    """
    rivals = rivals_of(places.recipe, stage)
    before = places.owner(rivals[0].name)
    compared, *others = (_beside(places, found, places.owner(rival.name)) for rival in rivals)
    gained = compared.differences.get("accuracy")
    said = accuracy_text(found)
    if gained is not None:
        said += f", {gained.value:+.3f} beside {before}"
    # Sums of shares differ in their last digits.
    refused = (
        stage.max_drop is not None and gained is not None and gained.value < -stage.max_drop - 1e-9
    )
    places.choose(stage.name, before if refused else stage.name)
    if refused:
        text = f"{stage.name} is refused: {said}; later stages go on from {before}"
        places.folder.tell(Event(kind="warning", stage=stage.name, text=text))
    return {
        "judgement": found.without_questions().to_json(),
        "before": before,
        "role": rivals[0].role,
        "beside": compared.to_json(),
        "also_beside": [other.to_json() for other in others],
        "refused": refused,
        "summary": said + (", refused" if refused else ""),
    }


def _beside(places: Places, found: Stability, other: str) -> StabilityComparison:
    known = orjson.loads((places.of(other) / JUDGEMENT).read_bytes())
    return compare_stability(found, Stability.from_json(known), seed=places.recipe.seed)


def accuracy_text(found: Stability) -> str:
    """Accuracy at one sample with its interval, in words."""
    accuracy = found.metrics.get("accuracy")
    if accuracy is None:
        return "accuracy unknown"
    return f"accuracy {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"
