"""Creation: what a teacher makes of the owner's rows."""

from potstill.generate.label import Labelled, label_examples

__all__ = ["Labelled", "label_examples"]
