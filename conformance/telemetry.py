"""Keeps frameworks from reporting their use over the network while the suite drives them."""

import sys


def disable() -> None:
    """Hides OpenVINO's telemetry, which forks the process for each report, unless it is already imported."""
    # Without the package, OpenVINO uses a stub. None makes an import fail.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
