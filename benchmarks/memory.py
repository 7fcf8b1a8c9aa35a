"""Measures the resident memory of a process that solves many cases. Needs Linux.

Each implementation runs in its own process. Random small configurations fill the implementation's caches and evict
their entries. Memory is printed at the start and after 1/4, 1/2 and all of the cases. It is bounded if the last two
values are nearly equal.
"""

import gc
import os
import random
import subprocess
import sys
import time
from importlib import import_module
from typing import Any

from benchmarks.arguments import make_parser
from conformance.system import resident_memory

IMPLEMENTATIONS = {
    "torch.nn.LSTM": "conformance.adapters.pytorch.lstm:TorchLSTM",
    "torch.nn.LSTMCell": "conformance.adapters.pytorch.lstm_cell:TorchLSTMCell",
    "keras.layers.LSTM[tensorflow]": "conformance.adapters.keras.lstm:KerasLSTM",
    "keras.layers.LSTM[tensorflow,traced]": "conformance.adapters.keras.lstm:KerasLSTMTraced",
}


def resident() -> float:
    """Returns the resident memory of this process in MiB."""
    return resident_memory(os.getpid()) / 2**20


def random_configuration(draw: random.Random) -> dict[str, Any]:
    """Returns random options of a case, without sequence length and batch size."""
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
    """Solves random cases and prints the resident memory at the start and after 1/4, 1/2 and all of the cases.

    Args:
        name: name of the implementation, from ``IMPLEMENTATIONS``.
        cases: number of cases.
        configurations: number of different configurations.
        shuffled: whether to shuffle the cases instead of grouping them by configuration.
    """
    from conformance.cases.case import Case
    from conformance.verdict.problem import make_problem

    module, cls = IMPLEMENTATIONS[name].split(":")
    adapter = getattr(import_module(module), cls)()
    draw = random.Random(1)
    drawn = [
        Case.model_validate({**options, "seq_len": draw.randint(1, 8), "batch": draw.randint(1, 4)})
        for options in [random_configuration(draw) for _ in range(configurations)]
        for _ in range(cases * 4 // configurations)
    ]
    supported = [case for case in drawn if adapter.supports(case) is None]
    supported = supported[:: len(supported) // cases][:cases]
    if shuffled:
        draw.shuffle(supported)
    print(f"{name:36} start {resident():5.0f} MiB", end="", flush=True)
    began = time.process_time()
    for solved, case in enumerate(supported, start=1):
        adapter.solve(make_problem(case))
        if solved in {cases // 4, cases // 2, cases}:
            gc.collect()
            print(f"   {solved:5} {resident():5.0f} MiB", end="", flush=True)
    print(f"   {(time.process_time() - began) / len(supported) * 1e3:.1f} ms of CPU time per case", flush=True)


def main() -> None:
    """Measures one implementation in this process, or each of several in its own process."""
    parser = make_parser("memory", __doc__)
    known = ", ".join(IMPLEMENTATIONS)
    parser.add_argument("implementation", nargs="*", help=f"implementations to measure (default: all): {known}")
    parser.add_argument("--cases", type=int, default=2000, help="number of cases (default: %(default)s)")
    parser.add_argument(
        "--configurations", type=int, default=100, help="number of different configurations (default: %(default)s)"
    )
    parser.add_argument("--shuffled", action="store_true", help="shuffle instead of grouping by configuration")
    arguments = parser.parse_args()
    unknown = set(arguments.implementation) - IMPLEMENTATIONS.keys()
    if unknown:
        parser.error(f"unknown implementation {', '.join(sorted(unknown))}; choose from {known}")
    names = arguments.implementation or list(IMPLEMENTATIONS)
    if arguments.cases < arguments.configurations:
        parser.error(f"--cases must be at least --configurations ({arguments.configurations}), got {arguments.cases}")
    if len(names) == 1:
        measure(names[0], arguments.cases, arguments.configurations, arguments.shuffled)
        return
    options = [f"--cases={arguments.cases}", f"--configurations={arguments.configurations}"]
    options += ["--shuffled"] * arguments.shuffled
    for name in names:
        subprocess.run([sys.executable, "-m", "benchmarks.memory", name, *options], check=True)


if __name__ == "__main__":
    main()
