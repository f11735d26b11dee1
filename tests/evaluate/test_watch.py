import json

import numpy as np
import pytest

from potstill.data import Example, Prediction, Source
from potstill.data.files import write_jsonl
from potstill.data.production import Kept, read_kept
from potstill.data.reading import read_examples
from potstill.errors import DataError
from potstill.evaluate import watch as watching
from potstill.evaluate.picks import pick
from potstill.evaluate.watch import Watch, watch
from potstill.evaluate.watch_words import watch_words
from potstill.runtime.reference import Reference
from potstill.serve.contract import Answer, Served
from potstill.serve.record import FileRecorder
from potstill.serve.redact import KeepingRules
from potstill.spec.serving import Redaction, ServeSpec
from potstill.spec.task import Columns

PERSON = Source(kind="person", name="g", contributed=("input", "target"), stage="read")
LABELS = ("cards", "loans", "accounts")


def draw(rng, size, shares=(0.5, 0.3, 0.2), sure=3.0, longer=1.0):
    """Answers of a model and how right they are: (label, confidence, length, right)."""
    odds = rng.normal(sure, 1.0, size)
    confidence = 1 / (1 + np.exp(-odds))
    return [
        (str(label), float(one), int(length), bool(right))
        for label, one, length, right in zip(
            rng.choice(LABELS, size, p=shares),
            confidence,
            rng.gamma(4.0, 20 * longer, size) + 1,
            rng.random(size) < confidence,
            strict=True,
        )
    ]


def reference_of(rows, defer_below=0.0):
    return Reference.of(
        [prediction_of(row, defer_below) for row in rows],
        [
            Example(
                id=str(at),
                input="x" * length,
                target=label if right else "other",
                sources=(PERSON,),
            )
            for at, (label, _, length, right) in enumerate(rows)
        ],
        LABELS,
    )


def prediction_of(row, defer_below):
    label, confidence, _, _ = row
    deferred = "unsure" if confidence < defer_below else None
    return Prediction(label, confidence, None, False, deferred, 1 - confidence)


def kept(rows, defer_below=0.0, version="v1"):
    return [
        Kept(
            at=f"2026-11-23T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}.000+00:00",
            request=str(at),
            model="topics",
            version=version,
            id=str(at),
            length=row[2],
            prediction=prediction_of(row, defer_below),
            by="model",
            ms=1.0,
            cost_usd=0.001,
        )
        for at, row in enumerate(rows)
    ]


def test_rows_like_the_development_rows_raise_no_alarm():
    rng = np.random.default_rng(0)
    before, now = draw(rng, 500), draw(rng, 1500)
    found = watch(kept(now), reference_of(before), version="v1")
    assert found.alarms == ()
    assert {(one.kind, one.name) for one in found.drift} == {
        ("inputs", "length"),
        ("inputs", "out_of_scope"),
        ("confidence", "confidence"),
        *(("labels", label) for label in LABELS),
    }
    truth = np.mean([right for *_, right in now])
    assert found.answered.accuracy.low <= truth <= found.answered.accuracy.high
    assert found.guessed is None
    assert (found.rows, found.deferred, found.other_versions) == (1500, 0.0, 0)
    assert found.cost_usd == pytest.approx(1.5)
    assert "No drift: 1,500 rows" in watch_words(found)[0]


@pytest.mark.parametrize(
    ("changes", "kind", "name"),
    [
        ({"shares": (0.2, 0.3, 0.5)}, "labels", "accounts"),
        ({"longer": 2.0}, "inputs", "length"),
        ({"sure": 1.5}, "confidence", "confidence"),
    ],
)
def test_each_kind_of_drift_is_found_and_dated(changes, kind, name):
    rng = np.random.default_rng(1)
    before = draw(rng, 800)
    now = [*draw(rng, 600), *draw(rng, 800, **changes)]
    found = watch(kept(now), reference_of(before), version="v1")
    [alarm] = [one for one in found.alarms if one.name == name]
    assert alarm.kind == kind
    assert alarm.p_value <= 0.05
    assert "2026-11-23T00:05" <= alarm.began <= "2026-11-23T00:13"
    assert alarm.alarmed >= "2026-11-23T00:10"  # row 600
    if "sure" not in changes:  # lower confidence is a higher probability of being outside, here
        assert {one.kind for one in found.alarms} == {kind}
    assert any("has drifted" in words for words in watch_words(found))


def test_the_change_is_told_as_it_is():
    rng = np.random.default_rng(2)
    now = [*draw(rng, 300), *draw(rng, 1500, shares=(0.2, 0.2, 0.6), longer=2.0, sure=2.0)]
    found = watch(kept(now), reference_of(draw(rng, 1000)), version="v1")
    by_name = {one.name: one for one in found.drift}
    assert by_name["accounts"].before == pytest.approx(0.2, abs=0.04)
    assert by_name["accounts"].now == pytest.approx(0.6, abs=0.04)
    assert by_name["length"].before == pytest.approx(73, rel=0.12)
    assert by_name["length"].now == pytest.approx(147, rel=0.12)
    assert by_name["confidence"].now < by_name["confidence"].before - 0.05


