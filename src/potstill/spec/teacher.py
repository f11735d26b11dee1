"""Who knows: recorded answers, or a live model with its price, its limits and its manner."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from potstill.spec.base import Names, Spec

Auto = Literal["auto"]
LIVE_KEYS = (
    "base_url",
    "api_key_env",
    "reasoning",
    "examples",
    "shortlist",
    "votes",
    "nearest_gold",
    "min_accuracy",
    "audition_rows",
    "test_rows",
    "part_tokens",
    "temperature",
    "max_tokens",
    "timeout_s",
    "concurrency",
    "batch",
    "price",
    "options",
)


def _holds_a_secret(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False  # no address at all; whoever opens it says so
    asked = parts.query.lower()
    return parts.username is not None or any(w in asked for w in ("key=", "token=", "secret="))


class Price(Spec):
    """What a live teacher costs, where the dated price file does not know it."""

    input_usd_per_million: float = Field(ge=0.0)
    """Price of a million tokens sent."""
    output_usd_per_million: float = Field(ge=0.0)
    """Price of a million tokens received, thoughts included."""
    cached_usd_per_million: float | None = Field(default=None, ge=0.0)
    """Price of a million tokens sent that the endpoint had cached; that of others unless given."""


class Endpoint(Spec):
    """A live model: where it is, how it is asked, and what it costs."""

    model: str | None = None
    """A model of the endpoint; or `local:NAME`, `local:/path.gguf` (in this process); or `python:module:function`, or the name of an entry point `python:NAME`."""
    base_url: str | None = None
    """OpenAI-compatible endpoint, e.g. `https://api.example.com/v1`."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; never the key."""
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """Sampling temperature where several answers are wanted; a single answer is greedy."""
    max_tokens: int = Field(default=2048, ge=1)
    """Most tokens of a reply, thought included; a reply that is cut off is asked again once with twice the room."""
    timeout_s: float = Field(default=120.0, gt=0.0)
    """Seconds after which an attempt is given up."""
    concurrency: int | None = Field(default=None, ge=1, le=4096)
    """Most requests at once; default: what suits the teacher. It shrinks while the endpoint limits the rate."""
    batch: bool = False
    """Use the endpoint's batch interface: half the price, answers within hours."""
    price: Price | None = None
    """Price of this teacher; default: the price file's."""
    options: dict[str, Any] = {}
    """Further parameters of each request, e.g. `top_p: 0.95`."""
    terms: str | None = None
    """Licence or terms-of-use id of the answers, for the lineage."""

    @model_validator(mode="after")
    def _reachable(self) -> Endpoint:
        if self.model is None:
            return self
        if self.api_key_env is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.api_key_env):
            raise ValueError(
                "'api_key_env' is the name of an environment variable, in capitals; if that was "
                "the key itself, take it out of this file"
            )
        if self.base_url is not None and _holds_a_secret(self.base_url):
            raise ValueError(
                "'base_url' holds credentials, which would be written into the run folder; put the "
                "key into a variable and name it under 'api_key_env'"
            )
        inside = self.model.startswith(("local:", "python:"))
        if not inside and self.base_url is None:
            raise ValueError(
                f"'base_url' is missing: where is {self.model!r}? (a model in this process is "
                "'local:…' or 'python:…')"
            )
        if inside and (self.base_url or self.api_key_env or self.batch):
            raise ValueError(
                f"{self.model!r} runs in this process: 'base_url', 'api_key_env' and 'batch' "
                "do not go with it"
            )
        return self


