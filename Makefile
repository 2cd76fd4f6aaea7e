# Each target sets up all it needs: uv if absent, Python's packages by hash, then the work.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
VENV ?= .venv
PYTHON ?=
RUN := $(VENV)/bin/
PROGRAMS := src/sockwarden/sensors/ebpf/programs/sockwarden.bpf
export UV_PYTHON_PREFERENCE ?= only-system

.PHONY: watch demo test check bpf bench peers fuzz install uninstall requirements ecs-fields attack clean

watch: $(VENV)/ready
	@sh make/libbpf.sh $(RUN)python
	@$(RUN)sockwarden watch $(WATCH)

demo: $(VENV)/ready
	@$(RUN)sockwarden hunt tests/data/captures/inode-rules.audit.log

test: $(VENV)/ready
	$(RUN)pytest $(PYTEST)

check: $(VENV)/ready
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

# The object is checked in beside its source, so that a clone needs no clang; tests compare the two.
bpf:
	sh make/bpf.sh $(PROGRAMS).c $(PROGRAMS).o

bench: $(VENV)/bench-ready
	$(RUN)python benchmarks/run.py $(if $(QUICK),--quick) $(BENCH)

# Other tools that benchmarks compare with; one that is not obtained is left out there.
peers:
	@sh make/peers.sh

fuzz: $(VENV)/fuzz-ready
	$(RUN)python fuzz/run.py $(FUZZ)

# PREFIX, BINDIR, UNITDIR, DESTDIR, PYTHON and PURGE are read by the scripts.
export DESTDIR PREFIX BINDIR UNITDIR PURGE PYTHON

install: $(VENV)/ready
	@[ -n "$(DESTDIR)" ] || sh make/libbpf.sh $(RUN)python
	@sh make/install.sh $(RUN)python $(UV)

uninstall:
	@sh make/uninstall.sh

requirements: $(UV)
	for name in runtime dev bench fuzz go uv; do \
	  $(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make requirements" requirements/$$name.in -o requirements/$$name.txt; \
	done

$(VENV)/ready: requirements/dev.txt pyproject.toml hatch_build.py $(wildcard src/sockwarden/compiled/*.[ch]) | $(UV)
	$(UV) venv --quiet --allow-existing $(if $(PYTHON),--python $(PYTHON)) $(VENV)
	$(UV) pip install --quiet --python $(RUN)python --require-hashes --requirement requirements/dev.txt
	$(UV) pip install --quiet --python $(RUN)python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/fuzz-ready: requirements/fuzz.txt $(VENV)/ready
	$(UV) pip install --quiet --python $(RUN)python --require-hashes --requirement requirements/fuzz.txt
	@touch $@

$(VENV)/bench-ready: requirements/bench.txt $(VENV)/ready
	$(UV) pip install --quiet --python $(RUN)python --require-hashes --requirement requirements/bench.txt
	@touch $@

.uv/bin/uv:
	@sh make/uv.sh

# Data of others that is packaged: each from its publisher's package.
ecs-fields: $(VENV)/ready
	$(RUN)python make/ecs_fields.py

attack: $(VENV)/ready
	$(RUN)python make/attack.py $(UV)

# The jars of the node that tests/opensearch starts.
.opensearch/ready: tests/opensearch/server/pom.xml
	mvn --quiet --batch-mode -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/.opensearch
	@touch $@

# The client of CRI sockets that tests/host asks with.
.crictl/crictl: make/crictl.sh requirements/go.txt | $(UV)
	@sh $< $(UV)

clean:
	rm -rf .venv .venv-* .uv .bench .peers .crictl .opensearch .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
