"""The filters that a task names, ready to be applied: ours, and a user's own by entry point.

A package offers a filter in the entry-point group ``potstill.filters``: a name, and a callable
that takes the `Task` and returns a `Filter`::

    [project.entry-points."potstill.filters"]
    polite = "my_package.filters:polite"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeGuard

from potstill.data import Example
from potstill.errors import SpecError
from potstill.filter.base import Filter
from potstill.filter.identity_leak import IdentityLeak
from potstill.filter.judge import Judge
from potstill.filter.noise import Noise
from potstill.filter.open import validity_of
from potstill.filter.rules import Agreement, Duplicates, Policy
from potstill.filter.trace_health import TraceHealth
from potstill.spec.task import FILTERS, Task
from potstill.teacher.request import Asker

GROUP = "potstill.filters"


def choose_filters(
    task: Task,
    examples: Sequence[Example],
    *,
    embed: Callable[[Sequence[str]], Any],
    judge: Asker | None = None,
) -> list[Filter]:
    """The filters of a task in its order; `Policy` first, where the task denies a source.

    Args:
        task: names the filters and their thresholds.
        examples: the rows that will be filtered; some filters need their embeddings.
        embed: texts -> embeddings (text, dimension); called once, and only if a filter needs it.
        judge: has the judge's requests answered; without it the `judge` filter is an error.

    Raises:
        SpecError: a filter that nobody offers, a user's filter that cannot be made, or a judge
            whom the task's policy denies.
    """
    options = task.filter_options
    policy = Policy(tuple(task.policy.deny))

    @cache
    def features() -> dict[str, Any]:
        vectors = embed([example.text for example in examples])
        return {example.id: vector for example, vector in zip(examples, vectors, strict=True)}

    def duplicates() -> Filter:
        near = options.near_meaning
        return Duplicates(
            options.duplicate_similarity, near, features() if near is not None else None
        )

    def asked() -> Filter:
        if task.judge is None or judge is None:
            raise SpecError(
                "the 'judge' filter has nobody to ask.", hint="Name a model in 'judge'."
            )
        pattern = policy.denies(judge.provider.name)
        if pattern is not None:
            # Its verdict would be a source of every row that it lets pass.
            raise SpecError(f"the judge {judge.provider.name!r} is denied by {pattern!r}.")
        return Judge(task.judge, task, judge)

    makers: dict[str, Callable[[], Filter]] = {
        "validity": lambda: validity_of(task.answer),
        "trace_health": lambda: TraceHealth(
            task.label_names, options.max_trace_tokens, options.min_agreement
        ),
        "identity_leak": IdentityLeak,
        "duplicates": duplicates,
        "agreement": lambda: Agreement(options.min_agreement),
        "judge": asked,
        "noise": lambda: Noise(options.max_noise, task.seed, features()),
    }
    chosen: list[Filter] = [policy] if policy.deny else []
    for name in task.filter:
        chosen.append(makers[name]() if name in makers else users_filter(name, task))
    return chosen


def users_filter(name: str, task: Task) -> Filter:
    """A filter that another package offers.

    Args:
        name: of an entry point of the group ``potstill.filters``.
        task: what its factory is called with.

    Raises:
        SpecError: nobody offers it, it cannot be imported, or it does not return a `Filter`.
    """
    offered = entry_points(group=GROUP)
    if name not in offered.names:
        known = [*FILTERS, *sorted(offered.names)]
        near = get_close_matches(name, known, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
        raise SpecError(f"no filter is called {name!r}.", hint=remedy)
    entry = offered[name]
    try:
        made = entry.load()(task)
    except Exception as error:
        raise SpecError(
            f"the filter {name!r} ({entry.value}) cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not _is_filter(made):
        raise SpecError(
            f"the filter {name!r} ({entry.value}) returned {type(made).__name__!r}, not a filter.",
            hint="A filter has a 'name' and is called with the rows; see potstill.filter.Filter.",
        )
    return made


def _is_filter(made: object) -> TypeGuard[Filter]:
    return callable(made) and isinstance(getattr(made, "name", None), str)
