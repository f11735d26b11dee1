"""The side of NeMo data-designer in `engine.py`; runs in an environment that has it.

Prints rows, seconds and CPU seconds as JSON: only the call that does the work is timed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

ROWS, CONCURRENCY, BASE_URL = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "STUB_KEY": "none"}

import data_designer.config as dd  # noqa: E402
import pandas as pd  # noqa: E402
from data_designer.interface import DataDesigner  # noqa: E402

texts = pd.DataFrame({"text": [f"Complaint {row} about a card" for row in range(ROWS)]})
designer = DataDesigner(
    artifact_path=tempfile.mkdtemp(),
    model_providers=[dd.ModelProvider(name="stub", endpoint=BASE_URL, api_key="STUB_KEY")],
)
designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
model = dd.ModelConfig(
    alias="teacher",
    model="stub",
    provider="stub",
    skip_health_check=True,
    inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=CONCURRENCY),
)
builder = dd.DataDesignerConfigBuilder(model_configs=[model])
builder.with_seed_dataset(dd.DataFrameSeedSource(df=texts))
builder.add_column(
    dd.LLMTextColumnConfig(
        name="label",
        model_alias="teacher",
        system_prompt="Which label fits the complaint?",
        prompt="{{ text }}",
    )
)
began, cpu = time.monotonic(), time.process_time()
made = designer.create(builder, num_records=ROWS, dataset_name="rows")
seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
answered = made.load_dataset()
assert len(answered) == ROWS
assert set(answered["label"]) == {"ok"}
print(json.dumps({"rows": ROWS, "seconds": seconds, "cpu_seconds": cpu_seconds}))
