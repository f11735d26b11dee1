"""What runs a small language model: onnxruntime, onnxruntime-genai and llama.cpp, side by side.

    python benchmarks/writer_runtimes.py --data FOLDER [--rows 12] [--tokens 40]

FOLDER holds ``scitldr/dev.jsonl``. Every runtime goes on greedily from the same token ids, on one
thread; they take turns at every text. ``smollm2-135m`` is run as it is published (GGUF, Q4_1), and
in 8 bits by each runtime. Needs the extras ``train`` and ``local``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import onnxruntime_genai as genai
import xllamacpp

from potstill.export.decoder import build_decoder
from potstill.runtime.decoding import Decoder
from potstill.runtime.prompt import PromptReader
from potstill.runtime.session import open_session
from potstill.train.bases import Base
from potstill.train.writing.bases import load_start, resolve_writer
from potstill.train.writing.prompting import prompt_of
from potstill.train.writing.student import load_writer, save_writer

MODEL = "smollm2-135m"
NO_END = ()
"""Every text is written to the bound, so that all runtimes write as much."""

Run = Callable[[list[int], int], int]
"""Goes on from token ids by so many tokens; gives back how many it wrote."""


def by_onnxruntime(graph: Path) -> Run:
    decoder = Decoder(open_session(graph, where=str(graph)))
    return lambda ids, tokens: len(decoder.write(ids, ends=NO_END, most_tokens=tokens).ids)


def by_genai(folder: Path) -> Run:
    model = genai.Model(genai.Config(str(folder)))

    def run(ids: list[int], tokens: int) -> int:
        settings = genai.GeneratorParams(model)
        settings.set_search_options(
            do_sample=False, min_length=len(ids) + tokens, max_length=len(ids) + tokens
        )
        generator = genai.Generator(model, settings)
        generator.append_tokens(ids)
        written = 0
        while not generator.is_done():
            generator.generate_next_token()
            written += 1
        return written

    return run


def by_llama_cpp(file: Path) -> Run:
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(file)
    wanted.n_parallel, wanted.n_ctx = 1, 2048
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.warmup, wanted.verbosity, wanted.cache_ram_mib = False, -1, 0
    server = xllamacpp.Server(wanted)

    def run(ids: list[int], tokens: int) -> int:
        body = {"prompt": ids, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        answer = server.handle_completions({**body, "cache_prompt": False})
        return int(answer["usage"]["completion_tokens"])

    return run


def as_q8(published: Path, target: Path) -> Path:
    """The same model with 8-bit weights in blocks of 32, as llama.cpp stores them."""
    reader = gguf.GGUFReader(published)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(field.name, field.contents())
        else:
            writer.add_key_value(field.name, field.contents(), field.types[0])
    kind = gguf.GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        content = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if content.ndim < 2:
            writer.add_tensor(tensor.name, content.astype(np.float32))
        else:
            writer.add_tensor(tensor.name, gguf.quants.quantize(content, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def prepare(base: Base, work: Path) -> tuple[PromptReader, dict[str, Run], dict[str, float]]:
    """What makes prompts, the runtimes, and the megabytes of their weights."""
    start = load_start(base)
    prompt = prompt_of(start.tokenizer, start.model, "Summarise the text in one sentence.")
    save_writer(work / "base", start, prompt=prompt, max_tokens=512, facts={"identity": MODEL})
    writer = load_writer(work / "base")
    graphs = {
        name: build_decoder(writer.network, work, precision=name) for name in ("int8", "fp32")
    }
    q8 = as_q8(base.folder, work / "q8.gguf")
    runs = {
        "onnxruntime, 8 bits": by_onnxruntime(graphs["int8"]),
        "onnxruntime, fp32": by_onnxruntime(graphs["fp32"]),
        "onnxruntime-genai, 8 bits": by_genai(work / "int8-raw"),
        "llama.cpp, Q8_0": by_llama_cpp(q8),
        "llama.cpp, Q4_1": by_llama_cpp(base.folder),
    }
    folders = [graphs["int8"].parent, graphs["fp32"].parent, work / "int8-raw"]
    weights = [sum(file.stat().st_size for file in one.glob("*.onnx*")) for one in folders]
    sizes = [*weights, q8.stat().st_size, base.folder.stat().st_size]
    return writer.reader, runs, {name: size / 1e6 for name, size in zip(runs, sizes, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    with (options.data / "scitldr" / "dev.jsonl").open(encoding="utf-8") as file:
        texts = [
            json.loads(line)["text"] for line, _ in zip(file, range(options.rows), strict=False)
        ]
    with tempfile.TemporaryDirectory() as work:
        reader, runs, sizes = prepare(resolve_writer(MODEL), Path(work))
        prompts = [reader.read(text)[0] for text in texts]
        reading: dict[str, list[float]] = {name: [] for name in runs}
        whole: dict[str, list[float]] = {name: [] for name in runs}
        for ids in [prompts[0], *prompts]:  # the first one warms up
            for name, run in runs.items():
                for spent, tokens in ((reading, 1), (whole, options.tokens)):
                    started = time.perf_counter()
                    assert run(ids, tokens) == tokens, name
                    spent[name].append(time.perf_counter() - started)
    tokens = statistics.fmean(map(len, prompts))
    print(f"{len(prompts)} texts, {tokens:.0f} tokens on average, {options.tokens} written")
    print(
        "| runtime | MB | prompt, tokens/s | writing, tokens/s | ms a text |\n|---|---|---|---|---|"
    )
    for name in runs:
        first, all_of_it = (statistics.fmean(spent[name][1:]) for spent in (reading, whole))
        rate = (options.tokens - 1) / (all_of_it - first)
        print(
            f"| {name} | {sizes[name]:.0f} | {tokens / first:.0f} | {rate:.0f} | "
            f"{1e3 * all_of_it:.0f} |"
        )


if __name__ == "__main__":
    main()