def test_a_later_look_sees_what_an_earlier_one_saw(monkeypatch):
    monkeypatch.setattr(watching, "_CHUNK_ROWS", 128)
    rng = np.random.default_rng(3)
    reference = reference_of(draw(rng, 400))
    rows = kept([*draw(rng, 300), *draw(rng, 400, longer=1.6)])
    whole = watch(rows, reference, version="v1")
    [length] = [one for one in whole.drift if one.name == "length"]
    alarmed = [row.at for row in rows].index(length.alarmed)
    at = {n: watch(rows[:n], reference, version="v1") for n in (alarmed, alarmed + 1)}
    names = {n: {one.name for one in found.alarms} for n, found in at.items()}
    assert "length" not in names[alarmed]
    assert "length" in names[alarmed + 1]


def test_false_alarms_of_all_quantities_together_stay_below_alpha():
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = draw(rng, 400)
        alarms += bool(watch(kept(rows[100:]), reference_of(rows[:100]), version="v1").alarms)
    assert alarms <= 9  # of 100 at 5%: more happens by chance in 3% of such tests


def test_what_was_deferred_is_told_apart():
    rng = np.random.default_rng(4)
    before, now = draw(rng, 600), draw(rng, 600)
    found = watch(kept(now, 0.9), reference_of(before, 0.9), version="v1")
    assert found.deferred == pytest.approx(found.deferred_before, abs=0.08)
    assert found.answered.n < found.guessed.n == 600
    assert found.answered.accuracy.value > found.guessed.accuracy.value
    assert any("all guesses" in words for words in watch_words(found))


def test_rows_of_other_versions_are_counted_and_left_out():
    rng = np.random.default_rng(5)
    rows = draw(rng, 50)
    found = watch(
        [*kept(rows, version="v0"), *kept(rows)], reference_of(draw(rng, 50)), version="v1"
    )
    assert (found.rows, found.other_versions) == (50, 50)
    with pytest.raises(DataError, match="none of the 50 rows is of version v9"):
        watch(kept(rows), reference_of(rows), version="v9")


def test_a_model_without_a_memory_is_refused():
    with pytest.raises(DataError, match="remembers no development rows"):
        watch(kept(draw(np.random.default_rng(0), 5)), reference_of([]), version="v1")


def test_predictions_without_confidence_leave_labels_and_lengths_to_watch():
    rng = np.random.default_rng(6)
    reference = reference_of(draw(rng, 200))
    rows = [
        Kept(
            at="2026-11-23T00:00:00+00:00",
            request="",
            model="m",
            version="v1",
            id="i",
            length=70,
            prediction=Prediction(None, None, deferred="failed"),
            by="nobody",
            ms=1.0,
        )
    ] * 20
    found = watch(rows, reference, version="v1")
    assert found.answered is None
    assert found.guessed is None
    assert found.deferred == 1.0
    [scope] = [one for one in found.drift if one.name == "out_of_scope"]
    assert (scope.now, scope.p_value) == (None, 1.0)
    assert Watch.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_watch_comes_back_from_json():
    rng = np.random.default_rng(7)
    found = watch(kept(draw(rng, 300, longer=3.0)), reference_of(draw(rng, 300)), version="v1")
    assert found.alarms
    assert Watch.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_was_served_teaches_the_next_run(tmp_path):
    rng = np.random.default_rng(8)
    before, now = draw(rng, 300), draw(rng, 300, shares=(0.1, 0.1, 0.8))
    rules = KeepingRules(ServeSpec(consent=True, redact=[Redaction(pattern=r"\d+")]))
    recorder = FileRecorder(tmp_path, {"topics": rules})
    words = [
        "card",
        "lost",
        "loan",
        "rate",
        "home",
        "abroad",
        "fee",
        "late",
        "bill",
        "paid",
        "twice",
        "help",
    ]
    for at, row in enumerate(now):
        recorder.record(
            Served(
                request=str(at),
                model="topics",
                version="v1",
                value=f"{' '.join(rng.choice(words, 6))} 4711",
                answer=Answer(prediction_of(row, 0.8), "model"),
                ms=1.0,
            )
        )
    recorder.close()
    found = watch(read_kept(tmp_path, "topics"), reference_of(before, 0.8), version="v1")
    assert {one.name for one in found.alarms} >= {"accounts", "cards"}
    assert (found.rows, found.deferred > 0) == (300, True)

    path = tmp_path / "picks.jsonl"
    assert write_jsonl(path, (one.row() for one in pick(read_kept(tmp_path, "topics"), 20))) == 20
    examples = read_examples([path], Columns(), targets=None).examples
    assert len(examples) == 20
    assert not any("4711" in example.text for example in examples)
    assert examples[0].input.endswith("<redacted>")
