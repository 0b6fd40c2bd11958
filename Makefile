# fastcone: every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= study-out
DATA   := $(wildcard ../shared/data/mnist10k.npz)
K      ?= nnls.descent
LEVEL  ?= v4
CALLS  ?= 50000
SEED   ?= 0
SOAK   ?= 7200

.DEFAULT_GOAL := help
.PHONY: help study check test test-long dev build bench hostile soak docs asm annotate lint sanitize clean

help:            ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

study: dev       ## set everything up, train one cone, reuse it for every task, write the report
	$(BIN)/python -m fastcone study --out $(OUT)

check: dev       ## the everyday tests: all but those marked slow
	$(BIN)/python -m pytest -q -m "not slow"

test: dev        ## set everything up and run the whole test suite
	$(BIN)/python -m pytest -q

test-long: dev   ## the random differential tests at full size (hours)
	FASTCONE_LONG=1 $(BIN)/python -m pytest -q tests -k long

dev: $(VENV)/installed build  ## virtual environment, dependencies, compiled kernels

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "fastcone wants Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip "setuptools>=77" "Cython>=3.1" "numpy>=2.0"
	$(BIN)/python -m pip install -q --no-build-isolation -e ".[test]"
	touch $@

build: $(VENV)/installed  ## compile what changed (FASTCONE_LEVELS=v4 for one SIMD level)
	$(BIN)/python setup.py -q build_ext --inplace

bench: dev       ## NNLS, 1-norm and NMF against peers and floors; rewrite the table in README.md
	$(BIN)/python -m pip install -q -e ".[bench]" --no-build-isolation
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m bench $(if $(DATA),--data $(DATA))
	$(BIN)/python -m bench.nnlad $(if $(DATA),--data $(DATA))
	$(BIN)/python -m bench.nmf $(if $(DATA),--data $(DATA))
	$(BIN)/python -m bench.losses $(if $(DATA),--data $(DATA))

hostile: dev     ## 50,000 hostile calls, drawn from a seed: no crash, no hang, no unnamed error (minutes)
	$(BIN)/python tests/hostile.py $(CALLS) $(SEED)

soak: dev        ## two hours of mixed load, cut short, interrupted, forked, malformed (SOAK=60)
	$(BIN)/python tests/soak.py $(SOAK) $(SEED)

docs: dev        ## check that the documentation's examples run
	$(BIN)/python -m pytest -q --doctest-glob='*.md' docs README.md

asm: build       ## vector instructions of a kernel's hot loops: make asm K=nnls.descent LEVEL=v4
	$(BIN)/python -m bench.asm fastcone/_kernels/$(subst .,/,$(K))_$(LEVEL).*.so

annotate:        ## Cython's annotated source of a kernel: make annotate K=nnls.descent
	$(BIN)/cython -3 -a fastcone/_kernels/$(subst .,/,$(K)).pyx -o build/$(K).c

lint: dev        ## ruff, cython-lint, mypy
	$(BIN)/python -m pip install -q -e ".[lint]" --no-build-isolation
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	PATH=$(BIN):$$PATH $(BIN)/cython-lint fastcone examples
	$(BIN)/mypy

sanitize: dev    ## the kernel tests under the address and undefined-behaviour sanitizers
	rm -rf build/sanitize && mkdir -p build/sanitize
	git ls-files | tar c -T - | tar x -C build/sanitize
	cd build/sanitize && FASTCONE_SANITIZE=address,undefined $(abspath $(BIN))/python setup.py -q build_ext --inplace
	cd build/sanitize && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(abspath $(BIN))/python -m pytest -q -p no:cacheprovider tests/test_kernels_*.py \
		tests/test_nnls*.py tests/test_nnlad.py tests/test_nmf.py -k "not scipy_own"
	cd build/sanitize/tests && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONPATH=.. \
		$(abspath $(BIN))/python structures.py 20000 $(SEED)

clean:           ## remove everything that can be made again
	rm -rf build dist *.egg-info $(VENV) study-out bench-out .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find fastcone -name '*.so' -delete -o -name __pycache__ -prune -exec rm -rf {} +
