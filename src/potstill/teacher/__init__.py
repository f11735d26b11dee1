"""Knowledge: who answers, what was answered, and how far to believe it."""

from potstill.teacher.answer import Answer, LabelReader, Loss
from potstill.teacher.consensus import Consensus, Verdict, reach_consensus
from potstill.teacher.form import Form, form_of
from potstill.teacher.logs import examples_from_logs, is_log
from potstill.teacher.recorded import RecordedAnswers, RecordedPredictor, TeacherFacts

__all__ = [
    "Answer",
    "Consensus",
    "Form",
    "LabelReader",
    "Loss",
    "RecordedAnswers",
    "RecordedPredictor",
    "TeacherFacts",
    "Verdict",
    "examples_from_logs",
    "form_of",
    "is_log",
    "reach_consensus",
]
