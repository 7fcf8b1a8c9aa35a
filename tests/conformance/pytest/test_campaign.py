"""Campaigns under pytest."""

import pytest

from conformance.pytest.campaign import parse_seconds
from tests import sessions
from tests.conftest import FAKES, FEW_PLUGINS

INI = f"[pytest]\naddopts = {FEW_PLUGINS} -p conformance.pytest.plugin\nfilterwarnings = error\n"


def test_a_campaign_fails_if_a_random_case_deviates(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI)
    names = [word for name in ("Declares", "CallsExit") for word in ("--conformance-implementation", f"{FAKES}:{name}")]
    done = sessions.run(pytester, "--conformance-campaign", "0.1s", *names)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        ["*campaign[[]calls-exit[]]*", "* × error: SystemExit: 3", f"  conformance run * -i {FAKES}:CallsExit"]
    )
    assert (pytester.path / "conformance-campaign" / "cases" / "calls-exit-1.yaml").exists()


def test_an_invalid_time_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI)
    done = sessions.run(pytester, "--conformance-campaign", "60")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*must be a time such as 60s, 10m or 2h, not '60'"])


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("1.5m", 90), ("2h", 7200)])
def test_times_have_units(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds
