"""Extraction at run time: windows over a document, mentions in them, values of fields."""
