# Tidegate. Two commands matter: `make run` and `make test`; both start from nothing but Python >= 3.11.
# Every recipe uses paths relative to this folder, so a folder with spaces in its name works.
.DEFAULT_GOAL := help
.PHONY: help run test check cost format lock engines clean venv-run venv-test

VENV := .venv/bin
# The folders that are Python source, so that nothing else lying about is checked.
SOURCES := proxy tests setup.py
# Passed on: make run ARGS="--help"; make test ARGS="-k relay -x"
ARGS ?=

help: ## say what there is
	@printf 'Tidegate\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

run: venv-run ## install what is missing, then start `tidegate demo`: no GPU, no network
	@exec $(VENV)/tidegate demo $(ARGS)

# Hundreds of tests live on real sockets and real time: what fails while the machine is busy is asked once more, alone.
# Without ARGS they run in two halves at once (tests/__main__.py).
test: venv-test check ## install what is missing, run every check and every test
ifeq ($(strip $(ARGS)),)
	$(VENV)/python -m tests
else
	$(VENV)/python -m pytest $(ARGS) || { \
	  printf '\nOnce more, those that failed, alone:\n\n' && \
	  $(VENV)/python -m pytest --last-failed --last-failed-no-failures=none $(ARGS); }
endif

check: venv-test ## lint, format, types, import floors, generated files
	$(VENV)/ruff check $(SOURCES)
	$(VENV)/ruff format --check $(SOURCES)
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python -m proxy.config.reference --check
	$(VENV)/python -m proxy.obs.reference --check
	$(VENV)/python -m proxy.app.doctor.reference --check
	$(VENV)/python -m proxy.obs.dashboards --check

cost: venv-test ## count instructions per request, chunk and stream; above the committed figures is a failure
	@$(VENV)/python -m tests.benchmarks.cost $(ARGS)

format: venv-test ## put the source into its one format
	$(VENV)/ruff check --fix $(SOURCES)
	$(VENV)/ruff format $(SOURCES)

engines: ## set up real engines and a tiny model, once, in a cache outside this folder (15 minutes); ARGS=xllamacpp: that one alone (30 s)
	@sh deploy/engines.sh $(ARGS)

lock: venv-test ## write the locks anew from pyproject.toml
	@sh deploy/lock.sh

clean: ## remove .venv and every tool's cache
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f ./*.so
	find proxy -name '*.so' -exec rm -f {} +
	find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv-run:
	@sh deploy/bootstrap.sh run

venv-test:
	@sh deploy/bootstrap.sh test
