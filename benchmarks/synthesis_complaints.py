"""No data at all: a complaints student from label names and descriptions alone.

    python benchmarks/synthesis_complaints.py --answers answers.jsonl [--target 100]

The teacher, ``local:qwen2.5-coder-1.5b``, writes `target` complaints over a grid and answers each
without being told what it was to mean; a student learns from those on which both agree. The
student is judged on all published rows of gold, the teacher's zero-shot answers on a sample.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from potstill import api

TASK = """kind: task
version: 1
name: complaints-no-data
type: classification
description: Which product is this bank customer complaining about?
labels:
  credit_card: Card charges, disputed transactions, fees, applications, rewards.
  credit_reporting: Errors on a credit report, reporting agencies, identity theft on a report.
  debt_collection: Collectors who call, write or sue over a debt, owed or not.
  mortgages_and_loans: Mortgages, refinancing, vehicle and student loans, servicing, foreclosure.
  retail_banking: Checking and savings accounts, deposits, transfers, branch service.
data:
  test: test.jsonl
teacher:
  model: local:qwen2.5-coder-1.5b
  terms: Apache-2.0
  reasoning: false
  test_rows: {test_rows}
  max_tokens: 400
  timeout_s: 600
  options: {{threads: 1}}
generate:
  target: {target}
  extra: 0.5
  per_request: 1
  styles: [complaint to an authority, email to the bank]
  lengths: [one sentence, a few sentences]
student: {{base: {base}, mode: frozen}}
seed: 7
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, required=True, help="the published answers.jsonl")
    parser.add_argument("--folder", type=Path, default=Path("synthesis-complaints"))
    parser.add_argument("--target", type=int, default=100)
    parser.add_argument("--test-rows", type=int, default=120)
    parser.add_argument("--base", default="mpnet-base")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with arguments.answers.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    gold = [{key: row[key] for key in ("id", "text", "label")} for row in rows]
    lines = "".join(json.dumps(row) + "\n" for row in gold)
    (arguments.folder / "test.jsonl").write_text(lines, encoding="utf-8")
    task = arguments.folder / "task.yaml"
    settings = {name: getattr(arguments, name) for name in ("target", "test_rows", "base")}
    task.write_text(TASK.format(**settings), encoding="utf-8")
    report = api.run(task, runs=arguments.folder / "runs").report
    assert report is not None
    for entry in report["entries"]:
        score = entry["evaluation"]["metrics"]["accuracy"]
        print(
            f"{entry['role']:<9} {entry['evaluation']['name']:<40} {score['value']:.3f} "
            f"[{score['low']:.3f}, {score['high']:.3f}] on {entry['evaluation']['n']}"
        )
    synthesis = report["teaching"]["synthesis"]
    print(f"{synthesis['rows']} rows written and confirmed; rejected: {synthesis['rejected']}")


if __name__ == "__main__":
    main()
