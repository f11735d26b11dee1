"""The verbs that use a model: predict, evaluate, compare, trace."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from potstill.cli import terminal
from potstill.errors import EXIT_GATE, DataError, SpecError

if TYPE_CHECKING:
    from potstill.data import Input
    from potstill.data.reading import BrokenRow, Row
    from potstill.evaluate import Evaluation, Interval
    from potstill.runtime import Loaded
    from potstill.spec.task import Columns
    from potstill.workflow import Workflow

ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Model folder, run folder or workflow file.", show_default=False
    ),
]
PredictorPath = Annotated[
    Path,
    typer.Argument(
        help="Model folder, run folder, workflow file, file of recorded answers, folder of "
        "weights, or RUN:stage of a recipe.",
        show_default=False,
    ),
]
Gold = Annotated[
    Path | None, typer.Option("--data", help="Rows with a person's label.", show_default=False)
]
InputColumns = Annotated[
    list[str] | None, typer.Option("--column", help="Column of the text; repeat for named fields.")
]
TargetColumn = Annotated[str | None, typer.Option("--label-column", help="Column of the label.")]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", help="Column by which recorded answers are found.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors and warnings only on stderr.")]


def predict(
    model: ModelPath,
    data: Annotated[str, typer.Argument(help="JSONL or CSV file, Parquet, or - for stdin.")] = "-",
    column: InputColumns = None,
    kind: Annotated[str, typer.Option("--format", help="Of stdin: jsonl or csv.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="Write here instead of stdout.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads; default: one a core.")
    ] = None,
) -> None:
    """Answer a stream of inputs: one line of JSON for each row, in the same order.

    A row that cannot be read is answered with {"error": …} in its place, the rest goes on, and
    the exit code is 1.

    Example: echo '{"text": "they refuse to remove the debt"}' | potstill predict MODEL -
    """
    from potstill.api import load
    from potstill.data.files import json_line, writing
    from potstill.spec.task import Columns

    loaded = load(model, workers=workers)
    known = loaded.card["task"].get("columns")
    columns = Columns.model_validate({**(known or {}), **_columns(column)})
    faults = 0
    with ExitStack() as stack:
        rows = _tolerant_rows(data, kind, stack)
        sink: BinaryIO = stack.enter_context(writing(out)) if out else sys.stdout.buffer
        for answer in _answers(loaded, rows, columns):
            faults += "error" in answer
            sink.write(json_line(answer))
        sink.flush()
    if faults:
        terminal.warn(f'{faults} rows could not be answered; look for "error" in the output')
        raise typer.Exit(EXIT_GATE)


def _tolerant_rows(data: str, kind: str, stack: ExitStack) -> Iterator[Row | BrokenRow]:
    """Rows of a file or of stdin; one that cannot be read is yielded with its error."""
    from potstill.data.reading import (
        SUFFIXES,
        read_rows,
        tolerant_csv_rows,
        tolerant_jsonl_rows,
    )

    if data != "-":
        path = Path(data)
        if not path.is_file():
            raise DataError("no such file.", where=data, hint="Use - to read stdin.")
        kind = SUFFIXES.get(path.suffix.lower(), kind)
        if kind == "parquet":
            yield from read_rows(path)
            return
        stream: BinaryIO = stack.enter_context(path.open("rb"))
    else:
        data, stream = "stdin", sys.stdin.buffer
    if kind in ("csv", "tsv"):
        yield from tolerant_csv_rows(stream, data, "\t" if kind == "tsv" else ",")
    elif kind == "jsonl":
        yield from tolerant_jsonl_rows(stream, data)
    else:
        raise SpecError(f"--format: {kind!r} is not known.", hint="Use jsonl or csv.")


def _answers(
    model: Loaded | Workflow, rows: Iterator[Row | BrokenRow], columns: Columns
) -> Iterator[dict[str, Any]]:
    """An answer for each row, in order and with its id; the model sees only rows with a text.

    Rows wait in a queue while the model, which reads ahead to keep its workers busy, has not
    answered them; the queue is as short as the model's window.
    """
    from potstill.data.reading import BrokenRow, cell_text, input_of

    # What is known of a row before it is answered, and whether that is all: an error.
    waiting: deque[tuple[dict[str, Any], bool]] = deque()

    def inputs() -> Iterator[Input]:
        for row in rows:
            identifier = row.fields.get(columns.id)
            known = {} if cell_text(identifier) is None else {"id": identifier}
            if isinstance(row, BrokenRow):
                waiting.append(({**known, "error": str(row.error)}, True))
                continue
            value = input_of(row, columns)
            if value is None:
                fault = f"{row.where}: no text in {columns.input!r}"
                waiting.append(({**known, "error": fault}, True))
                continue
            waiting.append((known, False))
            yield value

    for prediction in model.stream(inputs()):
        while (first := waiting.popleft())[1]:
            yield first[0]
        yield {**first[0], **prediction.to_json()}
    yield from (row for row, _ in waiting)


def _columns(
    inputs: list[str] | None, target: str | None = None, identifier: str | None = None
) -> dict[str, Any]:
    """What the command line says of the column map; the rest is the model's own."""
    changes: dict[str, Any] = {"target": target, "id": identifier}
    if inputs:
        changes["input"] = inputs[0] if len(inputs) == 1 else inputs
    return {key: value for key, value in changes.items() if value is not None}


