"""A bench program of ours, asked for one run at a time, in turns with what the scripts beside this run themselves."""

import platform
import subprocess
import time

# Runs of each way; the tables hold their medians.
ROUNDS = 7


class Ours:
    """The bench program, asked line by line; works that both sides do have the same name."""

    def __init__(self, program, threads):
        command = [program, "serve", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def run(self, work, batch, numbers):
        clock, used = self.ask(f"{work} {batch} {numbers}").split()
        return float(clock), float(used)

    def knows(self, work, batch, numbers):
        return self.ask(f"{work} {batch} {numbers}").strip() != "unknown"


def timed(work):
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3


def settled(run):
    """A run after a tenth of a second of runs that do not count: others' threads spin for a while after
    their work, and threads that slept are not at once where there is room for them."""
    until = time.perf_counter() + 0.1
    while time.perf_counter() < until:
        run()
    return run()


def machine(threads, peers):
    """The rows that say what ran where; a peer is a module, or nothing where it is not installed."""
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    flags = next((l.split() for l in open("/proc/cpuinfo") if l.startswith("flags")), [])
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8") if f in flags]
    print("| machine | |\n|---|---|")
    print(f"| processor | {model}: {' '.join(known)} |")
    print(f"| threads | {threads} |")
    print(f"| system | {platform.system()} {platform.machine()} |")
    for name, peer in peers.items():
        version = peer.__version__.replace("+", "-").split("-")[0] if peer else "not installed"
        print(f"| {name} | {version} |")
    print()
