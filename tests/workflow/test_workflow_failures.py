from __future__ import annotations

import threading
import time

import pytest

from potstill.data import Prediction
from potstill.errors import BudgetReached, NodeError, NodeTimeout
from potstill.workflow.pool import TimeLimit, run_all

BRANCH = """
route: {model: route}
banking: {model: banking, when: {route.label: banking}%s}
"""
OUTPUT = "{first: [banking, route]}"


def test_a_node_that_fails_fails_the_whole_unless_it_may_not(load):
    workflow = load(BRANCH % "", OUTPUT)
    with pytest.raises(NodeError) as caught:
        workflow.predict("banking boom-banking")
    assert "workflow.yaml:6: node 'banking' failed: the wheels came off." in str(caught.value)
    assert "'on_error: defer'" in str(caught.value)
    assert workflow.predict("weather boom-banking").answer == "weather"


def test_a_failure_that_is_deferred_hits_its_own_input_alone(load):
    workflow = load(BRANCH % ", on_error: defer", OUTPUT)
    texts = ["banking lost_card", "banking boom-banking", "banking card_arrival"]
    found = workflow.run(texts)
    assert [one.prediction.answer for one in found] == ["lost_card", None, "card_arrival"]
    assert found[1].prediction == Prediction(None, deferred="failed")
    assert found[1].node("banking").error == "the wheels came off."
    assert [one.prediction for one in found] == [workflow.predict(text) for text in texts]


def test_a_default_stands_in_for_what_failed(load):
    workflow = load(BRANCH % ", on_error: default, default: lost_card", OUTPUT)
    [found] = workflow.run(["banking boom-banking"])
    assert found.prediction == Prediction("lost_card")
    assert found.node("banking").error == "the wheels came off."


def test_what_reads_a_failed_answer_does_not_run_and_defers_for_the_same_reason(load, predictors):
    nodes = """
route: {model: route, on_error: defer}
banking: {model: banking, when: {route.label: banking}}
"""
    [found] = load(nodes, "banking").run(["boom-route banking"])
    assert found.prediction.deferred == "failed"
    assert found.node("banking").to_json() == {
        "node": "banking",
        "ran": False,
        "reason": "failed",
    }
    assert predictors["banking"].calls == []


def test_one_failed_item_defers_the_union_of_all(load):
    nodes = """
clauses: {step: split_clauses}
each: {model: complaints, map: clauses, on_error: defer}
all: {step: union, input: each}
"""
    [found] = load(nodes, "all").run(["debt. boom-complaints. mortgage"])
    assert found.prediction.deferred == "failed"
    assert found.prediction.target == ("debt", "mortgage")
    assert found.node("each").error == "the wheels came off."


def test_a_budget_that_is_reached_keeps_its_name(load, predictors, monkeypatch):
    def broke(inputs):
        raise BudgetReached("the next call could pass the budget.")

    monkeypatch.setattr(predictors["route"], "predict", broke)
    with pytest.raises(BudgetReached):
        load("route: {model: route}", "route").predict("x")


def test_an_error_without_words_is_told_by_its_name(load, predictors, monkeypatch):
    def fail(inputs):
        raise KeyError

    monkeypatch.setattr(predictors["route"], "predict", fail)
    with pytest.raises(NodeError, match="failed: KeyError"):
        load("route: {model: route}", "route").predict("x")
    [found] = load("route: {model: route, on_error: defer}", "route").run(["x"])
    assert found.node("route").error == "KeyError."


def test_too_few_answers_are_a_failure(load, predictors, monkeypatch):
    monkeypatch.setattr(predictors["route"], "predict", lambda inputs: [])
    with pytest.raises(NodeError, match="0 answers to 1 inputs"):
        load("route: {model: route}", "route").predict("x")


def test_a_node_that_hangs_runs_out_of_time(load, predictors, monkeypatch):
    released = threading.Event()
    quick = predictors["banking"].predict

    def slow(inputs):
        if any("hang" in text for text in inputs):
            released.wait(10)
        return quick(inputs)

    monkeypatch.setattr(predictors["banking"], "predict", slow)
    policy = ", timeout_ms: 30, on_error: defer"
    workflow = load(BRANCH % policy, OUTPUT)
    began = time.perf_counter()
    [found] = workflow.run(["banking hang"])
    assert time.perf_counter() - began < 5
    assert found.prediction == Prediction(None, deferred="failed")
    assert found.node("banking").error == "no answer within 30 ms."
    assert workflow.predict("banking lost_card").answer == "lost_card"
    for _ in range(3):
        workflow.predict("banking hang")
    # Four calls hang now: no further thread is given to the node until one of them ends.
    assert workflow.run(["banking x"])[0].node("banking").error == (
        "4 earlier calls that ran out of time still run."
    )
    strict = load(BRANCH % ", timeout_ms: 30", OUTPUT)
    with pytest.raises(NodeTimeout):
        strict.predict("banking hang")
    released.set()
    _until(lambda: workflow.predict("banking lost_card").answer == "lost_card")


def _until(true) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


def test_a_time_limit_passes_on_results_and_errors():
    limit = TimeLimit()
    assert limit.call(lambda: 5, 1) == 5
    with pytest.raises(ZeroDivisionError):
        limit.call(lambda: 1 // 0, 1)
    with pytest.raises(TimeoutError, match="of its own"):
        limit.call(_times_out, 1)


def _times_out() -> None:
    raise TimeoutError("of its own")


def test_the_pool_gives_results_in_order_and_raises_the_first_error():
    assert run_all([lambda n=n: n * n for n in range(20)]) == [n * n for n in range(20)]
    assert run_all([]) == []

    def fail(word):
        raise ValueError(word)

    with pytest.raises(ValueError, match="one"):
        run_all([lambda: 0, lambda: fail("one"), lambda: fail("two")])


def test_waiting_inside_the_pool_cannot_lock_it_up():
    def nested(depth: int) -> int:
        return 1 if not depth else sum(run_all([lambda: nested(depth - 1)] * 4))

    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(nested(4)), daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert done == [4**4]
