"""One onnxruntime session: one thread, no spinning, one text a run.

One text a run without padding is what makes an answer independent of its company. Dynamic
int8 takes one activation scale for the whole tensor, so batch-mates and padding would shift
the confidence by up to 0.7 points; alone, the same text meets the same arithmetic each time.
Parallelism comes from running several texts at once, each on a thread of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT = "input_ids"
OUTPUT = "logits"


def open_session(graph: bytes | Path, *, where: str) -> InferenceSession:
    """An inference session on the CPU over an ONNX graph.

    Args:
        graph: the content of a ``model.onnx``, or the path of one whose weights lie beside it.
        where: the file that an error names.

    Raises:
        ModelError: onnxruntime cannot load the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between requests burn a core each and starve their neighbours.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    given = str(graph) if isinstance(graph, Path) else graph
    try:
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class but this one
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} cannot load the graph: {error}",
            where=where,
            hint="Export the model again, or install the onnxruntime that model.json names.",
        ) from error


def run_one(session: InferenceSession, ids: list[int]) -> NDArray[np.float32]:
    """The logits (label) for the token ids of one text."""
    outputs: Any = session.run([OUTPUT], {INPUT: np.array([ids], dtype=np.int64)})
    return outputs[0][0]
