import json
from collections import Counter

import numpy as np
import pytest

from potstill.data import Example, Source
from potstill.errors import DataError
from potstill.run.evidence import label, load_answers, read_evidence, select
from potstill.spec import load_task


def rewrite(path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)))


def no_features(texts):
    return np.zeros((len(texts), 1))


def test_gold_alone_is_the_test_set(task_folder):
    evidence = read_evidence(load_task(task_folder / "task.yaml"))
    assert len(evidence.test) == 60
    assert evidence.train == evidence.dev == []
    assert {example.split for example in evidence.test} == {"test"}
    assert len(evidence.unlabeled) == 180


def test_gold_beside_a_test_file_trains(task_folder):
    task = load_task(
        task_folder / "task.yaml",
        ["data.test=gold.jsonl", "data.gold=more.jsonl"],
        check_files=False,
    )
    rewritten = task_folder / "more.jsonl"
    rewritten.write_text(
        "".join(
            json.dumps(
                {"id": f"m{i}", "text": f"card loan account {i} {i * 7} words", "label": "cards"}
            )
            + "\n"
            for i in range(40)
        )
    )
    evidence = read_evidence(task)
    assert len(evidence.test) == 60
    assert evidence.dev == []
    assert len(evidence.train) == 40


def test_gold_is_divided_as_the_task_says(task_folder):
    shares = "data.gold_split={train: 0.5, dev: 0.2, test: 0.3}"
    evidence = read_evidence(load_task(task_folder / "task.yaml", [shares]))
    assert abs(len(evidence.train) - 30) <= 3
    assert abs(len(evidence.dev) - 12) <= 3
    assert len(evidence.train) + len(evidence.dev) + len(evidence.test) == 60


def test_what_nearly_repeats_a_test_row_never_trains(task_folder):
    gold = json.loads((task_folder / "gold.jsonl").read_text().splitlines()[0])

    def planted(rows):
        return [
            *rows,
            {"id": "copy", "text": gold["text"].upper() + " !"},
            {"id": gold["id"], "text": gold["text"] + " in other words"},
        ]

    rewrite(task_folder / "inbox.jsonl", planted)
    evidence = read_evidence(load_task(task_folder / "task.yaml"))
    leaks = {r.id for r in evidence.rejected if r.cause == "leakage"}
    assert leaks == {"copy", gold["id"]}
    assert not {e.id for e in evidence.unlabeled} & leaks


def test_answers_for_some_of_the_rows_only(task_folder):
    rewrite(
        task_folder / "answers.jsonl", lambda rows: [r for r in rows if int(r["id"][1:]) % 5 < 3]
    )
    loaded = load_task(task_folder / "task.yaml")
    evidence = read_evidence(loaded)
    labelled = label(loaded.task, evidence.unlabeled, load_answers(loaded))
    causes = Counter(rejection.cause for rejection in labelled.rejected)
    assert len(labelled.examples) + len(labelled.rejected) == 180
    assert causes["not_answered"] == 72
    assert labelled.warnings == ("72 of 180 rows have no recorded answer",)


def test_every_row_of_logs_that_share_ids_gets_its_own_answer(task_folder):
    topic = {}
    for name, words in (("one", ["card", "loan"]), ("two", ["loan", "card"])):
        lines = []
        for place in range(20):
            word = words[place % 2]
            text = f"{name} {place} asks about a {word} in words that nobody else has used"
            topic[text] = f"{word}s"
            asked = {"model": "m", "messages": [{"role": "user", "content": text}]}
            reply = {"choices": [{"message": {"content": topic[text]}}]}
            # The first ten ids are those of gold rows, too.
            name_of = f"g{place}" if place < 10 else place
            lines.append({"id": name_of, "request": asked, "response": reply})
        path = task_folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    logs = "[one.jsonl, two.jsonl]"
    options = [f"data.unlabeled={logs}", f"teacher.answers={logs}"]
    loaded = load_task(
        task_folder / "task.yaml", [*options, "filter_options.duplicate_similarity=1"]
    )
    evidence = read_evidence(loaded)
    assert evidence.rejected == []
    labelled = label(loaded.task, evidence.unlabeled, load_answers(loaded))
    assert {example.input: example.target for example in labelled.examples} == topic
    assert len({example.id for example in labelled.examples}) == 40


