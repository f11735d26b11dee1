"""What `potstill` adds to a GRPO step of bare TRL: logs of every step, parts of the reward, watch.

Both train the same tiny model on the same questions with the same settings and seed, in turns and
in one process. Times are of whole steps, from the end of one to the end of the next, so that logs
and callbacks count; checkpoints are switched off in both. The CPU's time is told beside the
clock's, because the machine may be shared.

    OMP_NUM_THREADS=1 python benchmarks/grpo_overhead.py --rounds 3 --steps 30
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from potstill.data import Example, Text
from potstill.generate.arithmetic import made_examples
from potstill.spec.recipe import GrpoStage, MadeSpec, RewardSpec, ScratchSpec, TemplateSpec
from potstill.train.causal.reinforce import reinforce
from potstill.train.causal.start import load_model, make_scratch
from potstill.train.causal.turns import Turns, all_texts

TEMPLATE = TemplateSpec()
STAGE = GrpoStage(
    name="grpo",
    data=["questions"],
    questions=16,
    group=8,
    learning_rate=1e-4,
    max_new_tokens=32,
    max_tokens=64,
    device_batch_size=128,
    kl=0.001,
    save_steps=10**6,
    rewards=RewardSpec(language=0.0),
)


class Clock:
    """The moments at which steps ended: (seconds of the clock, seconds of the CPU)."""

    def __init__(self) -> None:
        self.moments: list[tuple[float, float]] = []

    def __call__(self, *_: object) -> None:
        """A step ended."""
        self.moments.append((time.perf_counter(), time.process_time()))

    def steps(self) -> list[tuple[float, float]]:
        """Seconds of each step but the first: (of the clock, of the CPU)."""
        pairs = zip(self.moments, self.moments[1:], strict=False)
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairs]


def right(completions: Sequence[str], rows: Sequence[Example]) -> list[float]:
    return [
        float(isinstance(row.target, Text) and text.endswith(row.target.text))
        for text, row in zip(completions, rows, strict=True)
    ]


def formed(completions: Sequence[str]) -> list[float]:
    # Random weights must make groups unlike, or the watch would refuse to go on.
    return [len(text) % 5 / 5 for text in completions]


def ours(start: Path, rows: list[Example], steps: int, folder: Path) -> list[tuple[float, float]]:
    clock = Clock()

    def score(
        completions: list[str], asked: list[Example], tokens: list[int]
    ) -> dict[str, list[float]]:
        return {"accuracy": right(completions, asked), "format": formed(completions)}

    stage = STAGE.model_copy(update={"steps": steps})
    reinforce(
        start, rows, score, stage=stage, template=TEMPLATE, seed=1, folder=folder, progress=clock
    )
    return clock.steps()


def bare(start: Path, rows: list[Example], steps: int, folder: Path) -> list[tuple[float, float]]:
    clock = Clock()

    class Tick(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock()

    def accuracy(completions: list[Any], row: list[int], **_: Any) -> list[float]:
        return right([turns[0]["content"] for turns in completions], [rows[n] for n in row])

    def form(completions: list[Any], **_: Any) -> list[float]:
        return formed([turns[0]["content"] for turns in completions])

    turns = Turns.load(start, TEMPLATE)
    trainer = GRPOTrainer(
        model=load_model(start),
        reward_funcs=[accuracy, form],
        args=GRPOConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=128,
            num_generations=STAGE.group,
            max_completion_length=STAGE.max_new_tokens,
            learning_rate=STAGE.learning_rate,
            beta=STAGE.kl,
            epsilon=STAGE.clip,
            loss_type="grpo",
            sync_ref_model=True,
            ref_model_sync_steps=400,
            ref_model_mixup_alpha=1.0,
            lr_scheduler_type="constant",
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=1,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": turns.messages(row.text), "row": n} for n, row in enumerate(rows)]
        ),
        processing_class=turns.tokenizer,
        callbacks=[Tick()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return clock.steps()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    asked = parser.parse_args()
    rows = made_examples({"questions": MadeSpec(rows=500)}, stage="benchmark")["questions"]
    times: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    kinds: dict[str, Callable[..., list[tuple[float, float]]]] = {"bare": bare, "ours": ours}
    with tempfile.TemporaryDirectory() as place:
        start = Path(place) / "start"
        sizes = ScratchSpec(hidden=96, layers=2, positions=64)
        make_scratch(sizes, all_texts(rows), template=TEMPLATE, seed=1, folder=start)
        for turn in range(asked.rounds):
            for name, train in kinds.items():
                times[name] += train(start, rows, asked.steps, Path(place) / f"{name}-{turn}")
    for at, unit in enumerate(("clock", "CPU")):
        middle = {
            name: statistics.median(step[at] for step in steps) for name, steps in times.items()
        }
        print(
            f"{unit}: bare TRL {middle['bare'] * 1000:.0f} ms a step, ours "
            f"{middle['ours'] * 1000:.0f} ms, ratio {middle['ours'] / middle['bare']:.3f}"
        )


if __name__ == "__main__":
    main()
