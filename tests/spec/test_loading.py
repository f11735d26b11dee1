from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import SpecError
from potstill.spec import load_task
from potstill.spec.loading import SpecErrors

TASK = """\
kind: task
version: 1
name: complaints
type: classification
labels:
  card: Card charges.
  loan: null
data:
  unlabeled: inbox.jsonl
  gold: gold.jsonl
teacher:
  answers: r1.jsonl
"""


@pytest.fixture
def write(tmp_path: Path):
    for name in ("inbox.jsonl", "gold.jsonl", "r1.jsonl"):
        (tmp_path / name).write_text("{}\n")

    def write(text: str | bytes) -> Path:
        path = tmp_path / "task.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_task(path, overrides)
    return str(caught.value).replace(str(path), "task.yaml")


def test_a_task_loads_with_defaults_places_and_paths(write):
    path = write(TASK)
    loaded = load_task(path)
    assert loaded.task.label_names == ("card", "loan")
    assert loaded.task.seed == 7
    assert loaded.folder == path.parent
    assert loaded.resolve("a/b.jsonl") == path.parent / "a/b.jsonl"
    assert loaded.resolve_all(loaded.task.data.gold) == (path.parent / "gold.jsonl",)
    assert loaded.resolve_all(None) == ()
    assert loaded.where("teacher", "answers") == f"{path}:12"
    assert loaded.where("student", "mode") == f"{path}:1"


def test_byte_order_mark_and_windows_line_ends(write):
    path = write(b"\xef\xbb\xbf" + TASK.replace("\n", "\r\n").encode())
    assert load_task(path).where("data", "gold").endswith(":10")


def test_words_of_yaml_1_1_and_numbers_stay_labels(write):
    words = "[yes, no, on, 1, 1.0, true, null, 2020-01-01]"
    text = TASK.replace("labels:\n  card: Card charges.\n  loan: null", f"labels: {words}")
    expected = ("yes", "no", "on", "1", "1.0", "true", "null", "2020-01-01")
    assert load_task(write(text)).task.label_names == expected
    text = TASK.replace("  card: Card charges.\n  loan: null", "  yes: 5\n  1:\n  null: ~")
    assert load_task(write(text)).task.labels == {"yes": "5", "1": None, "null": None}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("labels:", "lables:", "task.yaml:5: unknown key 'lables'. Did you mean 'labels'?"),
        ("  gold:", "  glod:", "task.yaml:10: unknown key 'glod'. Did you mean 'gold'?"),
        ("name: complaints", "name: 7", "task.yaml:3: 'name' must be text, not 7. Put it into"),
        ("name: complaints", "name: My Task", "task.yaml:3: 'name' is 'My Task', but may hold"),
        ("version: 1", "version: 2", "task.yaml:2: 'version' must be 1, not 2."),
        ("version: 1", "version: 1\nseed: true", "task.yaml:3: 'seed' must be a whole number, not"),
        ("version: 1", 'version: 1\nseed: "7"', "'seed' must be a whole number, not '7'."),
        ("classification", "multilable", "task.yaml:4: 'type' must be 'classification', 'mult"),
        ("version: 1", "version: 1\nfilter: [validity, noize]", "Did you mean 'noise'?"),
        ("version: 1", "version: 1\nfilter: [noise, noise]", "task.yaml:3: 'filter': a filter st"),
        ("version: 1", "version: 1\nstudent: 5", "task.yaml:3: 'student' must be a mapping"),
        ("version: 1", "version: 1\nstudent: {epochs: 0}", "'student.epochs': should be greater"),
        ("version: 1", "version: 1\naccept: {ece: {max: .nan}}", "must be a finite number"),
        ("version: 1", "version: 1\naccept: {ece: {min: 2, max: 1}}", "no figure is at least 2"),
        ("version: 1", "version: 1\naccept: {acuracy: {min: 1}}", "Did you mean 'accuracy'?"),
        (
            "version: 1",
            "version: 1\naccept: {value_f1: {min: 1}}",
            "task.yaml:3: 'accept': this task",
        ),
        ("version: 1", "version: 1\naccept: {average_precision: {min: 1}}", "never measures"),
        (
            "version: 1",
            "version: 1\naccept: {coverage: {min: 1}}",
            "macro_f1, micro_f1, ece, teacher",
        ),
        ("answers: r1.jsonl", "answers: []", "task.yaml:12: 'teacher.answers' is an empty list."),
        ("answers: r1.jsonl", "answers: r2.jsonl", "task.yaml:12: the file 'r2.jsonl' does not"),
        ("answers: r1.jsonl", "answers: r2.jsonl", "Did you mean 'r1.jsonl'?"),
        ("answers: r1.jsonl", "answers: .", "task.yaml:12: the file '.' is a folder, not a file."),
        ("  loan:", "  card:", "task.yaml:7: label 'card' stands twice; the first time on line 6."),
        ("version: 1", "kind: task", "task.yaml:2: key 'kind' stands twice"),
        ("  gold: gold", "\tgold: gold", "task.yaml:10: not YAML"),
        ("  gold: gold", "\tgold: gold", "Indent with spaces"),
        ("name: complaints", "name: a: b", "task.yaml:3: not YAML: mapping values are not allowed"),
        ("name: complaints", "name: !!python/object:x {}", "task.yaml:3: "),
        ("version: 1", "version: 1\nrules: &r [*r]", "an alias repeats itself without end"),
        ("  gold: gold.jsonl\n", "", "without 'gold' or 'test' rows nothing can be verified"),
        ("teacher:\n  answers: r1.jsonl\n", "", "needs a 'teacher' to answer it"),
        ("  gold: g", "  gold_split: {train: 0.5}\n  gold: g", "must sum to 1, not 1.5"),
        ("  gold: g", "  gold_split: {train: 1, test: 0}\n  gold: g", "leaves no test rows"),
        ("  loan: null\n", "", "task.yaml:5: 'labels': a task needs at least two labels."),
        ("  loan: null", "  ' loan': null", "has white space around it"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_remedy(write, old, new, said):
    assert old in TASK
    assert said in refusal(write(TASK.replace(old, new, 1)))


def test_a_misspelt_key_is_one_mistake(write):
    assert refusal(write(TASK.replace("labels:", "lables:"))).count("\n") == 0


def test_every_mistake_is_told_in_the_order_of_the_file(write):
    text = TASK.replace("version: 1", "version: one").replace("gold: gold", "glod: gold")
    with pytest.raises(SpecErrors) as caught:
        load_task(write(text))
    assert [error.where.rpartition(":")[2] for error in caught.value.errors] == ["2", "10"]
    assert str(caught.value).count("\n") == 1


def test_missing_keys_are_named_with_their_meaning(write):
    said = refusal(write("kind: task\nversion: 1\ntype: classification\nlabels: [a, b]\n"))
    assert "the task lacks 'name', 'data'." in said
    assert "'data' is: The evidence" in said


@pytest.mark.parametrize(
    ("type_", "more", "said"),
    [
        ("classification", "", "'labels' is missing"),
        ("extraction", "", "'fields' and 'type: extraction' go together"),
        ("classification", "labels: [a, b]\nfields: {when: {type: date}}\n", "go together"),
        ("extraction", "labels: [a, b]\n", "'labels' does not go with 'type: extraction'"),
        ("generation", "student: {mode: tuned}\n", "'student.mode: abstractive'"),
        ("generation", "rounds: {max: 1}\n", "'rounds' is for tasks with labels"),
        ("classification", "labels: [a, b]\ntext: {max_words: 9}\n", "'text' is for"),
        ("extraction", "fields: {when: {type: choice}}\n", "needs at least two 'choices'"),
        ("extraction", "fields: {when: {type: date, choices: [a, b]}}\n", "not 'date'"),
        ("extraction", "fields: {a b: {}}\n", "cannot be a field's name"),
    ],
)
def test_what_does_not_fit_the_type_of_a_task(write, type_, more, said):
    head = f"kind: task\nversion: 1\nname: a\ntype: {type_}\ndata: {{gold: gold.jsonl}}\n"
    assert said in refusal(write(head + more))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "task.yaml: the file is empty."),
        (b"# a comment alone\n", "task.yaml: the file is empty."),
        (b"- a\n", "task.yaml:1: a task file is a mapping"),
        (b"kind: task\n---\nkind: task\n", "remove the second '---'"),
        (b"kind: task\nname: \xff\n", "task.yaml:2: byte 18 of the file is not UTF-8."),
        (b"kind: task\nname: a\x00b\n", "task.yaml:2: the character U+0000 is not allowed"),
        (b"[" * 5000, "nested too deeply"),
    ],
)
def test_files_that_are_no_task(write, content, said):
    assert said in refusal(write(content))


