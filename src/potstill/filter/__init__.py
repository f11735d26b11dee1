"""Doubt: filters that say of each training row whether it may teach, and if not, why."""

from potstill.filter.base import Filter, Filtered, FilterRow, Witness, apply_filters
from potstill.filter.choice import choose_filters
from potstill.filter.identity_leak import IdentityLeak
from potstill.filter.judge import Judge
from potstill.filter.noise import Noise
from potstill.filter.open import FieldValidity, TextValidity, validity_of
from potstill.filter.rules import Agreement, Duplicates, Policy, Validity
from potstill.filter.trace_health import TraceHealth
from potstill.verify.health import Finding, Health, health

__all__ = [
    "Agreement",
    "Duplicates",
    "FieldValidity",
    "Filter",
    "FilterRow",
    "Filtered",
    "Finding",
    "Health",
    "IdentityLeak",
    "Judge",
    "Noise",
    "Policy",
    "TextValidity",
    "TraceHealth",
    "Validity",
    "Witness",
    "apply_filters",
    "choose_filters",
    "health",
    "validity_of",
]
