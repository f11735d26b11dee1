"""The judge: how good a predictor is, how sure we are of that, and what it costs.

Numpy is enough for everything but the TF-IDF baseline, which needs scikit-learn.
"""

from potstill.evaluate.baselines import MAJORITY, TFIDF, Majority, TfidfLogistic
from potstill.evaluate.bill import Bill, Month, monthly_bill
from potstill.evaluate.calibration import Bin, Calibration, CoveragePoint
from potstill.evaluate.decisions import FieldDecisions
from potstill.evaluate.fields import compare_fields, evaluate_fields
from potstill.evaluate.gates import GateResult, check_gates
from potstill.evaluate.intervals import Interval
from potstill.evaluate.latency import (
    USD_PER_CORE_HOUR,
    Latency,
    measure_latency,
    usd_per_million,
)
from potstill.evaluate.measures import Measure, measure_of, thresholds_of
from potstill.evaluate.metrics import (
    Confusion,
    Evaluation,
    LabelScore,
    evaluate,
    fidelity,
)
from potstill.evaluate.mistakes import Mistake, worst_mistakes
from potstill.evaluate.paired import ComparedRow, Comparison, compare, mcnemar_p
from potstill.evaluate.render import write_report
from potstill.evaluate.report import (
    Entry,
    FilterCount,
    LineageShare,
    Report,
    SplitCount,
    TaskFacts,
)
from potstill.evaluate.selective import Selective, auroc
from potstill.evaluate.teaching import (
    AuditionFacts,
    Planned,
    RoundFacts,
    Span,
    Spending,
    SpendingStep,
    Spent,
    SynthesisFacts,
    TeachingFacts,
    Way,
    Yield,
)
from potstill.evaluate.teaching_words import (
    choice_sentence,
    cost_sentence,
    rounds_sentence,
    yield_sentence,
)
from potstill.evaluate.texts import Lead, compare_texts, evaluate_texts
from potstill.evaluate.wording import Verdict, headline, verdicts
from potstill.evaluate.written import Written

__all__ = [
    "MAJORITY",
    "TFIDF",
    "USD_PER_CORE_HOUR",
    "AuditionFacts",
    "Bill",
    "Bin",
    "Calibration",
    "ComparedRow",
    "Comparison",
    "Confusion",
    "CoveragePoint",
    "Entry",
    "Evaluation",
    "FieldDecisions",
    "FilterCount",
    "GateResult",
    "Interval",
    "LabelScore",
    "Latency",
    "Lead",
    "LineageShare",
    "Majority",
    "Measure",
    "Mistake",
    "Month",
    "Planned",
    "Report",
    "RoundFacts",
    "Selective",
    "Span",
    "Spending",
    "SpendingStep",
    "Spent",
    "SplitCount",
    "SynthesisFacts",
    "TaskFacts",
    "TeachingFacts",
    "TfidfLogistic",
    "Verdict",
    "Way",
    "Written",
    "Yield",
    "auroc",
    "check_gates",
    "choice_sentence",
    "compare",
    "compare_fields",
    "compare_texts",
    "cost_sentence",
    "evaluate",
    "evaluate_fields",
    "evaluate_texts",
    "fidelity",
    "headline",
    "mcnemar_p",
    "measure_latency",
    "measure_of",
    "monthly_bill",
    "rounds_sentence",
    "thresholds_of",
    "usd_per_million",
    "verdicts",
    "worst_mistakes",
    "write_report",
    "yield_sentence",
]
