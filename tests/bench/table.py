#!/usr/bin/python3
"""table.py FOLDER: the table of FOLDER/runs.jsonl, and the same in FOLDER/bench.json.

Medians over the rounds, with the range in brackets, and ratios between medians.  Where Renkei misses a target of its own, that is said.
"""
import collections
import json
import os
import platform
import statistics
import sys
import time

SYSTEMS = {  # what stands in the table: name, how it is set up and what its acknowledgement means
    "floor": "bare ROUTER + CURVE + LMDB, no protocol; acknowledges what is fsynced",
    "renkei": "renkeid as it comes but for the limits of one device and [store] ahead = 1 GiB (renkei.ini), CURVE, sealed posts, all checks; acknowledges what is fsynced",
    "mosquitto": "TLS 1.3, QoS 1, persistence true (autosave_interval as it comes: 1,800 s), clean_session 0, max_inflight_messages 1000, "
                 "max_queued_messages 0, set_tcp_nodelay true; acknowledges what is in memory",
    "nats": "JetStream as it comes: TLS 1.3, stream with storage file, retention limits, durable push consumers with ack_policy all, "
            "max_ack_pending 65536; acknowledges what is written, fsync follows within two minutes",
    "rabbitmq": "TLS 1.3, durable quorum queue, delivery_mode 2, publisher confirms, prefetch 2048, manual acks of many; as it comes else; "
                "confirms what is fsynced",
}
LOAD_QUIET = 0.5
SHAPES = ("1:1", "1:100", "1:1000")  # those that go as fast as they can
RATES = {"cpu_us_per_delivery": ("at most", "us CPU a delivery"), "deliveries_per_s": ("at least", "deliveries a second")}
DELAYS = {"p50_ms": ("at most", "ms at p50"), "p99_ms": ("at most", "ms at p99")}
# shape, figure, the other system, factor, sense: "at most" or "at least" factor x the other's; a crowd is compared with latency without one
TARGETS = [
    ("1:1", "cpu_us_per_delivery", "floor", 1.35, "at most"),
    ("1:1", "deliveries_per_s", "rabbitmq", 5, "at least"),
    ("1:1", "deliveries_per_s", "mosquitto", 2, "at least"),
    ("1:1", "deliveries_per_s", "nats", 1.7, "at least"),
    ("1:100", "cpu_us_per_delivery", "floor", 1.35, "at most"),
    ("1:1000", "cpu_us_per_delivery", "floor", 1.35, "at most"),
    ("1:100", "deliveries_per_s", "mosquitto", 2, "at least"),
    ("1:100", "deliveries_per_s", "nats", 2, "at least"),
    ("1:1000", "deliveries_per_s", "mosquitto", 2.5, "at least"),
    ("1:1000", "deliveries_per_s", "nats", 2.5, "at least"),
    ("latency", "p50_ms", "floor", 1.3, "at most"),
    ("latency", "p50_ms", "rabbitmq", 1, "at most"),
    ("latency", "p99_ms", "rabbitmq", 1, "at most"),
    ("latency", "p99_ms", "nats", 1, "at most"),
    ("crowd", "p50_ms", "renkei", 1.5, "at most"),
    ("crowd", "p99_ms", "renkei", 1.5, "at most"),
]


def machine():
    """Processor, cores and memory, as this machine tells them."""
    cpu = "unknown processor"
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = int(open("/proc/meminfo").readline().split()[1]) // 1048576
    return f"{cpu}, {os.cpu_count()} cores, {memory} GiB, Linux {platform.release()}"


def collect(path):
    """{(shape, system): [run]}, and how many failed."""
    runs, failed = collections.defaultdict(list), []
    for line in open(path):
        run = json.loads(line)
        if run.get("failed"):
            failed.append(run)
        else:
            runs[run["shape"], run["system"]].append(run)
    return runs, failed


def middle(runs, key):
    return statistics.median(run[key] for run in runs)


def cell(runs, key, digits):
    """Median [least-most]."""
    values = [run[key] for run in runs]
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


def read_versions(path):
    return dict(line.rstrip("\n").split("\t", 1) for line in open(path))


def print_rates(runs, versions, shape):
    ours = runs.get((shape, "renkei"))
    print(f"\n{shape:<10} {'CPU us/delivery':>24} {'deliveries/s':>30} {'acknowledged/s':>26}   CPU, deliveries against Renkei's")
    for system in versions:
        got = runs.get((shape, system))
        if not got:
            print(f"{system:<10} {'-':>24} {'-':>30} {'-':>26}")
            continue
        ratio = ""
        if ours and system != "renkei":
            ratio = "   " + ", ".join(f"{middle(got, k) / middle(ours, k):.2f}x" for k in ("cpu_us_per_delivery", "deliveries_per_s"))
        print(f"{system:<10} {cell(got, 'cpu_us_per_delivery', 1):>24} {cell(got, 'deliveries_per_s', 0):>30} "
              f"{cell(got, 'acknowledged_per_s', 0):>26}{ratio}")


