"""``conformance schema``: prints the JSON Schema of case files, for editors."""

import argparse
import json

from conformance.cases.schema import file_schema


def execute(args: argparse.Namespace) -> int:
    """Prints the JSON Schema."""
    del args
    print(json.dumps(file_schema(), indent=2))
    return 0
