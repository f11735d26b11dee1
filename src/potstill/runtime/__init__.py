"""Load and run a model folder, with numpy, onnxruntime and tokenizers and nothing heavier."""

from potstill.runtime.loading import Loaded, load_model
from potstill.runtime.model import Model, SelfCheck

__all__ = ["Loaded", "Model", "SelfCheck", "load_model"]
