from potstill.data import Example, Source
from potstill.data.lineage import lineage_json, source_shares

TEXTS = Source(kind="dataset", name="inbox", contributed=("input",), stage="read", terms="public")
R1 = Source(
    kind="model", name="r1", contributed=("target", "reasoning"), stage="label", terms="mit"
)
PERSON = Source(kind="person", name="gold", contributed=("target",), stage="read")


def rows():
    silver = [Example(id=f"s{i}", input="t", target="x", sources=(TEXTS, R1)) for i in range(3)]
    return [*silver, Example(id="g", input="t", target="x", sources=(TEXTS, PERSON))]


def test_shares_are_counted_by_source_and_contribution():
    shares = {(s.name, s.contributed): (s.rows, s.share) for s in source_shares(rows())}
    assert shares == {
        ("inbox", ("input",)): (4, 1.0),
        ("r1", ("target", "reasoning")): (3, 0.75),
        ("gold", ("target",)): (1, 0.25),
    }


def test_every_row_can_be_traced_to_its_sources():
    lineage = lineage_json(rows())
    named = {
        row: [lineage["sources"][i]["name"] for i in places]
        for row, places in lineage["examples"].items()
    }
    assert named["s0"] == ["inbox", "r1"]
    assert named["g"] == ["inbox", "gold"]


def test_gold_is_a_persons_target_alone():
    assert not rows()[0].is_gold
    assert rows()[3].is_gold


def test_examples_survive_the_disk():
    for example in rows():
        assert Example.from_json(example.to_json()) == example
    several = Example(id="m", input={"a": "b"}, target=("x", "y"), soft_target={"x": 0.9, "y": 0.8})
    assert Example.from_json(several.to_json()) == several
