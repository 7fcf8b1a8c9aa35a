"""Memory and CPU time are estimated without allocating anything, and limits have one clear message."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.size import fit
from conformance.cases.case import Case
from conformance.cases.size import (
    MAX_SECONDS,
    SizeLimits,
    available_memory,
    estimate,
    parse_bytes,
    parse_seconds,
    row_blocks,
    show_bytes,
)
from conformance.errors import UserError


def make_case(sizes: tuple[int, int, int, int], **options: Any) -> Case:
    names = ("input_size", "hidden_size", "seq_len", "batch")
    return Case.model_validate({**dict(zip(names, sizes, strict=True)), **options})


@pytest.mark.parametrize(
    ("sizes", "options", "largest"),
    [
        ((4, 5, 6, 3), {}, 0.2e9),
        ((512, 512, 200, 16), {}, 1e9),
        ((1024, 1024, 150, 32), {}, 2.5e9),
        ((512, 1024, 500, 32), {"num_layers": 2, "bidirectional": True}, 11e9),
    ],
)
def test_ordinary_large_cases_fit_into_the_memory_of_a_machine(
    sizes: tuple[int, int, int, int], options: dict[str, Any], largest: float
) -> None:
    case = make_case(sizes, **options)
    assert 0 < estimate(case).bytes <= largest
    assert SizeLimits(int(22.5e9)).refusal(case) == ""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_size": 6},
        {"input_size": 65536},
        {"seq_len": 7},
        {"batch": 4},
        {"num_layers": 3},
        {"bidirectional": True},
    ],
)
def test_the_estimate_grows_with_every_size(options: dict[str, Any]) -> None:
    small, large = make_case((4, 5, 6, 3)), make_case((4, 5, 6, 3), **options)
    assert (estimate(large).bytes > estimate(small).bytes) is bool(options)
    assert (estimate(large).seconds > estimate(small).seconds) is bool(options)


@pytest.mark.parametrize(
    ("rows", "limit", "expected"),
    [
        (3, 60, [slice(0, 3)]),
        (3, 40, [slice(0, 1), slice(1, 3)]),
        (3, 1, [slice(0, 1), slice(1, 2), slice(2, 3)]),
        (0, 1, [slice(0, 0)]),
    ],
)
def test_rows_are_computed_in_as_few_blocks_as_the_limit_allows(
    monkeypatch: pytest.MonkeyPatch, rows: int, limit: int, expected: list[slice]
) -> None:
    monkeypatch.setattr("conformance.cases.size.MAX_BLOCK_VALUES", limit)
    assert row_blocks(make_case((2, 4, 5, rows))) == expected


def test_the_largest_case_of_the_schema_is_refused() -> None:
    case = make_case((65536, 65536, 65536, 65536), num_layers=64, bidirectional=True)
    assert estimate(case).bytes > 10**16
    assert SizeLimits.of().refusal(case)


def test_a_refusal_gives_both_figures_and_the_option() -> None:
    case = make_case((512, 512, 200, 16))
    assert SizeLimits(10**8).refusal(case) == (
        f"needs about {show_bytes(estimate(case).bytes)} of memory, but only 100 MB are available. Use smaller sizes, "
        "or `--max-memory 1GB` (for pytest, CONFORMANCE_MAX_MEMORY=1GB)"
    )
    seconds = int(estimate(case).seconds) + 1
    assert SizeLimits(None, 2.0).refusal(case) == (
        f"needs about {estimate(case).seconds:,.0f} CPU seconds for the reference and the budget, but the limit is 2. "
        f"Use smaller sizes, or `--max-case-seconds {seconds}` (for pytest, CONFORMANCE_MAX_CASE_SECONDS={seconds})"
    )
    assert SizeLimits(parse_bytes("1GB"), float(seconds)).refusal(case) == ""


def test_arguments_come_before_variables_before_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONFORMANCE_MAX_MEMORY", raising=False)
    monkeypatch.delenv("CONFORMANCE_MAX_CASE_SECONDS", raising=False)
    monkeypatch.setattr("conformance.cases.size.available_memory", lambda: 123)
    assert SizeLimits.of() == SizeLimits(123, MAX_SECONDS)
    monkeypatch.setenv("CONFORMANCE_MAX_MEMORY", "2GB")
    monkeypatch.setenv("CONFORMANCE_MAX_CASE_SECONDS", "60")
    assert SizeLimits.of() == SizeLimits(2 * 10**9, 60.0)
    assert SizeLimits.of(5, 6.0) == SizeLimits(5, 6.0)
    monkeypatch.setenv("CONFORMANCE_MAX_CASE_SECONDS", "-1")
    with pytest.raises(UserError, match="CONFORMANCE_MAX_CASE_SECONDS must be a positive whole number"):
        SizeLimits.of()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("24GB", 24 * 10**9), ("1.5 gib", 3 * 2**29), ("500MB", 5 * 10**8), ("2KB", 2000), ("1000", 1000)],
)
def test_amounts_of_memory_are_parsed(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "1e9", "24 XB", "1_0MB", "9" * 40])
def test_other_amounts_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="amount of memory"):
        parse_bytes(text)
    with pytest.raises(ValueError, match="whole number of seconds"):
        parse_seconds(text)


GB = 10**9
MEMINFO = {"proc/meminfo": "MemTotal:  16000000 kB\nMemAvailable:    8000000 kB\n"}
V2 = {"proc/self/cgroup": "0::/jobs/one\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MEMINFO, 8_192_000_000),
        (MEMINFO | V2, 8_192_000_000),
        (
            MEMINFO
            | V2
            | {"sys/fs/cgroup/jobs/one/memory.max": "max\n", "sys/fs/cgroup/jobs/one/memory.current": "5\n"},
            8_192_000_000,
        ),
        (
            MEMINFO
            | V2
            | {
                "sys/fs/cgroup/jobs/one/memory.max": f"{4 * GB}\n",
                "sys/fs/cgroup/jobs/one/memory.current": f"{GB}\n",
                "sys/fs/cgroup/jobs/memory.max": f"{3 * GB}\n",
                "sys/fs/cgroup/jobs/memory.current": f"{2 * GB}\n",
            },
            GB,
        ),
        (
            MEMINFO
            | {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/docker/of-the-host\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GB}\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GB // 2}\n",
            },
            3 * GB // 2,
        ),
    ],
)
def test_available_memory_is_that_of_the_machine_or_its_control_groups(
    files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == expected


def test_without_proc_the_memory_is_that_of_the_machine_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_memory(tmp_path) is not None
    monkeypatch.delattr("os.sysconf")
    assert available_memory(tmp_path) is None


def test_the_fit_has_no_negative_constant() -> None:
    rows = [(1.0, 1.0, 2.0), (1.0, 3.0, 1.0), (1.0, 5.0, 9.0), (1.0, 2.0, 7.0)]
    assert list(fit(rows, [4.0, 10.0, 16.0, 7.0])) == pytest.approx([1.0, 3.0, 0.0], abs=1e-9)
    assert min(fit(rows, [1.0, 9.0, 2.0, 0.5])) >= 0
