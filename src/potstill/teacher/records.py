"""Rows of any known shape as records: an answer, and what it can be found by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from potstill.data import Input, id_of, text_of
from potstill.data.reading import Row, cell_text, input_of
from potstill.spec.task import Columns
from potstill.teacher.answer import Answer, Fault
from potstill.teacher.form import Form, LabelForm
from potstill.teacher.logs import Exchange, exchange_of, measures
from potstill.teacher.request import Fault as RequestFault

# Between words: anything else, and the line ends that JSON inside a prompt has.
_GAP = re.compile(r"(?:\\[nrt]|\W)+")

_REQUEST_FAULTS: frozenset[str] = frozenset(get_args(RequestFault))


@dataclass(slots=True)
class Record:
    """An answer with what it can be found by: an id, a text's hash, or both.

    In an answers file both must fit. In a log equal texts are enough, since one text may have
    been sent under many ids; equal ids are not, since logs number their lines alike.

    Attributes:
        id: the row's id.
        text: its `text_key`.
        answer: what was answered.
        logged: whether the row is a line of a log.
        prompts: the words of what was sent; several where a batch's answer has the id of
            several requests, of which any may be its own.
        named: whether the row says which model answered.
    """

    id: str | None
    text: str | None
    answer: Answer
    logged: bool = False
    prompts: tuple[str, ...] = ()
    named: bool = True

    def says(self, text: str | None) -> bool:
        """Whether the text, where one is recorded, is this one."""
        return self.text == text if self.text is not None else not self.prompts

    def wraps(self, value: Input) -> bool:
        """Whether the prompt holds an input whole, as one with instructions around it does."""
        parts = [value] if isinstance(value, str) else value.values()
        sought = [words for words in map(_words, parts) if words.strip()]
        return bool(sought and self.prompts) and all(
            words in prompt for prompt in self.prompts for words in sought
        )


class RecordReader:
    """Rows of any known shape as records.

    Attributes:
        inputs: texts of requests without their responses, by id.
        unreadable: places of rows whose scores are no probabilities of the labels.
    """

    def __init__(self, form: Form, columns: Columns) -> None:
        self.inputs: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.unreadable: list[str] = []
        self._form = form
        self._columns = columns
        self._answers = (*form.columns, "scores", "fault")

    def read(self, row: Row, stem: str) -> list[Record] | None:
        """The records of a row, none for a request without its response; None for no answer."""
        exchange = exchange_of(row.fields)
        if exchange is not None:
            return self._logged(exchange, stem)
        name = cell_text(row.fields.get(self._columns.id, row.fields.get("id")))
        value = input_of(row, self._columns)
        if value is None and Columns().input not in self._form.columns:
            value = input_of(row, Columns())
        key = text_key(value) if value is not None else None
        if name is None and key is None:
            return None
        several = row.fields.get("answers")
        if isinstance(several, Mapping):
            return [
                Record(name, key, self._answer(self._row(given), str(model), row.where))
                for model, given in several.items()
            ]
        if not any(kind in row.fields for kind in self._answers):
            return None
        model = row.fields.get("model")
        answer = self._answer(row.fields, str(model or stem), row.where)
        return [Record(name, key, answer, named=bool(model))]

    def join(self, records: Iterable[Record]) -> None:
        """Give a batch's answers the texts of the requests that have the same id."""
        for record in records if self.inputs else ():
            if record.text is None and record.id in self.inputs:
                asked = self.inputs[record.id]
                record.text = next(iter(asked)) if len(asked) == 1 else None
                record.prompts = tuple(asked.values())

    def _logged(self, exchange: Exchange, stem: str) -> list[Record] | None:
        key = text_key(exchange.text) if exchange.text is not None else None
        if exchange.id is None and key is None:
            return None
        if not exchange.answered:
            if exchange.id is None or key is None:
                return None
            self.inputs[exchange.id][key] = _words(exchange.text or "")
            return []
        target = None if exchange.fault else self._form.read(exchange.raw)
        answer = Answer(
            teacher=exchange.model or stem,
            target=target,
            raw=exchange.raw,
            fault=exchange.fault or (self._form.unreadable if target is None else None),
            reasoning=exchange.reasoning,
            **exchange.facts,
        )
        # Only an answer with an id can be found by more than its text.
        sent = exchange.text if exchange.id is not None else None
        prompts = () if sent is None else (_words(sent),)
        named = exchange.model is not None
        return [Record(exchange.id, key, answer, logged=True, prompts=prompts, named=named)]

    def _row(self, given: Any) -> Mapping[str, Any]:
        """One model's answer among those of several, as a row of its own."""
        if isinstance(given, Mapping) and any(key in given for key in self._answers):
            return given
        return {self._form.columns[0]: given}

    def _answer(self, fields: Mapping[str, Any], teacher: str, where: str) -> Answer:
        raw = next((fields[key] for key in self._form.columns if key in fields), None)
        empty = raw is None or (isinstance(raw, str) and not raw.strip())
        scores = self._scores(fields, where)
        target = None if empty else self._form.read(raw)
        if empty and scores is not None and isinstance(self._form, LabelForm):
            target = self._form.decide(scores)
        fault: Fault | None = None
        if target is None:
            fault = _fault_of(fields) or ("no_answer" if empty else self._form.unreadable)
        thought = fields.get("reasoning")
        return Answer(
            teacher=teacher,
            target=target,
            raw="" if empty else str(raw),
            fault=fault,
            detail=str(fields["detail"]) if fault and fields.get("detail") else None,
            scores=scores if target is not None else None,
            rule=str(fields["rule"]) if scores and fields.get("rule") else None,
            reasoning=thought if isinstance(thought, str) and thought.strip() else None,
            request=str(fields["request"]) if fields.get("request") else None,
            revision=str(fields["revision"]) if fields.get("revision") else None,
            **measures(fields),
        )

    def _scores(self, fields: Mapping[str, Any], where: str) -> Mapping[str, float] | None:
        raw = fields.get("scores")
        if raw is None or raw == "" or not isinstance(self._form, LabelForm):
            return None
        scores = self._form.read_scores(raw)
        if scores is None:
            self.unreadable.append(where)
        return scores


def _fault_of(fields: Mapping[str, Any]) -> Fault | None:
    """The recorded fault; one of another vocabulary is a request that failed."""
    fault = fields.get("fault")
    if not fault:
        return None
    known = fault in _REQUEST_FAULTS or fault in ("no_answer", "outside_taxonomy")
    return fault if known else "failed"


def text_key(value: Input) -> str:
    """What a text is found by: a hash that white space does not change."""
    return id_of(" ".join(text_of(value).split()))


def _words(text: str) -> str:
    """The words of a text, each between spaces, so that whole words are looked for."""
    return f" {' '.join(_GAP.split(text))} ".replace("  ", " ")