def print_latency(runs, versions):
    keys = ("p50_ms", "p90_ms", "p99_ms", "max_ms", "sent_late_ms")
    rows = [(system, ("latency", system)) for system in versions]
    if ("crowd", "renkei") in runs:
        some = runs["crowd", "renkei"][0]
        rows.append((f"renkei, {some['idle']:,} more connected, {some['stuck']:,} stuck", ("crowd", "renkei")))
    print(f"\n{'1,000/s, ms':<40}" + "".join(f"{name.removesuffix('_ms'):>24}" for name in keys))
    for name, key in rows:
        got = runs.get(key)
        print(f"{name:<40}" + "".join(f"{cell(got, k, 2) if got else '-':>24}" for k in keys))


def reference(runs, shape, other):
    return runs.get(("latency" if shape == "crowd" else shape, other))


def is_reached(ratio, factor, sense):
    return ratio <= factor if sense == "at most" else ratio >= factor


def judge(runs):
    """Each target in a line; which are missed."""
    missed = []
    print("\ntargets:")
    for shape, key, other, factor, sense in TARGETS:
        ours, theirs = runs.get((shape, "renkei")), reference(runs, shape, other)
        if not ours or not theirs:
            print(f"  not measured  {shape} {key}: {sense} {factor}x {other}")
            continue
        ratio = middle(ours, key) / middle(theirs, key)
        reached = is_reached(ratio, factor, sense)
        print(f"  {'reached' if reached else 'MISSED ':<12}  {shape} {key}: {ratio:.2f}x {other}, {sense} {factor}x wanted")
        if not reached:
            missed.append({"shape": shape, "figure": key, "against": other, "ratio": ratio, "wanted": factor, "sense": sense})
    return missed


def say_losses(runs):
    """Where another broker does better, whatever the targets say; the floor always should."""
    losses, compared = [], 0
    for shape, figures in [(s, RATES) for s in SHAPES] + [("latency", DELAYS)]:
        for key, (sense, words) in figures.items():
            for other in SYSTEMS:
                ours, theirs = runs.get((shape, "renkei")), runs.get((shape, other))
                if other in ("floor", "renkei") or not ours or not theirs:
                    continue
                compared += 1
                if not is_reached(middle(ours, key) / middle(theirs, key), 1, sense):
                    losses.append(f"  to {other}, {shape}: {middle(ours, key):,.2f} against {middle(theirs, key):,.2f} {words}")
    print(f"\nRenkei loses in {len(losses)} of {compared} figures against other brokers" + (":" if losses else "."))
    for line in losses:
        print(line)


def write_plots(runs, versions, folder):
    """For gnuplot: one block for each system, its name first.  Of a latency, x is n in "the slowest one of n"."""
    with open(os.path.join(folder, "latency.dat"), "w") as f:
        for name, key in [(system, ("latency", system)) for system in versions] + [("renkei, crowd", ("crowd", "renkei"))]:
            if key in runs:
                f.write(f'"{name}"\n')
                for i, (step, _) in enumerate(runs[key][0]["latency_ms"]):
                    if step < 1:
                        f.write(f"{1 / (1 - step)} {statistics.median(run['latency_ms'][i][1] for run in runs[key])}\n")
                f.write("\n\n")
    with open(os.path.join(folder, "cost.dat"), "w") as f:
        for system in versions:
            points = [runs[shape, system] for shape in SHAPES if (shape, system) in runs]
            if points:
                f.write(f'"{system}"\n')
                f.writelines(f"{got[0]['subscribers']} {middle(got, 'cpu_us_per_delivery')}\n" for got in points)
                f.write("\n\n")


def main():
    folder = sys.argv[1]
    runs, failed = collect(os.path.join(folder, "runs.jsonl"))
    versions = read_versions(os.path.join(folder, "versions"))
    print(time.strftime("%Y-%m-%d"), machine())
    print("broker and load share the cores; loopback; 1 KiB; medians [range] of", max((len(r) for r in runs.values()), default=0), "rounds")
    load = float(open(os.path.join(folder, "load")).read())
    print(f"load average before the first round: {load}" + (": NOT QUIET, only ratios say anything" if load > LOAD_QUIET else ""))
    for system, version in versions.items():
        print(f"  {system} ({version}): {SYSTEMS[system]}")
    for shape in SHAPES:
        print_rates(runs, versions, shape)
    print_latency(runs, versions)
    missed = judge(runs)
    say_losses(runs)
    for run in failed:
        print(f"FAILED: {run['system']}, {run['shape']}, round {run['round']}")
    write_plots(runs, versions, folder)
    with open(os.path.join(folder, "bench.json"), "w") as f:
        json.dump({"date": time.strftime("%Y-%m-%d"), "machine": machine(), "load_before": load,
                   "systems": {s: [v, SYSTEMS[s]] for s, v in versions.items()}, "missed": missed, "failed": failed,
                   "runs": [run for group in runs.values() for run in group]}, f, indent=1)
    sys.exit(1 if failed else 0)


main()
