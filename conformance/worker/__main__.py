"""Serves one implementation on standard input and output: ``python -m conformance.worker torch.nn.LSTM``.

Also run by its path, with an interpreter that knows nothing of this package: it then brings along this package alone,
not the folder that it lies in, whose other packages belong to another environment.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = str(Path(__file__).resolve().parents[2])


class Own:
    """Finds ``conformance`` and ``reference`` where this file comes from, and nothing else."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:  # fmt: skip
        """What Python's import asks of a finder."""
        del path, target
        return PathFinder.find_spec(name, [ROOT]) if name in ("conformance", "reference") else None


if __name__ == "__main__":
    if not __package__:
        del sys.path[0]  # This folder: its modules have names that others may want.
        sys.meta_path.insert(0, Own)
    from conformance import threads

    threads.pin()  # Before anything imports NumPy.
    from conformance.worker.serve import serve

    code = serve(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # Frameworks take long to end, and some crash as they do; nothing more is wanted of them.
