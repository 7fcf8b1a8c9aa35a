# Two commands for a machine with Python, git and make: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: run test lint-page clean

# Runs every shipped case against every implementation, prints the summary, writes the report.
run: $(STAMP)
	$(BIN)/conformance run

# Lint, types, then the suite's own tests and the shipped cases.
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto

# The page's scripts; needs Node.js.
lint-page:
	npx --yes eslint@9.39.5 --config tests/browser/eslint.config.mjs conformance/reports/page

$(STAMP): pyproject.toml constraints/ci.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/ci.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) conformance-report