class TeacherSpec(Endpoint):
    """Who knows: recorded answers of one or several large models, or one live model."""

    answers: str | Names | None = None
    """Recorded answers (JSONL or CSV), or logs of chat completions; several are a committee."""
    reasoning: bool | Auto = "auto"
    """Think first, then answer; the thought is kept as data. `auto`: only where it pays on gold."""
    examples: int | Auto = "auto"
    """Gold examples shown with each question, the nearest ones; never of the test split."""
    shortlist: int | Auto = "auto"
    """Labels offered with each question, the likeliest ones by embedding; 0 offers all."""
    votes: Annotated[int, Field(ge=1, le=64)] | Auto = "auto"
    """Answers to each question; several are self-consistency, and make soft labels."""
    nearest_gold: bool | Auto = "auto"
    """Join each answer with what the nearest gold examples say. `auto`: only where that is right at least as often on gold, and surer of what is right."""
    min_accuracy: float | None = Field(default=None, ge=0.0, le=1.0)
    """A teacher below this on the development gold stops the run; default: below the larger of a majority guess and a student taught by that gold alone is warned of, below the majority stops."""
    audition_rows: int = Field(default=60, ge=10)
    """Development gold rows on which the ways of asking are compared."""
    test_rows: int = Field(default=200, ge=0)
    """Test rows that a live teacher is asked as well, so that the report can compare; 0 saves the money."""
    part_tokens: Annotated[int, Field(ge=256)] | Auto = "auto"
    """Extraction: tokens of a document in one question; a longer document is asked in parts that overlap. `auto`: 12,000, or 4,000 of a model in this process."""
    soft_labels: bool = True
    """Teach the teachers' distribution rather than its winner alone."""
    usd_per_million: float | None = Field(default=None, ge=0.0)
    """Price of a million answers, where recorded answers hold none."""

    @model_validator(mode="after")
    def _recorded_or_live(self) -> TeacherSpec:
        if (self.answers is None) == (self.model is None):
            raise ValueError("name recorded 'answers' or a live 'model', one of the two")
        given = [key for key in LIVE_KEYS if key in self.model_fields_set]
        if self.answers is not None and given:
            raise ValueError(f"{given[0]!r} is for a live 'model'; recorded answers are not asked")
        for key in ("examples", "shortlist"):
            value = getattr(self, key)
            if value != "auto" and value < 0:
                raise ValueError(f"{key!r} is a number of rows, 0 or more, or 'auto'")
        return self

    @property
    def live(self) -> bool:
        """Whether there is someone to ask, rather than answers to look up."""
        return self.model is not None


class JudgeSpec(Endpoint):
    """Another model that doubts, for the `judge` filter; better not the teacher itself."""

    rubric: str = ""
    """What a good row is, in a few sentences; default: the task's description and rules."""
    mode: Literal["pointwise", "pairwise"] = "pointwise"
    """`pointwise`: is this answer right? `pairwise`: this answer or the runner-up, asked in both orders; a verdict that changes with the order is a tie."""
    min_score: Annotated[int, Field(ge=1, le=5)] = 3
    """`pointwise`: the least of five points that passes."""

    @model_validator(mode="after")
    def _named(self) -> JudgeSpec:
        if self.model is None:
            raise ValueError("'model' is missing: who judges?")
        return self


class GenerateSpec(Spec):
    """New inputs, written by the teacher over a grid, where there are too few."""

    target: int = Field(ge=1)
    """Rows to aim at, after filtering."""
    styles: Names = ["email", "chat", "call_note"]
    """Kinds of text."""
    lengths: Names = ["one sentence", "a few sentences", "a paragraph"]
    """Lengths of text."""
    hard_fraction: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of the inputs that lie near the border of another label (contrastive pairs)."""
    personas: list[str] = []
    """Who writes; empty: the teacher invents some from the task's description."""
    per_request: int = Field(default=3, ge=1, le=20)
    """Texts asked for in one request."""
    extra: float = Field(default=2.0, ge=0.0, le=10.0)
    """Texts asked for again where cells come out short, at most this many times `target`."""
    temperature: float = Field(default=0.9, ge=0.0, le=2.0)
    """Of writing; the answering pass is asked as everything else is."""
    seeds: bool = True
    """Show a few gold training rows of the label as examples of how real inputs read."""
    max_seed_similarity: float = Field(default=0.7, gt=0.0, le=1.0)
    """Jaccard similarity of word 3-grams from which a text is a copy of a seed or of another."""


class RoundsSpec(Spec):
    """After the first student: asking again where it matters."""

    max: int = Field(default=0, ge=0, le=10)
    """Rounds at most; each stops the loop when the development score no longer rises."""
    rows: int = Field(default=200, ge=1)
    """Rows asked again in a round: where student and teacher disagree, then where the student is least sure."""
    votes: int = Field(default=3, ge=1, le=64)
    """Answers to each question that is asked again."""
    synthesise: int = Field(default=0, ge=0)
    """New inputs a round, aimed at the pairs of labels that the student confuses."""
