import sys

import numpy as np
import pytest

from potstill.data import Example, Text
from potstill.errors import MissingExtraError
from potstill.spec.recipe import RewardSpec, TemplateSpec
from potstill.verify import (
    Reward,
    Scores,
    Verdict,
    Watch,
    group_statistics,
    gym_wanted,
    verifier_of,
    wanted_of,
)

ROW = Example(id="1", input="47+85=", target=Text("132"))
GOOD = "<think>\nI add the ones and then the tens of both numbers.\n</think>\n132"


def reward(**weights):
    return Reward.of(RewardSpec(**{"verifier": "mathematics", **weights}), TemplateSpec(), 100)


def test_parts_and_their_sum():
    scores = reward(length=0.5).score(
        [GOOD, GOOD.replace("132", "133"), "132", "<think>\n132", "<think></think>132"],
        [ROW] * 5,
        tokens=[50, 50, 0, 100, 10],
    )
    assert scores.accuracy.tolist() == [1, 0, 1, 0, 1]
    assert scores.format.tolist() == [1, 0 + 1, 0, 0, 0]
    assert scores.language.tolist() == [1, 1, 0, 1, 0]
    assert scores.length.tolist() == [0.5, 0, 1.0, 0, 0.9]
    assert np.allclose(scores.total, [3.25, 2, 1.5, 1, 1.45])
    assert scores.faults == {
        "format:no_opening": 1,
        "format:unclosed": 1,
        "format:empty_thought": 1,
        "verifier:no_answer": 1,
    }
    assert scores.undecided == 0
    assert scores.means()["accuracy"] == pytest.approx(0.6)


def test_a_thought_in_another_language_is_worth_less():
    chinese = "<think>\n首先把十位相加然后把个位相加\n</think>\n132"
    scores = reward(language=2.0).score([GOOD, chinese], [ROW, ROW])
    assert scores.language.tolist() == [1, 0]
    assert scores.total.tolist() == [4, 2]


@pytest.mark.parametrize("bad", [float("nan"), "raise", None, "kill"])
def test_a_verifier_in_trouble_is_counted_and_kills_nothing(bad):
    def verifier(answer, wanted):
        if bad == "raise":
            raise RuntimeError("no")
        if bad == "kill":
            raise MemoryError
        return Verdict(bad)

    scores = Reward(RewardSpec(), TemplateSpec(), 100, verifier).score([GOOD] * 2, [ROW] * 2)
    assert scores.accuracy.tolist() == [0, 0]
    assert np.isfinite(scores.total).all()
    assert scores.undecided == 2


def test_a_row_without_an_answer_is_counted():
    row = Example(id="2", input="why?")
    scores = reward().score([GOOD], [row])
    assert (scores.undecided, scores.faults) == (1, {"verifier:no_wanted": 1})
    assert wanted_of(Example(id="3", input="a", target=("x", "y"))) == "x, y"


def test_rows_and_completions_must_go_together():
    with pytest.raises(ValueError, match="2 completions, 1 rows"):
        reward().score([GOOD] * 2, [ROW])
    with pytest.raises(ValueError, match="3 lengths"):
        reward().score([GOOD] * 2, [ROW] * 2, tokens=[1, 2, 3])


def test_nothing_is_worth_nothing():
    scores = reward().score([], [])
    assert scores.total.shape == (0,)
    assert scores.means()["total"] == 0.0
    assert group_statistics(scores, 4).groups == 0


def scores_of(*totals, accuracy=None, form=None):
    total = np.array(totals, dtype=np.float64)
    right = total if accuracy is None else np.array(accuracy, dtype=np.float64)
    well = total if form is None else np.array(form, dtype=np.float64)
    return Scores(right, well, np.full(total.size, 0.5), total * 0, total, {}, 0, ())


