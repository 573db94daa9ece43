# Renkei.  `make help` lists the targets.  On a bare Debian 12: `make deps`, or any of check and demo, which call it.
# Settings, all of which can be given on the command line:
PREFIX   ?= /usr/local
WERROR   ?= 1
# SANITIZE=address,undefined or SANITIZE=thread builds the same in a folder of its own.
SANITIZE ?=
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD    ?= build$(if $(SANITIZE),$(if $(findstring thread,$(SANITIZE)),-tsan,$(if $(findstring fuzzer,$(SANITIZE)),-fuzz,-asan)))
CFLAGS   ?= $(if $(SANITIZE),-O1,-O2) -g

# Asked of pkg-config at the first use, not while this file is read: a bare machine has no pkg-config yet.  Of libxxhash there is only code in a header.
PKGS       := libzmq libprotobuf-c libsodium libxxhash smartcols jansson inih libsystemd
PKG_CFLAGS  = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS    = $(eval PKG_LIBS := $$(shell pkg-config --libs $(filter-out libxxhash,$(PKGS))) -llmdb -lpthread)$(PKG_LIBS)

WARN   := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes $(if $(filter 1,$(WERROR)),-Werror)
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE \
	  $(if $(filter x86_64,$(shell uname -m)),-fcf-protection) \
	  $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all,\
	  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(PKG_CFLAGS) $(HARDEN) $(CFLAGS) $(SPEED) -MMD -MP
LINK    = $(CC) $(HARDEN) $(CFLAGS) -pie -Wl,-z,relro,-z,now $(LDFLAGS)
Q      := $(if $(V),,@)
SAY     = $(if $(V),,@echo "  $(1) $@")

# Each folder is one archive; broker/main.c and client/cli/main.c are the two programs.
obj        = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
GEN       := $(addprefix $(BUILD)/gen/,renkei.pb-c.c renkei.pb-c.h local.pb-c.c local.pb-c.h rules.inc)
PROTO     := $(call obj,$(wildcard proto/*.c)) $(BUILD)/obj/gen/renkei.pb-c.o
STORE     := $(call obj,$(wildcard store/*.c))
BROKER    := $(call obj,$(filter-out broker/main.c,$(wildcard broker/*.c)))
CLIENT    := $(call obj,$(wildcard client/*.c)) $(BUILD)/obj/gen/local.pb-c.o
CLI       := $(call obj,$(filter-out client/cli/main.c,$(wildcard client/cli/*.c)))
KIT       := $(call obj,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
MAINS     := $(call obj,$(wildcard broker/main.c client/cli/main.c))
LIBS      := $(addprefix $(BUILD)/,libproto.a libstore.a libbroker.a librenkei.a libcli.a)
PROGRAMS  := $(if $(wildcard broker/main.c),$(BUILD)/renkeid) $(if $(wildcard client/cli/main.c),$(BUILD)/renkei)
# tests/unit/test_x.c is build/tests/test_x; a helper program tests/e2e/x.c is build/tests/e2e/x (also crash, bench, interop).
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
HELPERS   := $(patsubst %.c,$(BUILD)/%,$(filter-out %_kit.c $(if $(SANITIZE),tests/bench/counts.c),\
	     $(wildcard tests/e2e/*.c tests/crash/*.c tests/bench/*.c tests/interop/*.c)))
# Programs of tests/bench that need its kits; those of tests/bench/foreign need packages of their own and are built by `make bench` only.
BENCH_KIT := $(call obj,$(filter-out %/counts_kit.c,$(wildcard tests/bench/*_kit.c)))
BENCH     := $(addprefix $(BUILD)/tests/bench/,crowd load_floor load_renkei load_long)
# What `make counts` runs under valgrind.  It has a malloc of its own, so no sanitizer's.
COUNTS    := $(BUILD)/tests/bench/counts
FOREIGN   := $(patsubst tests/bench/foreign/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/foreign/load_*.c))
FOREIGN_KIT := $(call obj,tests/bench/load_kit.c tests/bench/foreign/tls_kit.c)
# tests/fuzz/fuzz_x.c is build/tests/fuzz/fuzz_x, which replays folders of inputs; with SANITIZE=...,fuzzer-no-link and clang, a fuzzer.
FUZZER    := $(findstring fuzzer,$(SANITIZE))
FUZZ      := $(patsubst %.c,$(BUILD)/%,$(filter-out %_kit.c,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_KIT  := $(call obj,tests/fuzz/fuzz_kit.c $(if $(FUZZER),,tests/fuzz/replay_main.c))
FUZZ_LIBS := $(addprefix $(BUILD)/,libtestkit.a librenkei.a libbroker.a libstore.a libproto.a)
FUZZ_SEED := $(call obj,$(addprefix tests/fuzz/,make_seeds.c seed_requests.c fuzz_kit.c))
HEADERS   := $(wildcard proto/*.h store/*.h broker/*.h client/*.h client/cli/*.h tests/unit/*.h tests/fuzz/*.h)

.PHONY: all deps tests headers unit unit-threads e2e fuzz fuzz-programs counts counts-write check demo bench bench-quick bench-long bench-deps soak-attachment install clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(LIBS) $(PROGRAMS)

help:
	@echo "all      build $(BUILD)/renkeid and $(BUILD)/renkei (V=1 shows the commands)"
	@echo "deps     install the Debian packages that are missing"
	@echo "unit     build and run the unit tests          e2e      run the end-to-end scenarios"
	@echo "check    deps, and every test there is         tests    build all tests, run none"
	@echo "fuzz     replay the corpora and fuzz each target for RENKEI_FUZZ_SECONDS (5)"
	@echo "counts   instructions and allocations a message against those kept (counts-write: keep these)"
	@echo "demo     deps, build, and a guided tour        bench    measure (bench-quick: in 3 minutes)"
	@echo "bench-long  catch-up, growth, retention, storm of connections, agreements (SHORT=1: in minutes); by hand"
	@echo "soak-attachment  2 GiB (or SIZE, in MiB) through kills of both sides; by hand"
	@echo "install  programs, manual pages and units into DESTDIR/PREFIX ($(PREFIX))"
	@echo "clean    remove every build folder             headers  compile every header by itself"
	@echo "settings: CC=clang BUILD=dir SANITIZE=address,undefined|thread WERROR=0 CFLAGS=..."

deps:
	@deploy/install-deps.sh build

# ---- generated code: once, before anything is compiled
$(BUILD)/gen/renkei.pb-c.c $(BUILD)/gen/renkei.pb-c.h &: proto/renkei.proto
	$(call SAY,GEN  )
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --proto_path=proto --c_out=$(BUILD)/gen renkei.proto

# What a home keeps for itself; never on the wire.
$(BUILD)/gen/local.pb-c.c $(BUILD)/gen/local.pb-c.h &: client/local.proto
	$(call SAY,GEN  )
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --proto_path=client --c_out=$(BUILD)/gen local.proto

$(BUILD)/gen/rules.inc: proto/renkei.proto proto/rules.awk
	$(call SAY,GEN  )
	@mkdir -p $(@D)
	$(Q)LC_ALL=C awk -f proto/rules.awk proto/renkei.proto >$@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	$(call SAY,CC   )
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(BUILD)/obj/%.o: %.c | $(GEN)
	$(call SAY,CC   )
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(WARN) -c -o $@ $<

# Loops over bytes that only -O3 unrolls.
$(BUILD)/obj/proto/checksum.o: private SPEED = $(if $(filter -O2,$(CFLAGS)),-O3)

# ---- archives and programs
$(BUILD)/libproto.a: $(PROTO)
$(BUILD)/libstore.a: $(STORE)
$(BUILD)/libbroker.a: $(BROKER)
$(BUILD)/librenkei.a: $(CLIENT)
$(BUILD)/libcli.a: $(CLI)
$(BUILD)/libtestkit.a: $(KIT)
$(BUILD)/lib%.a:
	$(call SAY,AR   )
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/renkeid: $(BUILD)/obj/broker/main.o $(addprefix $(BUILD)/,libbroker.a libstore.a libproto.a)
$(BUILD)/renkei: $(BUILD)/obj/client/cli/main.o $(addprefix $(BUILD)/,libcli.a librenkei.a libstore.a libproto.a)
$(BUILD)/renkeid $(BUILD)/renkei:
	$(call SAY,LD   )
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

TEST_LIBS := $(addprefix $(BUILD)/,libtestkit.a libcli.a librenkei.a libbroker.a libstore.a libproto.a)
$(BUILD)/tests/test_%: $(BUILD)/obj/tests/unit/test_%.o $(TEST_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lcmocka

$(BENCH): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BENCH_KIT) $(TEST_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

# The broker's deadlines go by a clock that stands.
$(COUNTS): LDFLAGS += -Wl,--wrap=path_monotonic_ms
$(COUNTS): $(call obj,tests/bench/counts.c tests/bench/counts_kit.c) $(TEST_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

$(FOREIGN): $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/foreign/%.o $(FOREIGN_KIT)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ -lssl -lcrypto

$(filter-out $(BENCH) $(COUNTS),$(HELPERS)): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TEST_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lcmocka

# A broker that lies (tests/e2e/liar.c): these functions are its own.
LIES := stream_append merkle_leaf apply_batch_log apply_release_pickup note_sign signer_newest signer_commit apply_log_seen
$(BUILD)/tests/e2e/liar: LDFLAGS += $(LIES:%=-Wl,--wrap=%)

# System calls of an upload, counted: the test kills itself at each of them.
CALLS := fdatasync fsync fallocate pwrite renameat unlinkat
$(BUILD)/tests/test_blob: LDFLAGS += $(CALLS:%=-Wl,--wrap=%)

$(FUZZ): $(BUILD)/%: $(BUILD)/obj/%.o $(FUZZ_KIT) $(FUZZ_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) $(if $(FUZZER),-fsanitize=fuzzer) -o $@ $^ $(PKG_LIBS)

$(BUILD)/tests/fuzz/make_seeds: $(FUZZ_SEED) $(FUZZ_LIBS)
	$(call SAY,LD   )
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

# ---- tests
tests: all $(UNIT) $(HELPERS)

headers: $(HEADERS:%=$(BUILD)/headers/%.ok)
$(BUILD)/headers/%.ok: % | $(GEN)
	@mkdir -p $(@D)
	$(Q)echo '#include "$<"' | $(COMPILE) $(WARN) -fsyntax-only -MF $@.d -MT $@ -x c - && touch $@

unit: tests
	@tests/run-unit.sh $(UNIT)

unit-threads: $(filter $(BUILD)/tests/test_thread_%,$(UNIT))
	@tests/run-unit.sh $^

e2e: all $(HELPERS)
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/run-e2e.sh

fuzz-programs: $(FUZZ)

fuzz:
	+@MAKE='$(MAKE)' tests/fuzz/run.sh

check:
	+@MAKE='$(MAKE)' tests/check.sh

demo:
	@deploy/install-deps.sh build
	@+$(MAKE) --no-print-directory all
	@RENKEI_BUILD=$(abspath $(BUILD)) deploy/demo.sh

soak-attachment: all
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/crash/attachment.sh $(SIZE) $(KILLS) $(SEED)

# Of the build as it comes: any other has other counts.
counts counts-write: $(COUNTS)
	$(if $(or $(SANITIZE),$(filter-out gcc,$(CC)),$(filter-out -O2 -g,$(CFLAGS))),@echo "skipped: counts are of gcc's build with '-O2 -g'",\
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/bench/counts.py $(if $(filter %-write,$@),write,check))

# What only the comparison needs: a TLS library for its loads, the other brokers, plots.
BENCH_PACKAGES := libssl-dev openssl python3 gnuplot-nox mosquitto nats-server rabbitmq-server
bench-deps:
	@tests/bench/deps.sh $(BENCH_PACKAGES)

bench: all $(HELPERS) $(FOREIGN)
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/bench/compare.sh
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/bench/run.sh

bench-quick: all $(BENCH) $(FOREIGN) $(BUILD)/tests/bench/floor
	@RENKEI_BUILD=$(abspath $(BUILD)) tests/bench/compare.sh quick

bench-long: all $(BENCH) $(addprefix $(BUILD)/tests/bench/,bare bench_gate bench_nda)
	@RENKEI_BUILD=$(abspath $(BUILD)) SHORT=$(SHORT) tests/bench/long.sh

install: all
	install -D -t $(DESTDIR)$(PREFIX)/bin $(PROGRAMS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 deploy/man/renkei.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 deploy/man/renkeid.8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' deploy/renkeid.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/renkeid.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/renkeid.service
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/user
	for unit in renkei-agent renkei-secretariat; do \
		sed 's|/usr/local/bin/|$(PREFIX)/bin/|' deploy/$$unit.service >$(DESTDIR)$(PREFIX)/lib/systemd/user/$$unit.service && \
		chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/user/$$unit.service || exit 1; done

clean:
	rm -rf build build-*

-include $(patsubst %.o,%.d,$(PROTO) $(STORE) $(BROKER) $(CLIENT) $(CLI) $(KIT) $(MAINS))
-include $(patsubst $(BUILD)/%,$(BUILD)/obj/%.d,$(HELPERS)) $(UNIT:$(BUILD)/tests/%=$(BUILD)/obj/tests/unit/%.d)
-include $(BENCH_KIT:%.o=%.d) $(BUILD)/obj/tests/bench/counts_kit.d $(FOREIGN_KIT:%.o=%.d) $(FOREIGN:$(BUILD)/tests/bench/%=$(BUILD)/obj/tests/bench/foreign/%.d)
-include $(patsubst %.o,%.d,$(FUZZ_KIT) $(FUZZ_SEED) $(FUZZ:$(BUILD)/%=$(BUILD)/obj/%.o))
-include $(HEADERS:%=$(BUILD)/headers/%.ok.d)
