# Needs Python 3.11 or newer and make. PYTHON=python3.12 make test picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# modules are compiled once, not in every process of a test
unexport PYTHONDONTWRITEBYTECODE
# a test file stays in one process, so that what its tests share is made once; one thread in each process
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(WORKERS) --dist loadfile
TIERS := test-documents test-figures test-services test-simulations

.PHONY: verify test $(TIERS) test-all slow mutants figures figures-quick claims bench gpu docs pages lint clean

verify: $(STAMP)  ## train models on digits, check Theorem 1 on them, then the same as a test suite
	$(BIN)/stationary verify
	$(BIN)/pytest -q verification/

test: $(STAMP)  ## the fast tests, in a few minutes on two cores
	$(PYTEST) -m "not (documents or figures or services or simulations or slow)"

test-documents: ## the code of README and pages, the site
test-figures: ## the figures' numbers, and their pictures against those that were looked at
test-services: ## indexes, databases, worker processes
test-simulations: ## coverage of intervals and error rates, over many draws
# the fast tests have checked every array already
$(TIERS): test-%: $(STAMP)
	JAXTYPING_DISABLE=1 $(PYTEST) -m "$* and not slow"

test-all: test $(TIERS)  ## every tier but the slow one

slow: $(STAMP)  ## the long simulations: calibration over 1000 audits a design, kernels against their floor
	$(BIN)/pytest -q -m slow --timeout 7200

# make mutants MUTANTS="--sample 200 --seed 3 --found FILE theory"; to be ended at any time and taken up again
mutants: $(STAMP)  ## small changes of the code, and whether the tests notice; the score goes into docs/contributing.md
	$(BIN)/python -m tests.mutants --write $(MUTANTS)

figures: $(STAMP)  ## the figures in full, into output/: twenty minutes on one core
	$(BIN)/python -m paper_figures

claims: $(STAMP)  ## the claims of the paper, each checked, with its verdict
	$(BIN)/stationary claims --quick

figures-quick: $(STAMP)  ## small versions of all figures, into output/
	$(BIN)/python -m paper_figures --quick --no-cache

gpu: $(STAMP)  ## what only a GPU can tell, into docs/data/gpu.json; skipped where there is none
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python docs/tables.py

bench: $(STAMP)  ## the Monte-Carlo kernels against their floor and the released sampler
	$(BIN)/stationary bench

docs: $(STAMP)  ## the documentation, into site/; nothing is downloaded
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

pages: $(STAMP)  ## write into README and pages what their code prints
	$(BIN)/python -m tests.documents README.md docs/*.md

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]" --constraint constraints.txt
	@touch $(STAMP)

clean:
	rm -rf .venv output site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
