"""Writes a picture of the report page of a results file.

This command writes docs/report.png, the picture in the README:

    python -m benchmarks.screenshot conformance-report/results.jsonl docs/report.png
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.arguments import make_parser
from benchmarks.chromium import CHROMIUM_PATH, CHROMIUM_REQUIRED, browser
from conformance.reports.page import write as html
from conformance.results.reader import read


def main() -> int:
    """Writes the picture. Returns 1 if the page raises a JavaScript error, 3 if Chromium is missing."""
    parser = make_parser("screenshot", __doc__)
    parser.add_argument("results", type=Path, help="results file, such as conformance-report/results.jsonl")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--where", default="", help="view to show: the part of the page's address from # on")
    parser.add_argument("--width", type=int, default=1440, help="width of the window in pixels (default: 1440)")
    parser.add_argument("--height", type=int, default=900, help="height of the window in pixels (default: 900)")
    parser.add_argument("--dark", action="store_true", help="use the dark colour scheme")
    args = parser.parse_args()
    if not CHROMIUM_PATH:
        print(CHROMIUM_REQUIRED, file=sys.stderr)
        return 3
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as folder, browser() as running:
        path = html.write(Path(folder), read(args.results))
        size = {"width": args.width, "height": args.height}
        page = running.new_page(viewport=size, color_scheme="dark" if args.dark else "light")
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri() + args.where)
        page.wait_for_selector("html[data-ready]")
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=args.picture)
    print(f"{args.picture}: {args.picture.stat().st_size / 1000:.0f} kB", *errors)
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
