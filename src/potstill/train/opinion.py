"""What a trained student thinks of texts, before it is exported: for rounds of asking again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from potstill.train.encoder import Progress, pad_id_of, run_over
from potstill.train.student import Network, load_student
from potstill.train.tokens import load_tokenizer, read_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def opinions(
    folder: Path, texts: Sequence[str], progress: Progress | None = None
) -> NDArray[np.float32]:
    """The probabilities that a student gives to each label of each text.

    Args:
        folder: of the student, as `train_student` left it.
        texts: any strings.
        progress: called as ("predict", texts done, texts).

    Returns:
        (row, label): each row sums to one; of a multilabel student each is a probability of
        its own.

    Raises:
        TrainingError: the folder holds no finished student.
    """
    student = load_student(folder)
    assert isinstance(student.module, Network)
    rows = read_texts(texts, load_tokenizer(student.tokenizer_file, student.max_tokens))
    pad_id = pad_id_of(student.module.encoder)
    logits = run_over(student.module, rows, pad_id=pad_id, phase="predict", progress=progress)
    if student.multilabel:
        return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return weights / weights.sum(axis=1, keepdims=True)
