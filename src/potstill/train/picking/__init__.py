"""Picking: sentences of a document scored by how much of the wanted text they say."""
