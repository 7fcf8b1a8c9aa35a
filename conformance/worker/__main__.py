"""Serves one implementation on standard input and output: ``python -m conformance.worker torch.nn.LSTM``.

Another environment's interpreter runs this file by its path, without this package being installed there. The file then
makes only ``conformance`` and ``reference`` importable. The folder that contains them may be the ``site-packages`` of
this environment, whose other packages must not replace those of the other environment.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = str(Path(__file__).resolve().parents[2])


class SuiteFinder:
    """Import finder for ``conformance`` and ``reference`` in this file's source tree, and for no other package."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:  # fmt: skip
        """Returns the spec of ``conformance`` or ``reference``; None for any other module."""
        del path, target
        return PathFinder.find_spec(name, [ROOT]) if name in ("conformance", "reference") else None


if __name__ == "__main__":
    if not __package__:
        del sys.path[0]  # This folder. Its modules would hide others of the same name, such as `process`.
        sys.meta_path.insert(0, SuiteFinder)
    from conformance import telemetry, threads

    threads.pin()  # Before anything imports NumPy.
    telemetry.disable()
    from conformance.worker.serve import serve

    code = serve(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # Skips the frameworks' exit handlers, some of which are slow or crash.
