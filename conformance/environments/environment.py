"""Environments in the suite's cache, each created once for the same requirements."""

import contextlib
import hashlib
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.cache import default_cache
from conformance.environments import installer
from conformance.environments.requirements import WORKER
from conformance.errors import MISSING, UserError

_FACTS = "environment.json"


@dataclass(frozen=True)
class Environment:
    """An environment in the cache.

    Attributes:
        folder: its folder.
        requirements: requirements that it was created for.
        before: date after which releases were ignored; empty for none.
        bytes: size of its files.
        yanked: whether the index has withdrawn one of the installed releases.
    """

    folder: Path
    requirements: tuple[str, ...]
    before: str
    bytes: int
    yanked: bool

    @property
    def python(self) -> str:
        """Path of its interpreter."""
        return str(installer.interpreter(self.folder))


def folder() -> Path:
    """Returns the folder of all environments, within the suite's cache."""
    return default_cache() / "environments"


def provide(requirements: Sequence[str], before: str = "") -> Environment:
    """Returns the environment with some requirements and those of a worker. Creates it if the cache does not have it.

    Two environments differ if the requirements, the date, the version of Python or the platform do. A requirement
    without an exact version gets the release that is the newest when the environment is created.

    Args:
        requirements: requirements as in ``requirements.txt``.
        before: date, such as ``2024-05-01``. Later releases are ignored.

    Raises:
        UserError: the environment cannot be created.
    """
    place = folder() / _key(requirements, before)
    if not place.exists():
        print(f"installing {', '.join(requirements)}{f' as of {before}' if before else ''}", file=sys.stderr)
        _create(place, requirements, before)
    return _read(place)


def installed() -> list[Environment]:
    """Returns all environments in the cache."""
    return [_read(path.parent) for path in sorted(folder().glob(f"[0-9a-f]*/{_FACTS}"))]


def remove_all() -> None:
    """Removes all environments from the cache, unfinished ones included.

    Raises:
        UserError: a file cannot be removed.
    """
    try:
        shutil.rmtree(folder())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be removed: {error.strerror}", MISSING) from error


def _key(requirements: Sequence[str], before: str) -> str:
    where = (WORKER, platform.python_implementation(), *sys.version_info[:2], sys.platform, platform.machine())
    content = json.dumps([sorted(requirements), before, where])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _create(place: Path, requirements: Sequence[str], before: str) -> None:
    """Creates an environment in a temporary folder, which then gets its final name."""
    with _writing(place.parent):
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
        try:
            new = draft / "new"
            installer.create(new)
            if before:  # The worker needs releases that the framework's dependencies of that date do not restrict.
                printed = installer.install(new, requirements, before) + installer.install(new, WORKER)
            else:
                printed = installer.install(new, [*requirements, *WORKER])
            size = sum(path.lstat().st_size for path in new.rglob("*"))
            facts = Environment(place, tuple(requirements), before, size, yanked="yanked" in printed)
            content = json.dumps(asdict(facts) | {"folder": place.name})
            (new / _FACTS).write_text(content, encoding="utf-8")
            try:
                new.rename(place)
            except OSError:
                if not place.exists():  # Another process was not faster.
                    raise
        except installer.InstallError as error:
            raise UserError(f"cannot install {', '.join(requirements)}:\n{error}", MISSING) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def _writing(parent: Path) -> Iterator[None]:
    """Creates a folder to write in. Reports errors of the file system in it as errors of the user."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"{error.filename or parent}: cannot be written: {error.strerror}", MISSING) from error


def _read(place: Path) -> Environment:
    values = json.loads((place / _FACTS).read_text(encoding="utf-8"))
    return Environment(**values | {"folder": place, "requirements": tuple(values["requirements"])})
