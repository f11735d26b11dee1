"""The peers of `serve_throughput.py`, in the python that has them installed.

    serve_peer.py litserve|fastapi onnx|torch|bare FOLDER BASE PORT BATCH

`onnx` is transformers' `pipeline` over the same ``model.onnx`` as ours, `torch` over the same
base in fp32 with a head of as many labels; `bare` is the ONNX session without a pipeline. LitServe runs one process a core, each with one thread, or one process on all cores
where BATCH is more than one. FastAPI's endpoint is an ordinary function around transformers'
`pipeline`, which FastAPI runs in its thread pool.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np

CORES = len(os.sched_getaffinity(0))


def classifier(engine: str, folder: Path, base: str, threads: int) -> Any:
    """Transformers' text-classification pipeline over the ONNX graph, or over torch."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        PreTrainedModel,
        PreTrainedTokenizerFast,
        pipeline,
    )
    from transformers.modeling_outputs import SequenceClassifierOutput

    torch.set_num_threads(threads)
    card = json.loads((folder / "model.json").read_text())
    names = card["labels"]
    if engine == "torch":
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=len(names), dtype=torch.float32
        )
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)

        class Onnx(PreTrainedModel):
            config_class = AutoConfig

            def __init__(self, config: Any) -> None:
                super().__init__(config)
                self.nothing = torch.nn.Parameter(torch.zeros(1))

            def forward(self, input_ids: Any, **_: Any) -> Any:
                [logits] = session.run(["logits"], {"input_ids": input_ids.numpy()})
                return SequenceClassifierOutput(logits=torch.from_numpy(logits))

        config = AutoConfig.from_pretrained(base, num_labels=len(names))
        model = Onnx(config)
        model.can_generate = lambda: False
    model.config.id2label = dict(enumerate(names))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]"
    )
    tokenizer.model_input_names = (
        ["input_ids"] if engine == "onnx" else ["input_ids", "attention_mask"]
    )
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def run_fastapi(engine: str, folder: Path, base: str, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    classify = classifier(engine, folder, base, threads=1)
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(body: dict[str, str]) -> dict[str, Any]:
        return classify(body["input"], truncation=True, max_length=256)[0]

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


class Api(litserve.LitAPI):
    """LitServe's side: the pipeline, or the bare session."""

    def __init__(self, engine: str, folder: Path, base: str, batch: int) -> None:
        more = {"max_batch_size": batch, "batch_timeout": 0.002} if batch > 1 else {}
        super().__init__(**more)
        self.engine, self.folder, self.base = engine, folder, base
        self.threads = CORES if batch > 1 else 1

    def setup(self, device: str) -> None:
        """Load the model, in the worker's process."""
        if self.engine != "bare":
            self.classify = classifier(self.engine, self.folder, self.base, self.threads)
            return
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        self.session = onnxruntime.InferenceSession(str(self.folder / "model.onnx"), options)
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.enable_padding()

    # Without types: FastAPI reads them, and takes a dictionary's for a query.
    def decode_request(self, request):
        """The text of a request."""
        return request["input"]

    def predict(self, x: Any) -> Any:
        """The answer to a text, or to each of a batch."""
        texts = [x] if isinstance(x, str) else list(x)
        if self.engine != "bare":
            found = self.classify(texts, truncation=True, max_length=256)
        else:
            encoded = self.tokenizer.encode_batch(texts)
            ids = np.array([row.ids for row in encoded], dtype=np.int64)
            found = self.session.run(["logits"], {"input_ids": ids})[0].argmax(-1).tolist()
        return found[0] if isinstance(x, str) else found

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer as JSON."""
        return {"label": output}


def run_litserve(engine: str, folder: Path, base: str, port: int, batch: int) -> None:
    workers = 1 if batch > 1 else CORES
    server = litserve.LitServer(
        Api(engine, folder, base, batch), accelerator="cpu", workers_per_device=workers
    )
    server.run(port=port, log_level="warning", generate_client_file=False, access_log=False)


def main() -> None:
    kind, engine, folder, base, port, batch = sys.argv[1:7]
    if kind == "fastapi":
        run_fastapi(engine, Path(folder), base, int(port))
    else:
        run_litserve(engine, Path(folder), base, int(port), int(batch))


if __name__ == "__main__":
    main()
