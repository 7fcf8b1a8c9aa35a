"""A picture of the page of a results file.

python -m benchmarks.screenshot RESULTS PICTURE [--where '#/…'] [--width 1440] [--height 900] [--dark]

docs/report.png in the README: python -m benchmarks.screenshot conformance-report/results.jsonl docs/report.png
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.chromium import ABSENT, PATH, browser
from conformance.reports.page import write as html
from conformance.results.reader import read


def main() -> int:
    """Draws it; fails where the page complains."""
    parser = argparse.ArgumentParser(description="A picture of the page of a results file.")
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--where", default="", help="the view, as the page's address names it after #")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    if not PATH:
        print(ABSENT, file=sys.stderr)
        return 3
    complaints: list[str] = []
    with tempfile.TemporaryDirectory() as folder, browser() as running:
        path = html.write(Path(folder), read(args.results))
        size = {"width": args.width, "height": args.height}
        page = running.new_page(viewport=size, color_scheme="dark" if args.dark else "light")
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri() + args.where)
        page.wait_for_selector("html[data-ready]")
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=args.picture)
    print(f"{args.picture}: {args.picture.stat().st_size / 1000:.0f} kB", *complaints)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
