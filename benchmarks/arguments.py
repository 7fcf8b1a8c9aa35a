"""Command-line arguments of the benchmarks."""

import argparse


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Returns the argument parser of ``python -m benchmarks.NAME``, with the module's docstring as description."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
