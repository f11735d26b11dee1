"""``base: auto``: who is tried, who is dropped, and who ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from potstill.data import Example, Source
from potstill.errors import SpecError
from potstill.spec.task import Gate, StudentSpec
from potstill.train import Student, Trained, load_student, train_student
from potstill.train.auto.arms import Arm
from potstill.train.auto.choice import Contender, choose
from potstill.train.auto.halving import Budget, halve, rungs
from potstill.train.encoder import run_over
from potstill.train.targets import row_scores
from potstill.train.tokens import load_tokenizer, read_texts

RowMaker = Callable[..., list[Example]]


@pytest.fixture
def auto(
    tiny_base: Path, tmp_path: Path, labels: tuple[str, ...], make_rows: RowMaker
) -> Callable[..., Trained]:
    """`train_student` with ``base: auto`` over the tiny base and what is lighter than it."""

    def run(**changes: Any) -> Trained:
        spec: dict[str, Any] = {
            "base": "auto",
            "candidates": ["tfidf", "static", str(tiny_base)],
            "max_tokens": 16,
            "epochs": 1,
            **changes.pop("options", {}),
        }
        given: dict[str, Any] = {
            "train": make_rows(60),
            "dev": make_rows(24, 60),
            "labels": labels,
            "multilabel": False,
            "seed": 3,
            "folder": tmp_path / "student",
            **changes,
        }
        rows, dev = given.pop("train"), given.pop("dev")
        return train_student(rows, dev, options=StudentSpec(**spec), **given)

    return run


def test_an_easy_task_gets_logistic_regression(auto: Callable[..., Trained]) -> None:
    trained = auto()
    assert (trained.base, trained.mode) == ("tfidf", "frozen")
    chosen, *others = trained.candidates
    assert chosen["chosen"] and chosen["score"] >= 0.995
    assert all(row["dropped"].startswith("was not tried") for row in others)
    assert "tfidf" in trained.reason


def test_what_it_chose_answers_like_any_student(
    auto: Callable[..., Trained], labels: tuple[str, ...], make_rows: RowMaker
) -> None:
    student = load_student(auto().folder)
    assert student.module.encoder is None and student.base["parameters"] == 0
    assert student.base["name"] == "tfidf"
    rows = make_rows(30, 90)
    ids = read_texts(
        [row.text for row in rows], load_tokenizer(student.tokenizer_file, student.max_tokens)
    )
    said = run_over(student.module, ids, pad_id=0, phase="test").argmax(axis=1)
    assert [labels[at] for at in said] == [row.target for row in rows]


def test_token_vectors_win_where_words_are_new(
    auto: Callable[..., Trained], make_rows: RowMaker
) -> None:
    """A person's rows use words that no training row holds; the vectors know their topic."""
    person = Source(kind="person", name="gold", contributed=("target",), stage="read")
    dev = [replace(row, sources=(person,)) for row in make_rows(60, unseen=True)]
    trained = auto(options={"mode": "frozen"}, dev=dev)
    assert trained.base == "static"
    scores = {row["name"]: row["dev_accuracy"] for row in trained.candidates}
    assert scores["static"] > 0.9 > scores["tfidf"]


