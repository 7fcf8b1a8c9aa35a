"""Resident memory of one process over many cases, for each implementation in a process of its own.

    python -m benchmarks.memory [--cases 2000] [--configurations 100] [--shuffled] [IMPLEMENTATION …]

Configurations are small and vary at random, so that caches fill up and turn over. Memory is bounded where the last
column stays near the one before it.
"""

import argparse
import gc
import os
import random
import subprocess
import sys
import time
from importlib import import_module
from typing import Any

IMPLEMENTATIONS = {
    "torch.nn.LSTM": "conformance.adapters.pytorch.lstm:TorchLSTM",
    "torch.nn.LSTMCell": "conformance.adapters.pytorch.lstm_cell:TorchLSTMCell",
    "keras.layers.LSTM[tensorflow]": "conformance.adapters.keras.lstm:KerasLSTM",
    "keras.layers.LSTM[tensorflow,traced]": "conformance.adapters.keras.lstm:KerasLSTMTraced",
}


def resident() -> float:
    """MiB that this process holds in memory (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - a pseudo-file, read often
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def configuration(draw: random.Random) -> dict[str, Any]:
    """What a layer is made for."""
    return {
        "input_size": draw.randint(1, 8),
        "hidden_size": draw.randint(1, 8),
        "num_layers": draw.choice([1, 1, 1, 2]),
        "direction": draw.choice(["forward", "forward", "bidirectional"]),
        "bias": draw.random() < 0.8,
        "batch_first": draw.random() < 0.5,
        "lengths": draw.choice([None, "ragged"]),
        "padding": "random",
        "initial_state": draw.choice(["omitted", "random"]),
        "dtype": draw.choice(["float32", "float64"]),
    }


def measure(name: str, cases: int, configurations: int, shuffled: bool) -> None:
    """Solves cases and prints what memory they left behind."""
    from conformance.cases.case import Case
    from conformance.verdict.problem import make_problem

    module, cls = IMPLEMENTATIONS[name].split(":")
    adapter = getattr(import_module(module), cls)()
    draw = random.Random(1)
    drawn = [
        Case.model_validate({**options, "seq_len": draw.randint(1, 8), "batch": draw.randint(1, 4)})
        for options in [configuration(draw) for _ in range(configurations)]
        for _ in range(cases * 4 // configurations)
    ]
    able = [case for case in drawn if adapter.supports(case) is None]
    able = able[:: len(able) // cases][:cases]
    if shuffled:
        draw.shuffle(able)
    print(f"{name:36} start {resident():5.0f} MiB", end="", flush=True)
    began = time.process_time()
    for solved, case in enumerate(able, start=1):
        adapter.solve(make_problem(case))
        if solved in {cases // 4, cases // 2, cases}:
            gc.collect()
            print(f"   {solved:5} {resident():5.0f} MiB", end="", flush=True)
    print(f"   {(time.process_time() - began) / len(able) * 1e3:.1f} ms CPU a case", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("implementation", nargs="*", help=f"of {', '.join(IMPLEMENTATIONS)}; all unless given")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--configurations", type=int, default=100, help="different ones among the cases")
    parser.add_argument("--shuffled", action="store_true", help="not one configuration after the other")
    arguments = parser.parse_args()
    unknown = set(arguments.implementation) - IMPLEMENTATIONS.keys()
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: known are {', '.join(IMPLEMENTATIONS)}")
    names = arguments.implementation or list(IMPLEMENTATIONS)
    if arguments.cases < arguments.configurations:
        parser.error("--cases must be at least --configurations")
    if len(names) == 1:
        measure(names[0], arguments.cases, arguments.configurations, arguments.shuffled)
        return
    for name in names:
        subprocess.run([sys.executable, "-m", "benchmarks.memory", name, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
