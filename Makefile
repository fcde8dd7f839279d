# make all: set-up, then the default run in miniature.  make test: everything that proves it.  make help: the rest.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
LAUNCH = $(PYTHON) envs/launch.py
SNAKEMAKE = $(LAUNCH) driver snakemake
# Files whose tests need a heavy stack say so in their names; each is run in its own environment.
JAX_TESTS = $(shell find tests/unit -name 'test_*_jax.py')
TORCH_TESTS = $(shell find tests/unit -name 'test_*_torch.py')

.PHONY: all audit plan prices setup test lint unit e2e bench lock mini-world help

# Holds a lock of its own in place of Snakemake's, which a killed run would leave behind.
all: setup ## set-up, then every table, figure and the report of the default run
	@mkdir -p .snakemake
	flock --nonblock --conflict-exit-code 3 .snakemake/make.lock \
		$(SNAKEMAKE) all --nolock --report-after-run --report results/mini/report.html

# Another run's plan: make plan PLAN_CONFIG=my.yaml
PLAN_CONFIG ?= configs/paper.yaml
plan: setup ## does the paper's run fit, how long, how much: compiled for the TPU, without one
	@mkdir -p .snakemake
	flock --nonblock --conflict-exit-code 3 .snakemake/make.lock $(SNAKEMAKE) plan --nolock --configfile $(PLAN_CONFIG)

# From a copy: make prices CATALOGUE=~/.sky/catalogs/v8/gcp/vms.csv; other regions: REGIONS="us-east5 asia-northeast1"
prices: setup ## prices of SkyPilot's catalogue into resources/hardware.yaml; the paper's stay
	$(LAUNCH) analysis python -m scripts.cost.refresh_prices $(if $(CATALOGUE),--catalogue $(CATALOGUE)) $(if $(REGIONS),--regions $(REGIONS))

audit: setup ## every number and claim of the paper, recomputed, with a verdict: docs/audit.md (seconds, no hardware)
	@mkdir -p .snakemake
	flock --nonblock --conflict-exit-code 3 .snakemake/make.lock $(SNAKEMAKE) audit --nolock
	cp results/mini/audit/summary.md docs/audit.md

mini-world: setup ## remakes resources/mini: corpus, problems, tokenizer, model
	$(LAUNCH) analysis python -m scripts.mini.make_corpus
	$(LAUNCH) analysis python -m scripts.mini.make_problems
	$(LAUNCH) torch python -m scripts.mini.make_tokenizer
	$(LAUNCH) torch python -m scripts.mini.make_model

setup: ## system packages and the driver environment
	@[ -n "$(PYTHON)" ] || { echo "set-up: Python 3.11 or 3.12 is needed (make PYTHON=/path/to/python3.11)" >&2; exit 2; }
	@PYTHON=$(PYTHON) envs/system.sh
	@$(LAUNCH) --build driver

test: setup lint unit e2e ## lint, unit tests, then the mini run end to end with the real stack

lint: setup ## ruff, mypy, snakefmt (tests/workflow runs snakemake --lint)
	$(LAUNCH) dev ruff check .
	$(LAUNCH) dev ruff format --check .
	$(LAUNCH) dev mypy scripts benchmarks envs/launch.py
	$(LAUNCH) dev snakefmt --check Snakefile rules

unit: setup ## unit tests, each in the environment that it needs
	$(LAUNCH) dev pytest tests/unit
	$(LAUNCH) jax pytest $(JAX_TESTS)
	$(LAUNCH) torch pytest $(TORCH_TESTS)

e2e: setup ## the workflow: dry runs, and the mini run with real Tunix, TRL, vLLM and Icarus
	$(LAUNCH) dev pytest tests/workflow tests/e2e

bench: setup ## our speed beside the straightforward way's, in one run (minutes); docs/benchmarks.md has the figures
	$(LAUNCH) jax python -m benchmarks.data
	$(LAUNCH) analysis python -m benchmarks.simulate
	$(LAUNCH) jax python -m benchmarks.merge
	$(LAUNCH) jax python -m benchmarks.training

lock: setup ## remakes envs/NAME.txt from envs/NAME.in
	$(LAUNCH) uv envs/lock.sh

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
