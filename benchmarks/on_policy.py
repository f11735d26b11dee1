"""A small student that follows its teacher token by token, beside one that learns on its rows.

Reads a finished run of recipes/r1-tiny.yaml. A student of 100,000 weights learns the rows of `mixed`
for two epochs; from there one goes on with the same rows, another follows the weights of
`preferred` on the questions, for about the same seconds. All three are judged as the recipe judges.

    OMP_NUM_THREADS=1 python benchmarks/on_policy.py --run runs/r1-tiny/ID --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from potstill.data import Example
from potstill.evaluate.stability import stability
from potstill.run.recipe.judging import judged
from potstill.run.recipe.rows import load_rows
from potstill.spec.recipe import DistilStage, JudgementSpec, ScratchSpec, TemplateSpec
from potstill.train.causal.fine_tune import fine_tune
from potstill.train.causal.follow import follow
from potstill.train.causal.sample import sample
from potstill.train.causal.start import make_scratch
from potstill.train.causal.turns import all_texts

TEMPLATE = TemplateSpec()
JUDGE = JudgementSpec(samples=4, max_new_tokens=40, verifier="numeric")
STUDENT = ScratchSpec(hidden=64, layers=2, heads=8, positions=64)


def stage_of(epochs: float, rate: float, *, on_policy: bool = False) -> DistilStage:
    return DistilStage(
        name="student",
        student=STUDENT,
        data=["mixed"],
        epochs=epochs,
        learning_rate=rate,
        batch_size=32,
        device_batch_size=32,
        max_tokens=64,
        save_steps=100_000,
        on_policy=on_policy,
    )


def accuracy(weights: Path, questions: Sequence[Example], seed: int) -> str:
    """Accuracy at one sample with its interval, and the share that is well formed."""
    written = sample(weights, questions, spec=JUDGE, template=TEMPLATE, seed=seed)
    answers = judged(written, questions, template=TEMPLATE, verifier=JUDGE.verifier)
    found = stability([one.sample for one in answers], name="student", seed=seed).metrics
    right, form = found["accuracy"], found["format"]
    return f"{right.value:.3f} [{right.low:.3f}, {right.high:.3f}], format {form.value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sft-epochs", type=float, default=3.0)
    parser.add_argument("--follow-epochs", type=float, default=1.0)
    parser.add_argument("--follow-rate", type=float, default=1e-3)
    given = parser.parse_args()
    rows = load_rows(given.run / "mixed" / "rows.jsonl")
    sources = {
        name: load_rows(given.run / "sources" / f"{name}.jsonl")
        for name in ("cold", "questions", "test")
    }
    texts = all_texts([*sources["cold"], *sources["questions"]])
    teacher = given.run / "preferred" / "weights"
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            start = folder / "start"
            make_scratch(STUDENT, texts, template=TEMPLATE, seed=seed, folder=start)
            common = {"template": TEMPLATE, "seed": seed}
            first = fine_tune(
                start, rows, stage=stage_of(2, 1e-2), folder=folder / "first", **common
            )
            begun = folder / "first" / "weights"
            more = fine_tune(
                begun,
                rows,
                stage=stage_of(given.sft_epochs, 5e-3),
                folder=folder / "more",
                **common,
            )
            followed = follow(
                begun,
                teacher,
                sources["questions"],
                stage=stage_of(given.follow_epochs, given.follow_rate, on_policy=True),
                folder=folder / "followed",
                **common,
            )
            for name, learnt in (("first", first), ("more", more), ("followed", followed)):
                told = accuracy(folder / name / "weights", sources["test"], seed)
                print(
                    f"seed {seed}, {name}: {told}; {learnt.steps} steps, {learnt.seconds:.0f} s",
                    flush=True,
                )
            print(
                f"  divergence {followed.history[0]['loss']:.3f} to {followed.history[-1]['loss']:.3f}"
            )


if __name__ == "__main__":
    main()
