"""``python -m conformance``: the command line without its script."""

import sys

from conformance.commands.cli import main

sys.exit(main())
