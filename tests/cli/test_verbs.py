"""Every verb as a user runs it, on a small task."""

import json
import re

import pytest


def test_run_ends_with_a_model_a_report_and_the_next_command(finished):
    assert sorted(p.name for p in (finished / "model").iterdir()) == [
        "README.md",
        "lineage.json",
        "model.json",
        "model.onnx",
        "tokenizer.json",
    ]
    [run] = (finished / "runs" / "topics").iterdir()
    for name in ("report.html", "report.json", "report.md", "rejected.jsonl", "events.jsonl"):
        assert (run / name).stat().st_size > 0
    assert (run / "report.html").stat().st_size < 2_000_000


def test_run_again_does_nothing_again_and_says_so(finished, potstill):
    result = potstill("run", "task.yaml", "--json", cwd=finished)
    assert result.code == 0
    stages = ["read", "label", "filter", "train", "export", "evaluate", "report"]
    kept = re.findall(r"^(\w+) +kept", result.err, re.MULTILINE)
    assert kept == stages
    report = json.loads(result.out)
    assert report["gates_passed"] is True
    assert list(report["seconds"]) == stages
    entries = {e["evaluation"]["name"]: e for e in report["results"]["entries"]}
    assert entries["oracle-1"]["latency"]["p50_ms"] == 12500.0
    assert {e["role"] for e in entries.values()} == {"student", "teacher", "baseline"}
    student = next(e for e in entries.values() if e["role"] == "student")
    assert student["evaluation"]["metrics"]["accuracy"]["value"] > 0.9


def test_the_row_outside_the_taxonomy_is_kept_with_its_cause(finished):
    [run] = (finished / "runs" / "topics").iterdir()
    rows = [json.loads(line) for line in (run / "rejected.jsonl").read_text().splitlines()]
    outside = [row for row in rows if row["cause"] == "outside_taxonomy"]
    assert [row["id"] for row in outside] == ["u5"]
    assert outside[0]["example"]["input"]


def test_predict_answers_line_by_line(finished, potstill):
    lines = [{"text": "my card charge refund"}, {"id": 7, "text": "mortgage rate repayment house"}]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    result = potstill("predict", "model", "-", cwd=finished, stdin=stdin)
    assert (result.code, result.err) == (0, "")
    first, second = (json.loads(line) for line in result.out.splitlines())
    assert first["label"] == "cards"
    assert list(first) == ["label", "confidence", "scores"]
    assert list(first["scores"]) == ["cards", "loans", "accounts"]
    assert sum(first["scores"].values()) == pytest.approx(1.0)
    assert first["confidence"] == max(first["scores"].values())
    assert (second["id"], second["label"]) == (7, "loans")


def test_predict_reads_csv_and_writes_a_file(finished, potstill):
    csv = "id,text\r\n1,card charge refund\r\n2,deposit transfer branch\r\n"
    result = potstill(
        "predict", "model", "-", "--format", "csv", "--out", "out.jsonl", cwd=finished, stdin=csv
    )
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (finished / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["label"]) for row in rows] == [("1", "cards"), ("2", "accounts")]


def test_predict_puts_an_error_in_the_place_of_a_bad_row(finished, potstill):
    stdin = (
        b'{"text": "card charge"}\n{"text": broken\n{"other": 1}\n{"text": "\xff"}\n\n'
        b'{"text": "deposit branch"}\n{"text": ""}\n'
    )
    result = potstill("predict", "model", "-", cwd=finished, stdin=stdin)
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row.get("label") for row in rows] == ["cards", None, None, None, "accounts", None]
    assert rows[1]["error"].startswith("stdin:2: not JSON")
    assert rows[2]["error"] == "stdin:3: no text in 'text'"
    assert "not UTF-8" in rows[3]["error"]
    assert result.code == 1
    assert "4 rows could not be answered" in result.err


def test_predict_of_nothing_is_nothing(finished, potstill):
    assert potstill("predict", "model", "-", cwd=finished) == (0, "", "")


def test_evaluate_json_has_values_with_intervals(finished, potstill):
    result = potstill("evaluate", "model", "--data", "gold.jsonl", "--json", cwd=finished)
    assert result.code == 0
    judged = json.loads(result.out)
    assert judged["n"] == 60
    for name in ("accuracy", "macro_f1"):
        figure = judged["metrics"][name]
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1


def test_evaluate_refuses_gold_outside_the_taxonomy(finished, potstill):
    (finished / "odd.jsonl").write_text('{"text": "a", "label": "fraud"}\n')
    result = potstill("evaluate", "model", "--data", "odd.jsonl", cwd=finished)
    assert result.code == 2
    assert "'fraud' is not a label of the task" in result.err


