"""The side of bespokelabs-curator in `engine.py`; runs in an environment that has it.

Prints rows, seconds and CPU seconds as JSON: only the call that does the work is timed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

ROWS, CONCURRENCY, BASE_URL = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ |= {
    "CURATOR_CACHE_DIR": tempfile.mkdtemp(),
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "TELEMETRY_ENABLED": "false",
    "OPENAI_API_KEY": "none",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
}

from bespokelabs import curator  # noqa: E402
from datasets import Dataset  # noqa: E402


class Labeller(curator.LLM):
    """One question a row."""

    def prompt(self, row: dict[str, str]) -> list[dict[str, str]]:
        """The same two turns as the others."""
        return [
            {"role": "system", "content": "Which label fits the complaint?"},
            {"role": "user", "content": row["text"]},
        ]

    def parse(self, row: dict[str, str], answer: str) -> dict[str, str]:
        """The answer as it is."""
        return {"text": row["text"], "label": answer}


rows = Dataset.from_list([{"text": f"Complaint {row} about a card"} for row in range(ROWS)])
labeller = Labeller(
    model_name="stub",
    backend="openai",
    backend_params={
        "base_url": BASE_URL,
        "api_key": "none",
        "max_concurrent_requests": CONCURRENCY,
        "max_requests_per_minute": 10**8,
        "max_tokens_per_minute": 10**10,
    },
)
began, cpu = time.monotonic(), time.process_time()
answered = labeller(rows)
seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
answered = getattr(answered, "dataset", answered)
assert len(answered) == ROWS
assert set(answered["label"]) == {"ok"}
print(json.dumps({"rows": ROWS, "seconds": seconds, "cpu_seconds": cpu_seconds}))
