"""Lists of releases: which ones are selected, and when one was released."""

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from conformance.environments import installer, releases
from conformance.errors import UserError

FOUND = [*map(Version, ["3.0.4", "3.0.5", "3.1.0", "3.1.1", "3.2.0", "3.10.0", "3.10.1"])]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "3.0.4 3.0.5 3.1.0 3.1.1 3.2.0 3.10.0 3.10.1"),
        ({"first": "3.1", "last": "3.2"}, "3.1.0 3.1.1 3.2.0"),
        ({"last": "3.1"}, "3.0.4 3.0.5 3.1.0 3.1.1"),
        ({"each_minor": True}, "3.0.5 3.1.1 3.2.0 3.10.1"),
        ({"each_minor": True, "count": 2}, "3.2.0 3.10.1"),
        ({"first": "4"}, ""),
    ],
)
def test_selects_releases(options: dict[str, object], expected: str) -> None:
    assert " ".join(map(str, releases.select(FOUND, **options))) == expected  # type: ignore[arg-type]


def test_lists_releases_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = "WARNING: experimental\nkeras (3.10.0)\nAvailable versions: 3.10.0, 3.9.1, 3.9.0\n  INSTALLED: 3.9.0\n"
    monkeypatch.setattr(installer, "call_pip", lambda _: printed)
    assert [*map(str, releases.available("keras"))] == ["3.9.0", "3.9.1", "3.10.0"]


def test_an_unreachable_index_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> str:
        raise installer.InstallError("no route to host")

    monkeypatch.setattr(installer, "call_pip", fail)
    with pytest.raises(UserError, match="cannot list the releases of keras:\nno route to host"):
        releases.available("keras")


def test_finds_the_day_of_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "exists", lambda _, before: before >= "2024-02-29")
    assert releases.release_date(Requirement("keras==3.1.0")) == "2024-02-29"
    assert releases.release_date(Requirement("keras==3.1.*")) == ""
    monkeypatch.setattr(installer, "exists", lambda *_: False)
    assert releases.release_date(Requirement("keras==3.1.0")) == ""
