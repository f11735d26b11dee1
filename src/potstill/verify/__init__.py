"""Verdicts: whether an answer is right, how healthy a thought is, what a completion is worth."""
from potstill.verify.choosing import verifier_of
