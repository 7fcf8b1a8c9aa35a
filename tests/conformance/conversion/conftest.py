"""Fixture of all tests of weight conversion."""

import pytest


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disables the telemetry of OpenVINO. When first imported, it would fork this process from a thread."""
    monkeypatch.setenv("CI", "true")
