"""The pytest plug-in: collects case files as tests."""