_OPTIONS = {
    "'columns.input'": "--column",
    "'columns.target'": "--label-column",
    "'columns.id'": "--id-column",
}
"""What the command line calls a part of the column map."""


@contextmanager
def _in_options() -> Generator[None]:
    """Name options where a hint names parts of a task file."""
    try:
        yield
    except DataError as error:
        for part, option in _OPTIONS.items():
            error.hint = error.hint and error.hint.replace(part, option)
        raise


def evaluate(
    predictor: PredictorPath,
    data: Annotated[
        Path | None, typer.Option("--data", help="Rows with a person's label.", show_default=False)
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="What `serve --record` kept: look for drift.", show_default=False),
    ] = None,
    picks: Annotated[
        Path | None,
        typer.Option(help="Against traffic: write the rows worth a label here."),
    ] = None,
    most_picks: Annotated[int, typer.Option(min=1, help="Rows that picks hold at most.")] = 100,
    column: InputColumns = None,
    label_column: TargetColumn = None,
    id_column: IdColumn = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Answers a question, of a model that reasons.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask at most so many.")] = None,
    verifier: Annotated[
        str | None, typer.Option(help="Says what is right: mathematics, numeric, exact, labels …")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="Of sampled answers.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a model on rows with a person's label, or on what it met in production.

    Scores have 95% intervals. Of a workflow it also says which node the errors, the time and the
    money come from. A folder of weights, or a stage of a recipe (RUN:stage), is asked each
    question several times and judged by a verifier; so is a task's model, where the number of
    samples is given. Against production it needs no label: it tells what has drifted (exit code
    1) and estimates how right the model still is.

    Example: potstill evaluate examples/complaints/model --data examples/complaints/gold.jsonl
    """
    from potstill import api

    if (data is None) == (against is None):
        raise SpecError(
            "name either --data or --against.", hint="--data holds labels, --against traffic."
        )
    if against is not None:
        _watch(predictor, against, picks, most_picks, as_json=as_json)
        return
    assert data is not None
    if samples is not None or api.is_sampled(predictor):
        settings = {
            "samples": samples,
            "verifier": verifier,
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
        }
        columns = _columns(column, label_column)
        _sample(predictor, data, settings, columns, limit, as_json=as_json, quiet=quiet)
        return
    given = {"--limit": limit, "--verifier": verifier, "--temperature": temperature}
    for option, value in (given | {"--max-new-tokens": max_new_tokens}).items():
        if value is not None:
            raise SpecError(f"{option} is for sampled answers.", hint="Name --samples as well.")
    _judge(predictor, data, _columns(column, label_column, id_column), as_json=as_json)


def _sample(
    model: Path,
    data: Path,
    settings: dict[str, Any],
    columns: dict[str, Any],
    limit: int | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from potstill import api
    from potstill.cli.progress import shown
    from potstill.cli.recipes import print_asked

    question = columns.get("input")
    if isinstance(question, list):
        raise SpecError("--column: a question stands in one column.")
    terminal.be_quiet(quiet)
    with shown(quiet=quiet) as listener:
        found = api.evaluate_samples(
            model,
            data,
            settings=settings,
            question=question,
            answer=columns.get("target"),
            limit=limit,
            listener=listener,
        )
    if as_json:
        terminal.print_json(found.to_json())
    else:
        print_asked(found)


def _judge(predictor: Path, data: Path, columns: dict[str, Any], *, as_json: bool) -> None:
    from potstill import api

    workflow = predictor.suffix.lower() in (".yaml", ".yml")
    judge = api.judge_workflow if workflow else api.evaluate
    with _in_options():
        result = judge(predictor, data, columns=columns)
    if as_json:
        terminal.print_json(result.to_json())
    elif isinstance(result, api.Attributed):
        from potstill.cli.tables import print_attribution

        print_attribution(result, _figures(result.evaluation))
    elif isinstance(result, api.PartsEvaluation):
        for name, part in result.parts.items():
            _print_figures(part, f"{name}: {part.n:,} rows")
    else:
        _print_figures(result, f"{result.n:,} rows")
        terminal.next_step(f"potstill compare {predictor} OTHER --data {data}")


def _print_figures(found: Evaluation, title: str) -> None:
    from potstill.cli.tables import metric_text

    rows = [
        (
            name,
            metric_text(name, v.value),
            f"{metric_text(name, v.low)} to {metric_text(name, v.high)}",
        )
        for name, v in _figures(found).items()
    ]
    if (idle := found.idle) is not None:
        at = next(place for place, row in enumerate(rows) if row[0] == "flag_cost") + 1
        rows[at:at] = [
            ("- where nothing is flagged", metric_text("flag_cost", idle.nothing), ""),
            ("- where all is flagged", metric_text("flag_cost", idle.everything), ""),
        ]
    terminal.print_table([title, "value", "95% interval"], rows)


def _watch(model: Path, against: Path, picks: Path | None, most: int, *, as_json: bool) -> None:
    from potstill import api
    from potstill.evaluate.watch_words import watch_words

    found = api.watch(model, against, picks=picks, most=most)
    if as_json:
        terminal.print_json(found.to_json())
    else:
        for words in watch_words(found):
            print(words)
    if picks is not None:
        terminal.next_step(f"label {picks}, or name it under 'data.unlabeled' and run the task")
    if found.alarms:
        raise typer.Exit(EXIT_GATE)


def _figures(result: Evaluation) -> dict[str, Interval]:
    """The metrics, and where something is deferred, what that does."""
    figures = dict(result.metrics)
    found = result.selective
    if found is not None:
        figures |= {"answered": found.coverage, "wrong among the answers": found.error}
        if found.outside_deferred is not None:
            figures["deferred of what fits no label"] = found.outside_deferred
        if found.auroc is not None:
            figures["AUROC of out of scope"] = found.auroc
    return figures


def compare(
    a: PredictorPath,
    b: PredictorPath,
    data: Gold = None,
    column: InputColumns = None,
    label_column: TargetColumn = None,
    id_column: IdColumn = None,
    examples: Annotated[int, typer.Option(help="Differing rows to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Judge two predictors on the same rows, paired, example by example.

    Two stages of recipes (RUN:stage) are compared on the questions by which they were judged.

    Example: potstill compare examples/complaints/model examples/complaints/answers/gpt-4o.jsonl
    --data examples/complaints/gold.jsonl
    Example: potstill compare runs/r1-tiny:sft runs/r1-tiny:grpo
    """
    from potstill import api
    from potstill.run.recipe.finding import names_stage

    if names_stage(a) or names_stage(b):
        _compare_stages(a, b, data, examples, as_json=as_json)
        return
    if data is None:
        raise SpecError("--data is missing.", hint="Name the rows on which the two are judged.")
    with _in_options():
        result = api.compare(a, b, data, columns=_columns(column, label_column, id_column))
    if as_json:
        terminal.print_json(result.to_json())
        return
    from potstill.cli.tables import print_comparison

    print_comparison(result, examples)


def _compare_stages(a: Path, b: Path, data: Path | None, examples: int, *, as_json: bool) -> None:
    from potstill import api
    from potstill.cli.recipes import print_stages_compared

    if data is not None:
        raise SpecError(
            "--data: stages are compared on the questions by which they were judged.",
            hint=f"For other questions: potstill evaluate {a} --data {data}",
        )
    found = api.compare_stages(a, b, examples=examples)
    if as_json:
        terminal.print_json(found.to_json())
    else:
        print_stages_compared(found)


def trace(
    model: ModelPath,
    as_json: Json = False,
) -> None:
    """Where what a model learned came from: each source's share of the training rows.

    Example: potstill trace examples/complaints/model
    """
    from potstill import api

    lineage = api.trace(model)
    if as_json:
        terminal.print_json(lineage)
        return
    terminal.print_table(
        [f"{lineage['rows']:,} training rows", "kind", "gave", "terms", "rows", "share"],
        [
            (
                share["name"],
                share["kind"],
                ", ".join(share["contributed"]),
                share["terms"] or "unknown",
                f"{share['rows']:,}",
                f"{share['share']:.1%}",
            )
            for share in lineage["shares"]
        ],
        text_columns=4,
    )
