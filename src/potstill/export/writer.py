"""`export_writer`: from the trained weights of a writer to a model folder that was measured."""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnxruntime
import torch

from potstill.data.example import Example, Text
from potstill.errors import ExportError
from potstill.export.decoder import Precision, build_decoder
from potstill.export.describe import describe_task, versions
from potstill.export.inputs import silent
from potstill.export.pack import write_folder
from potstill.export.student import Exported
from potstill.runtime.decoding import Decoder
from potstill.runtime.folder import Contents, read_folder
from potstill.runtime.prompt import Prompt, PromptReader
from potstill.runtime.session import open_session
from potstill.runtime.writer import WRITER_GRAPH, WRITER_TOKENIZER, WRITER_WEIGHTS, write
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Progress = Callable[[str, int, int], None]

_COMPARED_TOKENS = 1000
"""Tokens of development texts at which graph and weights are compared: some fifty texts."""

_CLEARLY_LESS = 0.1
"""By how much less probable, to the trained weights, a token is that counts as another answer."""

_TIMED_TEXTS = 8


class ExportableWriter(Protocol):
    """What an export needs to know of a trained writer."""

    @property
    def network(self) -> Path:
        """Folder of the model as transformers saves it."""
        ...

    @property
    def module(self) -> PreTrainedModel:
        """The trained weights, float32, in evaluation mode."""
        ...

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the base."""
        ...

    @property
    def prompt(self) -> Prompt:
        """What stands around a source."""
        ...

    @property
    def reader(self) -> PromptReader:
        """Makes prompts of sources, as in training."""
        ...

    @property
    def base(self) -> Mapping[str, Any]:
        """The base's name, revision, licence and size."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens read of a source."""
        ...


@dataclass(frozen=True, slots=True)
class _Passage:
    """A prompt, the text that a development row has for it, and what the weights say of both.

    Attributes:
        prompt: token ids.
        text: token ids.
        odds: probability of each token of the vocabulary at each place (token, vocabulary).
    """

    prompt: list[int]
    text: list[int]
    odds: np.ndarray


def export_writer(
    writer: ExportableWriter,
    *,
    name: str,
    picker: Path,
    dev: Sequence[Example],
    options: StudentSpec,
    folder: Path,
    task: Task,
    lineage: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Exported:
    """Build the graph, compare it with the trained weights, time it, and write the model folder.

    Args:
        writer: the trained weights, with their tokenizer and prompt.
        name: the model's name, usually the task's.
        picker: the model folder of a picker for the same task. Its parts go into the writer's
            folder, for the texts that the guards stop.
        dev: development rows, at whose texts graph and weights are compared. Never test rows.
        options: ``precision``, ``max_disagreement`` and ``beams`` are read.
        folder: where the model goes; an older one there is replaced once the new is whole.
        task: its bound and its guards go with the model.
        lineage: the content of ``lineage.json``.
        seed: which development rows are compared.
        progress: called with (phase, done, total).

    Raises:
        ExportError: no development rows, an architecture that cannot be built, or tokens that
            differ too often from those of the trained weights in every precision allowed.
        MissingExtraError: the ``train`` extra is not installed.
        ModelError: `picker` is no model folder.
        StorageError: the folder cannot be written.
    """
    if not dev:
        raise ExportError(
            "there are no development rows, so nothing shows that the exported model writes "
            "like the trained weights.",
            hint="Give it some rows: 'data.dev_fraction' sets them aside.",
        )
    standing_in = read_folder(picker)
    passages = _passages(writer, dev, seed)
    with tempfile.TemporaryDirectory(prefix="potstill-") as work:
        graph, parity = _choose(writer, passages, Path(work), options, progress or silent)
        decoder = _open(graph)
        timings = _time(decoder, writer, dev, task, options.beams, parity["precision"])
        document = _document(standing_in, name, task, writer, options.beams)
        document["export"] = {
            "precision": parity["precision"],
            "graph": parity["precision"],
            "engine": _engine(),
            "parity": parity,
            "timings_ms": timings,
            "versions": versions() | {"onnxruntime-genai": version("onnxruntime-genai")},
            "machine": platform.machine(),
        }
        document["probes"] = _probes(decoder, writer, task, options.beams)
        megabytes = write_folder(
            folder,
            document=document,
            graph=standing_in.graph,
            tokenizer=standing_in.tokenizer.decode(),
            lineage=lineage or {},
            more={
                WRITER_GRAPH: graph,
                WRITER_WEIGHTS: graph.with_name(WRITER_WEIGHTS),
                WRITER_TOKENIZER: writer.tokenizer_file,
            },
        )
    return Exported(
        folder=folder,
        precision=parity["precision"],
        engine=_engine(),
        megabytes=megabytes,
        parity=parity,
        calibration={},
        deferral=None,
        timings=timings,
    )


def _choose(
    writer: ExportableWriter,
    passages: Sequence[_Passage],
    work: Path,
    options: StudentSpec,
    tick: Progress,
) -> tuple[Path, dict[str, Any]]:
    """The first graph, the smallest before, whose tokens are close enough to the weights'."""
    wanted: tuple[Precision, ...] = (
        ("int8", "fp32") if options.precision == "auto" else (options.precision,)
    )
    found: dict[str, float] = {}
    for precision in wanted:
        graph = build_decoder(writer.network, work, precision=precision)
        decoder = _open(graph)
        lost = np.concatenate([_lost(decoder, passage) for passage in passages])
        tick("compare", len(found) + 1, len(wanted))
        found[precision] = float((lost > _CLEARLY_LESS).mean())
        if found[precision] <= options.max_disagreement:
            return graph, {
                "precision": precision,
                "rows": len(passages),
                "tokens": len(lost),
                "disagreement": found[precision],
                "max_allowed": options.max_disagreement,
                "other_tokens": float((lost > 0).mean()),
                "mean_probability_lost": float(lost.mean()),
                "candidates": found,
            }
    shown = ", ".join(f"{name} {share:.1%}" for name, share in found.items())
    raise ExportError(
        "the exported model writes otherwise than the trained weights too often on the "
        f"development rows: {shown} of the tokens; allowed {options.max_disagreement:.1%}.",
        hint="Set 'student.precision: auto', which falls back to fp32."
        if options.precision == "int8"
        else "Raise 'student.max_disagreement' if you can accept that.",
    )


def _lost(decoder: Decoder, passage: _Passage) -> np.ndarray:
    """The probability, to the trained weights, that a graph's choice gives away (token,)."""
    chosen = decoder.follow(passage.prompt, passage.text)
    return passage.odds.max(axis=1) - passage.odds[range(len(chosen)), chosen]


def _passages(writer: ExportableWriter, dev: Sequence[Example], seed: int) -> list[_Passage]:
    """What the trained weights say at every place of some development texts."""
    reader, model = writer.reader, writer.module
    passages: list[_Passage] = []
    for at in np.random.default_rng(seed).permutation(len(dev)):
        target = dev[at].target
        assert isinstance(target, Text)
        prompt, text = reader.read(dev[at].input)[0], reader.tokens(target.text)
        if not text:
            continue
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + text])).logits[0, len(prompt) - 1 : -1]
        passages.append(_Passage(prompt, text, logits.softmax(dim=1).numpy()))
        if sum(len(passage.text) for passage in passages) >= _COMPARED_TOKENS:
            break
    return passages


