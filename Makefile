# Two commands for a machine with Python, git and make: `make run` and `make test`. With Node.js: `make js`, `make lint-js`.
# With a C++ compiler: `make cpp`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FRAMEWORKS := $(VENV)/installed-frameworks
TOOLS := $(VENV)/installed-tools
JS := harnesses/js
CPP := harnesses/cpp
# Compiles to bytecode on all processors; pip uses one. Some packages contain files that no Python 3 can compile.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints/ci.txt -e
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

# Hundreds of processes import the suite. Without bytecode, each compiles it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test js lint-js cpp device vectors pictures recording dist audit site mutants clean

# Runs every shipped case against every implementation, prints the summary, writes the report.
run: $(FRAMEWORKS)
	$(BIN)/conformance run

# Lint, types, import contracts, the workflows' security, then the suite's own tests and the shipped cases.
test: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet --min-severity medium action.yml .github
	$(BIN)/pytest -n auto

# Changes what decides a verdict, one place at a time, and lists the changes that no test notices. Takes hours.
# MUTANTS='--sample 50 conformance/results/merge.py' runs some.
mutants: $(VENV)/installed-mutants $(TOOLS)
	$(BIN)/python -m benchmarks.mutants $(MUTANTS)

# The page's scripts, and the harnesses in JavaScript; needs Node.js.
lint-js:
	npx --yes eslint@9.39.5 --config tests/eslint.config.mjs \
	  conformance/reports/page conformance/known/reproductions harnesses/js vectors tests/eslint.config.mjs

# Runs every shipped case against the implementations in JavaScript, with the versions of the lock file.
js: $(FRAMEWORKS)
	npm ci --ignore-scripts --prefix $(JS)
	$(BIN)/conformance run -i 'cmd:node $(JS)/tfjs.mjs' -i 'cmd:node $(JS)/tfjs.mjs wasm' -i 'cmd:node $(JS)/tfjs.mjs stateful' \
	  -i 'cmd:node $(JS)/onnxruntime-node.mjs' -i 'cmd:node $(JS)/onnxruntime-web.mjs'

# Builds the harness in C++ and runs every shipped case against libtorch.
cpp: $(FRAMEWORKS)
	$(MAKE) -C $(CPP) libtorch PYTHON=$(abspath $(BIN)/python)
	$(BIN)/conformance run -i cmd:$(CPP)/libtorch

# Runs every shipped case and those for devices on a GPU, with the packages of $(PYTHON): docs/other-environments.md.
device:
	$(PYTHON) -m benchmarks.device

# Writes the vectors of this repository again, after a change of cases or defects.
vectors: $(FRAMEWORKS)
	$(BIN)/conformance vectors export --set core --minimal --output vectors

# Draws the documentation's pictures of packages and of measured error ratios again.
pictures: $(TOOLS)
	$(BIN)/python -m tests.architecture > docs/architecture.svg
	$(BIN)/python -m benchmarks.error_ratios docs/error-ratios.svg

# Records the commands of the README's terminal.
recording: $(FRAMEWORKS)
	$(BIN)/python -m benchmarks.recording docs/recording.svg

# The files of a release, byte for byte the same for the same commit, checked as the package index checks them. What the
# suite itself needs is listed in sbom.json, in the format of CycloneDX.
dist: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
dist: $(VENV)/installed-release
	rm -rf dist build
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(PYTHON) -m venv --without-pip build/venv
	$(BIN)/python -m pip --python build/venv install --quiet --disable-pip-version-check dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json build/venv

# The documentation as a web site, in build/site. SITE_REPORT names the folder of a run whose page it includes.
site: $(VENV)/installed-site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f site/mkdocs.yml

# Known vulnerabilities in what the suite itself needs; asks the database of the package index, which does not know the
# suite's new version.
audit: dist
	$(BIN)/python -m pip --python build/venv uninstall --quiet --yes lstm-conformance
	$(BIN)/pip-audit --strict --path build/venv/lib/python*/site-packages

$(VENV)/installed-release $(VENV)/installed-site $(VENV)/installed-mutants: $(VENV)/installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[$*]'
	touch $@

$(FRAMEWORKS): pyproject.toml constraints/ci.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[torch,tensorflow,jax,onnx,openvino]'
	$(COMPILE)
	touch $@

$(TOOLS): pyproject.toml constraints/ci.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[dev]'
	$(COMPILE)
	touch $@ $(FRAMEWORKS)

clean:
	rm -rf $(VENV) conformance-report
