# SPDX-License-Identifier: Apache-2.0
# The few words people type. Meson and Ninja do the building, scripts under script/ do the rest; `make help` lists them.
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 300
SOAK_ROUNDS ?= 300

RELEASE := --buildtype=debugoptimized -Db_lto=true
DEBUG := --buildtype=debug -Db_sanitize=address,undefined
UI_MARK := ui/node_modules/.installed
NPM_MARKS := test/conformance/node_modules/.installed test/deploy/node_modules/.installed test/ui/node_modules/.installed

.DEFAULT_GOAL := all
.PHONY: all demo docs run test check bench fuzz soak tsan format install clean help bootstrap bootstrap-test debug

all: bootstrap $(UI_MARK) build/build.ninja ## build the program, build/weir, and the library in build/client (release)
	@ninja -C build weir libweir

run: all ## build, then serve from ./data
	exec build/weir serve --dir ./data

test: bootstrap-test debug $(NPM_MARKS) all ## every test that needs only this machine; the last line counts them
	@ninja -C build weir libweir release-helpers
	@script/deploy-tools build-debug/deploy-tools
	@script/test-all

check: bootstrap-test ## before every commit: format, tidy, IDs, clang, unit tests and simulation
	@script/check

demo: all ## examples/training: three servers, trainers, real jobs; kills some of them; ends with a model a job (a minute)
	@script/bootstrap demo
	@ninja -C build weir training-platform
	@examples/training/demo

bench: all bootstrap-test ## compare with Debian's nats-server in one run
	@script/bench

fuzz: bootstrap-test ## every fuzz target for FUZZ_SECONDS (300) each
	@FUZZ_SECONDS=$(FUZZ_SECONDS) script/fuzz

soak: bootstrap-test debug $(NPM_MARKS) all ## the crash tests of test/e2e with SOAK_ROUNDS (300) rounds
	@SOAK_ROUNDS=$(SOAK_ROUNDS) script/soak

tsan: bootstrap-test test/conformance/node_modules/.installed ## what has threads, with ThreadSanitizer: unit tests, and clients against three workers
	@script/tsan

docs: ## the reference of libweir, from client/weir.h: build/docs/libweir.md
	@script/api-docs build/docs/libweir.md

format: bootstrap-test ## rewrite the C files as .clang-format says
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

install: all ## copy program and library to PREFIX (/usr/local), below DESTDIR
	@meson configure build -Dprefix=$(PREFIX)
	@ninja -C build weir libweir
	@DESTDIR=$(DESTDIR) meson install -C build --no-rebuild

clean: ## remove the build directories; ./data stays
	rm -rf build build-debug build-clang build-fuzz build-tsan

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Not shown by help.
bootstrap:
	@script/bootstrap build

bootstrap-test: bootstrap
	@script/bootstrap test

debug: bootstrap-test $(UI_MARK) build-debug/build.ninja
	@ninja -C build-debug

build/build.ninja: | bootstrap
	@CC='$(CC)' meson setup build $(RELEASE)

build-debug/build.ninja: | bootstrap-test
	@CC='$(CC)' meson setup build-debug $(DEBUG)

# What the dashboard is made with; without a network it is built without charts, and says so.
$(UI_MARK): ui/package-lock.json | bootstrap
	@script/ui-packages

$(NPM_MARKS): %/node_modules/.installed: %/package-lock.json | bootstrap-test
	@cd $* && npm ci --no-audit --no-fund
	@touch $@
