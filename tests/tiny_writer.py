"""A causal language model so small that it learns to write in seconds, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from onnx import TensorProto, helper
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from potstill.data import Example, Text
from potstill.export.pack import write_folder
from potstill.runtime.picking import FEATURES, PickDecision
from potstill.spec.task import Task

SPECIAL = ["<unk>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_THINGS = ["cookies", "photos", "emails", "payments", "messages", "devices", "accounts", "ads"]


def rows(count: int, start: int = 0) -> list[Example]:
    """Clauses about one thing each, and what they say of it in three words."""
    made: list[Example] = []
    for number in range(start, start + count):
        thing = _THINGS[number % len(_THINGS)]
        text = f"Section {number % 90 + 10}. We may collect and store your {thing} at any time."
        made.append(Example(id=str(number), input=text, target=Text(f"they keep {thing}")))
    return made


def task(folder: Path, **student: object) -> Task:
    """A task whose writer starts from the model in `folder`."""
    return Task.model_validate(
        {
            "kind": "task",
            "version": 1,
            "name": "clauses",
            "type": "generation",
            "description": "What does the clause mean?",
            "text": {"max_words": 6},
            "data": {"gold": "train.jsonl"},
            "student": {"writer": str(folder), **student},
        }
    )


def save_base(folder: Path, texts: Sequence[str]) -> Path:
    """Write a folder of transformers: a random Llama of two layers, and its tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", unk_token="<unk>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.1,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    return folder


def save_picker(folder: Path) -> Path:
    """Write the model folder of a picker to which all sentences are alike: it takes the first."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["floats", "floats"], ["zeros"]),
            helper.make_node("Unsqueeze", ["zeros", "axis"], ["logits"]),
        ],
        "alike",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "token", 1])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [2])],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    write_folder(
        folder,
        document={
            "name": "picker",
            "type": "generation",
            "mode": "extractive",
            "max_tokens": 32,
            "picks": PickDecision(12, 1, (0.0,) * len(FEATURES)).to_json(),
            "probes": [],
        },
        graph=model.SerializeToString(),
        tokenizer=words.to_str(),
        lineage={},
    )
    return folder
