# Two commands for a newcomer: `make demo`, then `make up`. Both set themselves up.
PYTHON ?= python3
BIN := .venv/bin
export DAGSTER_DISABLE_TELEMETRY := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false

.PHONY: help demo up test test-fast lint bench bench-sender bench-collector bench-follow-up bench-salesforce chaos chaos-collector proof-scanners fuzz lock examples clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: .venv/ready        ## make a company and play the whole programme once (throws the last demo away)
	@$(BIN)/closedloop demo $(ARGS)

up: .venv/ready          ## Dagster UI, collector, mailbox and dashboard on loopback; Ctrl-C stops them all
	@$(BIN)/closedloop up $(ARGS)

test: .venv/ready-dev    ## everything that CI runs
	@bash tests/run.sh

test-fast: .venv/ready-dev  ## without slow, browser and PostgreSQL tests
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not browser and not postgres"

lint: .venv/ready-dev    ## style and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

bench: .venv/ready-dev   ## eligibility against a hand-written query; ARGS="--contacts 1000000 --repeats 3"
	@$(BIN)/python -m benchmarks.eligibility $(ARGS)

bench-sender: .venv/ready-dev  ## the sender against a bare loop; ARGS="--messages 100000 --repeats 1", "--postfix"
	@$(BIN)/python -m benchmarks.sender $(ARGS)

bench-collector: .venv/ready-dev  ## the collector against a bare group commit; ARGS="--answers 10000"
	@$(BIN)/python -m benchmarks.collector $(ARGS)

bench-follow-up: .venv/ready-dev  ## from an unhappy answer to the alert, against an empty run of Dagster; ARGS="--trials 12"
	@$(BIN)/python -m benchmarks.follow_up $(ARGS)

bench-salesforce: .venv/ready-dev ## contacts from Salesforce into the lake, and the memory it takes; ARGS="--contacts 1000000"
	@$(BIN)/python -m benchmarks.from_salesforce $(ARGS)

chaos: .venv/ready-dev   ## the sender killed 500 times over 10,000 messages, against a mail server of every fault
	@$(BIN)/python tests/support/sender_chaos.py $(ARGS)

chaos-collector: .venv/ready-dev  ## the collector killed 200 times while people answer
	@$(BIN)/python tests/support/collector_chaos.py $(ARGS)

proof-scanners: .venv/ready-dev  ## 1,000 mails opened by machines that follow every link, with and without scripts
	@$(BIN)/python tests/support/scanner_proof.py $(ARGS)

fuzz: .venv/ready-dev    ## the collector against its OpenAPI description, 1,000 requests for each operation and kind
	@FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/integration/collector/test_collector_description.py

lock: .venv/ready-dev    ## pins and hashes anew, from requirements/*.in
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/dev.in -o requirements/dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.lock requirements/runtime.in -o requirements/runtime.lock

examples: .venv/ready    ## docs/examples.md anew: each example programme with its plan
	@bash docs/examples.sh

clean:           ## remove the environment and the demo's home
	rm -rf .venv .closedloop target

.venv/bin/uv: requirements/bootstrap.lock
	@echo "making the environment (.venv)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

# uv is fast, pip is the fallback: a machine may reach its registry by pip's own configuration only.
.venv/ready: .venv/bin/uv requirements/runtime.lock pyproject.toml
	@echo "installing the pinned packages"
	@$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/runtime.lock \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/ready-dev: .venv/ready requirements/dev.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.lock \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@