def test_survivors_are_tuned_where_there_is_something_to_gain(
    auto: Callable[..., Trained], make_rows: RowMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.train.arm.LabelArm.fewest_dev_rows", 24)
    monkeypatch.setattr("potstill.train.auto.halving.NOTHING_TO_GAIN", -1.0)
    monkeypatch.setattr("potstill.train.auto.choice.NOTHING_TO_GAIN", -1.0)
    trained = auto(options={"epochs": 3})
    assert [row["mode"] for row in trained.candidates] == ["frozen", "frozen", "frozen", "tuned"]
    assert trained.history and not any(row["dropped"] for row in trained.candidates)
    # All of them are right everywhere, so the smallest is as good as the best.
    assert trained.base == "tfidf"


def test_without_enough_development_rows_nothing_is_tuned(
    auto: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.train.auto.halving.NOTHING_TO_GAIN", -1.0)
    *_, tuned = auto().candidates
    assert tuned["dropped"].startswith("was not tried: fewer than 200 development rows")


def test_what_is_measured_stands_in_the_rows_and_is_held_against_gates(
    auto: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.train.auto.halving.NOTHING_TO_GAIN", -1.0)
    seen: list[str] = []

    def measure(student: Student) -> dict[str, float]:
        seen.append(student.base["name"])
        return {"latency_p95_ms": 9.0 if student.base["name"] == "tfidf" else 1.0}

    trained = auto(measure=measure, accept={"latency_p95_ms": Gate(max=5.0)})
    assert len(seen) == 3 and trained.base == "static"
    assert trained.candidates[0]["latency_p95_ms"] == 9.0
    assert "the gates leave out tfidf" in trained.reason
    assert trained.candidates[0]["left_out"] == "left out by a gate: latency_p95_ms 9, at most 5"
    assert trained.candidates[1]["left_out"] is None and trained.candidates[1]["dev_rows"] > 0


def test_a_named_light_base_is_trained_alone(
    auto: Callable[..., Trained], tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "potstill.train.bases._PACKAGED",
        {"minilm-l6": (lambda: tiny_base, _sha256(tiny_base))},
    )
    trained = auto(options={"base": "static"})
    assert trained.base == "static" and len(trained.candidates) == 1
    student = load_student(trained.folder)
    assert student.module.encoder is not None
    with pytest.raises(SpecError, match="no encoder that could be tuned"):
        auto(options={"base": "tfidf", "mode": "tuned"})


def test_the_mode_is_part_of_the_choice(auto: Callable[..., Trained]) -> None:
    with pytest.raises(SpecError, match="chooses the mode as well"):
        auto(options={"mode": "tuned"})


def test_a_finished_comparison_is_not_repeated(auto: Callable[..., Trained]) -> None:
    first = auto()
    card = first.folder / "student.json"
    before = card.stat().st_mtime_ns
    assert auto() == first and card.stat().st_mtime_ns == before
    auto(accept={"latency_p95_ms": Gate(max=5.0)})
    assert card.stat().st_mtime_ns != before


def _sha256(folder: Path) -> str:
    from potstill.data.files import sha256_of

    return sha256_of(folder / "model.safetensors")


# Successive halving


class _Arm:
    """An arm of a known accuracy that counts the rows it is tried on."""

    def __init__(self, name: str, right: float, cost: float) -> None:
        self.name, self.right, self.price = name, right, cost
        self.tried: list[int] = []

    def cost(self, rows: np.ndarray) -> float:
        return self.price * len(rows)

    def trial(self, rows: np.ndarray) -> float:
        self.tried.append(len(rows))
        return self.right


def _halve(arms: list[_Arm], sizes: list[int], budget: float = 1e9) -> tuple[list[str], list[str]]:
    order = np.random.default_rng(0).permutation(sizes[-1])
    kept, dropped = halve(cast("list[Arm[Any]]", arms), order, sizes, Budget(budget, 1e6))
    return [arm.name for arm in kept], [f"{d.arm.name} {d.why}" for d in dropped]


def test_rows_grow_fourfold_to_all_of_them() -> None:
    assert rungs(9000, 77) == [2250, 9000]
    assert rungs(13_500, 150) == [3375, 13_500]
    assert rungs(40_000, 2) == [625, 2500, 10_000, 40_000]
    assert rungs(450, 5) == [450]


def test_the_better_half_sees_more_rows() -> None:
    arms = [_Arm("a", 0.7, 1), _Arm("b", 0.9, 2), _Arm("c", 0.8, 3), _Arm("d", 0.95, 4)]
    kept, dropped = _halve(arms, [500, 2000, 8000])
    assert kept == ["d"]
    assert [arm.tried for arm in arms] == [[500], [500, 2000], [500], [500, 2000, 8000]]
    assert dropped == [
        "a fell behind on 500 rows, with 0.700",
        "c fell behind on 500 rows, with 0.800",
        "b fell behind on 2,000 rows, with 0.900",
    ]


def test_of_equals_the_cheaper_goes_on() -> None:
    assert _halve([_Arm("a", 0.9, 1), _Arm("b", 0.9, 2)], [500, 2000])[0] == ["a"]


def test_nothing_dear_is_tried_where_a_cheap_one_is_enough() -> None:
    arms = [_Arm("a", 0.9, 1), _Arm("b", 0.996, 2), _Arm("c", 1.0, 3)]
    kept, dropped = _halve(arms, [2000])
    assert kept == ["a", "b"] and arms[2].tried == []
    assert dropped == ["c was not tried: b has 0.996 already"]


def test_the_budget_leaves_out_what_is_too_dear_but_never_everything() -> None:
    arms = [_Arm("a", 0.5, 1e6), _Arm("b", 0.9, 2e6)]
    kept, dropped = _halve(arms, [100], budget=1e6)
    assert kept == ["a"]
    assert dropped == ["b would take about 200 minutes, and 1 are left"]


# The choice


def _contender(
    name: str,
    right: list[int],
    *,
    size: int = 0,
    mode: str = "frozen",
    figures: Mapping[str, float] | None = None,
    held_out: list[int] | None = None,
) -> Contender[Any]:
    """A contender that was right (1) or wrong (0) on each development row."""
    candidate = SimpleNamespace(
        mode=mode,
        dev_scores=np.array(right, dtype=np.float32),
        held_out_scores=np.array(held_out or [], dtype=np.float32),
    )
    arm = SimpleNamespace(name=name, size=(2, float(size)), named=lambda mode: f"{name} {mode}")
    return Contender(cast("Arm[Any]", arm), candidate, figures or {})


def _rows(right: int, of: int) -> list[int]:
    return [1] * right + [0] * (of - right)


def test_the_smallest_within_the_noise_ships() -> None:
    small = _contender("small", [0, 0, 0, *_rows(995, 997)], size=1)  # 5 errors, 3 of its own
    large = _contender("large", [1, 1, *_rows(994, 998)], size=2)  # 4 errors
    choice = choose([large, small], {})
    assert choice.contender is small
    assert choice.reason.startswith("small frozen is the smallest within the noise of the best")


def test_a_clear_lead_is_paid_for() -> None:
    small, large = (
        _contender("small", _rows(900, 1000)),
        _contender("large", _rows(940, 1000), size=2),
    )
    choice = choose([small, large], {})
    assert choice.contender is large
    assert "small frozen, the next smaller, is 0.040 behind (noise 0.006)" in choice.reason


def test_no_more_than_half_a_point_hides_in_wide_noise() -> None:
    rng = np.random.default_rng(0)
    small = rng.random(60) < 0.7
    large = small.copy()
    large[np.flatnonzero(~small)[:3]] = True
    large[np.flatnonzero(small)[:1]] = False  # 2 of 60 better, noise over 3 points
    one, two = (
        _contender("small", small.astype(int).tolist()),
        _contender("large", large.astype(int).tolist(), size=2),
    )
    assert choose([one, two], {}).contender is two


def test_a_tuned_one_has_to_win_by_more_than_the_noise() -> None:
    frozen = [1] * 40 + [0] * 10 + [1] * 2
    tuned = [1] * 43 + [0] * 7 + [0] * 2
    rivals = [_contender("base", frozen), _contender("base", tuned, mode="tuned")]
    assert choose(rivals, {}).contender is rivals[0]


def test_rows_of_the_folds_count_as_well() -> None:
    """On ten development rows both are equal; three hundred held-out rows tell them apart."""
    small = _contender("small", [1] * 10, held_out=_rows(240, 300))
    large = _contender("large", [1] * 10, size=2, held_out=_rows(270, 300))
    assert choose([small, large], {}).contender is large


def test_less_than_a_row_is_no_lead() -> None:
    """Answers that are partly right: one is a third of a row better, and nothing else differs."""
    small, large = _contender("small", [1] * 100), _contender("large", [1] * 100, size=2)
    small.candidate.dev_scores[0] = 2 / 3
    assert choose([small, large], {}).contender is small


def test_gates_on_what_it_costs_exclude() -> None:
    small = _contender("small", _rows(90, 100), figures={"latency_p95_ms": 4.0})
    large = _contender("large", _rows(100, 100), size=2, figures={"latency_p95_ms": 20.0})
    choice = choose([small, large], {"latency_p95_ms": Gate(max=10.0)})
    assert choice.contender is small and "the gates leave out large frozen" in choice.reason
    none = choose([small, large], {"latency_p95_ms": Gate(max=1.0)})
    assert none.contender is small and "none keeps within latency_p95_ms" in none.reason


def test_a_gate_on_accuracy_makes_way_for_a_larger_one() -> None:
    small = _contender("small", [0, 0, 1, *_rows(994, 997)], size=1)
    large = _contender("large", [1, 1, 0, *_rows(994, 997)], size=2)
    assert choose([small, large], {}).contender is small
    choice = choose([small, large], {"accuracy": Gate(min=0.996)})
    assert choice.contender is large and "smaller ones stay below" in choice.reason


# Flagging


def test_scores_of_a_flag_average_to_the_average_precision() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.random(400) < 0.1
    logits = np.stack([rng.normal(size=400), rng.normal(size=400) + wanted], axis=1)
    logits = np.round(logits, 1).astype(np.float32)  # ties
    targets = np.stack([~wanted, wanted], axis=1).astype(np.float32)
    ours = row_scores(logits, targets, False, flag=1)
    assert len(ours) == wanted.sum()
    margin = logits[:, 1] - logits[:, 0]
    assert ours.mean() == pytest.approx(average_precision_score(wanted, margin), abs=1e-6)
