"""The judge: how good a predictor is, how sure we are of that, and what it costs.

Numpy is enough for everything but the TF-IDF baseline, which needs scikit-learn.
"""

from potstill.evaluate.baselines import MAJORITY, TFIDF, Majority, TfidfLogistic
from potstill.evaluate.bill import Bill, Month, monthly_bill
from potstill.evaluate.calibration import Bin, Calibration, CoveragePoint
from potstill.evaluate.gates import GateResult, check_gates
from potstill.evaluate.intervals import Interval
from potstill.evaluate.latency import (
    USD_PER_CORE_HOUR,
    Latency,
    measure_latency,
    usd_per_million,
)
from potstill.evaluate.metrics import (
    Confusion,
    Evaluation,
    LabelScore,
    evaluate,
    fidelity,
)
from potstill.evaluate.paired import ComparedRow, Comparison, compare, mcnemar_p
from potstill.evaluate.render import write_report
from potstill.evaluate.report import (
    Entry,
    FilterCount,
    LineageShare,
    Mistake,
    Report,
    SplitCount,
    TaskFacts,
    worst_mistakes,
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
from potstill.evaluate.wording import Verdict, headline, verdicts

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
    "FilterCount",
    "GateResult",
    "Interval",
    "LabelScore",
    "Latency",
    "LineageShare",
    "Majority",
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
    "Yield",
    "auroc",
    "check_gates",
    "choice_sentence",
    "compare",
    "cost_sentence",
    "evaluate",
    "fidelity",
    "headline",
    "mcnemar_p",
    "measure_latency",
    "monthly_bill",
    "rounds_sentence",
    "usd_per_million",
    "verdicts",
    "worst_mistakes",
    "write_report",
    "yield_sentence",
]
