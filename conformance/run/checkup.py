"""Whether an implementation can run here: by looking at what is installed, or by asking it, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance.adapters import installed
from conformance.errors import UserError
from conformance.run import implementations

_CHILD = "import sys; sys.path[:] = sys.argv[3:]; from conformance.run import checkup; checkup.answer(*sys.argv[1:3])"
_LAST_LINES = 5


@dataclass(frozen=True)
class Checkup:
    """What was found out about an implementation.

    Attributes:
        spec: how it was named.
        name: how it names itself.
        versions: of what it requires and what is installed, without importing it.
        missing: a sentence that says which required package is not installed or has the wrong version.
        wrong_version: whether ``missing`` is about a version.
        install: that command alone.
        trouble: why it cannot run although nothing is missing.
        description: what it says about itself; empty unless it was asked.
    """

    spec: str
    name: str
    versions: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    wrong_version: bool = False
    install: str = ""
    trouble: str = ""
    description: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether it can run, as far as was found out."""
        return not (self.missing or self.trouble)

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.missing:
            return "wrong version" if self.wrong_version else "not installed"
        return "broken" if self.trouble else "works" if self.description else "installed"

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"state": self.state, **asdict(self)}


def look(spec: str) -> Checkup:
    """What is installed for an implementation. Imports its adapter, and no framework."""
    try:
        adapter = implementations.load(spec)
    except UserError as error:
        return Checkup(spec, spec, trouble=str(error))
    versions = {module: version for module, version in installed.versions(adapter).items() if version}
    absent, wrong = installed.not_installed(adapter), installed.wrong_version(adapter)
    return Checkup(
        spec,
        adapter.name,
        versions,
        missing=absent or wrong or "",
        wrong_version=bool(wrong and not absent),
        install=adapter.install,
    )


def ask(spec: str, deadline: float) -> Checkup:
    """Imports an implementation in another process and has it describe itself: it may crash or hang there.

    Args:
        spec: how it is named.
        deadline: seconds that it has.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "answer")
        with Path(folder, "errors").open("w+b") as errors:
            code = _run([sys.executable, "-c", _CHILD, spec, str(place), *sys.path], errors.fileno(), deadline)
            errors.seek(0)
            said = errors.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        try:
            found = json.loads(place.read_text(encoding="utf-8"))
            checkup, finished = Checkup(**found["checkup"]), found["finished"]
        except OSError:  # It did not even come to look.
            checkup, finished = Checkup(spec, spec), False
    if finished:
        return checkup
    how = f"gives no answer within {deadline:g} s" if code is None else _death(code)
    return replace(checkup, trouble="\n".join([f"{how} when it is imported and asked to describe itself", *said]))


def answer(spec: str, place: str) -> None:
    """What the other process does: it writes down what it sees before it imports what may end it."""
    checkup = look(spec)
    _put(place, checkup, finished=not checkup.usable)
    if not checkup.usable:
        return
    try:
        said = dict(implementations.load(spec).describe())
        checkup = replace(checkup, description={str(key): str(value) for key, value in said.items()})
    except Exception as error:
        checkup = replace(checkup, trouble=f"describe() raised {type(error).__name__}: {error}")
    _put(place, checkup, finished=True)


def _put(place: str, checkup: Checkup, finished: bool) -> None:
    draft = Path(f"{place}.draft")
    draft.write_text(json.dumps({"checkup": asdict(checkup), "finished": finished}), encoding="utf-8")
    draft.replace(place)


def _run(command: list[str], errors: int, deadline: float) -> int | None:
    """Runs a command to its end, and gives its exit code; None when it and its children had to be killed."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
    )
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()


def _death(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ends the process with exit code {code}"
    try:
        return f"is killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"is killed by signal {-code}"
