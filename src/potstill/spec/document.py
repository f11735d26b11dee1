"""One YAML document as plain values, with the line of every key.

YAML 1.2 through ruamel, so that ``yes``, ``no`` and ``on`` stay words. Values are built from
the parsed nodes themselves, for three reasons: a key stays the text that was typed (a label
``1`` or ``null`` is no number and no null), a date stays text, and every key is known by its
line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from potstill.errors import SpecError

Path_ = tuple[str | int, ...]

_MOST_NODES = 200_000
# Labels stay as typed: 1, 1.0 and true are names here.
_LABELS: Path_ = ("labels",)
_BUILT = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}


@dataclass(slots=True)
class Document:
    """Plain values and where they stand.

    Attributes:
        value: dictionaries, lists and scalars.
        places: path of a key or list item to ``file:line``, or to the option that set it.
    """

    value: Any
    places: dict[Path_, str] = field(default_factory=dict)

    def where(self, path: Path_) -> str | None:
        """The place of a path, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None


def parse(text: str, place: Callable[[int], str], *, at: Path_ = ()) -> Document:
    """Parse one YAML document.

    Args:
        text: the document.
        place: turns a line, counted from 1, into the words for errors.
        at: where in a task file the document hangs; the empty path is the whole of it.

    Raises:
        SpecError: the text is not YAML, a key stands twice, or a tag is not a plain one.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(
            f"not YAML: {error.problem or error.context}.", where=place(line), hint=_hint(error)
        ) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            f"the character U+{int(error.character):04X} is not allowed in YAML.",
            where=place(line),
            hint="Remove it.",
        ) from error
    except YAMLError as error:
        raise SpecError(f"not YAML: {error}.", where=place(1)) from error
    except RecursionError as error:
        raise SpecError("nested too deeply to be read.", where=place(1)) from error
    document = Document(None)
    if root is not None:
        document.value = _Builder(yaml, place, document.places).build(root, at)
    return document


class _Builder:
    def __init__(self, yaml: YAML, place: Callable[[int], str], places: dict[Path_, str]) -> None:
        self._yaml = yaml
        self._place = place
        self._places = places
        self._open: set[int] = set()
        self._built = 0

    def build(self, node: Node, path: Path_) -> Any:
        """The plain value of a node; notes the places of what is in it."""
        where = self._where(node)
        self._places.setdefault(path, where)
        self._built += 1
        # Aliases repeat whole subtrees: one that holds itself never ends, and a few that
        # hold each other grow without bound.
        if id(node) in self._open or self._built > _MOST_NODES:
            raise SpecError("an alias repeats itself without end.", where=where)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path, where)
        self._open.add(id(node))
        if isinstance(node, SequenceNode):
            value: Any = [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            value = self._mapping(node, path)
        else:
            raise TypeError(f"a node of an unknown kind: {type(node).__name__}")
        self._open.discard(id(node))
        return value

    def _mapping(self, node: MappingNode, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            where = self._where(key)
            if not isinstance(key, ScalarNode):
                raise SpecError("a key must be a word, not a list or mapping.", where=where)
            name = str(key.value)
            if name in found:
                first = self._places[(*path, name)].rpartition(":")[2]
                what = "label" if path == _LABELS else "key"
                raise SpecError(
                    f"{what} {name!r} stands twice; the first time on line {first}.", where=where
                )
            self._places[(*path, name)] = where
            found[name] = self.build(item, (*path, name))
        return found

    def _scalar(self, node: ScalarNode, path: Path_, where: str) -> Any:
        if path[:-1] == _LABELS:
            # The items of a list of labels, or the descriptions of a mapping of them.
            if isinstance(path[-1], str) and node.tag == "tag:yaml.org,2002:null":
                return None
            return str(node.value)
        if node.tag in _BUILT:
            return self._yaml.constructor.construct_object(node)
        if str(node.tag).startswith("tag:yaml.org,2002:"):
            return str(node.value)
        raise SpecError(f"the tag {node.tag!s} is not known.", where=where, hint="Remove it.")

    def _where(self, node: Node) -> str:
        return self._place(node.start_mark.line + 1)


def _hint(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "\\t" in problem:
        return "Indent with spaces; YAML allows no tabs."
    if "expected a single document" in str(error.context):
        return "Keep one document a file: remove the second '---'."
    if "mapping values are not allowed" in problem:
        return "Put text that holds ': ' into quotes, and check the indentation."
    return "Check the indentation, and that quotes and brackets are closed."
