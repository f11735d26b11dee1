from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from potstill.data import Example
from potstill.errors import SpecError
from potstill.spec.recipe import ScratchSpec, TemplateSpec
from potstill.train.causal.start import check_template, copy_start, make_scratch
from potstill.train.causal.turns import Turns, all_texts, completion_text


def test_digits_and_marks_are_tokens_of_their_own(start: Path, plain: TemplateSpec) -> None:
    turns = Turns.load(start, plain)
    ids = turns.completion("<think>\n47+85\n</think>\n132")
    pieces = [turns.tokenizer.decode([one]) for one in ids]
    assert pieces[0] == "<think>"
    assert pieces[2:7] == ["4", "7", "+", "8", "5"]
    assert ids[-1] == turns.end != turns.tokenizer.pad_token_id


def test_a_completion_reads_as_it_was_written_marks_included(
    start: Path, sums: list[Example], plain: TemplateSpec
) -> None:
    turns = Turns.load(start, plain)
    for written in [completion_text(sums[0], plain), "Ünknown 中文\n\n  two  spaces"]:
        assert turns.texts([turns.completion(written)]) == [written]


def test_the_same_seed_gives_the_same_weights(
    tmp_path: Path, sums: list[Example], plain: TemplateSpec
) -> None:
    spec = ScratchSpec(hidden=16, layers=1, heads=2, positions=32)
    made = [
        make_scratch(spec, all_texts(sums), template=plain, seed=seed, folder=tmp_path / name)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert made[0].sha256 == made[1].sha256 != made[2].sha256
    tokenizers = [(tmp_path / name / "tokenizer.json").read_bytes() for name in "abc"]
    assert tokenizers[0] == tokenizers[1] == tokenizers[2]


def test_heads_that_do_not_fit_the_width(tmp_path: Path, plain: TemplateSpec) -> None:
    with pytest.raises(SpecError, match="multiple of 10"):
        make_scratch(
            ScratchSpec(hidden=16, heads=5), ["a"], template=plain, seed=0, folder=tmp_path / "w"
        )


def test_a_base_that_is_made_here_passes(start: Path, plain: TemplateSpec) -> None:
    check_template(start, plain)


def _change(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def _pad_is_end(folder: Path) -> None:
    _change(folder / "tokenizer_config.json", lambda row: row.update(pad_token="<|end|>"))


def _special_marks(folder: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        for token in row["added_tokens"]:
            token["special"] = True

    _change(folder / "tokenizer.json", change)


def _no_end(folder: Path) -> None:
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|end|>", "\\n"))


def _opens_by_itself(folder: Path) -> None:
    template = folder / "chat_template.jinja"
    template.write_text(
        template.read_text().replace("'<|assistant|>'", "'<|assistant|><think>\\n'")
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_template, "no chat template"),
        (_pad_is_end, "pads with its end token"),
        (_special_marks, "'<think>' is a special token"),
        (_no_end, "does not end a turn"),
        (_opens_by_itself, "stand twice"),
    ],
)
def test_a_base_whose_turns_cannot_be_learnt_is_refused_with_a_remedy(
    start: Path, tmp_path: Path, plain: TemplateSpec, spoil: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "spoilt"
    shutil.copytree(start, folder)
    spoil(folder)
    with pytest.raises(SpecError, match=said) as caught:
        check_template(folder, plain)
    assert caught.value.hint


def test_padding_with_the_end_token_is_mended_where_a_model_is_copied(
    start: Path, tmp_path: Path, plain: TemplateSpec
) -> None:
    folder = tmp_path / "spoilt"
    shutil.copytree(start, folder)
    _pad_is_end(folder)
    figures = copy_start(str(folder), template=plain, folder=tmp_path / "copy")
    check_template(tmp_path / "copy", plain)
    assert figures.parameters > 1000


def test_an_unknown_model_names_the_nearest(tmp_path: Path, plain: TemplateSpec) -> None:
    with pytest.raises(SpecError, match="smollm2-135m"):
        copy_start("smollm-135m", template=plain, folder=tmp_path / "copy")
