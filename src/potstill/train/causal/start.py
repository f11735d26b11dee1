"""First weights: a model that is made here, or one that exists, as a folder of transformers."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from potstill.data.files import sha256_of, storage_error, writing_folder
from potstill.errors import SpecError, TrainingError
from potstill.spec.recipe import ScratchSpec, TemplateSpec
from potstill.train.bases import Base
from potstill.train.causal.turns import Turns
from potstill.train.encoder import Quiet
from potstill.train.writing.bases import load_start, resolve_writer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PAD, _END, _ROLES = "<|pad|>", "<|end|>", ("<|system|>", "<|user|>", "<|assistant|>")
_CHAT = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_FULL = (
    "no space left",
    "quota exceeded",
    "file too large",
    "os error 27",
    "os error 28",
    "pytorchstreamwriter failed writing",
    "unexpected pos",
)
"""What torch and safetensors say of a disk that is full."""
_VOCABULARY = 512
"""Tokens of a model that is made here, at most: 256 bytes and the commonest words."""


@dataclass(frozen=True)
class StartFigures:
    """What a recipe starts from.

    Attributes:
        name: as the recipe names it; `scratch` for a model that is made here.
        parameters: number of weights.
        vocabulary: number of tokens.
        sha256: of the first file of weights.
        licence: as declared by package or card; None is unknown.
    """

    name: str
    parameters: int
    vocabulary: int
    sha256: str
    licence: str | None


def make_scratch(
    spec: ScratchSpec,
    texts: Sequence[str],
    *,
    template: TemplateSpec,
    seed: int,
    folder: Path,
) -> StartFigures:
    """A Llama with random weights and a tokenizer that knows some texts.

    Every digit is a token of its own, because sums are learnt digit by digit; common words are
    one token; anything else is spelt in bytes, so that no text is unknown. The marks of the
    template are tokens too, and ordinary ones: special tokens are gone before a reward reads.

    Args:
        spec: its sizes.
        texts: of questions, thoughts and answers: see `potstill.train.causal.turns.all_texts`.
        template: its marks become tokens.
        seed: of the weights.
        folder: of weights and tokenizer, written whole.

    Raises:
        SpecError: the width is no multiple of the heads.
        StorageError: the folder may not be written, or the disk is full.
    """
    if spec.hidden % (2 * spec.heads):
        raise SpecError(
            f"'hidden' is {spec.hidden}, which {spec.heads} heads cannot share evenly in pairs.",
            hint=f"Choose a multiple of {2 * spec.heads}.",
        )
    tokenizer = _tokenizer(texts, spec, template)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        # 8/3 of the width, as in Llama's gated layers, in steps of 8.
        intermediate_size=-(-spec.hidden * 8 // 3 // 8) * 8,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=spec.positions,
        # The usual 0.02 is for widths of thousands; narrow models would hardly begin to learn.
        initializer_range=spec.hidden**-0.5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    _name_tokens(model, tokenizer)
    return _write(model, tokenizer, folder, "scratch", None)


def resolve_start(name: str) -> Base:
    """The causal model that a recipe names, without loading it.

    Args:
        name: ``smollm2-135m``, a GGUF file, a folder of transformers, or a hub id.

    Raises:
        SpecError: there is no model of that name.
        TeacherError: the package that brings it is missing or altered, or there is no such file.
        TrainingError: the hub cannot be reached, or the folder holds no weights.
    """
    return resolve_writer(name)


def copy_start(name: str, *, template: TemplateSpec, folder: Path) -> StartFigures:
    """A model that exists, float32, as a folder of transformers.

    Where padding and end are one token, another special token becomes the padding: as one token
    the end would be left out of every loss, and the model would not learn to stop.

    Args:
        name: see `resolve_start`.
        template: must fit it, see `check_template`.
        folder: of weights and tokenizer, written whole.

    Raises:
        SpecError: there is no model of that name, or the template does not fit it.
        TeacherError: the package that brings it is missing or altered, or there is no such file.
        TrainingError: transformers cannot read it, or there is no token left for padding.
        MissingExtraError: the package that reads GGUF files is not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    base = resolve_start(name)
    start = load_start(base)
    tokenizer = start.tokenizer
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        others = [token for token in _specials(tokenizer) if token != tokenizer.eos_token]
        if not others:
            raise TrainingError(
                f"the base {base.name!r} has no token for padding beside its end token.",
                where=str(base.folder),
                hint="Add one to its tokenizer, and resize the table of tokens.",
            )
        # The last one: the first are often those that begin a text or stand for the unknown.
        tokenizer.pad_token = others[-1]
    _refuse(Turns(tokenizer, template), base.name)
    _name_tokens(start.model, tokenizer)
    return _write(start.model, tokenizer, folder, base.name, base.licence)