def _document(
    standing_in: Contents, name: str, task: Task, writer: ExportableWriter, beams: int
) -> dict[str, Any]:
    """``model.json`` but for what is measured: the writer's own, and what its picker needs."""
    ours: dict[str, Any] = {
        "name": name,
        "type": "generation",
        "mode": "abstractive",
        "labels": [],
        "text": task.text.model_dump(mode="json"),
        "task": describe_task(task),
        "base": dict(writer.base),
        "writer": {
            "prompt": writer.prompt.to_json(),
            "max_tokens": writer.max_tokens,
            "beams": beams,
        },
    }
    theirs = {"picks", "max_tokens"}
    said = standing_in.card.document
    return ours | {key: said[key] for key in theirs if key in said}


def _time(
    decoder: Decoder,
    writer: ExportableWriter,
    dev: Sequence[Example],
    task: Task,
    beams: int,
    precision: str,
) -> dict[str, dict[str, float]]:
    """Milliseconds a text, and tokens a second while it writes, on one thread."""
    spent: list[float] = []
    tokens = 0
    for example in dev[:: -(-len(dev) // _TIMED_TEXTS)]:
        ids, _ = writer.reader.read(example.input)
        started = time.perf_counter()
        tokens += len(write(decoder, ids, writer.prompt, task.text, beams).ids)
        spent.append(time.perf_counter() - started)
    figures = {
        "dev_texts": round(1e3 * statistics.fmean(spent), 4),
        "tokens_per_s": round(tokens / sum(spent), 1),
    }
    return {precision: figures}


def _probes(
    decoder: Decoder, writer: ExportableWriter, task: Task, beams: int
) -> list[dict[str, Any]]:
    """Sources made of the task's own words, never of data, and what the graph writes of them."""
    said = [task.description, *task.text.rubric, *task.rules]
    probes: list[dict[str, Any]] = []
    for text in [" ".join(filter(None, said)) or task.name.replace("-", " ")]:
        ids, _ = writer.reader.read(text)
        draft = write(decoder, ids, writer.prompt, task.text, beams)
        wrote = writer.reader.text(draft.ids)
        probes.append({"text": text, "wrote": wrote, "probability": draft.probability})
    return probes


def _open(graph: Path) -> Decoder:
    return Decoder(open_session(graph, where=str(graph)))


def _engine() -> str:
    return f"onnxruntime {onnxruntime.__version__}, CPU"
