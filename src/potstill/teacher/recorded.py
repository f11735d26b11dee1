"""Recorded answers as a teacher: files of labels, or logs of chat completions.

Rows of an answers file (JSONL, CSV or Parquet):

    {"id": …, "text": …, "label": …, "reasoning": …, "model": …, "seconds": …, "cost_usd": …}

with ``id`` or ``text`` or both, and all after ``label`` (multilabel: ``labels``) optional. A
soft answer has ``scores``, an object of labels and probabilities, beside the label or in its
place; a request that brought none has ``fault`` and ``detail`` in its place. Values of fields
stand under ``fields``, in any of the ways of `potstill.teacher.field_answers`, and a text under
``answer``, or both in the column that holds a person's. Such rows are
what asking a live teacher writes. Or
one row with the answers of several models, ``{"id": …, "answers": {model: {"label": …}}}``; or
the logs that `potstill.teacher.logs` describes. Several files are a committee. Files, or rows,
that name the same model are one teacher who answered several times.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from potstill.data import Example, Input, Prediction, Target, id_of, target_to_json
from potstill.data.reading import Row, read_rows
from potstill.errors import DataError, TeacherError
from potstill.spec.answer import AnswerSpec
from potstill.spec.task import Columns
from potstill.teacher.answer import Answer, Fault
from potstill.teacher.form import Form, form_of
from potstill.teacher.records import Record, RecordReader, text_key


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """One line of the table of teachers.

    Attributes:
        name: the teacher.
        answers: answers recorded, usable or not.
        unusable: answers that cannot be used, by fault.
        outside: the words outside the taxonomy, most frequent first, five at most.
        seconds: median wall time of a request; None where none is recorded.
        cost_usd: price of all answers; None unless every one has a price.
        usd_per_million: mean price of an answer, times a million; from those with a price.
    """

    name: str
    answers: int
    unusable: Mapping[Fault, int]
    outside: Mapping[str, int]
    seconds: float | None
    cost_usd: float | None
    usd_per_million: float | None


class RecordedAnswers:
    """The answers of one or several teachers, found by an example's id or text.

    Attributes:
        form: how they are read and joined.
        terms: licence or terms-of-use id of the answers.
        teachers: names, in the order in which they were first read.
        problems: sentences for a person: what was read but looks wrong.
        counts: ``duplicates`` (an answer given again), ``conflicting`` (rows that one
            teacher answered differently), ``malformed`` (rows without id, text or label),
            ``unreadable_scores`` (rows whose scores are no probabilities of the labels, which
            count as hard answers).
    """

    def __init__(self, form: Form, terms: str | None) -> None:
        self.form = form
        self.terms = terms
        self.teachers: tuple[str, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.counts: Counter[str] = Counter()
        self._records: list[Record] = []
        self._by_id: defaultdict[str, list[Record]] = defaultdict(list)
        self._by_text: defaultdict[str, list[Record]] = defaultdict(list)

    @classmethod
    def load(
        cls,
        paths: Sequence[Path],
        *,
        labels: tuple[str, ...] = (),
        multilabel: bool = False,
        answer: AnswerSpec | None = None,
        terms: str | None = None,
        columns: Columns | None = None,
    ) -> RecordedAnswers:
        """Read answers, one row at a time.

        Args:
            paths: answers files and logs, in any mixture.
            labels: the taxonomy in its fixed order, where the answers are labels.
            multilabel: whether an answer may hold several labels.
            answer: what answers are made of, in their place; labels or not.
            terms: licence or terms-of-use id of the answers.
            columns: names of the columns for id and text, where they are not ``id`` and
                ``text``; fields and texts may also stand in the column for a person's.

        Raises:
            DataError: a file is missing, empty or unreadable, or none of its rows is an
                answer.
        """
        kind = "multilabel" if multilabel else "classification"
        columns = columns or Columns()
        form = form_of(answer or AnswerSpec(type=kind, labels=labels), columns.target)
        found = cls(form, terms)
        reader = RecordReader(form, columns)
        problems: list[str] = []
        for path in paths:
            problems += found._take(path, reader)
        reader.join(found._records)
        found._index()
        found.problems = (*problems, *found._repeats(), *found._faults())
        return found

    def of(self, example: Example) -> list[Answer]:
        """Every answer to an example, teacher by teacher, held against its input.

        An answer belongs to an example when their ids are equal and, where a text is recorded
        as well, the texts are; else when the texts are equal: apart from white space, which
        exports change. A logged prompt may also wrap the text of the example that has its id
        in instructions, unless another line of a log has that very text.
        """
        return [self.form.settle(record.answer, example.input) for record in self._of(example)]

    def _of(self, example: Example) -> list[Record]:
        key = text_key(example.input) if self._by_text else None
        same_text = self._by_text.get(key, ()) if key else ()
        sent_bare = any(record.logged for record in same_text)
        found = [
            record
            for record in self._by_id.get(example.id, ())
            if record.says(key) or (not sent_bare and record.wraps(example.input))
        ]
        named = {record.answer.teacher for record in found}
        found += [
            record
            for record in same_text
            if record.id is None
            or (record.id != example.id and (record.logged or record.answer.teacher not in named))
        ]
        return sorted(found, key=lambda record: self.teachers.index(record.answer.teacher))

    def knows_id(self, identifier: str) -> bool:
        """Whether an answer is recorded under an id, be it for another text."""
        return identifier in self._by_id

    def check_coverage(self, examples: Sequence[Example]) -> None:
        """Make sure that at least one example was answered.

        Raises:
            TeacherError: none was, so that ids or texts are not those of the examples.
        """
        if not examples or any(self._of(example) for example in examples):
            return
        recorded = next((r.id for r in self._records if r.id is not None), None)
        ids = f", whose first id is {recorded!r}" if recorded is not None else ""
        raise TeacherError(
            f"none of the {len(examples)} rows (the first id is {examples[0].id!r}) is among the "
            f"{len(self._records)} recorded answers{ids}.",
            hint="Answers are found by 'id' or by 'text': give both files the same ids, or the "
            "same texts; other column names go into 'data.columns'.",
        )

    def facts(self, usd_per_million: float | None = None) -> list[TeacherFacts]:
        """The table of teachers.

        Args:
            usd_per_million: price of a million answers, for teachers without a recorded one.
        """
        by_teacher: dict[str, list[Answer]] = {name: [] for name in self.teachers}
        for record in self._records:
            by_teacher[record.answer.teacher].append(record.answer)
        return [_facts(name, given, usd_per_million) for name, given in by_teacher.items()]

    def predictor(self, teacher: str, examples: Iterable[Example]) -> RecordedPredictor:
        """One teacher as a `Predictor` over the inputs of some examples.

        It answers None for what the teacher was not asked, or answered outside the taxonomy.
        """
        given = [
            (example, [answer for answer in self.of(example) if answer.teacher == teacher])
            for example in examples
        ]
        return RecordedPredictor(teacher, self.form, given)

    def committee(self, examples: Iterable[Example]) -> RecordedPredictor:
        """All teachers together as a `Predictor` over the inputs of some examples.

        With one teacher this is that teacher. With several, how far each is believed is
        estimated over these examples; no gold label is looked at.
        """
        given = [(example, self.of(example)) for example in examples]
        only_one = len(self.teachers) == 1
        name = self.teachers[0] if only_one else f"committee of {len(self.teachers)}"
        return RecordedPredictor(name, self.form, given)

    def _take(self, path: Path, reader: RecordReader) -> Iterator[str]:
        """Add a file's answers; say which rows are none, and which do not say whose they are."""
        malformed: list[str] = []
        nameless: list[str] = []
        first: Row | None = None
        before = len(self._records)
        understood = False
        for row in read_rows(path):
            first = first or row
            records = reader.read(row, path.stem)
            if records is None:
                malformed.append(row.where)
            else:
                understood = True
                self._records.extend(records)
                nameless += [row.where for record in records if not record.named]
        if first is None:
            raise DataError("the file holds no rows.", where=str(path))
        if not understood:
            raise DataError(
                f"no row is an answer; the columns are {', '.join(map(repr, first.fields))}.",
                where=first.where,
                hint=f"A row needs 'id' or 'text', and {self.form.columns[0]!r}; or be a request "
                "with its response.",
            )
        self.counts["malformed"] += len(malformed)
        self.counts["unreadable_scores"] += len(reader.unreadable)
        if reader.unreadable:
            yield (
                f"{reader.unreadable[0]}: 'scores' are no probabilities of the task's labels; "
                f"{len(reader.unreadable)} such row(s) count as hard answers"
            )
            reader.unreadable.clear()
        if malformed:
            wanted = self.form.columns[0]
            yield f"{malformed[0]}: no id or text, or no {wanted}; {len(malformed)} such row(s)"
        teachers = dict.fromkeys(record.answer.teacher for record in self._records[before:])
        others = [repr(name) for name in teachers if name != path.stem]
        if nameless and others:
            yield (
                f"{nameless[0]}: no 'model'; {len(nameless)} such row(s) count as a teacher of "
                f"their own, {path.stem!r}, beside {', '.join(others[:3])}"
            )

    def _index(self) -> None:
        for record in self._records:
            if record.id is not None:
                self._by_id[record.id].append(record)
            if record.text is not None:
                self._by_text[record.text].append(record)
        self.teachers = tuple(dict.fromkeys(record.answer.teacher for record in self._records))

    def _repeats(self) -> Iterator[str]:
        """Count rows that one teacher answered more than once; say which of them disagree."""
        conflicts: defaultdict[str, list[str]] = defaultdict(list)
        for key, records in (*self._by_id.items(), *self._by_text.items()):
            if len(records) < 2:
                continue
            said: defaultdict[tuple[str, str | None], list[bytes]] = defaultdict(list)
            for record in records:
                # Each record counts once: under its text in a log, else under its id.
                by_text = record.text is not None and (record.logged or record.id is None)
                if key == (record.text if by_text else record.id):
                    said[record.answer.teacher, record.text].append(_words(record.answer.target))
            for (teacher, _), targets in said.items():
                self.counts["duplicates"] += len(targets) - len(set(targets))
                if len(set(targets)) > 1:
                    self.counts["conflicting"] += 1
                    conflicts[teacher].append(key)
        for teacher, keys in conflicts.items():
            yield (
                f"{teacher}: {len(keys)} row(s) answered more than once and differently, "
                f"{keys[0]!r} for one; each answer counts as a part of the teacher's vote"
            )

    def _faults(self) -> Iterator[str]:
        for facts in self.facts():
            for fault, count in facts.unusable.items():
                words = ", ".join(f"{word!r} {times}x" for word, times in facts.outside.items())
                said = f" ({words})" if fault == "outside_taxonomy" else ""
                share = f"{count} of {facts.answers} answers"
                yield f"{facts.name}: {share} unusable: {fault.replace('_', ' ')}{said}"


