"""How a served task reads an application's chat requests, and what may be kept of them."""

from __future__ import annotations

from pydantic import Field

from potstill.spec.base import Fraction, Spec


class Redaction(Spec):
    """One rule that blanks a part of a text before it is kept."""

    pattern: str
    """A regular expression, or the name of a rule that ships: `email`, `phone`, `card`, `iban`, `url`."""
    replacement: str | None = None
    """What stands in its place; the rule's name in angle brackets unless given."""


class ChatSpec(Spec):
    """Which part of a chat request is the task's input, and what an answer looks like."""

    pattern: str | None = None
    """A regular expression on the last user message whose group `text` (or named groups, for named fields) is the input; the whole message unless given. A dot fits line ends, too."""
    system: str | None = None
    """A regular expression that the system message fits where a request is the task's; requests with other prompts are the teacher's alone. Any prompt unless given."""
    answer: str | None = None
    """Content of the reply that a model gives, in the shape that the teacher's has: `{label}` is replaced (several are separated by commas), of a generation `{text}`, and `{json}` by the answer as JSON, of an extraction its fields (`{{` and `}}` are braces). Unless given it is the label, the text, or the fields as JSON."""


class ServeSpec(Spec):
    """What a server may keep of the traffic, and how it reads chat requests."""

    consent: bool = False
    """Whether the owner of the texts agrees that they are kept and learnt from; without it hashes alone are kept."""
    sample: Fraction = 1.0
    """Share of the requests that is kept, chosen by a hash of the input."""
    redact: list[Redaction] = Field(default=[])
    """Applied in order to every text before it is written."""
    chat: ChatSpec = ChatSpec()
    """How chat requests are read and answered."""
