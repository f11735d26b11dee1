"""The synthesis stage: ideas, a grid, texts, second opinions, and how varied it all came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from potstill.data import Example, Target
from potstill.data.files import write_json
from potstill.generate.diversity import measure_diversity
from potstill.generate.grid import Cell, Ideas, plan_borders, plan_grid, rivals_from_features
from potstill.generate.ideas import invent_ideas
from potstill.generate.prompts import label_texts
from potstill.generate.synthesis import Synthesised, synthesise
from potstill.generate.writer import Writer
from potstill.run.events import Event
from potstill.run.evidence import load_saved, save_examples
from potstill.run.live import answer_new_rows, asking, teacher_of
from potstill.spec.teacher import GenerateSpec

if TYPE_CHECKING:
    from potstill.run.stages import Stages

RECORD = "synthesis.json"


def write_new_rows(work: Stages) -> dict[str, Any]:
    """Write the rows that `generate` asks for; leave them labelled in ``synthetic.jsonl``."""
    task, seed = work.task, work.task.seed
    spec = task.generate
    assert spec is not None, "the stage is there only where rows are to be written"
    gold = load_saved(work.file("gold_train"))
    have: Counter[Target] = Counter(row.target for row in gold if row.target is not None)
    with asking(work, "synthesise", 0, "ideas"):
        ideas, rejected = invent_ideas(
            work.teaching.teacher,
            task,
            spec,
            teacher=teacher_of(work),
            rivals=rivals_from_features(task.label_names, work.embed(label_texts(task.labels))),
        )
    cells = plan_grid(task, spec, ideas, have=have, seed=seed)
    new = _written(work, spec, cells, ideas, seed, "synthesis/answers")
    for warning in new.warnings:
        work.folder.tell(Event(kind="warning", stage="synthesise", text=warning))
    save_examples(work.file("synthetic"), new.examples)
    work.save_rejected("synthesise", [*rejected, *new.rejected])
    write_json(work.dataset / RECORD, {**new.to_json(), **_diversity(work, new.examples)})
    return {
        "rows": len(new.examples),
        "requests": new.requests,
        "summary": f"{len(new.examples)} rows written and confirmed, {len(new.rejected)} rejected",
    }


def write_at_borders(
    work: Stages, confusions: Sequence[tuple[str, str]], rows: int, number: int
) -> list[Example]:
    """New rows for the pairs of labels that a student confuses.

    Args:
        work: the run.
        confusions: (true label, label given instead), one pair for each mistake.
        rows: rows wanted.
        number: of the round; another round writes other rows.
    """
    task, seed = work.task, work.task.seed + number
    spec = task.generate or GenerateSpec(target=rows)
    ideas = Ideas(personas=tuple(spec.personas))
    cells = plan_borders(task, spec, ideas, confusions=confusions, count=rows, seed=seed)
    if not cells:
        return []
    return _written(work, spec, cells, ideas, seed, f"synthesis/round-{number}").examples


def _written(
    work: Stages, spec: GenerateSpec, cells: Sequence[Cell], ideas: Ideas, seed: int, place: str
) -> Synthesised:
    """Have cells written and answered, until they are full or it no longer pays."""
    gold, unlabeled = (load_saved(work.file(name)) for name in ("gold_train", "unlabeled"))
    frozen = [*load_saved(work.file("test")), *load_saved(work.file("gold_dev"))]
    writer = Writer(
        work.teaching.teacher,
        task=work.task,
        spec=spec,
        teacher=teacher_of(work),
        seeds=[*gold, *unlabeled],
        frozen=frozen,
        seed=seed,
    )
    passes = count(1)
    with asking(work, "synthesise", 0, "texts and answers"):
        return synthesise(
            cells,
            writer,
            lambda rows: answer_new_rows(work, rows, f"{place}-{next(passes)}"),
            ideas=ideas,
            extra=spec.extra,
            seed=seed,
        )


def _diversity(work: Stages, examples: Sequence[Example]) -> dict[str, Any]:
    """How varied the new rows are, and how near to real ones; empty where there are none."""
    if not examples:
        return {}
    texts = [example.text for example in examples]
    real = [row.text for name in ("unlabeled", "gold_train") for row in load_saved(work.file(name))]
    found = measure_diversity(
        texts,
        features=work.embed(texts),
        real_texts=real,
        real_features=work.embed(real) if real else None,
        seed=work.task.seed,
    )
    return {"diversity": found.to_json(), "sentences": found.sentences()}
