# Each target sets up all it needs: uv if absent, Python's packages by hash, then the work.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := .venv/bin/
export UV_NO_CONFIG := 1
export UV_PYTHON_PREFERENCE ?= only-system

.PHONY: watch demo test check bench fuzz requirements clean

watch: .venv/ready
	@echo "make watch: live detection arrives with the next release; until then look back instead of ahead:"
	@echo "  make demo                            what a hunt through recorded audit logs prints"
	@echo "  $(RUN)sockwarden hunt /var/log/audit     your own"

demo: .venv/ready
	@$(RUN)sockwarden hunt tests/data/captures/inode-rules.audit.log

test: .venv/ready
	$(RUN)pytest $(PYTEST)

check: .venv/ready
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

bench: .venv/ready
	$(RUN)python benchmarks/hunt.py $(BENCH)

fuzz: .venv/fuzz-ready
	$(RUN)python fuzz/run.py $(FUZZ)

requirements: $(UV)
	for name in runtime dev fuzz; do \
	  $(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make requirements" requirements/$$name.in -o requirements/$$name.txt; \
	done

.venv/ready: requirements/dev.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing .venv
	$(UV) pip install --quiet --python .venv/bin/python --require-hashes --requirement requirements/dev.txt
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/fuzz-ready: requirements/fuzz.txt .venv/ready
	$(UV) pip install --quiet --python .venv/bin/python --require-hashes --requirement requirements/fuzz.txt
	@touch $@

.uv/bin/uv:
	@sh make/uv.sh

clean:
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