def test_compare_pairs_two_predictors(finished, potstill):
    result = potstill(
        "compare", "model", "answers.jsonl", "--data", "gold.jsonl", "--json", cwd=finished
    )
    assert result.code == 0, result.err
    pair = json.loads(result.out)
    assert pair["names"] == ["model", "oracle-1"]
    assert pair["wins"] + pair["losses"] + pair["ties"] == pair["n"] == 60
    assert len(pair["rows"]) == 60
    table = potstill("compare", "model", "answers.jsonl", "--data", "gold.jsonl", cwd=finished)
    assert "McNemar p" in table.out


def test_trace_names_who_taught(finished, potstill):
    result = potstill("trace", "model", "--json", cwd=finished)
    lineage = json.loads(result.out)
    shares = {share["name"]: share["share"] for share in lineage["shares"]}
    assert shares == {"inbox.jsonl": 1.0, "oracle-1": 1.0}
    assert len(lineage["examples"]) == lineage["rows"]
    assert "example-terms" in potstill("trace", "model", cwd=finished).out


def test_check_reports_without_changing_anything(task_folder, potstill):
    before = sorted(task_folder.rglob("*"))
    result = potstill("check", "task.yaml", cwd=task_folder)
    assert result.code == 0, result.err
    assert "outside_taxonomy" in result.out
    assert "the test split has 60 rows" in result.err
    assert "next: potstill run task.yaml" in result.err
    assert sorted(task_folder.rglob("*")) == before
    rows = json.loads(potstill("check", "task.yaml", "--json", cwd=task_folder).out)["rows"]
    assert 150 <= rows.pop("left to train on") <= 179
    assert rows == {"unlabeled": 180, "answered by the teacher": 179, "gold for the test": 60}


def test_init_writes_a_task_that_loads_and_refuses_to_overwrite(task_folder, potstill):
    result = potstill("init", "new.yaml", "--gold", "gold.jsonl", cwd=task_folder)
    assert result.code == 0, result.err
    assert potstill("check", "new.yaml", cwd=task_folder).code == 0
    again = potstill("init", "new.yaml", cwd=task_folder)
    assert again.code == 2
    assert "Use --force" in again.err


def test_doctor_looks_at_machine_and_model(finished, potstill):
    result = potstill("doctor", "model", "--json", cwd=finished)
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert facts["healthy"] is True
    assert facts["model"].startswith("0 of 3 probe answers differ")


