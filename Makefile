# eegfm: `make` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LAKE   ?= data/lake
# Without an NVIDIA driver torch comes from PyTorch's own CPU index: the registry's build pulls gigabytes of CUDA.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi 2>/dev/null),,--extra-index-url https://download.pytorch.org/whl/cpu --retries 1)

.DEFAULT_GOAL := help
.PHONY: help setup ingest cohort pretrain finetune report demo test test-all lint bench clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## create .venv with everything (the other targets do this by themselves)

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH_INDEX) torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@

ingest: setup ## fill the lake: make ingest DATASET=eegmmidb SOURCE=/path/to/files
	$(BIN)/eegfm ingest $(DATASET) $(if $(SOURCE),--source $(SOURCE)) --lake $(LAKE)

cohort: setup ## freeze a cohort: make cohort SQL=cohorts/mine.sql (or a name of the library)
	$(BIN)/eegfm cohort $(SQL) --lake $(LAKE)

pretrain: setup ## pre-train an encoder: make pretrain CONFIG=tiny_4s
	$(BIN)/eegfm pretrain $(CONFIG)

finetune: setup ## decode people never seen: make finetune CONFIG=left_right
	$(BIN)/eegfm finetune $(CONFIG)

report: setup ## one HTML page of a run: make report RUN=runs/NAME
	$(BIN)/eegfm report $(RUN)

demo: setup ## the whole line on a simulated corpus, in minutes, without a download
	$(BIN)/eegfm demo

test: setup ## lint, types, floors and the fast tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/pytest -n 2

test-all: setup ## every test, the slow ones too
	$(BIN)/pytest -n 2 -m ''

lint: setup ## ruff, mypy and import-linter, with fixes where they are safe
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BIN)/mypy && $(BIN)/lint-imports

bench: setup ## the benchmarks' tables, as ratios within one run
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean: ## remove what was built or made here, but not the lake
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache
