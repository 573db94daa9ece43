#!/usr/bin/env python3
"""counts.py check|write: instructions and allocations a message, against tests/bench/counts.txt or into it.  See tests/bench/DESIGN.md, "Counts".

Runs RENKEI_BUILD/tests/bench/counts under callgrind, twice more for libzmq's I/O thread.  What callgrind wrote stays in RENKEI_BUILD/counts/.
"""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ.get("RENKEI_BUILD", "build"))
KEPT = HERE / "counts.txt"
OUT = BUILD / "counts"
BAND = 0.05
SLACK = 6               # instructions: libzmq looks at its mailbox by the clock, which a figure of 66 shows
READERS_MORE = 3        # that the fan has beside the one of the posts
BATCH = 20              # as in counts.c
IO_ROUNDS = (5, 15)
IO_THREAD = "04"        # of the broker's context: main, the one that counts, libzmq's reaper, its I/O thread, in this order
# The store's folder: in memory where there is such a place, since no count depends on the disk.
STORE = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
STEPS = ("front", "admit", "verify", "apply", "deliver")
PACKAGES = ("gcc-12", "libc6", "libzmq5", "libprotobuf-c1", "libsodium23", "liblmdb0", "valgrind")
# glibc takes the memcpy of any x86-64, whatever this CPU has.  For libsodium see counts_kit.c.
PLAIN_CPU = "glibc.cpu.hwcaps=" + ",".join("-" + f for f in (
    "AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "BMI1", "BMI2", "ERMS", "FSRM", "FMA", "LZCNT", "MOVBE", "POPCNT", "RTM", "SSSE3", "SSE4_1",
    "SSE4_2", "XSAVEC", "AVX_Fast_Unaligned_Load", "Prefer_No_VZEROUPPER", "Fast_Unaligned_Copy"))


def fail(text):
    print(f"counts: {text}")
    sys.exit(1)


# ---- running

def callgrind(name, options, arguments):
    """Runs the program; what it printed, and the file that callgrind wrote (without the suffix of a thread)."""
    out = OUT / name
    env = dict(os.environ, GLIBC_TUNABLES=PLAIN_CPU, TMPDIR=STORE.name)
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no", "--compress-pos=no", *options,
               str(BUILD / "tests/bench/counts"), *arguments]
    run = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode != 0:
        fail(f"{' '.join(command)}\n{run.stdout}{run.stderr}")
    return run.stdout, out


def inclusive(path):
    """What each function that was called has cost, with all that it called."""
    cost = {}
    called = None
    with open(path, errors="replace") as f:
        for line in f:
            if line.startswith("cfn="):
                called = line[4:].rstrip()
            elif line.startswith("calls="):
                cost[called] = cost.get(called, 0) + int(next(f).split()[-1])
    return cost


def io_instructions(rounds):
    _, out = callgrind(f"posts-{rounds}", ["--separate-threads=yes"], ["posts", str(rounds)])
    text = pathlib.Path(f"{out}-{IO_THREAD}").read_text(errors="replace")
    return int(re.search(r"^totals: (\d+)", text, re.M)[1])


