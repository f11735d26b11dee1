"""A model folder with real shapes and an untrained head: time does not depend on weights.

The two benchmarks of the runtime measure this where no trained model is given.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

FIELDS = ("people", "time", "date", "first_name", "last_name")
LABELS = tuple(f"label_{at}" for at in range(10))
TERMS = 8000


def words_of(tokenizer_file: Path) -> list[str]:
    """Words that the tokenizer takes for one token each."""
    vocabulary = Tokenizer.from_file(str(tokenizer_file)).get_vocab()
    return sorted(
        word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2
    )


def text_of(words: list[str], tokens: int, generator: np.random.Generator) -> str:
    """A text of so many tokens, the two special ones included."""
    return " ".join(generator.choice(words, size=max(tokens - 2, 1)))


def message_lengths(rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Tokens of short messages: log-normal, median 14, one in twenty above 36."""
    return np.clip(generator.lognormal(np.log(14), 0.57, size=rows), 4, 128).astype(np.int64)


def export_untrained(folder: Path, base: str) -> Path:
    """Write a model folder of a base with random heads; returns `folder`."""
    import torch

    from potstill.data import Example
    from potstill.export import export_student
    from potstill.spec.task import StudentSpec
    from potstill.train import Student, resolve_base
    from potstill.train.encoder import load_encoder
    from potstill.train.lexical import LexicalBranch
    from potstill.train.student import Network

    torch.manual_seed(0)
    found = resolve_base(base)
    tokenizer_file = found.folder / "tokenizer.json"
    vocabulary = Tokenizer.from_file(str(tokenizer_file)).get_vocab_size()
    encoder = load_encoder(found)
    lexical = LexicalBranch(vocabulary, TERMS, len(LABELS))
    lexical.position.random_(TERMS + 1)
    lexical.idf.uniform_(1.0, 9.0)
    lexical.weight.normal_()
    # Place 0 is every token that is no term, padding among them.
    lexical.idf[0] = 0.0
    lexical.weight[0] = 0.0
    hidden = encoder.transformer.config.hidden_size
    student = Student(
        module=Network(encoder, torch.nn.Linear(hidden, len(LABELS)), lexical).eval(),
        tokenizer_file=tokenizer_file,
        labels=LABELS,
        multilabel=False,
        base={"name": base, "sha256": found.sha256},
        max_tokens=256,
    )
    generator = np.random.default_rng(0)
    words = words_of(tokenizer_file)
    texts = [text_of(words, int(n), generator) for n in message_lengths(64, generator)]
    export_student(
        student,
        name="untrained",
        dev=[Example(id=str(at), input=text) for at, text in enumerate(texts)],
        # An untrained head decides by a hair; here only its speed matters.
        options=StudentSpec(precision="int8", max_disagreement=1.0),
        folder=folder,
    )
    return folder


def export_untrained_extractor(folder: Path, base: str) -> Path:
    """Write the folder of a model that extracts, of a base with a random head; returns `folder`."""
    import torch

    from potstill.data import Example
    from potstill.data.extraction import Extraction
    from potstill.export import export_extractor
    from potstill.spec.extraction import FieldSpec, WindowSpec
    from potstill.spec.task import StudentSpec
    from potstill.train import resolve_base
    from potstill.train.encoder import load_encoder
    from potstill.train.spans.network import SpanHead, SpanNetwork
    from potstill.train.spans.student import SpanStudent

    torch.manual_seed(0)
    found = resolve_base(base)
    transformer = load_encoder(found).transformer
    windows = WindowSpec()
    head = SpanHead(transformer.config.hidden_size, len(FIELDS), windows.widest_value)
    # A trained student finds a few values in a text, and this one none.
    torch.nn.init.constant_(head.width, -20.0)
    student = SpanStudent(
        module=SpanNetwork(transformer, head).eval(),
        tokenizer_file=found.folder / "tokenizer.json",
        fields=dict.fromkeys(FIELDS, FieldSpec()),
        conventions={},
        windows=windows,
        base={"name": base, "sha256": found.sha256},
        facts={},
    )
    generator = np.random.default_rng(0)
    words = words_of(student.tokenizer_file)
    texts = [text_of(words, int(n), generator) for n in message_lengths(64, generator)]
    export_extractor(
        student,
        name="untrained",
        dev=[Example(id=str(at), input=text, target=Extraction()) for at, text in enumerate(texts)],
        options=StudentSpec(precision="int8"),
        folder=folder,
    )
    return folder
