from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from potstill.data import Example, Source
from potstill.errors import SpecError
from potstill.filter import Duplicates, choice, choose_filters
from potstill.filter.meaning import repeats_in_meaning
from potstill.spec.task import Task


class Polite:
    name = "polite"

    def __init__(self, task):
        self.labels = task.label_names

    def __call__(self, examples):
        return []


def broken(task):
    raise RuntimeError("no dictionary")


def nothing(task):
    return None


@pytest.fixture(autouse=True)
def offered(monkeypatch):
    here = EntryPoints(
        EntryPoint(name=name, value=f"{__name__}:{thing}", group=choice.GROUP)
        for name, thing in [
            ("polite", "Polite"),
            ("broken", "broken"),
            ("nothing", "nothing"),
            ("gone", "gone"),
        ]
    )
    for module in ("potstill.filter.choice", "potstill.spec.task"):
        monkeypatch.setattr(f"{module}.entry_points", lambda group: here.select(group=group))


def task(**more):
    data = {"kind": "task", "version": 1, "name": "t", "type": "classification"}
    return Task.model_validate({**data, "labels": ["a", "b"], "data": {"gold": "g.jsonl"}, **more})


def no_embedding(texts):
    raise AssertionError("nobody needs embeddings")


def test_the_tasks_filters_in_its_order_with_a_users_among_them():
    names = ["duplicates", "polite", "validity", "identity_leak", "trace_health", "agreement"]
    chosen = choose_filters(task(filter=names, policy={"deny": ["x/*"]}), [], embed=no_embedding)
    assert [judge.name for judge in chosen] == ["policy", *names]
    assert chosen[2].labels == ("a", "b")


def test_embeddings_are_made_once_and_only_where_they_are_needed():
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return np.ones((len(texts), 2), dtype=np.float32)

    rows = [Example(id="1", input="x"), Example(id="2", input="y")]
    wanted = task(filter=["duplicates", "noise"], filter_options={"near_meaning": 0.9})
    duplicates, noise = choose_filters(wanted, rows, embed=embed)
    assert asked == [["x", "y"]]
    assert set(duplicates.features) == set(noise.features) == {"1", "2"}


def test_an_unknown_filter_is_told_its_nearest_name():
    with pytest.raises(SpecError, match=r"no filter is called 'polit'\. Did you mean 'polite'\?"):
        choice.users_filter("polit", task())
    with pytest.raises(ValueError, match="Did you mean 'trace_health'"):
        task(filter=["trace_heath"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "RuntimeError: no dictionary"),
        ("nothing", "'NoneType', not a filter"),
        ("gone", "AttributeError"),
    ],
)
def test_a_users_filter_that_cannot_be_made_says_why(name, why):
    with pytest.raises(SpecError, match=why):
        choose_filters(task(filter=[name]), [], embed=no_embedding)


def test_a_judge_needs_somebody_to_ask():
    wanted = task(filter=["judge"], judge={"model": "local:x"})
    with pytest.raises(SpecError, match="nobody to ask"):
        choose_filters(wanted, [], embed=no_embedding)


def test_a_judge_whom_the_policy_denies_is_refused():
    class Denied:
        class provider:  # noqa: N801
            name = "openai/gpt"

    wanted = task(filter=["judge"], judge={"model": "local:x"}, policy={"deny": ["OpenAI/*"]})
    with pytest.raises(SpecError, match="the judge 'openai/gpt' is denied by"):
        choose_filters(wanted, [], embed=no_embedding, judge=Denied())


def test_the_first_of_those_that_mean_the_same_stays():
    angle = np.radians([0, 5, 10, 90, 95])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32) * 3
    found = repeats_in_meaning(vectors, float(np.cos(np.radians(7))))
    # The third row is near the second, which is no original: small steps make no chain.
    assert [repeat and repeat[0] for repeat in found] == [None, 0, None, None, 3]
    assert found[1][1] == pytest.approx(np.cos(np.radians(5)), abs=1e-5)


def test_blocks_change_nothing(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    whole = repeats_in_meaning(vectors, 0.95)
    monkeypatch.setattr("potstill.filter.meaning._BLOCK", 7)
    assert [r and r[0] for r in repeats_in_meaning(vectors, 0.95)] == [r and r[0] for r in whole]
    assert any(whole) and not all(whole)


def test_same_meaning_is_a_duplicate_only_under_the_same_answer():
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    rows = [
        Example(id="1", input="my card never came", target="a"),
        Example(id="2", input="still waiting for the plastic", target="a"),
        Example(id="3", input="where is it", target="b"),
        Example(id="4", input="the thing has not arrived", target="a", sources=(person,)),
        Example(id="5", input="quite another matter", target="a"),
    ]
    features = {row.id: np.array([1.0, 0.0], dtype=np.float32) for row in rows}
    features["5"] = np.array([0.0, 1.0], dtype=np.float32)
    rejected = Duplicates(0.9, 0.95, features)(rows)
    assert [(r.id, r.cause) for r in rejected] == [("2", "same_meaning")]
    assert "'1'" in rejected[0].detail
    assert Duplicates(0.9)(rows) == []
