"""Answers over HTTP: models, workflows and, for what they are not sure of, a fallback."""

from potstill.serve.contract import Answer, Fallback, Recorder, Servable, Served
from potstill.serve.settings import Settings

__all__ = ["Answer", "Fallback", "Recorder", "Servable", "Served", "Settings"]
