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

from potstill.data.files import sha256_of
from potstill.errors import MissingExtraError, SpecError, TeacherError, TrainingError
from potstill.teacher.gguf import resolve_gguf
from potstill.train.bases import Base, licence_in
from potstill.train.hub import ask_hub, fetch, is_hub_id

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PACKAGED = {"smollm2-135m": "apache-2.0"}
"""Licences of the models that come as a package."""

_WEIGHTS = "*.safetensors"
_WANTED = ("*.json", _WEIGHTS, "*.jinja", "*.model", "README.md")


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
        if not is_hub_id(name):
            raise _not_found(name)
        folder = fetch(name, _WANTED)
    weights = sorted(folder.glob(_WEIGHTS))
    if not weights:
        raise TrainingError(
            f"the base {name!r} has no weights in safetensors.",
            where=str(folder),
            hint="Save it with transformers' save_pretrained.",
        )
    return Base(folder, name, sha256_of(weights[0]), licence_in(folder / "README.md"))


def missing_writer(name: str) -> str | None:
    """What stands in the way of a model that a task names, without downloading it.

    Raises:
        SpecError: there is no model of that name.
        TeacherError: the file that is named is not there, or no GGUF file.
    """
    try:
        if is_hub_id(name) and not name.endswith(".gguf"):
            ask_hub(name)
        else:
            resolve_writer(name)
    except (MissingExtraError, TrainingError) as error:
        return str(error)
    except TeacherError as error:
        if name not in _PACKAGED:
            raise
        return str(error)
    return None


def load_start(base: Base) -> Start:
    """The model and its tokenizer.

    Raises:
        TrainingError: transformers cannot read the base.
        MissingExtraError: the package that reads GGUF files is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.train.encoder import Quiet

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
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = stored.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    config["architectures"] = [type(stored).__name__]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    model.load_state_dict(stored.state_dict())
    model.generation_config = stored.generation_config
    return model
