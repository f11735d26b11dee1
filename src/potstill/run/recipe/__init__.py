"""A recipe run: stages that make weights and rows, each judged, each resumable.

places.py    where everything of a run lies
rows.py      sources, and the rows that stages leave
untested.py  rows without those that hold a question of the judge's set
drawing.py   completions, kept as they come
stages.py    one function a kind of stage
rejecting.py rejection sampling, and the pairs that it leaves
rivals.py    beside whose weights a stage's are judged
judging.py   how good the weights are that a stage leaves, and whether it is refused
report.py    the table of all stages
cooking.py   the run itself
"""