def test_a_group_column_with_a_typo_is_an_error(task_folder):
    rewrite(task_folder / "gold.jsonl", lambda rows: [{**r, "customer": r["id"]} for r in rows])
    rewrite(task_folder / "inbox.jsonl", lambda rows: [{**r, "customer": None} for r in rows])
    column = "data.columns={group: %s}"
    assert read_evidence(load_task(task_folder / "task.yaml", [column % "customer"])).rejected == []
    with pytest.raises(DataError, match=r"no column 'custmer'.*perhaps 'customer'"):
        read_evidence(load_task(task_folder / "task.yaml", [column % "custmer"]))


def test_labelled_rows_name_the_teacher_and_its_terms(task_folder):
    loaded = load_task(task_folder / "task.yaml")
    evidence = read_evidence(loaded)
    labelled = label(loaded.task, evidence.unlabeled, load_answers(loaded))
    assert [r.cause for r in labelled.rejected] == ["outside_taxonomy"]
    for example in labelled.examples:
        *_, last = example.sources
        assert (last.kind, last.name, last.terms) == ("model", "oracle-1", "example-terms")
        assert not example.is_gold


def test_the_development_rows_are_not_filtered_for_noise(task_folder):
    loaded = load_task(task_folder / "task.yaml")
    silver = [
        Example(id=str(i), input=f"{word} number {i} of many", target=target)
        for i, (word, target) in enumerate([("card", "cards"), ("loan", "loans")] * 100)
    ]
    chosen = select(loaded.task, [], [], silver, no_features)
    assert 17 <= len(chosen.dev) <= 23
    assert not {e.id for e in chosen.dev} & {e.id for e in chosen.train}
    assert all(example.split == "train" for example in chosen.train)


def test_a_person_who_labelled_development_rows_is_the_only_yardstick(task_folder):
    loaded = load_task(task_folder / "task.yaml")
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    gold = [Example(id="g", input="my card", target="cards", split="dev", sources=(person,))]
    silver = [
        Example(id=str(i), input=f"{t} number {i} of many", target=t)
        for i, t in enumerate(["cards", "loans"] * 20)
    ]
    chosen = select(loaded.task, [], gold, silver, no_features)
    assert [e.id for e in chosen.dev] == ["g"]


def test_one_class_only_cannot_teach(task_folder):
    loaded = load_task(task_folder / "task.yaml", ["filter=[validity]"])
    silver = [Example(id=str(i), input=f"card number {i}", target="cards") for i in range(40)]
    chosen = select(loaded.task, [], [], silver, no_features)
    with pytest.raises(DataError, match="only 'cards' is left to train on"):
        chosen.check_teachable("rejected.jsonl")


def test_without_a_test_row_nothing_runs(task_folder):
    loaded = load_task(task_folder / "task.yaml")
    rewrite(task_folder / "gold.jsonl", lambda rows: [{**row, "label": "fraud"} for row in rows])
    with pytest.raises(DataError, match="no row with a person's answer is left for the test"):
        read_evidence(loaded)


def test_a_row_under_the_id_of_another_gold_row_is_set_aside(task_folder):
    line = json.dumps({"id": "u0", "text": "quite another text about a card", "label": "cards"})
    more = json.dumps({"id": "x1", "text": "a loan for a house", "label": "loans"})
    (task_folder / "more.jsonl").write_text(f"{line}\n{more}\n")
    overrides = ["data.test=gold.jsonl", "data.gold=more.jsonl"]
    evidence = read_evidence(load_task(task_folder / "task.yaml", overrides))
    assert [r.id for r in evidence.rejected if r.cause == "id_conflict"] == ["u0"]
    assert len(evidence.unlabeled) == 179
