# Two commands for a machine with Python, git and make: `make run` and `make test`. With Node.js: `make js`, `make lint-js`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
JS := harnesses/js

.PHONY: run test js lint-js clean

# Runs every shipped case against every implementation, prints the summary, writes the report.
run: $(STAMP)
	$(BIN)/conformance run

# Lint, types, import contracts, then the suite's own tests and the shipped cases.
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto

# The page's scripts, and the harnesses in JavaScript; needs Node.js.
lint-js:
	npx --yes eslint@9.39.5 --config tests/eslint.config.mjs \
	  conformance/reports/page conformance/known/reproductions harnesses/js tests/eslint.config.mjs

# Runs every shipped case against the implementations in JavaScript, with the versions of the lock file.
js: $(STAMP)
	npm ci --ignore-scripts --prefix $(JS)
	$(BIN)/conformance run -i 'cmd:node $(JS)/tfjs.mjs' -i 'cmd:node $(JS)/tfjs.mjs wasm' \
	  -i 'cmd:node $(JS)/onnxruntime-node.mjs' -i 'cmd:node $(JS)/onnxruntime-web.mjs'

$(STAMP): pyproject.toml constraints/ci.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/ci.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) conformance-report
