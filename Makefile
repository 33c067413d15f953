# Each target prepares what it needs, from a machine with Python 3.11, git and make;
# a second run starts at once. ARGS are handed on:  make test ARGS="-k lease"

.DEFAULT_GOAL := help
ARGS ?=

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo:  ## Run the demonstration (ARGS: see holdover demo --help)
	@tools/bootstrap.sh demo
	.venv/bin/holdover demo $(ARGS)

USUAL := not chaos and not slow and not dropin

# Those that need every core, then all others, two at a time; with arguments (-x, --pdb,
# one file) one after the other. The second part runs even when the first fails.
.PHONY: test
test: test-setup  ## Run the tests but the longest (ARGS: pytest's)
ifeq ($(strip $(ARGS)),)
	@alone=0; \
	.venv/bin/pytest -m "$(USUAL) and alone" || alone=$$?; \
	.venv/bin/pytest -n 2 --dist loadgroup -m "$(USUAL) and not alone" && \
	if [ $$alone != 0 ]; then echo "those that run alone have failed: see above"; fi && \
	exit $$alone
else
	.venv/bin/pytest -m "$(USUAL)" $(ARGS)
endif

.PHONY: chaos
chaos: test-setup  ## Run the tests under injected faults (ARGS: pytest's)
	.venv/bin/pytest -m "chaos or slow" $(ARGS)

.PHONY: dropin
dropin: test-setup  ## Run the own tests of dogpile.cache and Django on ours (ARGS: pytest's)
	.venv/bin/pytest -m dropin $(ARGS)

.PHONY: test-setup
test-setup:
	@tools/servers.sh
	@tools/bootstrap.sh test
	@tools/dogpile_suite.sh
	@tools/django_suite.sh

.PHONY: lint
lint:  ## Check style and types
	@tools/bootstrap.sh test lint
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pyright --pythonpath .venv/bin/python

.PHONY: bench
bench: bench-setup  ## Measure what hits, Redis operations, sessions and pages cost, beside their peers
	.venv/bin/python benchmarks/side_by_side.py $(ARGS)
	.venv/bin/python benchmarks/steps.py
	.venv/bin/python benchmarks/redis_operations.py $(ARGS)
	.venv/bin/python benchmarks/django_cache.py $(ARGS)
	.venv/bin/python benchmarks/sessions.py $(ARGS)
	.venv/bin/python benchmarks/http_cache.py $(ARGS)

.PHONY: bench-check
bench-check: bench-setup  ## Measure hits; fail for what is worse than last time (ARGS: --only redis)
	.venv/bin/python benchmarks/side_by_side.py --check $(ARGS)

.PHONY: bench-setup
bench-setup:
	@tools/servers.sh bench
	@tools/bootstrap.sh bench

.PHONY: tox
tox:  ## Run the tests on every supported Python and Django (ARGS: tox's)
	tools/tox.sh $(ARGS)

.PHONY: matrix
matrix:  ## Run the Django tests on every Python and Django there is; name those missing
	@tools/servers.sh
	tools/tox.sh run -m matrix --skip-missing-interpreters true $(ARGS)

.PHONY: clean
clean:  ## Remove everything these targets made
	rm -rf .venv .tools .tox .dogpile-suite .django-suite .pytest_cache .hypothesis .mypy_cache .ruff_cache
	rm -rf .coverage .coverage.* htmlcov build dist *.egg-info holdover-demo
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
