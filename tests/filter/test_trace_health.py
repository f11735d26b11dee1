from potstill.data import Example, Source
from potstill.filter import TraceHealth

LABELS = ("credit_card", "debt_collection", "lost_or_stolen_card")
THOUGHT = (
    "The customer writes that the same purchase appears twice on the statement. There is no "
    "sign that a collector called or that a court was involved. So the label is credit_card."
)


def row(**more):
    return Example(
        **{"id": "1", "input": "my card", "target": "credit_card", "reasoning": THOUGHT, **more}
    )


def voted(*names):
    return tuple(
        Source(kind="model", name=n, contributed=("target",), stage="label") for n in names
    )


def test_rows_without_a_thought_and_rows_of_a_person_stay():
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    looping = "Let me read the message once more. " * 20
    assert TraceHealth(LABELS)([row(reasoning=None)]) == []
    assert TraceHealth(LABELS)([row(reasoning=looping, sources=(person,))]) == []
    assert [r.cause for r in TraceHealth(LABELS)([row(reasoning=looping)])] == ["loop"]


def test_a_thought_against_its_answer():
    (rejected,) = TraceHealth(LABELS)([row(target="debt_collection")])
    assert rejected.cause == "contradicts"
    assert "'credit_card'" in rejected.detail and "'debt_collection'" in rejected.detail
    assert TraceHealth(LABELS)([row(target=("debt_collection", "credit_card"))]) == []


def test_a_teacher_who_contradicts_himself_is_unstable_and_a_committee_is_not():
    split = {"credit_card": 0.4, "debt_collection": 0.35, "lost_or_stolen_card": 0.25}
    (rejected,) = TraceHealth(LABELS)([row(soft_target=split, sources=voted("m", "m", "m"))])
    assert rejected.cause == "unstable"
    assert TraceHealth(LABELS)([row(soft_target=split, sources=voted("m", "n"))]) == []
    firm = {"credit_card": 0.67, "debt_collection": 0.33}
    assert TraceHealth(LABELS)([row(soft_target=firm, sources=voted("m", "m", "m"))]) == []


def test_known_lengths_are_used():
    assert TraceHealth(LABELS, tokens={"1": 9000})([row()])[0].cause == "too_long"


def test_one_unsure_answer_is_not_unstable():
    def row(*sources: Source) -> Example:
        return Example(
            id="r",
            input="a card that was charged twice",
            target="a",
            soft_target={"a": 0.47, "b": 0.46, "c": 0.07},
            reasoning="The words decide here.",
            sources=sources,
        )

    def vote(request: str) -> Source:
        return Source(
            kind="model", name="big", contributed=("target",), stage="label", request=request
        )

    rule = Source(kind="rule", name="nearest gold", contributed=("target",), stage="label")
    judge = TraceHealth(("a", "b", "c"))
    assert judge([row(vote("1"))]) == []
    assert judge([row(vote("1"), vote("2"), rule)]) == []
    [rejected] = judge([row(vote("1"), vote("2"))])
    assert rejected.cause == "unstable"
