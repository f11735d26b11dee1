"""Verdicts: whether an answer is right, how healthy a thought is, what a completion is worth."""

from potstill.verify.base import Verdict, Verifier
from potstill.verify.choosing import verifier_of
from potstill.verify.completion import Completion, parse_completion, write_completion
from potstill.verify.consistency import Consistency, consistency_of
from potstill.verify.groups import GroupStatistics, group_statistics
from potstill.verify.gym import gym_wanted
from potstill.verify.health import Finding, Health, health
from potstill.verify.reward import Reward, Scores, wanted_of
from potstill.verify.watch import Alarm, Watch

__all__ = [
    "Alarm",
    "Completion",
    "Consistency",
    "Finding",
    "GroupStatistics",
    "Health",
    "Reward",
    "Scores",
    "Verdict",
    "Verifier",
    "Watch",
    "consistency_of",
    "group_statistics",
    "gym_wanted",
    "health",
    "parse_completion",
    "verifier_of",
    "wanted_of",
    "write_completion",
]
