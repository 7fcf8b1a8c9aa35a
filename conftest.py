"""Registers the plug-in that collects case files, also where the package is not installed."""

pytest_plugins = ["conformance.pytest.plugin"]
