"""Measures what a check costs at the sizes at which kernels are used, as multiples of the reference's own time.

Each size runs in its own process on one thread, without a cache: ``torch.nn.LSTM``, one layer, float32, forward and
backward. The process also diagnoses a wrong implementation of the same size. Widths from 512 on meet the first two
limits. At smaller ones, NumPy calls on small arrays take most of the time.

====================================================  ========
budget, divided by the reference                      ≤ 5
everything but the implementation, without power and  ≤ 7
diagnosis, divided by the reference
share of power in the time of the case                ≤ 0.25
diagnosis of a failure                                ≤ 30 s
peak memory at 512, 512, 200, 16                      ≤ 1 GB
peak memory at 1024, 1024, 150, 32                    ≤ 2.5 GB
====================================================  ========
"""

import json
import resource
import subprocess
import sys

from benchmarks.arguments import make_parser
from conformance.adapters import registry
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.power.bitmasks import Detector
from conformance.run.controls import Control
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle

SIZES = (
    "64,64,50,8",
    "128,128,60,8",
    "256,256,100,16",
    "512,512,200,16",
    "1024,1024,100,16",
    "1024,1024,150,32",
    "8,32,10000,2",
)
"""Sizes (I, H, T, B) that are measured by default."""
DEFECT = "bias_hh-ignored"
"""Id of the wrong implementation's defect."""


def make_case(size: str, name: str) -> Case:
    """Returns a case of a size ``I,H,T,B``."""
    input_size, hidden_size, seq_len, batch = map(int, size.split(","))
    return Case(
        name=name, input_size=input_size, hidden_size=hidden_size, seq_len=seq_len, batch=batch, dtype="float32"
    )


def measure(size: str) -> dict[str, float]:
    """Returns the CPU seconds of each phase at one size, and the peak memory in GB before the diagnosis."""
    adapter = registry.load("torch.nn.LSTM")
    runner = Runner(Oracle(None), detector=Detector(None))
    runner.check(make_case("8,8,4,2", "warm-up"), adapter)
    result = runner.check(make_case(size, "size"), adapter)
    assert result.status == "pass", result.reason
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    wrong = Control(next(defect for defect in CATALOGUE if defect.id == DEFECT))
    failed = runner.check(make_case(size, "size"), wrong)
    assert failed.status == "fail", failed.reason
    return {**result.seconds, "diagnosis": failed.seconds["diagnosis"], "gigabytes": gigabytes}


def main() -> None:
    """Prints one row for each size."""
    parser = make_parser("large", __doc__)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="I,H,T,B", help=f"default: {' '.join(SIZES)}")
    parser.add_argument("--one", metavar="I,H,T,B", help="measure one size in this process and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one)))
        return
    print("CPU seconds; in brackets: divided by the reference\n")
    titles = ("torch", "reference", "budget", "everything else", "power", "diagnosis", "memory")
    print(f"{'I, H, T, B':20}" + "".join(f"{title:>18}" for title in titles))
    for size in args.sizes:
        command = [sys.executable, "-m", "benchmarks.large", "--one", size]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        suite = sum(found[phase] for phase in ("problem", "reference", "budget", "cache", "judging"))
        shown = {
            "solve": found["solve"],
            "reference": found["reference"],
            "budget": found["budget"],
            "suite": suite,
            "power": found["power"],
            "diagnosis": found["diagnosis"],
        }
        cells = [f"{seconds:9.3f} ({seconds / found['reference']:6.1f})" for seconds in shown.values()]
        row = "".join(f"{cell:>18}" for cell in [*cells, f"{found['gigabytes']:.2f} GB"])
        print(f"{size.replace(',', ', '):20}{row}")


if __name__ == "__main__":
    main()
