"""The student of an extraction: its network, how it reads, and how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from potstill.data.values import Convention
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.train.encoder import empty_encoder
from potstill.train.spans.network import SpanHead, SpanNetwork
from potstill.train.student import TOKENIZER, plain_config, whole_card, with_weights, write_student


@dataclass(frozen=True)
class SpanStudent:
    """A trained network with everything that an export needs.

    Attributes:
        module: (input_ids, attention_mask) -> logits (batch, token, width, field), in
            evaluation mode.
        tokenizer_file: a ``tokenizer.json`` that neither cuts nor pads.
        fields: in the order of the logits.
        conventions: how the values of a field are recorded, by field.
        windows: how documents are read.
        base: name, sha256, licence and number of parameters of the pretrained encoder.
        facts: how it was trained, as `Trained` reports it, and how many values were ``located``.
    """

    module: SpanNetwork
    tokenizer_file: Path
    fields: Mapping[str, FieldSpec]
    conventions: Mapping[str, Convention]
    windows: WindowSpec
    base: dict[str, Any]
    facts: Mapping[str, Any]

    @property
    def max_tokens(self) -> int:
        """Tokens of a window, special ones included."""
        return self.windows.tokens


def save_extractor(
    folder: Path,
    network: SpanNetwork,
    tokenizer: Tokenizer,
    *,
    fields: Mapping[str, FieldSpec],
    conventions: Mapping[str, Convention],
    windows: WindowSpec,
    base: dict[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write the student's folder; ``student.json`` comes last.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    card = {
        "fields": {name: spec.model_dump(exclude_defaults=True) for name, spec in fields.items()},
        "conventions": {name: item.to_json() for name, item in conventions.items()},
        "windows": windows.model_dump(),
        "base": base,
        "encoder": plain_config(network.encoder),
        "head": {"hidden": network.head.hidden.out_features, "rank": network.head.rank},
        "facts": facts,
    }
    write_student(folder, network, tokenizer, card)


def load_extractor(folder: Path) -> SpanStudent:
    """The student that `save_extractor` wrote. Needs no base: every weight is in the folder.

    Raises:
        TrainingError: the folder holds no finished student, or a file of it was damaged.
    """
    card = whole_card(folder)
    fields = {name: FieldSpec(**spec) for name, spec in card["fields"].items()}
    windows = WindowSpec(**card["windows"])
    encoder = empty_encoder(card["encoder"], "mean").transformer
    head = SpanHead(
        card["encoder"]["hidden_size"], len(fields), windows.widest_value, **card["head"]
    )
    return SpanStudent(
        module=with_weights(SpanNetwork(encoder, head), folder),
        tokenizer_file=folder / TOKENIZER,
        fields=fields,
        conventions={
            name: Convention.from_json(item) for name, item in card["conventions"].items()
        },
        windows=windows,
        base=card["base"],
        facts=card["facts"],
    )