def test_groups_that_teach_nothing_are_counted():
    found = group_statistics(scores_of(1, 1, 0, 0, 1, 0, 0.1 + 0.2, 0.3), 2)
    assert (found.groups, found.flat, found.solved, found.unsolved) == (4, 3, 1, 1)
    assert found.flat_share == 0.75
    assert found.spread == pytest.approx(0.125)
    with pytest.raises(ValueError, match="groups of 3"):
        group_statistics(scores_of(1, 1), 3)


def run(watch, rewards, first=0):
    return [
        alarm
        for step, value in enumerate(rewards, first)
        for alarm in watch.see(step, scores_of(value, value + 0.1, accuracy=[0, 1], form=[0, 1]))
    ]


def test_reward_up_and_held_out_down_is_hacking():
    watch = Watch(window=5)
    assert run(watch, [0.2, 0.22, 0.21, 0.2, 0.22]) == []
    assert watch.held_out(5, 0.60, 400) == []
    assert run(watch, [0.5, 0.52, 0.51, 0.5, 0.52], 5) == []
    (alarm,) = watch.held_out(10, 0.40, 400)
    assert (alarm.kind, alarm.step) == ("hacked", 10)
    assert "0.600" in alarm.detail and "0.400" in alarm.detail


@pytest.mark.parametrize(
    ("later", "accuracy", "answers"),
    [
        ([0.5, 0.52, 0.51, 0.5, 0.52], 0.58, 400),  # within noise
        ([0.5, 0.52, 0.51, 0.5, 0.52], 0.40, 10),  # too few answers to say so
        ([0.5, 0.52, 0.51, 0.5, 0.52], 0.70, 400),  # both rise
        ([0.2, 0.22, 0.21, 0.2, 0.22], 0.40, 400),  # worse, but nothing was gained
    ],
)
def test_what_is_no_hacking(later, accuracy, answers):
    watch = Watch(window=5)
    run(watch, [0.2, 0.22, 0.21, 0.2, 0.22])
    watch.held_out(5, 0.60, answers)
    run(watch, later, 5)
    assert watch.held_out(10, accuracy, answers) == []


def test_a_part_that_is_stuck_is_told_once():
    watch = Watch(window=3, watched=("format", "accuracy"))
    stuck = scores_of(1, 0, form=[0, 0], accuracy=[1, 1])
    seen = [watch.see(step, stuck, group_statistics(stuck, 2)) for step in range(6)]
    assert [len(alarms) for alarms in seen] == [0, 0, 2, 0, 0, 0]
    assert {(alarm.kind, alarm.part) for alarm in seen[2]} == {
        ("always_zero", "format"),
        ("always_one", "accuracy"),
    }
    flat = scores_of(1, 1, form=[0, 1], accuracy=[0, 1])
    kinds = [[a.kind for a in watch.see(6 + n, flat, group_statistics(flat, 2))] for n in range(3)]
    assert kinds == [[], [], ["flat"]]


def test_a_watch_needs_a_window_and_shares():
    with pytest.raises(ValueError, match="window"):
        Watch(window=1)
    with pytest.raises(ValueError, match="no accuracy"):
        Watch().held_out(1, 1.5, 10)


def test_reasoning_gym_names_its_extra(monkeypatch):
    from potstill.verify import gym

    monkeypatch.setattr(gym, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"potstill\[gym\]"):
        verifier_of("reasoning_gym")


def test_reasoning_gym_judges_the_answer_and_not_the_sentence():
    pytest.importorskip("reasoning_gym")
    import reasoning_gym

    data = reasoning_gym.create_dataset("chain_sum", size=2, seed=1)
    verifier = verifier_of("reasoning_gym", timeout_s=20.0)
    wanted, answer = gym_wanted(data[0]), data[0]["answer"]
    assert verifier(f"The answer is {answer}.", wanted).right is True
    assert verifier(f"\\boxed{{{answer}}}", wanted).right is True
    assert verifier(f"The answer is {answer}1.", wanted).right is False
    assert verifier("Verdict: correct", wanted).right is False
    assert verifier("1", "{}").right is None
    assert "reasoning_gym" in sys.modules
