# Every target makes its own virtual environment in .venv; all it needs is Python 3.11+ with venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slow bench format clean

train: .venv/ready-plot
	$(BIN)/minigrad train lenet5

# Several processes share the processors here: threads that spin for work hold up the others.
test test-slow: export GOMP_SPINCOUNT = 4000

test: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --dist worksteal

test-slow: .venv/ready-dev .venv/ready-bench
	$(BIN)/pytest --numprocesses auto --dist worksteal -m "slow or not slow"

bench: .venv/ready-dev .venv/ready-bench
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.kernels --json build/benchmarks/kernels.json
	$(BIN)/python -m benchmarks.networks --json build/benchmarks/networks.json --png build/benchmarks/networks.png
	$(BIN)/python -m benchmarks.scaling --json build/benchmarks/scaling.json --png build/benchmarks/scaling.png

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/ready-%: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