class RecordedPredictor:
    """Recorded answers as a `Predictor`: it looks inputs up, and knows no others.

    Rows with the same text share their answers, since an input alone cannot tell them apart.

    Attributes:
        name: the teacher, or the committee.
        labels: labels or fields in their fixed order; none for texts.
    """

    def __init__(
        self, name: str, form: Form, given: Iterable[tuple[Example, Sequence[Answer]]]
    ) -> None:
        self.name = name
        self.labels = form.names
        answers: defaultdict[str, list[Answer]] = defaultdict(list)
        for example, said in given:
            answers[id_of(example.input)].extend(said)
        consensus = form.agree(list(answers.values()))
        self._predictions: dict[str, Prediction] = {}
        for key, verdict in zip(answers, consensus.verdicts, strict=True):
            if verdict is None:
                continue
            sure = None
            if verdict.soft is not None and isinstance(verdict.target, str):
                sure = verdict.soft[verdict.target]
            self._predictions[key] = Prediction(verdict.target, sure, verdict.soft)

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """One prediction for each input; target None where no answer can be used."""
        return [self._predictions.get(id_of(value), Prediction(None)) for value in inputs]


def _words(target: Target | None) -> bytes:
    """A target as something that can be counted."""
    return orjson.dumps(target_to_json(target), option=orjson.OPT_SORT_KEYS)


def _facts(name: str, given: Sequence[Answer], usd_per_million: float | None) -> TeacherFacts:
    seconds = [answer.seconds for answer in given if answer.seconds is not None]
    prices = [answer.cost_usd for answer in given if answer.cost_usd is not None]
    outside = Counter(a.raw[:60] for a in given if a.fault == "outside_taxonomy")
    return TeacherFacts(
        name=name,
        answers=len(given),
        unusable=dict(Counter(a.fault for a in given if a.fault is not None)),
        outside=dict(outside.most_common(5)),
        seconds=statistics.median(seconds) if seconds else None,
        cost_usd=sum(prices) if len(prices) == len(given) else None,
        usd_per_million=1e6 * statistics.fmean(prices) if prices else usd_per_million,
    )