def test_a_gate_that_fails_ends_with_1_after_all_the_work(task_folder, potstill):
    result = potstill(
        "run", "task.yaml", "--set", "accept.accuracy.min=1.0", "--quiet", cwd=task_folder
    )
    assert result.code in (0, 1)
    [run] = (task_folder / "runs" / "topics").iterdir()
    gate = json.loads((run / "report.json").read_text())["gates"][0]
    assert result.code == (0 if gate["passed"] else 1)
    impossible = potstill(
        "run",
        "task.yaml",
        "--set",
        "accept.latency_p95_ms.max=0.0000001",
        "--quiet",
        cwd=task_folder,
    )
    assert impossible.code == 1
    assert "FAILED" in impossible.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], "no such task file"),
        (["run", "task.yaml", "--until", "fly"], "no stage of this task is called 'fly'"),
        (["run", "task.yaml", "--set", "lables.a=b"], "Did you mean 'labels'?"),
        (["run", "task.yaml", "--set", "student.base=minilm-l7"], "minilm-l6"),
        (["predict", "nowhere", "-"], "not a model folder"),
        (["predict", ".", "-"], "not a model folder"),
        (["evaluate", "nowhere", "--data", "gold.jsonl"], "no such model"),
        (["evaluate", "answers.jsonl", "--data", "nowhere.jsonl"], "no such file"),
        (["trace", "."], "not a model folder"),
        (["fly"], "No such command"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(task_folder, potstill, arguments, words):
    result = potstill(*arguments, cwd=task_folder)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_out_never_replaces_what_is_no_model(finished, potstill):
    precious = finished / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    result = potstill("run", "task.yaml", "--out", "precious", cwd=finished)
    assert result.code == 2
    assert "what it holds would be lost" in result.err
    assert (precious / "thesis.txt").read_text() == "years of work"
    again = potstill("run", "task.yaml", "--out", "model", "--quiet", cwd=finished)
    assert again.code == 0


def test_a_gate_is_no_reason_to_train_again(finished, potstill):
    result = potstill("run", "task.yaml", "--set", "accept.accuracy.min=0.1", cwd=finished)
    assert result.code == 0
    assert re.findall(r"^(\w+) +done", result.err, re.MULTILINE) == ["report"]
    assert "gate accuracy" in result.out
    assert potstill("run", "task.yaml", "--quiet", cwd=finished).code == 0


def test_a_damaged_model_is_made_again(task_folder, potstill):
    assert potstill("run", "task.yaml", "--quiet", cwd=task_folder).code == 0
    model = next((task_folder / "runs/topics").glob("*/model/model.onnx"))
    model.write_bytes(b"damaged")
    result = potstill("run", "task.yaml", cwd=task_folder)
    assert re.findall(r"^(\w+) +done", result.err, re.MULTILINE)[0] == "export"
    answer = potstill("predict", "runs/topics", "-", cwd=task_folder, stdin='{"text": "card"}')
    assert answer.code == 0


def test_a_teacher_named_like_another_entry_changes_no_figure(task_folder, potstill):
    answers = task_folder / "answers.jsonl"
    answers.write_text(answers.read_text().replace("oracle-1", "majority"))
    result = potstill("run", "task.yaml", "--json", "--quiet", cwd=task_folder)
    report = json.loads(result.out)["results"]
    scores = {
        e["evaluation"]["name"]: e["evaluation"]["metrics"]["accuracy"]["value"]
        for e in report["entries"]
    }
    assert scores["majority (teacher)"] > 0.8
    assert scores["majority"] < 0.5
    [pair] = [c for c in report["comparisons"] if c["names"][1] == "majority (teacher)"]
    difference = pair["differences"]["accuracy"]["value"]
    assert difference == pytest.approx(scores[pair["names"][0]] - scores["majority (teacher)"])


def test_check_refuses_what_run_could_not_train_on(task_folder, potstill):
    result = potstill("check", "task.yaml", "--set", "policy.deny=[oracle-*]", cwd=task_folder)
    assert result.code == 2
    assert "no row at all is left to train on" in result.err
    assert "denied_source" in result.err


def test_a_run_without_rows_to_train_on_keeps_the_causes(task_folder, potstill):
    result = potstill("run", "task.yaml", "--set", "policy.deny=[oracle-*]", cwd=task_folder)
    assert result.code == 2
    rejected = next((task_folder / "runs/topics").glob("*/rejected.jsonl"))
    assert str(rejected.relative_to(task_folder)) in result.err
    assert "denied_source" in rejected.read_text()


def test_multilabel_from_run_to_compare(task_folder, potstill):
    task = (task_folder / "task.yaml").read_text().replace("classification", "multilabel")
    (task_folder / "task.yaml").write_text(task)
    for name in ("gold", "answers"):
        lines = (task_folder / f"{name}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        for row in rows:
            row["label" if name == "gold" else "labels"] = [row.pop("label")]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (task_folder / f"{name}.jsonl").write_text(text)
    result = potstill("run", "task.yaml", "--out", "model", "--quiet", cwd=task_folder)
    assert result.code == 0, result.err
    answer = potstill("predict", "model", "-", cwd=task_folder, stdin='{"text": "card refund"}')
    assert set(json.loads(answer.out)) == {"labels", "confidence", "scores"}
    judged = potstill("evaluate", "model", "--data", "gold.jsonl", "--json", cwd=task_folder)
    assert json.loads(judged.out)["metrics"]["micro_f1"]["value"] > 0.8
    recorded = potstill(
        "evaluate", "answers.jsonl", "--data", "gold.jsonl", "--json", cwd=task_folder
    )
    assert json.loads(recorded.out)["metrics"]["accuracy"]["value"] > 0.8
    pair = potstill("compare", "model", "answers.jsonl", "--data", "gold.jsonl", cwd=task_folder)
    assert pair.code == 0, pair.err


def test_until_and_from(task_folder, potstill):
    first = potstill("run", "task.yaml", "--until", "filter", "--json", cwd=task_folder)
    assert first.code == 0
    assert json.loads(first.out)["model"] is None
    assert "next: potstill run task.yaml" in first.err
    again = potstill("run", "task.yaml", "--until", "filter", "--from", "label", cwd=task_folder)
    assert re.findall(r"^(\w+) +(kept|done)", again.err, re.MULTILINE) == [
        ("read", "kept"),
        ("label", "done"),
        ("filter", "done"),
    ]


def test_help_has_examples_and_few_options(potstill, tmp_path):
    for verb in ("init", "check", "run", "predict", "evaluate", "compare", "trace", "doctor"):
        result = potstill(verb, "--help", cwd=tmp_path)
        assert result.code == 0
        assert "Example: " in " ".join(result.out.split())
        assert result.out.count("--") <= 20
