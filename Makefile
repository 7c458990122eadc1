# Berth's tasks. Each sets up what it needs, once, in build/ (see tests/lab/README.md).

lab := tests/lab
dev := $(lab)/dev
# Words for a task's program: make run ARGS=build/images/demo.iso, make e2e ARGS=grub
ARGS ?=
# Where to install, and below which folder to put that together for a package.
PREFIX ?= /usr/local
DESTDIR ?=
# What is installed, as it lies below PREFIX.
stage := target/stage

.PHONY: help setup run stage install deb flatpak test unit e2e packages lint bench fuzz clean distclean

help:
	@echo 'make run        build Berth and show its window'
	@echo 'make test       run all tests: unit, e2e, packages'
	@echo 'make unit       run the unit and property tests'
	@echo 'make e2e        run the end-to-end tests, on /dev/kvm or in the lab'
	@echo 'make packages   test that the packages install, work and go again'
	@echo 'make lint       check formatting, lints, scripts, licences'
	@echo 'make bench      compare with QEMU'
	@echo 'make fuzz       run the property tests for long'
	@echo 'make install    build and install Berth: PREFIX=/usr/local DESTDIR='
	@echo 'make stage      build what is installed; then "sudo make install" only copies it'
	@echo 'make deb        build a package for Debian 13: target/deb/berth.deb'
	@echo 'make flatpak    build a Flatpak: target/flatpak/berth.flatpak'
	@echo 'make setup      install the system packages that the above need'
	@echo 'make clean      remove what was compiled'
	@echo 'make distclean  remove also the Debian 13 root, the lab and the guest images'

setup:
	@$(lab)/setup

run: setup
	@mkdir -p $${XDG_DATA_HOME:-$$HOME/.local/share}/berth
	@$(lab)/make-images demo.iso
	@$(dev) cargo build --release --package berth
	@$(dev) po/compile target/locale
	@export BERTH_LOCALE_DIR='$(CURDIR)/target/locale'; \
	[ "$$($(dev))" = system ] || export LOCPATH="$$($(lab)/locale)"; \
	if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	  INROOT_DESKTOP=1 $(dev) cargo run --quiet --release --package berth -- open $(ARGS); \
	else \
	  echo 'There is no display: booting the demo medium on this terminal. Ctrl-] leaves.'; \
	  $(dev) cargo run --quiet --release --package berth -- boot --iso build/images/demo.iso --memory 1G $(ARGS); \
	fi

stage: setup
	@$(dev) cargo build --release --package berth
	@$(dev) resources/stage $(stage)

install:
	@{ [ -n "$$SUDO_USER" ] && [ -x $(stage)/bin/berth ]; } || $(MAKE) --no-print-directory stage
	@resources/install $(stage) '$(DESTDIR)' '$(PREFIX)'

deb: setup
	@$(lab)/inroot cargo build --release --package berth
	@$(lab)/inroot resources/stage target/deb/stage target/debian13/release/berth
	@resources/deb/build target/deb/stage target/deb/berth.deb
	@resources/deb/test target/deb/berth.deb

flatpak: setup
	@flatpak/build

test: unit e2e packages

unit: setup
	@$(lab)/headless cargo test --workspace --exclude berth-tests $(ARGS)

e2e: setup
	@$(lab)/e2e $(ARGS)

packages: setup
	@$(lab)/packages $(ARGS)

lint: setup
	@$(lab)/lint

bench: setup
	@$(lab)/e2e --bench $(ARGS)
	@[ -n '$(ARGS)' ] || $(lab)/headless cargo bench --package vmm-core --package ui --benches

fuzz: setup
	@PROPTEST_CASES=$${PROPTEST_CASES:-100000} $(lab)/headless cargo test --release --workspace --exclude berth-tests $(ARGS)

clean:
	rm -rf target

distclean: clean
	rm -rf build
