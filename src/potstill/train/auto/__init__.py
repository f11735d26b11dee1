"""``base: auto``: candidates compared on one task's own rows, and the choice between them.

arms.py      a base in the comparison, with all that is computed of it
halving.py   who gets more rows: successive halving
choice.py    the smallest within the noise of the best, held against the task's gates
"""
