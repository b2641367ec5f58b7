# Everything a checkout needs, from nothing but Python 3.11+ and a package index.
# Each target sets up .venv by itself; the second time that takes no time.
PYTHON ?= python3
VENV   := .venv
# Much of a test is waiting, for processes and for the database: two at once on each processor, as far as memory suffices.
TESTS_AT_ONCE ?= $(shell $(PYTHON) -c "import os; print(min(8, 2 * (os.cpu_count() or 1)))")
# Those that look for rare events do so for about so many seconds each in `make test-long`, and for one in `make test`.
TEST_SECONDS ?= 60
RARE_TESTS := tests/e2e/test_crash.py tests/e2e/test_indexing_chaos.py \
	$(patsubst %,tests/integration/test_%.py,catalogue_model concurrency fuzz restore)
# And those that take all photos with the real model.
LONG_TESTS ?= $(RARE_TESTS) $(patsubst %,tests/e2e/test_%.py,demo documents gpu_check page pods) \
	$(patsubst %,tests/integration/test_%.py,duplicates http_schema model)
BIN    := $(VENV)/bin
# Tests start some hundred processes of ours: they must not compile our modules again each time, whatever the shell says.
test test-long test-rare: export PYTHONDONTWRITEBYTECODE =

.PHONY: audit demo sync-client gpu-wheels licences lock locked sbom test test-long test-rare lint screenshot format protos bench-attack bench-calibration bench-copies bench-embedder bench-gpu bench-graph bench-http bench-load bench-overload bench-path bench-indexing bench-quality bench-searcher bench-tenants clean help

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo  ## Index real photos and their altered copies, search them, show what was found.
	$(BIN)/lookalike demo

test: $(VENV)/.dev  ## Run all tests: unit, integration, end to end; TESTS_AT_ONCE=1 runs one at a time.
	@$(BIN)/lookalike-embedder weights >/dev/null
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.dev  ## Run the tests that look for rare events for longer: crashes, chaos, fuzz; and all photos.
	@$(BIN)/lookalike-embedder weights >/dev/null
	LOOKALIKE_TEST_SECONDS=$(TEST_SECONDS) $(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder $(LONG_TESTS)

test-rare: LONG_TESTS = $(RARE_TESTS)
test-rare: test-long  ## Run those alone that look for rare events; TEST_SECONDS=4 for a few seconds each.

lint: $(VENV)/.dev  ## Check style, types, the wire, and that the generated code is fresh.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	for image in tests/wire/*/image.binpb; do $(BIN)/buf breaking --against $$image || exit 1; done
	$(BIN)/python tools/protos.py --check
	$(BIN)/python tools/sync_client.py --check

screenshot: $(VENV)/.dev  ## Make the screenshots in docs anew, by the tests of the page and of the report; needs chromium.
	LOOKALIKE_SCREENSHOTS=docs $(BIN)/pytest tests/e2e/test_page.py tests/e2e/test_report.py -k "copies_come_first or proven or of_copies"

format: $(VENV)/.dev  ## Format the code and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: $(VENV)/.dev  ## Generate client/lookalike/v1 from protos.
	$(BIN)/python tools/protos.py

sync-client: $(VENV)/.dev  ## Write the methods of client/lookalike/sync_client/ from client/.
	$(BIN)/python tools/sync_client.py

lock: $(VENV)/.supply  ## Pin the versions in locks/, with hashes; UPGRADE=1 takes newer ones.
	$(BIN)/python tools/locks.py $(if $(UPGRADE),--upgrade)

locked: | $(VENV)/bin/python  ## Set .venv up with exactly the versions of locks/dev.txt, as tested.
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement locks/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(VENV)/.dev

licences: $(VENV)/.supply  ## List every package's licence; refuse one that is not known to be fine, see docs/supply.md.
	$(BIN)/pip-licenses --python $(BIN)/python

sbom: $(VENV)/.supply  ## Write what the images' locks hold as CycloneDX, one file each, to build/.
	@mkdir -p build
	for lock in searcher client embedder; do \
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	--output-file build/$$lock.cdx.json locks/$$lock.txt || exit 1; done

audit: $(VENV)/.supply  ## Look for known vulnerabilities of what is locked; needs the advisories of the package index.
	for lock in searcher client embedder dev; do \
	$(BIN)/pip-audit --disable-pip --require-hashes --strict --requirement locks/$$lock.txt || exit 1; done

bench-path: $(VENV)/.dev  ## Measure the whole path: indexing against the bare model, and queries.
	$(BIN)/python -m tests.bench.end_to_end $(BENCH_ARGS)

bench-attack: $(VENV)/.bench  ## Attack all servers over loopback: memory, connections, health, honest callers.
	$(BIN)/python -m tests.bench.attack $(BENCH_ARGS)

bench-embedder: $(VENV)/.bench  ## Measure the embedder: beside the bare model and LitServe, latency, memory, decoding.
	$(BIN)/python -m tests.bench.embedder $(BENCH_ARGS)

bench-gpu: $(VENV)/.dev  ## Prove and measure the embedder on this machine's GPU, in under eight minutes.
	$(BIN)/python tools/gpu_check.py $(BENCH_ARGS)

gpu-wheels: | $(VENV)/bin/python  ## Fill wheels/ with what tools/gpu_check.py needs where no package index can be reached.
	$(BIN)/python -m tools.gpu.wheels

bench-calibration: $(VENV)/.bench  ## Calibrate indexes of many kinds of vectors again and again: is the same chosen each time?
	$(BIN)/python -m tests.bench.calibrations $(BENCH_ARGS)

bench-copies: $(VENV)/.bench  ## Measure copies told from look-alikes, proven and by others' hashes; BENCH_ARGS="FOLDER…" with labels.csv.
	$(BIN)/python -m tests.bench.copies $(BENCH_ARGS)

bench-graph: $(VENV)/.bench  ## Measure pgvector's HNSW by its settings, insertion order and deletions, without the searcher.
	$(BIN)/python -m tests.bench.graph $(BENCH_ARGS)

bench-http: $(VENV)/.dev  ## Measure the gateway: what it costs beside the client library, the page's size.
	$(BIN)/python -m tests.bench.http $(BENCH_ARGS)

bench-indexing: $(VENV)/.bench  ## Measure batch indexing: beside the bare model, with a null model, again, its memory.
	$(BIN)/python -m tests.bench.indexing $(BENCH_ARGS)

bench-quality: $(VENV)/.bench  ## Measure retrieval: beside flattened pool5, adapted, copies; BENCH_ARGS="FOLDER…" with labels.csv.
	$(BIN)/python -m tests.bench.quality $(BENCH_ARGS)

bench-load: $(VENV)/.bench  ## Load everything for ten minutes, with restarts: latency, errors, memory, recovery.
	$(BIN)/python -m tests.bench.soak $(BENCH_ARGS)

bench-overload: $(VENV)/.dev  ## Ask each server for four times what it can do: goodput, refusals, health, recovery.
	$(BIN)/python -m tests.bench.overload $(BENCH_ARGS)

bench-searcher: $(VENV)/.bench  ## Measure the searcher: beside its own SQL, pgvector by hand and others; recall, builds, sizes.
	$(BIN)/python -m tests.bench.searcher $(BENCH_ARGS)

bench-tenants: $(VENV)/.bench  ## Measure what grows with the number of projects: connections, searches, creation, maintenance.
	$(BIN)/python -m tests.bench.tenants $(BENCH_ARGS)

clean:  ## Remove what the targets made.
	rm -rf $(VENV) lookalike-demo .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench $(VENV)/.supply: $(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
