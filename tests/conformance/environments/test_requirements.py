"""Specifications of environments: what is parsed, and what is installed in addition."""

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from conformance.adapters import registry
from conformance.environments import requirements
from conformance.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("onnxruntime@onnxruntime==1.20.1", "onnxruntime", ["onnxruntime==1.20.1"]),
        (
            "keras.layers.LSTM[tensorflow]@keras>=3,<3.8, tensorflow-cpu==2.18.*",
            "keras.layers.LSTM[tensorflow]",
            ["keras<3.8,>=3", "tensorflow-cpu==2.18.*"],
        ),
        ("file.py:Mine@mine[a,b]==1", "file.py:Mine", ["mine[a,b]==1"]),
    ],
)
def test_parses_names_with_requirements(text: str, name: str, named: list[str]) -> None:
    spec = requirements.parse(text)
    assert spec is not None
    assert (spec.name, [*map(str, spec.named)]) == (name, named)


@pytest.mark.parametrize("text", ["torch.nn.LSTM", "/home/me@work/file.py:Mine", "cmd:./harness me@work/file"])
def test_other_names_are_not_specifications(text: str) -> None:
    assert requirements.parse(text) is None


def test_a_mistake_after_a_registered_name_is_explained() -> None:
    with pytest.raises(UserError, match=r"'onnxruntime=1.20' is not a list of requirements such as keras==3.8.0"):
        requirements.parse("onnxruntime@onnxruntime=1.20")


@pytest.mark.parametrize(
    ("name", "named", "expected"),
    [
        ("onnxruntime", ["onnxruntime==1.20.1"], ["onnxruntime==1.20.1", "onnx>="]),
        ("onnxruntime", ["onnx==1.18", "ort-nightly"], ["onnx==1.18", "ort-nightly"]),
        ("keras.layers.LSTM[tensorflow]", ["keras==3.8.0", "tf-nightly"], ["keras==3.8.0", "tf-nightly"]),
        ("opencv.dnn", ["opencv-python==4.13.0.92"], ["opencv-python==4.13.0.92", "onnx>="]),
    ],
)
def test_modules_that_no_requirement_provides_are_added(name: str, named: list[str], expected: list[str]) -> None:
    found = requirements.complete(registry.load(name), [*map(Requirement, named)])
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))


def test_a_release_has_the_extras_that_its_package_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert str(requirements.exactly("mlx", Version("0.32.4"))) == "mlx[cpu]==0.32.4"
    assert str(requirements.exactly("tensorflow-cpu", Version("2.18"))) == "tensorflow-cpu==2.18"
    assert str(requirements.exactly("keras", Version("3.8"))) == "keras==3.8"


def test_ranges_can_be_left_out() -> None:
    found = requirements.complete(registry.load("onnxruntime"), [Requirement("onnxruntime==1.15.0")], ranges=False)
    assert found == ["onnxruntime==1.15.0", "onnx"]


def test_releases_outside_the_range_of_the_extra_are_not_supported() -> None:
    releases = [*map(Version, ["1.0", "99.0"])]
    assert requirements.supported("onnxruntime", releases) == [Version("99.0")]
    assert requirements.supported("tensorflow-cpu", releases) == [Version("99.0")]
    assert requirements.supported("other", releases) == releases
