# The two commands of the README are `make run` and `make test`; everything they need, they set up.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# `make test VENV=.tools/python3.13 PYTHON=python3.13` tests another Python.
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Tests run in so many processes, since half of their time they wait; 0 runs them in one, as a
# debugger wants it.
JOBS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || sysctl -n hw.ncpu))))
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Bytecode is what makes the second start fast; measuring without it measures the compiler.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run drill test test-marks test-pythons test-sid test-all coverage check dist bench docs fuzz clean setup constraints bench-tools test-tools test-all-tools

run: setup
	@sh scripts/demonstration.sh

drill: setup test-tools
	@sh scripts/drill.sh

test: setup test-tools test-marks
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)

# regrow-marks, on every Python from 3.8 on that is here.
test-marks: setup .tools/marks/.ready
	@sh scripts/test_marks.sh .tools/marks

# Every other Python that is here, and then Debian sid with its newest programs.
test-pythons: setup test-tools
	@sh scripts/pythons.sh $(ARGS)
	@sh scripts/sid.sh $(ARGS)

test-sid:
	@sh scripts/sid.sh $(ARGS)

# Which lines and branches the tests run, in every process that they start.
coverage: setup test-tools
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-all: setup test-tools test-all-tools test-marks
	REGROW_BORG2="$(CURDIR)/.tools/borg2/bin/borg" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin
	$(BIN)/python scripts/dead_code.py
	$(BIN)/python scripts/generate_docs.py --check

# The wheels and source archives of both distributions, in directories of their own.
dist: setup
	rm -rf dist
	$(BIN)/uv build -q --no-build-isolation --python $(BIN)/python --out-dir dist/regrow-marks marks
	$(BIN)/uv build -q --no-build-isolation --python $(BIN)/python --out-dir dist/regrow .

bench: setup bench-tools
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup
	$(BIN)/python scripts/generate_docs.py

setup: $(STAMP)

$(STAMP): pyproject.toml marks/pyproject.toml constraints.txt scripts/need.sh
	@sh scripts/need.sh make:make git:git
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh scripts/need.sh --always python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r constraints.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation --editable ./marks --editable .
	@touch $@

# The newest pytest that Python 3.8 can run, for all of them: wheels that are Python alone.
.tools/marks/.ready: marks/constraints.txt
	rm -rf $(@D)
	$(BIN)/python -m pip install -q --target $(@D) --no-deps --require-hashes --only-binary :all: \
		--implementation py --abi none --platform any --python-version 3.8 -r marks/constraints.txt
	@touch $@

# What is installed, to the byte: the newest releases that pyproject.toml allows. A build's own tools
# are on the list too, since a build in an environment of its own would fetch what nobody has checked.
# regrow-marks is not on the list: it is installed from this repository.
COMPILE := $(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url
constraints: setup
	printf 'pip\nhatchling>=1.27\neditables\n./marks\n' | $(COMPILE) --universal --python-version 3.11 \
		--no-emit-package regrow-marks --group dev --output-file constraints.txt pyproject.toml -
	echo pytest | $(COMPILE) --python-version 3.8 --output-file marks/constraints.txt -

fuzz: setup
	@test -d .tools/fuzz || $(BIN)/python -m pip install -q --target .tools/fuzz atheris==3.0.0 || true
	PYTHONPATH=.tools/fuzz $(BIN)/python -m tests.fuzz.harness $(ARGS)

bench-tools:
	@sh scripts/need.sh git:git "gcc:gcc libc6-dev" $$(command -v fd >/dev/null || echo fdfind:fd-find)

test-tools:
	@sh scripts/need.sh tar:tar restic:restic borg:borgbackup strace:strace "gcc:gcc libc6-dev" \
		getfattr:attr fusermount3:fuse3 mkfs.vfat:dosfstools mkfs.ext4:e2fsprogs \
		node:nodejs npm:npm cmake:cmake rsync:rsync zsh:zsh fish:fish fdfind:fd-find systemd-analyze:systemd

test-all-tools:
	@sh scripts/need.sh bsdtar:libarchive-tools dar:dar cargo:cargo \
		composer:composer php:php-cli bundle:ruby-bundler mix:elixir dune:ocaml-dune ocamlc:ocaml \
		rclone:rclone duplicity:duplicity gpg:gpg rdiff-backup:rdiff-backup bup:bup rg:ripgrep
	@sh scripts/borg2.sh
	@sh scripts/gits.sh

clean:
	rm -rf .venv .tools .bench .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find marks src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
