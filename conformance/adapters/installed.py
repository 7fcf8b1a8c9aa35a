"""Checks the packages that an adapter requires: whether they are installed, and in a supported version.

No framework is imported.
"""

import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from conformance.adapters.adapter import Adapter
from conformance.adapters.registry import BUILT_IN

REQUIREMENTS: Mapping[str, str] = {
    "MNN": "MNN>=3.0",
    "ai_edge_litert": "ai-edge-litert>=2.0",
    "cv2": "opencv-python-headless>=4.11",
    "equinox": "equinox>=0.13",
    "flax": "flax>=0.12",
    "haiku": "dm-haiku>=0.0.15",
    "jax": "jax>=0.8",
    "keras": "keras>=3.5",
    "mlx": "mlx>=0.30",
    "ncnn": "ncnn>=1.0.20240102",
    "onnx": "onnx>=1.14",
    "onnxruntime": "onnxruntime>=1.15",
    "onnxscript": "onnxscript>=0.5",
    "openvino": "openvino>=2025.0",
    "paddle": "paddlepaddle>=3.0",
    "tensorflow": "tensorflow>=2.18",
    "tf2onnx": "tf2onnx>=1.16",
    "tinygrad": "tinygrad>=0.11",
    "torch": "torch>=2.4",
    "tract": "tract>=0.23",
}
"""Requirements of the extras in ``pyproject.toml``, by module. A worker in another environment needs them too, and may
lack the metadata of this package. Modules without an extra accept every version."""


def missing(adapter: Adapter) -> str | None:
    """Returns a sentence about required packages that are not installed or have the wrong version; None without any."""
    return not_installed(adapter) or wrong_version(adapter)


def not_installed(adapter: Adapter) -> str | None:
    """Returns a sentence with the missing modules and the command that installs them; None if all are installed."""
    absent = [module for module in adapter.requires if not _is_installed(module)]
    if not absent:
        return None
    verb = "is" if len(absent) == 1 else "are"
    prefix = "" if adapter.install.startswith("see ") else "install with: "
    hint = f"; {prefix}{adapter.install}" if adapter.install else ""
    return f"{adapter.name} needs {' and '.join(absent)}, which {verb} not installed{hint}"


def wrong_version(adapter: Adapter) -> str | None:
    """Returns the first requirement that an installed version violates; None if there is none.

    For example ``flax.linen.LSTMCell needs flax>=0.12, found 0.10.2``. Only built-in adapters are checked: the extras
    say nothing about the versions that other adapters need.
    """
    name = adapter.name.partition("@")[0]
    if name not in BUILT_IN:
        return None
    for module, found in versions(adapter).items():
        requirement = REQUIREMENTS.get(module)
        if requirement and not _satisfies(found, requirement):
            return f"{name} needs {requirement}, found {found}"
    return None


def versions(adapter: Adapter) -> dict[str, str]:
    """Returns the versions of the modules that an adapter requires, from its own environment if it has one."""
    return dict(adapter.packages) or {module: version(module) for module in adapter.requires}


@cache
def version(module: str) -> str:
    """Returns the version of the distribution that provides a top-level module; empty if there is none."""
    # A distribution can have another name than its module: tensorflow-cpu provides tensorflow.
    for name in (module, f"{module}-cpu"):
        if found := _distribution_version(name):
            return found
    return next(filter(None, map(_distribution_version, _packages_distributions().get(module, ()))), "")


def _distribution_version(name: str) -> str:
    """Returns the version of a distribution; empty if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


@cache
def _packages_distributions() -> Mapping[str, list[str]]:
    """Returns the names of the distributions that provide each top-level module.

    Reads the metadata of every installed distribution, which takes half a second.
    """
    return metadata.packages_distributions()


@cache
def _satisfies(found: str, requirement: str) -> bool:
    """Returns whether a version is in a requirement's range. Prereleases and unknown versions are accepted."""
    try:
        return Requirement(requirement).specifier.contains(Version(found), prereleases=True)
    except InvalidVersion:
        return True


@cache
def _is_installed(module: str) -> bool:
    """Returns whether a module can be imported. Each result of a run depends on it, and a search takes 0.2 ms."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return module in sys.modules