def check_template(folder: Path, template: TemplateSpec) -> None:
    """Refuse a base whose turns cannot be learnt as the recipe writes them.

    Args:
        folder: of weights and tokenizer.
        template: the recipe's marks.

    Raises:
        SpecError: no chat template, no end token, an end token that is the padding, a turn that
            does not end with the end token, a mark that is a special token, or a chat template
            that opens the thought by itself.
        TrainingError: there is no tokenizer.
    """
    _refuse(Turns.load(folder, template), str(folder))


def _refuse(turns: Turns, where: str) -> None:
    for message, hint in _faults(turns):
        raise SpecError(message, where=where, hint=hint)


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder, float32.

    Raises:
        TrainingError: transformers cannot read it.
    """
    try:
        with Quiet():
            return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the model cannot be loaded: {str(error).splitlines()[0]}",
            where=str(folder),
            hint="Give a folder that transformers' save_pretrained wrote.",
        ) from error


def _faults(turns: Turns) -> Iterator[tuple[str, str]]:
    """What is wrong, and how to mend it; later checks stand on earlier ones."""
    tokenizer, template = turns.tokenizer, turns.template
    if not tokenizer.chat_template:
        yield (
            "the base has no chat template.",
            "Take its instruct version, or set 'chat_template' in tokenizer_config.json.",
        )
    if tokenizer.eos_token_id is None:
        yield "the base has no end token.", "Set 'eos_token' in tokenizer_config.json."
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        yield (
            "the base pads with its end token, or with none: it would not learn to stop.",
            "Set 'pad_token' in tokenizer_config.json to another token.",
        )
    for mark in (template.opening, template.closing):
        if mark in _specials(tokenizer):
            yield (
                f"the mark {mark!r} is a special token of the base, which is taken out before a "
                "reward reads the completion.",
                "Make it an ordinary token ('special': false in tokenizer.json), or choose other "
                "marks in 'template'.",
            )
    asked = turns.messages("1+1=")
    prompt = cast(
        "str", tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    )
    if prompt.rstrip().endswith(template.opening):
        yield (
            f"the chat template begins a turn with {template.opening!r}, which the recipe writes "
            "too: the mark would stand twice.",
            "Take the mark out of the end of the chat template.",
        )
    said = [*asked, {"role": "assistant", "content": "2"}]
    whole = cast("str", tokenizer.apply_chat_template(said, tokenize=False))
    if not whole.rstrip().endswith(cast("str", tokenizer.eos_token)):
        yield (
            f"the chat template does not end a turn with the end token {tokenizer.eos_token!r}.",
            "Set 'eos_token' to the token that ends a turn, or mend the chat template.",
        )


def _tokenizer(
    texts: Sequence[str], spec: ScratchSpec, template: TemplateSpec
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        min_frequency=2,
        special_tokens=[_PAD, _END, *_ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    marks = [template.opening, template.closing]
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in marks])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=list(_ROLES),
        model_max_length=spec.positions,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = _CHAT
    return made


def _name_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Model and generation know the tokenizer's end and padding."""
    ends: Any = tokenizer.eos_token_id
    config: Any = model.config.get_text_config()
    config.eos_token_id, config.pad_token_id = ends, tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=ends, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id
    )


def _specials(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Texts of all special tokens, in the order of the vocabulary."""
    known: Any = tokenizer
    added = {token.content for token in known.added_tokens_decoder.values() if token.special}
    return sorted(added | set(tokenizer.all_special_tokens), key=known.convert_tokens_to_ids)


def _write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    name: str,
    licence: str | None,
) -> StartFigures:
    save_weights(model, tokenizer, folder)
    return StartFigures(
        name=name,
        parameters=sum(weight.numel() for weight in model.parameters()),
        vocabulary=len(cast("Any", tokenizer)),
        sha256=sha256_of(min(folder.glob("*.safetensors"))),
        licence=licence,
    )


def save_weights(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write model and tokenizer into a folder, whole or not at all.

    Raises:
        StorageError: the folder may not be written, or the disk is full.
    """
    with writing_folder(folder) as partial:
        try:
            with Quiet():
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
        except Exception as error:
            full = error if isinstance(error, OSError) else full_disk(error)
            if full is None:
                raise
            raise storage_error(full, folder) from error


def full_disk(error: BaseException) -> OSError | None:
    """The system's error where torch or safetensors have hidden a full disk in one of theirs."""
    wraps = isinstance(error, RuntimeError) or type(error).__name__ == "SafetensorError"
    if wraps and any(words in str(error).lower() for words in _FULL):
        return OSError(errno.ENOSPC, str(error))
    return None