def test_a_missing_file_and_a_folder(write, tmp_path):
    write(TASK)
    assert "no such task file. Did you mean 'task.yaml'?" in refusal(tmp_path / "tsk.yaml")
    assert "potstill init" in refusal(tmp_path / "other.yml")
    assert "this is a folder" in refusal(tmp_path)


def test_overrides_go_before_the_file(write):
    settings = ["student.mode=frozen", "accept.macro_f1.min=0.5", "filter=[noise]", "seed=1"]
    loaded = load_task(write(TASK), settings)
    assert loaded.task.student.mode == "frozen"
    assert loaded.task.accept["macro_f1"].min == 0.5
    assert loaded.task.filter == ["noise"]
    assert loaded.task.seed == 1
    assert loaded.where("student", "mode") == "--set student.mode=frozen"
    assert load_task(write(TASK), ["labels=[1, yes]"]).task.label_names == ("1", "yes")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("student.epochs=many", "--set student.epochs=many: 'student.epochs' must be a whole"),
        ("studnet.mode=frozen", "--set studnet.mode=frozen: unknown key 'studnet'. Did you mean"),
        ("seed", "--set seed: expected key=value."),
        ("name.short=a", "--set name.short=a: 'name' holds no keys."),
        ("data.gold=nope.jsonl", "--set data.gold=nope.jsonl: the file 'nope.jsonl' does not"),
        ("filter=[noise", "--set filter=[noise: not YAML"),
    ],
)
def test_a_wrong_override_is_named(write, override, said):
    assert said in refusal(write(TASK), override)


def test_files_may_be_checked_later(write, tmp_path):
    path = write(TASK)
    (tmp_path / "gold.jsonl").unlink()
    assert load_task(path, check_files=False).task.name == "complaints"
    assert "task.yaml:10" in refusal(path)
