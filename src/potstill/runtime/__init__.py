"""Load and run a model folder, with numpy, onnxruntime and tokenizers and nothing heavier."""

from potstill.runtime.model import Model, SelfCheck

__all__ = ["Model", "SelfCheck"]
