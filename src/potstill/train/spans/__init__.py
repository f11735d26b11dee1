"""Extraction: every run of tokens scored for every field."""
