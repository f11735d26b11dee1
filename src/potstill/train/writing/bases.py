"""Causal language models to start from: a packaged GGUF file, a folder, or a hub id.

A GGUF file holds rounded weights; they are taken as they are and trained on in float32.
"""

from __future__ import annotations

import importlib.util
import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from potstill.data.files import sha256_of
from potstill.errors import MissingExtraError, SpecError, TrainingError
from potstill.teacher.gguf import resolve_gguf
from potstill.train.bases import Base, licence_in
from potstill.train.encoder import Quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PACKAGED = {"smollm2-135m": "apache-2.0"}
"""Licences of the models that come as a package."""

_WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class Start:
    """A causal language model before it has learnt anything of the task.

    Attributes:
        model: float32, with a configuration that says nothing of how it was stored.
        tokenizer: of the model, its chat template included.
        facts: name, sha256, licence and number of parameters.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    facts: dict[str, Any]

    @property
    def tokenizer_json(self) -> str:
        """The content of a ``tokenizer.json``."""
        return cast("Any", self.tokenizer).backend_tokenizer.to_str()


def resolve_writer(name: str) -> Base:
    """The causal language model that a task names, without loading it.

    Args:
        name: ``smollm2-135m``, a GGUF file, a folder of transformers, or a hub id.

    Returns:
        Its ``folder`` is the file itself where that is a GGUF file.

    Raises:
        SpecError: there is no model of that name.
        TeacherError: the package that brings it is missing or altered, or there is no such file.
        TrainingError: the hub cannot be reached, or the folder holds no weights.
    """
    if name in _PACKAGED or name.endswith(".gguf"):
        found = resolve_gguf(name)
        return Base(found.path, name, found.sha256, _PACKAGED.get(name))
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if "/" not in name or name.startswith((".", "/", "~")):
            raise _not_found(name)
        folder = _from_hub(name)
    weights = sorted(folder.glob(_WEIGHTS))
    if not weights:
        raise TrainingError(
            f"the base {name!r} has no weights in safetensors.",
            where=str(folder),
            hint="Save it with transformers' save_pretrained.",
        )
    return Base(folder, name, sha256_of(weights[0]), licence_in(folder / "README.md"))


def load_start(base: Base) -> Start:
    """The model and its tokenizer.

    Raises:
        TrainingError: transformers cannot read the base.
        MissingExtraError: the package that reads GGUF files is not installed.
    """
    where, options = _where(base)
    try:
        # Reading a GGUF file draws a bar that no setting of transformers switches off.
        with Quiet(), redirect_stderr(io.StringIO()):
            stored = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **options)
            tokenizer = AutoTokenizer.from_pretrained(where, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the base {base.name!r} cannot be loaded: {str(error).splitlines()[0]}",
            where=str(base.folder),
            hint="A writer starts from a causal language model that transformers can load.",
        ) from error
    model = _plain(stored)
    facts = {
        "name": base.name,
        "sha256": base.sha256,
        "licence": base.licence,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }
    return Start(model, tokenizer, facts)


def _not_found(name: str) -> SpecError:
    nearest = get_close_matches(name, _PACKAGED, n=1)
    return SpecError(
        f"there is no writer {name!r}.",
        hint=f"Did you mean {nearest[0]!r}?"
        if nearest
        else f"Use {', '.join(_PACKAGED)}, a GGUF file, a folder, or a hub id such as 'owner/model'.",
    )


def _where(base: Base) -> tuple[Path, dict[str, Any]]:
    if base.folder.is_dir():
        return base.folder, {}
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf", "train")
    return base.folder.parent, {"gguf_file": base.folder.name}


def _plain(stored: Any) -> PreTrainedModel:
    """The model as if it had never been a GGUF file, which transformers would refuse to save."""
    config = stored.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    config["architectures"] = [type(stored).__name__]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    model.load_state_dict(stored.state_dict())
    model.generation_config = stored.generation_config
    return model


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "README.md"]
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # the hub client raises many kinds; all mean "not here"
        raise TrainingError(
            f"the base {name!r} could not be fetched from the hub ({type(error).__name__}).",
            hint="Check the name and the network, or use smollm2-135m, which is a package.",
        ) from error
