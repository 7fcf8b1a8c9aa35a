"""Requirements of an environment: those that a user names, and those that an adapter and the worker need besides."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from conformance.adapters import Adapter, registry
from conformance.adapters.installed import REQUIREMENTS
from conformance.errors import UserError

WORKER = ("numpy>=1.23", "packaging>=23", "pydantic>=2.8", "safetensors>=0.4")
"""Requirements of the part of the suite that runs in the environment."""

ALTERNATIVES: Mapping[str, Sequence[str]] = {
    "cv2": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "keras": ("keras-nightly",),
    "onnx": ("onnx-weekly",),
    "onnxruntime": ("onnxruntime-gpu", "ort-nightly"),
    "paddle": ("paddlepaddle-gpu",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu"),
    "tvm": ("apache-tvm",),
}
"""Distributions that provide a module, besides the one of its extra."""

_ON_LINUX = {"tensorflow": "tensorflow-cpu", "mlx": "mlx[cpu]"}
"""Distributions that the extras install on Linux instead of the one with the module's name."""


class Spec(NamedTuple):
    """An implementation with the requirements of its environment, as in ``onnxruntime@onnxruntime==1.20.1``.

    Attributes:
        name: name of the implementation.
        named: requirements that the user named.
    """

    name: str
    named: tuple[Requirement, ...]

    def __str__(self) -> str:
        return f"{self.name}@{','.join(map(str, self.named))}"


def parse(text: str) -> Spec | None:
    """Parses ``NAME@REQUIREMENT,REQUIREMENT…``. Returns None for any other name of an implementation.

    Raises:
        UserError: the text after a registered name is not a list of requirements.
    """
    name, at, rest = text.partition("@")
    if not at:
        return None
    try:
        # A comma also separates the conditions of one version range and, within brackets, extras.
        parts = re.split(r",(?![^\[]*\])(?=\s*[A-Za-z])", rest)
        return Spec(name, tuple(map(Requirement, parts)))
    except InvalidRequirement as error:
        if name not in registry.registered():  # A path may contain an @.
            return None
        reason = str(error).splitlines()[0]
        raise UserError(f"{text}: {rest!r} is not a list of requirements such as keras==3.8.0: {reason}") from error


def complete(adapter: Adapter, named: Sequence[Requirement], ranges: bool = True) -> list[str]:
    """Returns the named requirements and those of the modules that the adapter needs and no named one provides.

    Args:
        adapter: the adapter.
        named: requirements that the user named.
        ranges: whether the others are restricted to the versions that their extras support.
    """
    others = [_default(module) for module in adapter.requires if not provider(module, named)]
    return [*map(str, named), *(other if ranges else _without_range(other) for other in others)]


def provider(module: str, named: Sequence[Requirement]) -> Requirement | None:
    """Returns the named requirement whose distribution provides a module; None if there is none."""
    names = {canonicalize_name(name) for name in (module, distribution(module), *ALTERNATIVES.get(module, ()))}
    return next((requirement for requirement in named if canonicalize_name(requirement.name) in names), None)


def own_package(adapter: Adapter) -> str:
    """Returns the distribution that defines an implementation: that of its first required module.

    Raises:
        UserError: the adapter names no required module.
    """
    if not adapter.requires:
        raise UserError(f"{adapter.name} names no package that it requires. Use --package.")
    return distribution(adapter.requires[0])


def distribution(module: str) -> str:
    """Returns the distribution that provides a module, as the extras install it here."""
    return Requirement(_default(module)).name


def exactly(package: str, version: Version) -> Requirement:
    """Returns the requirement of one release, with the extras of its package that are needed here."""
    names = _ON_LINUX.values() if sys.platform == "linux" else ()
    name = next((each for each in names if Requirement(each).name == package), package)
    return Requirement(f"{name}=={version}")


def supported(package: str, releases: Sequence[Version]) -> list[Version]:
    """Returns the releases of a package that the extras allow: all of them if no extra names the package."""
    ranges = [
        Requirement(text).specifier for module, text in REQUIREMENTS.items() if provider(module, [Requirement(package)])
    ]
    return [release for release in releases if all(release in allowed for allowed in ranges)]


def named(texts: Sequence[str]) -> tuple[Requirement, ...]:
    """Parses the requirements of a command line.

    Raises:
        UserError: one is not a requirement.
    """
    try:
        return tuple(map(Requirement, texts))
    except InvalidRequirement as error:
        raise UserError(f"invalid requirement: {error}") from error


def _default(module: str) -> str:
    """Returns the requirement of a module that the user did not name: that of its extra."""
    text = REQUIREMENTS.get(module, module.replace("_", "-"))
    if sys.platform == "linux" and module in _ON_LINUX:
        return _ON_LINUX[module] + str(Requirement(text).specifier)
    return text


def _without_range(text: str) -> str:
    requirement = Requirement(text)
    requirement.specifier = SpecifierSet()
    return str(requirement)