def measure():
    """Name -> (instructions, allocations) a message."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    toggles = [f"--toggle-collect={f}" for f in ("count_post_*", "count_fan_*", "count_disclosure_*", "count_gate", "count_saved_apply")]
    printed, out = callgrind("callgrind.out", toggles, [])
    cost = inclusive(out)
    each = {}
    for line in printed.splitlines():
        name, messages, allocations = line.split()
        each[name] = (cost.get(name, 0) / int(messages), int(allocations) / int(messages), int(messages))
    figures = {}
    for step in STEPS:
        if step != "verify":  # posts are not verified here
            figures[f"post.{step}"] = each[f"count_post_{step}"][:2]
    few, more = IO_ROUNDS
    figures["post.io"] = ((io_instructions(more) - io_instructions(few)) / ((more - few) * BATCH), None)
    for step in ("front", "deliver"):
        one, fan = each[f"count_post_{step}"], each[f"count_fan_{step}"]
        figures[f"reader.{step}"] = tuple((fan[i] - one[i]) / READERS_MORE for i in (0, 1))
    signature = cost["crypto_sign_verify_detached"] / each["count_disclosure_verify"][2]
    for step in STEPS:
        instructions, allocations = each[f"count_disclosure_{step}"][:2]
        figures[f"disclosure.{step}"] = (instructions - (signature if step == "verify" else 0), allocations)
    figures["disclosure.signature"] = (signature, None)
    figures["gate"] = each["count_gate"][:2]
    # Where nothing was saved, apply_store returns at once: the other kinds add 1 instruction to it.
    instructions, allocations, messages = each["count_saved_apply"]
    store = cost["apply_store"] / messages
    figures["saved.apply"] = (instructions - store, allocations)
    figures["saved.store"] = (store, None)
    return figures


# ---- the kept file

def versions():
    """Debian's packages whose code is counted, or counts."""
    found = []
    for package in PACKAGES:
        q = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        found.append(f"{package} {q.stdout.strip() or '?'}")
    return found


def write(figures):
    lines = ["# Instructions and allocations a message: `make counts-write`, and never by hand.  tests/bench/DESIGN.md, \"Counts\".",
             "# with " + ", ".join(versions())]
    for name, (instructions, allocations) in figures.items():
        lines.append(f"{name:<22} {instructions:>9.0f} " + (f"{allocations:>7.2f}" if allocations is not None else f"{'-':>7}"))
    KEPT.write_text("\n".join(lines) + "\n")


def read():
    kept, made_with = {}, []
    for line in KEPT.read_text().splitlines():
        if line.startswith("# with "):
            made_with = line[len("# with "):].split(", ")
        elif not line.startswith("#"):
            name, instructions, allocations = line.split()
            kept[name] = (float(instructions), None if allocations == "-" else float(allocations))
    return kept, made_with


# ---- judging

def judge(name, what, now, kept, digits, slack=0):
    """A sentence if it is out of the band, else None."""
    if abs(now - kept) <= slack:
        return None
    said = f"{name}: {now:,.{digits}f} {what} a message, {kept:,.{digits}f} kept: "
    if now > kept * (1 + BAND):
        return said + (f"{(now / kept - 1) * 100:.1f} % more" if kept > 0 else "there were none")
    if now < kept * (1 - BAND):
        return said + f"better by {(1 - now / kept) * 100:.1f} %: write it down with `make counts-write`"
    return None


def check(figures):
    kept, made_with = read()
    faults = []
    if list(kept) != list(figures):
        fail(f"{KEPT} has other figures than these: {' '.join(figures)}; `make counts-write`")
    for name, (instructions, allocations) in figures.items():
        faults.append(judge(name, "instructions", instructions, kept[name][0], 0, SLACK))
        if allocations is not None:
            faults.append(judge(name, "allocations", round(allocations, 2), kept[name][1], 2))
    faults = [f for f in faults if f]
    for fault in faults:
        print(f"counts: {fault}")
    if not faults:
        post = [v for n, v in figures.items() if n.startswith("post.")]
        print(f"counts: {len(figures)} figures within {BAND:.0%} of those kept; a post takes {sum(v[0] for v in post):,.0f} instructions, "
              f"{sum(v[1] or 0 for v in post):.1f} allocations")
        return
    if any("% more" in f or "there were none" in f for f in faults):
        print(f"counts: where it went: callgrind_annotate --inclusive=yes {OUT}/callgrind.out; if it is wanted, `make counts-write`")
    other = [f"{was} -> {now}" for was, now in zip(made_with, versions()) if was != now]
    if other:
        print("counts: the kept figures were made with other packages: " + ", ".join(other))
    sys.exit(1)


def main():
    if sys.argv[1:] not in (["check"], ["write"]):
        sys.exit("usage: counts.py check|write")
    if platform.machine() != "x86_64":
        print("skipped: the counts that are kept are those of x86-64")
        return
    figures = measure()
    if sys.argv[1] == "write":
        write(figures)
        print(KEPT.read_text(), end="")
    else:
        check(figures)


if __name__ == "__main__":
    main()
