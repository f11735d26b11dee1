"""Doubt: filters that say of each training row whether it may teach, and if not, why."""

from potstill.filter.base import Filter, Filtered, FilterRow, apply_filters
from potstill.filter.rules import Agreement, Duplicates, Policy, Validity

__all__ = [
    "Agreement",
    "Duplicates",
    "Filter",
    "FilterRow",
    "Filtered",
    "Policy",
    "Validity",
    "apply_filters",
]
