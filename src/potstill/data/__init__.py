"""Evidence: examples, where they came from, and how they lie on disk."""

from potstill.data.example import (
    Example,
    Input,
    Prediction,
    Predictor,
    Rejection,
    Source,
    Split,
    Target,
    id_of,
    text_of,
)

__all__ = [
    "Example",
    "Input",
    "Prediction",
    "Predictor",
    "Rejection",
    "Source",
    "Split",
    "Target",
    "id_of",
    "text_of",
]
