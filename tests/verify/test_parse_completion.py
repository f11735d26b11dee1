import pytest

from potstill.spec.recipe import TemplateSpec
from potstill.verify import parse_completion, write_completion

THINK = TemplateSpec()


@pytest.mark.parametrize(
    ("text", "thought", "answer", "fault"),
    [
        ("<think>\na\n</think>\nb", "a", "b", None),
        ("<think>a</think>b", "a", "b", None),
        ("\n  <think>a</think>\n\nb\n", "a", "b", None),
        ("b", "", "b", "no_opening"),
        ("", "", "", "no_opening"),
        ("a</think>b", "a", "b", "no_opening"),
        ("<think>a", "a", "", "unclosed"),
        ("<think>a <think> b", "a <think> b", "", "unclosed"),
        ("</think>x<think>a", "a", "", "unclosed"),
        ("<think>a</think>b<think>c</think>d", "a</think>b<think>c", "d", "two_thoughts"),
        ("<think>a</think>b<think>c", "a", "", "two_thoughts"),
        ("<think>a<think>b</think>c", "a<think>b", "c", "two_thoughts"),
        ("<think>a</think>b</think>c", "a</think>b", "c", "two_thoughts"),
        ("<think>a</think>", "a", "", "empty_answer"),
        ("<think>a</think><|im_end|>", "a", "", "empty_answer"),
        ("<think> </think>b", "", "b", "empty_thought"),
        ("<think></think>", "", "", "empty_answer"),
        ("Hi <think>a</think>b", "a", "b", "text_before"),
        ("<think>a</think>b<|im_end|>", "a", "b", None),
        ("<think>a</think>b</s></s>", "a", "b", None),
        ("<think>a</think>b<｜end▁of▁sentence｜>", "a", "b", None),  # noqa: RUF001
        ("<think>a</think>b<end_of_turn>\n", "a", "b", None),
        ("<|im_start|>assistant\n<think>a</think>b", "a", "b", None),
        ("<think>a</think>b<|im_end|>\n<|im_start|>user\nc", "a", "b", None),
        ("<think>a</think>b\nUser: c\nAssistant: d", "a", "b", None),
        ("<think>a</think><|im_start|>assistant\nb", "a", "b", None),
        ("< think>a</think>b", "< think>a", "b", "no_opening"),
    ],
)
def test_parts(text, thought, answer, fault):
    parsed = parse_completion(text, THINK)
    assert (parsed.thought, parsed.answer, parsed.fault) == (thought, answer, fault)
    assert parsed.well_formed is (fault is None)


def test_other_marks():
    template = TemplateSpec(opening="[[", closing="]]")
    parsed = parse_completion("[[a]]b", template)
    assert (parsed.thought, parsed.answer, parsed.fault) == ("a", "b", None)
    assert parse_completion("<think>a</think>b", template).fault == "no_opening"


def test_what_is_written_is_read():
    parsed = parse_completion(write_completion("a\nb", "c", THINK), THINK)
    assert (parsed.thought, parsed.answer, parsed.fault) == ("a\nb", "c", None)
