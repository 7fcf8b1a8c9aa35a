"""Pytest sessions in this process, which take a second less than a process of their own.

A session forgets all modules that it imported first. The modules that sessions import are imported here, so that they
do not exist twice. A test whose session imports a framework must import it before.
"""

import pytest

import conformance.adapters.uses
import conformance.campaign.campaign
import conformance.campaign.draw
import conformance.campaign.groups
import conformance.pytest.campaign
import conformance.pytest.order
import conformance.pytest.report
import conformance.pytest.shipped
import conformance.reports.explain  # noqa: F401


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Runs a session in the folder of a test."""
    return pytester.runpytest_inprocess(*arguments)
