"""Checks whether implementations can run: from package metadata, or by importing them in another process."""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from conformance import system
from conformance.adapters import installed
from conformance.errors import UserError
from conformance.run import implementations
from conformance.worker.process import describe_exit

_CHILD = (
    "import sys; sys.path[:] = sys.argv[3:]; from conformance.run import checkup; checkup.write_checkup(*sys.argv[1:3])"
)
_SHOWN_ERROR_LINES = 5


@dataclass(frozen=True)
class Checkup:
    """The state of one implementation.

    Attributes:
        spec: name of the implementation on the command line.
        name: name of the implementation.
        versions: installed versions of the packages that the adapter requires, from their metadata.
        missing: sentence that says which required package is not installed or has the wrong version.
        wrong_version: whether ``missing`` is about a version.
        install: command that installs the required packages.
        trouble: reason why the implementation cannot run although nothing is missing.
        description: the implementation's description of itself; empty if it was not imported.
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
        """Whether nothing prevents the implementation from running, as far as was checked."""
        return not (self.missing or self.trouble)

    @property
    def state(self) -> str:
        """``not installed``, ``wrong version``, ``broken``, ``works``, or ``installed`` if it was not imported."""
        if self.missing:
            return "wrong version" if self.wrong_version else "not installed"
        return "broken" if self.trouble else "works" if self.description else "installed"

    def as_json(self) -> dict[str, Any]:
        """Returns the state and all attributes as JSON values."""
        return {"state": self.state, **asdict(self)}


def check_packages(spec: str) -> Checkup:
    """Checks the packages that an implementation requires. Imports its adapter, but no framework."""
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


def check_import(spec: str, deadline: float) -> Checkup:
    """Imports an implementation in another process, where it may crash or hang, and lets it describe itself.

    Args:
        spec: name of the implementation on the command line.
        deadline: time limit in seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkup")
        with Path(folder, "errors").open("w+b") as errors:
            code = _run([sys.executable, "-c", _CHILD, spec, str(path), *sys.path], errors.fileno(), deadline)
            errors.seek(0)
            last_lines = errors.read().decode(errors="replace").splitlines()[-_SHOWN_ERROR_LINES:]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            checkup, finished = Checkup(**content["checkup"]), content["finished"]
        except OSError:  # The process ended before it could check the packages.
            checkup, finished = Checkup(spec, spec), False
    if finished:
        return checkup
    how = f"gave no answer within {deadline:g} s" if code is None else describe_exit(code)
    reason = f"its process {how} while it imported and described the implementation"
    return replace(checkup, trouble="\n".join([reason, *last_lines]))


def write_checkup(spec: str, path: str) -> None:
    """Writes a checkup to a file, first without and then with the description. Runs in the child process.

    If describing the implementation ends the process, the file still has the result of ``check_packages``.
    """
    checkup = check_packages(spec)
    _write(path, checkup, finished=not checkup.usable)
    if not checkup.usable:
        return
    try:
        description = dict(implementations.load(spec).describe())
        checkup = replace(checkup, description={str(key): str(value) for key, value in description.items()})
    except Exception as error:
        checkup = replace(checkup, trouble=f"describe() raised {type(error).__name__}: {error}")
    _write(path, checkup, finished=True)


def _write(path: str, checkup: Checkup, finished: bool) -> None:
    draft = Path(f"{path}.draft")
    draft.write_text(json.dumps({"checkup": asdict(checkup), "finished": finished}), encoding="utf-8")
    draft.replace(path)


def _run(command: list[str], errors: int, deadline: float) -> int | None:
    """Runs a command. Returns its exit code; None if it exceeded the deadline and was killed with its children."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
    )
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        system.kill_group(process)
        process.wait()
