"""Implementations are loaded by name, and every mistake in a name or an adapter is explained."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.adapters import installed, registry
from conformance.errors import UserError
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter
from tests import fakes

FAKES = Path(fakes.__file__)
FAITHFUL = "from tests.fakes import Faithful\nclass A(Faithful):\n    "


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_built_in_adapters_have_their_registered_names(name: str) -> None:
    adapter = implementations.load(name)
    assert adapter.name == name
    assert adapter.requires
    assert adapter.install.startswith(("pip install ", "see docs/"))


@pytest.fixture
def package_with_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\npicky = tests.fakes:Picky\ntorch.nn.LSTM = tests.fakes:Zeros\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry.registered.cache_clear()
    yield
    registry.registered.cache_clear()


@pytest.mark.usefixtures("package_with_adapters")
def test_a_package_can_register_adapters_but_not_replace_any() -> None:
    assert implementations.load("picky").name == "picky"
    assert implementations.load("torch.nn.LSTM").name == "torch.nn.LSTM"
    assert list(registry.registered())[: len(registry.BUILT_IN)] == list(registry.BUILT_IN)


@pytest.mark.parametrize("place", [f"{FAKES}:Picky", "tests.fakes:Picky"])
def test_a_class_is_loaded_by_its_place(place: str) -> None:
    assert implementations.load(place).name == "picky"


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("torch.nn.lstm", "did you mean 'torch.nn.LSTM'", 2),
        ("nothing-like-it", "`conformance list --implementations` lists the registered names", 2),
        ("no/such.py:Class", "no/such.py: no such file", 2),
        (f"{FAKES}:Pickey", "has no class 'Pickey', did you mean 'Picky'", 2),
        (f"{FAKES}:Nothing-like-it", "has no class 'Nothing-like-it'. Its adapters are: ", 2),
        (f"{FAKES}:unfinished", r"is not an adapter: .*\(missing: name, supports, solve\)", 2),
        (f"{FAKES}:Unfinished", "is not a complete adapter: missing solve, name", 2),
        ("tests.no_such_module:Class", "cannot be imported: ModuleNotFoundError", 3),
    ],
)
def test_a_name_that_cannot_be_loaded_is_explained(name: str, message: str, code: int) -> None:
    with pytest.raises(UserError, match=message) as caught:
        implementations.load(name)
    assert caught.value.exit_code == code


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (", r"broken\.py:1: '\(' was never closed"),
        ("import no_such_framework", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
        (FAITHFUL + "name = 5", "name must be text .* got 5"),
        (FAITHFUL + "requires = 'numpy'", "a tuple of module names, got 'numpy'"),
        (FAITHFUL + "features = 'float32'", "a collection of features"),
        (FAITHFUL + "features = {'length'}", "features contains 'length', .* did you mean 'lengths'"),
        (FAITHFUL + "lacks = {'bias': 'no'}", "lacks contains 'bias', which is not a feature"),
        (FAITHFUL + "def __init__(self): 1 / 0", "cannot be instantiated"),
    ],
)
def test_a_broken_file_is_explained(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(UserError, match=message):
        implementations.load(f"{path}:A")


def test_two_implementations_of_the_same_name_are_an_error() -> None:
    with pytest.raises(UserError, match="two implementations are named picky"):
        implementations.load_all([f"{FAKES}:Picky", "tests.fakes:Picky"])


@pytest.mark.parametrize(("name", "isolated"), [("Faithful", False), ("OwnProcess", True), ("Backend", True)])
def test_an_implementation_that_needs_its_own_process_is_isolated(name: str, isolated: bool) -> None:
    [adapter] = implementations.load_all([f"{FAKES}:{name}"])
    assert isinstance(adapter, WorkerAdapter) is isolated


def test_a_process_has_the_environment_of_its_implementation() -> None:
    [adapter] = implementations.load_all([f"{FAKES}:Backend"])
    assert isinstance(adapter, WorkerAdapter)
    try:
        assert adapter.describe() == {"back end": "seven"}
    finally:
        adapter.close()


def test_a_missing_package_is_reported_with_the_command_that_installs_it() -> None:
    assert installed.missing(fakes.Faithful()) is None
    assert installed.missing(fakes.Absent()) == (
        "absent needs a_missing_framework, which is not installed; install with: pip install a-framework"
    )
    elsewhere = fakes.Absent()
    elsewhere.install = "see docs/other-environments.md"
    assert str(installed.missing(elsewhere)).endswith("is not installed; see docs/other-environments.md")


@pytest.mark.parametrize(("module", "known"), [("numpy", True), ("yaml", True), ("no_such_module", False)])
def test_versions_are_read_from_metadata(module: str, known: bool) -> None:
    assert bool(installed.version(module)) is known
