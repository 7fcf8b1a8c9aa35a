"""The public names of the package: documented, importable, and imported only when first used."""

import re
import subprocess
import sys

import pytest

import conformance
from conformance.cases.features import FEATURES
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "writing-an-adapter.md").read_text(encoding="utf-8")
HEAVY = ("numpy", "torch", "tensorflow", "keras", "jax", "flax", "equinox", "haiku", "onnx", "onnxruntime", "openvino")
"""Packages that take long to import, or that must not be imported before the number of threads is set."""


def section(title: str) -> str:
    """Returns the text below a heading of the page, up to the next heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_page_documents_exactly_the_public_names() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", section("Public names"), re.MULTILINE)
    assert sorted(documented) == sorted(conformance.__all__)


def test_the_page_lists_all_features() -> None:
    listed = [
        name
        for name in re.findall(r"`(.+?)`", section("Features").replace("\n", " "))
        if "/" not in name and not name.endswith(".py")
    ]
    assert sorted(listed) == sorted(FEATURES)


@pytest.mark.parametrize("name", conformance.__all__)
def test_a_public_name_can_be_imported(name: str) -> None:
    scope: dict[str, object] = {}
    exec(f"from conformance import {name}", scope)
    assert scope[name] is getattr(conformance, name)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Layer'"):
        conformance.Layer  # noqa: B018 (the access raises)


def test_importing_the_package_imports_neither_numpy_nor_a_framework() -> None:
    code = f"import sys, conformance; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
