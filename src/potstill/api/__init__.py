"""What Python users and the command line share: one function a verb.

Nothing here prints; results are returned, mistakes are raised as `PotstillError`.
"""

from potstill.api.attributing import Attributed, attribute
from potstill.api.judging import Question, compare, evaluate, read_question
from potstill.api.loading import load
from potstill.api.making import RUNS, CheckResult, check, plan, run
from potstill.api.parts import PartsEvaluation, evaluate_parts, judge_workflow
from potstill.api.reasoning import compare_stages, evaluate_samples, is_sampled
from potstill.api.serving import serve
from potstill.api.tracing import trace
from potstill.api.watching import watch

__all__ = [
    "RUNS",
    "Attributed",
    "CheckResult",
    "PartsEvaluation",
    "Question",
    "attribute",
    "check",
    "compare",
    "compare_stages",
    "evaluate",
    "evaluate_parts",
    "evaluate_samples",
    "is_sampled",
    "judge_workflow",
    "load",
    "plan",
    "read_question",
    "run",
    "serve",
    "trace",
    "watch",
]
