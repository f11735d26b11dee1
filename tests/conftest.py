"""What many tests share: a tiny encoder that knows three topics, and a small task on disk."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

TOPICS = {
    "cards": ["card", "charge", "refund", "merchant", "statement"],
    "loans": ["loan", "mortgage", "rate", "repayment", "house"],
    "accounts": ["account", "deposit", "transfer", "branch", "balance"],
}
UNSEEN = {
    "cards": ["visa", "plastic", "cashback", "contactless"],
    "loans": ["lender", "borrower", "collateral", "foreclosure"],
    "accounts": ["checking", "withdrawal", "teller", "overdraft"],
}
"""Words of each topic that no training row holds: the encoder alone can tell what they mean."""

ONCE = {topic: [f"{topic}x{number}" for number in range(80)] for topic in TOPICS}
"""Words of each topic for one training row each, from which counting words learns nothing."""

FILLER = ["please", "help", "my", "the", "was", "and", "with", "again", "today", "bank"]


def sentence(topic: str, generator: random.Random, *, unseen: bool = False) -> str:
    """A sentence about a topic, different every time; in words of `UNSEEN` if asked for."""
    return _mixed(generator.choices((UNSEEN if unseen else TOPICS)[topic], k=4), generator)


def _mixed(telling: list[str], generator: random.Random) -> str:
    words = telling + generator.choices(FILLER, k=6)
    generator.shuffle(words)
    return " ".join([*words, f"case{generator.randrange(10**6)}"])


def _inbox_text(number: int, generator: random.Random) -> str:
    """Every third round of the topics is in words that occur this once."""
    topic, rounds = list(TOPICS)[number % 3], number // 3
    if rounds % 3:
        return sentence(topic, generator)
    first = rounds // 3 * 4
    return _mixed(ONCE[topic][first : first + 4], generator)


@pytest.fixture(scope="session")
def sentence_about() -> Callable[..., str]:
    """``sentence_about(topic, generator, unseen=False)``; see `sentence`."""
    return sentence


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of two layers and a WordPiece tokenizer.

    Its weights are random but for one thing: the words of a topic, `UNSEEN` ones included, lie
    near each other, as they would after a pretraining.
    """
    from tokenizers import (
        AddedToken,
        Tokenizer,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    folder = tmp_path_factory.mktemp("tiny_base")
    generator = random.Random(0)
    corpus = [
        sentence(topic, generator, unseen=number % 2 == 1)
        for topic in TOPICS
        for number in range(200)
    ]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        corpus,
        trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_tokens([AddedToken(word, single_word=True) for t in TOPICS for word in ONCE[t]])
    tokenizer.save(str(folder / "tokenizer.json"))

    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.05,
    )
    model = BertModel(config)
    table = model.embeddings.word_embeddings.weight
    with torch.no_grad():
        for topic, known in TOPICS.items():
            centre = torch.randn(32)
            for word in [*known, *UNSEEN[topic], *ONCE[topic]]:
                table[tokenizer.token_to_id(word)] = centre + 0.1 * torch.randn(32)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def task_folder(tmp_path: Path, make_task_folder: Callable[[Path], Path]) -> Path:
    """A folder with a small but whole task; see `make_task_folder`."""
    return make_task_folder(tmp_path)


@pytest.fixture(scope="session")
def make_task_folder(tiny_base: Path) -> Callable[[Path], Path]:
    """Fills a folder with a small but whole task: inbox, gold, answers and task.yaml.

    The teacher is right on nine rows of ten, and answers outside the taxonomy once. Every
    fourth gold row is in words that no row for training holds, and a third of the rows for
    training in words that no other row holds: the task needs its encoder.
    """
    return lambda folder: _fill(folder, tiny_base)


def _fill(folder: Path, base: Path) -> Path:
    generator = random.Random(7)
    topics = list(TOPICS)
    inbox = [
        {"id": f"u{i}", "text": _inbox_text(i, generator), "topic": topics[i % 3]}
        for i in range(180)
    ]
    gold = [
        {
            "id": f"g{i}",
            "text": sentence(topics[i % 3], generator, unseen=i % 4 == 3),
            "label": topics[i % 3],
        }
        for i in range(60)
    ]
    answers = []
    for row in [*inbox, *({**row, "topic": row["label"]} for row in gold)]:
        label = row["topic"] if generator.random() < 0.9 else generator.choice(topics)
        answers.append({"id": row["id"], "label": label, "model": "oracle-1", "seconds": 12.5})
    answers[5]["label"] = "insurance"
    for row in inbox:
        del row["topic"]
    for name, rows in (("inbox", inbox), ("gold", gold), ("answers", answers)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "task.yaml").write_text(
        f"""\
kind: task
version: 1
name: topics
type: classification
labels: [cards, loans, accounts]
data:
  unlabeled: inbox.jsonl
  gold: gold.jsonl
teacher:
  answers: answers.jsonl
  terms: example-terms
student:
  base: {base}
  max_tokens: 64
  mode: frozen
seed: 7
""",
        encoding="utf-8",
    )
    return folder
