"""OpenVINO uses its stub for telemetry in this process, in which the plug-in runs."""

import pytest


def test_openvino_has_no_telemetry() -> None:
    pytest.importorskip("openvino")
    telemetry_utils = pytest.importorskip("openvino.tools.ovc.telemetry_utils")
    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
