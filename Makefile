# The front door. Meson and Ninja do the work; this installs what they need and names the ways in.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
IN ?=
OUT ?= out
FUZZ_TIME ?= 60
CACHE = $(abspath $(or $(VEIL_CACHE),cache))
FIXTURES = $(abspath $(OUT))/fixtures
MESON_ARGS ?=
# Only C source that is ours; the two generated folders are not in git.
SOURCES = $(shell git ls-files '*.c' '*.h' 2>/dev/null)

export VEIL_CACHE := $(CACHE)

.PHONY: all help setup build test browser demo fixtures fixtures-small install bench fuzz asan tsan test-arm64 format \
        lint train-setup clean distclean

all: build

help:
	@echo "make            install what is missing, build the library and the program in $(BUILD)/"
	@echo "make demo       the whole way: make a clip, hide the bystanders, show where the result is"
	@echo "make demo IN=my.mp4    the same with your own clip"
	@echo "make test       build and run every test"
	@echo "make browser    test the web page in Chromium, in short in Firefox"
	@echo "make install    PREFIX=$(PREFIX), DESTDIR is honoured"
	@echo "make fixtures   all test clips with known truth, in $(OUT)/fixtures"
	@echo "make bench      benchmarks"
	@echo "make test-arm64 the engine's tests on arm64 (cross compiler, qemu)"
	@echo "make asan tsan  the tests under AddressSanitizer and UBSan, under ThreadSanitizer"
	@echo "make fuzz       each fuzzer for FUZZ_TIME=$(FUZZ_TIME) seconds"
	@echo "make lint format       check the style rules; apply clang-format"
	@echo "make clean      remove build folders and $(OUT)/ (distclean: the download cache too)"

setup:
	@sh tools/setup.sh build

build: setup
	@sh tools/build.sh $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS)

demo:
	@sh tools/setup.sh build media
	@sh tools/build.sh $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS)
	@PYTHON=$(PYTHON) VEIL=$(BUILD)/cli/veil bash tools/demo.sh -o $(OUT)/demo $(if $(IN),"$(IN)")

fixtures fixtures-small:
	@sh tools/setup.sh media
	@sh tests/fixtures/fetch.sh
	@$(PYTHON) tests/fixtures/build.py -o $(FIXTURES) --cache $(CACHE) --if-missing \
	    $(if $(filter fixtures-small,$@),--small)

test:
	@sh tools/setup.sh build media test
	@sh tools/build.sh $(BUILD) --prefix=$(PREFIX) -Dtests=enabled $(MESON_ARGS)
	@$(MAKE) --no-print-directory fixtures-small
	@VEIL_FIXTURES=$(FIXTURES) sh tools/test.sh $(BUILD)

# Not part of test: it takes minutes where there is little to spare.
browser:
	@sh tools/setup.sh build media test browser
	@sh tools/build.sh $(BUILD) --prefix=$(PREFIX) -Dtests=enabled $(MESON_ARGS)
	@$(MAKE) --no-print-directory fixtures-small
	@sh tests/web/browser/fetch.sh
	@VEIL_BROWSER=1 VEIL_FIXTURES=$(FIXTURES) sh tools/test.sh $(BUILD) --suite browser

install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX) >/dev/null
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)

bench: build
	@VEIL=$(BUILD)/cli/veil sh tools/bench.sh $(BUILD)

asan:
	@sh tools/setup.sh build media test
	@sh tools/build.sh $(BUILD)-asan --buildtype=debugoptimized -Db_sanitize=address,undefined \
	    -Db_lundef=false
	@$(MAKE) --no-print-directory fixtures-small
	@VEIL_FIXTURES=$(FIXTURES) UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	    LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	    sh tools/test.sh $(BUILD)-asan --timeout-multiplier 5

# The engine on arm64: Debian's cross compiler, the tests under qemu. -O2: gcc 12 fails at -O3.
test-arm64:
	@sh tools/setup.sh build arm64
	@sh tools/build.sh $(BUILD)-arm64 --cross-file=tools/arm64/cross.ini -Dprogram=disabled \
	    --buildtype=debugoptimized
	@sh tools/test.sh $(BUILD)-arm64 --timeout-multiplier 20 \
	    $(or $(ARM64_TESTS),"kernels conv" "kernels small" "kernels pix" "unit cpu" "unit pool" \
	    "unit model" "unit plan" "unit run" "unit share" "unit net")

tsan:
	@sh tools/setup.sh build test
	@sh tools/build.sh $(BUILD)-tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
	@TSAN_OPTIONS=halt_on_error=1 sh tools/test.sh $(BUILD)-tsan --timeout-multiplier 10 \
	    --suite unit --suite kernels

fuzz:
	@sh tools/setup.sh build test fuzz
	@CC=clang sh tools/build.sh $(BUILD)-fuzz --buildtype=debugoptimized -Dfuzz=true \
	    -Db_sanitize=address,undefined -Db_lundef=false
	@FUZZ_TIME=$(FUZZ_TIME) sh tools/fuzz.sh $(BUILD)-fuzz

lint:
	@sh tools/setup.sh build test
	@sh tools/build.sh $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS)
	@sh tools/test.sh $(BUILD) --suite lint

format:
	@sh tools/setup.sh test
	clang-format -i $(SOURCES)

train-setup:
	@sh tools/setup.sh train

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-arm64 $(OUT)

distclean: clean
	rm -rf cache
