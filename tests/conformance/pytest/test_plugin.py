"""The pytest plug-in, in sessions in this process and, where the process matters, in pytest processes."""

import gc
import json
from pathlib import Path

import pytest

from conformance.known import divergences as known
from conformance.results.merge import merge
from conformance.results.reader import Report, read
from tests import sessions
from tests.conftest import CASES, FAKES, FEW_PLUGINS, NO_DIAGNOSIS, REJECTED_CASES
from tests.divergences import make_divergence

INI = f"""\
[pytest]
addopts = --dist=worksteal --strict-markers {FEW_PLUGINS} -p conformance.pytest.plugin
filterwarnings = error
"""


@pytest.fixture(autouse=True)
def _cases(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI)
    (pytester.mkdir("cases") / "small.yaml").write_text(CASES)


def run(pytester: pytest.Pytester, *arguments: str, fakes: str = "") -> pytest.RunResult:
    return sessions.run(pytester, *_chosen(fakes), *arguments)


def run_process(pytester: pytest.Pytester, *arguments: str, fakes: str = "") -> pytest.RunResult:
    return pytester.runpytest_subprocess(*_chosen(fakes), *arguments)


def _chosen(fakes: str) -> list[str]:
    return [word for name in fakes.split() for word in ("--conformance-implementation", f"{FAKES}:{name}")]


def report(pytester: pytest.Pytester) -> Report:
    return read(pytester.path / "r.jsonl")


def test_each_fault_has_one_status_under_xdist(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(NO_DIAGNOSIS)
    fakes = "Faithful Wrong NotANumber Raises CallsExit Mutates Prints Views Picky OnceBorderline Dies"
    done = run_process(pytester, "-n2", "--conformance-report=r.jsonl", fakes=fakes)
    found: dict[str, dict[str, str]] = {}
    for result in report(pytester).results:
        name = result.case.split("::")[1]
        assert name not in found.setdefault(result.implementation, {}), "duplicate row"
        found[result.implementation][name] = result.status
    assert {name: (row["plain"], row["ragged"], row["both-ways"]) for name, row in found.items()} == {
        "faithful": ("pass",) * 3,
        "wrong": ("fail",) * 3,
        "nan": ("fail",) * 3,
        "raises": ("error",) * 3,
        "calls-exit": ("error",) * 3,
        "mutates": ("error",) * 3,
        "prints": ("pass",) * 3,
        "views": ("pass",) * 3,
        "picky": ("pass", "unsupported", "unsupported"),
        "once-borderline": ("pass",) * 3,
        "dies": ("pass", "crash", "pass"),
    }
    assert report(pytester).complete
    assert report(pytester).implementations["faithful"] == {"made of": "the reference"}
    done.assert_outcomes(passed=15, skipped=2, failed=16)


@pytest.mark.parametrize(
    ("arguments", "count"), [((), 3), (("cases",), 3), (("cases/on-demand",), 3), (("cases/on-demand/more.yaml",), 3)]
)
def test_cases_on_demand_are_collected_only_if_named(
    pytester: pytest.Pytester, arguments: tuple[str, ...], count: int
) -> None:
    (pytester.path / "cases" / "on-demand").mkdir()
    (pytester.path / "cases" / "on-demand" / "more.yaml").write_text(CASES)
    done = run(pytester, "--collect-only", "-q", *arguments, fakes="Faithful")
    ids = [line for line in done.outlines if "::" in line]
    assert len(ids) == count
    assert all(("on-demand" in line) == ("on-demand" in "".join(arguments)) for line in ids)


def test_a_hang_is_a_timeout_under_xdist(pytester: pytest.Pytester) -> None:
    limit = ("-o", "faulthandler_timeout=3", "-o", "faulthandler_exit_on_timeout=true")
    done = run_process(pytester, "-n1", "-k", "ragged", *limit, "--conformance-report=r.jsonl", fakes="Hangs")
    [result] = report(pytester).results
    assert (result.status, result.reason) == ("timeout", "it ran longer than 3 s")
    assert report(pytester).complete
    done.assert_outcomes(failed=1)


@pytest.mark.usefixtures("unlimited_diagnosis", "without_explanations")
def test_rows_are_those_of_the_command_line(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.commands.cli import main

    run(pytester, "--conformance-report=r.jsonl", fakes="Wrong Picky")
    monkeypatch.chdir(pytester.path)
    main(["run", "cases", "-i", f"{FAKES}:Wrong", "-i", f"{FAKES}:Picky"])

    def rows(path: Path) -> list[str]:
        texts = []
        for line in path.read_text().splitlines():
            row = json.loads(line)
            row.pop("seconds", None)
            if row["kind"] == "row":
                texts.append(json.dumps(row, sort_keys=True))
        return sorted(texts)

    assert rows(pytester.path / "r.jsonl") == rows(Path("conformance-report/results.jsonl"))


def test_all_deviating_tensors_are_shown_without_a_traceback(pytester: pytest.Pytester) -> None:
    done = run(pytester, "-k", "plain", fakes="Wrong")
    done.stdout.fnmatch_lines(
        [
            "fail: grad.input is off by *, error ratio *",
            "fail cases/small.yaml::plain[[]wrong]",
            "  what      grad.input, 45 of 45 elements",
            "  also      h_n (error ratio *",
            f"  again     conformance run cases/small.yaml -i {FAKES}:Wrong -k cases/small.yaml::plain",
            "FAILED cases/small.yaml::plain[[]wrong[]] - fail: grad.input is off by *",
        ]
    )
    done.stdout.no_fnmatch_line("*pytest_plugin.py*")


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["cases/small.yaml"], ["plain[faithful]", "ragged[faithful]", "both-ways[faithful]"]),
        (["cases/small.yaml::ragged[faithful]"], ["ragged[faithful]"]),
        (["-k", "ragged and faithful"], ["ragged[faithful]"]),
        (["-k", "few"], ["plain[faithful]"]),
        (["-m", "few"], ["plain[faithful]"]),
        (["-m", "faithful and not few"], ["ragged[faithful]", "both-ways[faithful]"]),
    ],
)
def test_items_are_selected(pytester: pytest.Pytester, arguments: list[str], ids: list[str]) -> None:
    done = run(pytester, "--collect-only", "-q", *arguments, fakes="Faithful")
    assert [line for line in done.outlines if "::" in line] == [f"cases/small.yaml::{name}" for name in ids]


def test_last_failures_can_be_run_again(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI.replace(" -p no:cacheprovider", ""))
    fakes = "Picky Raises"
    run(pytester, "-k", "plain", fakes=fakes)
    run(pytester, "--lf", "-k", "plain", fakes=fakes).assert_outcomes(failed=1)


def test_reports_carry_results_only_for_a_results_file(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_runtest_logreport(report): assert not report.user_properties")
    run(pytester, "-k", "plain", fakes="Faithful").assert_outcomes(passed=1)


def test_items_are_sorted_by_implementation_and_other_tests_keep_their_places(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_ordinary="def test_b(): pass\ndef test_a(): pass")
    done = run(pytester, "--collect-only", "-q", "test_ordinary.py", "cases", fakes="Faithful Views")
    lines = [line.split("::")[1] for line in done.outlines if "::" in line]
    assert lines[:2] == ["test_b", "test_a"]
    assert [line.split("[")[1] for line in lines[2:]] == ["faithful]"] * 3 + ["views]"] * 3


def test_no_framework_is_imported_at_collection(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import sys\ndef pytest_collection_finish(session):\n"
        "    assert len(session.items) > 3\n"
        "    assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    assert run_process(pytester, "--collect-only", "-q").ret == 0


@pytest.mark.parametrize(("workers", "folder"), [("-n0", "pytest-main"), ("-n1", "pytest-gw0")])
def test_each_process_keeps_its_compiled_programs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str, folder: str
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(
        test_folder="import os, pathlib\ndef test_folder():\n"
        f"    assert pathlib.Path(os.environ['JAX_COMPILATION_CACHE_DIR']).name == '{folder}'\n"
    )
    run_process(pytester, workers, "test_folder.py").assert_outcomes(passed=1)


def test_the_plugin_does_not_affect_other_projects(pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "small.yaml").write_text("services: {web: {image: nginx}}\n")
    pytester.makepyfile(
        "import gc, os, sys\ndef test_nothing_changed():\n"
        "    assert gc.get_freeze_count() == 0\n"
        "    assert not {'numpy', 'pydantic', 'yaml', 'rich'} & set(sys.modules)\n"
        "    assert not {'OMP_NUM_THREADS', 'JAX_COMPILATION_CACHE_DIR'} & set(os.environ)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("OMP_NUM_THREADS", "JAX_COMPILATION_CACHE_DIR"):
            patch.delenv(variable, raising=False)
        run_process(pytester).assert_outcomes(passed=1)


def test_folders_can_be_configured(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=INI + "conformance_cases = specs\n")
    (pytester.mkdir("specs") / "other.yaml").write_text("cases:\n  one: {}\n")
    done = run(pytester, fakes="Faithful")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["specs/other.yaml:2:*input_size is missing*"])


def test_an_invalid_case_file_is_one_error_without_a_traceback(pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "bad.yaml").write_text("cases:\n  one: {input_sise: 3}\n")
    done = run(pytester, fakes="Faithful")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["cases/bad.yaml:2:*input_sise*did you mean 'input_size'*"])
    done.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("name", "message"),
    [("no-such", "*no implementation is named 'no-such'*"), (f"{FAKES}:Absent", "*pip install a-framework*")],
)
def test_an_unknown_implementation_is_a_usage_error(pytester: pytest.Pytester, name: str, message: str) -> None:
    done = run_process(pytester, "-n2", "--conformance-implementation", name)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([message])


def test_known_divergences_are_expected_and_fixed_ones_fail(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "shipped", lambda: (make_divergence(id="err", what="It errs.", tensors=["*"]),))
    done = run(pytester, "-rx", "-k", "plain", "--conformance-report=r.jsonl", fakes="Wrong Faithful")
    done.assert_outcomes(xfailed=1, failed=1)
    done.stdout.fnmatch_lines(["*err no longer happens: remove its entry*", "*err: It errs.*"])
    assert [result.status for result in report(pytester).results] == ["known", "fixed"]


def test_a_case_that_cannot_be_judged_fails_and_the_others_run(pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "small.yaml").write_text(REJECTED_CASES)
    done = run(pytester, "--conformance-report=r.jsonl", fakes="Faithful DeclaresFloat16")
    done.assert_outcomes(passed=3, failed=3)
    done.stdout.fnmatch_lines(
        [
            "cases/small.yaml:3: overflows cannot be judged: the reference overflows float64: *",
            "cases/small.yaml:4: overflows-float16 cannot be judged: grad.input can reach * float16 *",
            "FAILED cases/small.yaml::overflows[[]faithful[]] - cases/small.yaml:3: *",
        ]
    )
    done.stdout.no_fnmatch_line("*Traceback*")
    found = {(each.implementation, each.case.split("::")[1]): each for each in report(pytester).results}
    assert {place: (each.status, each.rejected) for place, each in found.items()} == {
        ("faithful", "overflows"): ("not-run", True),
        ("faithful", "overflows-float16"): ("pass", False),
        ("faithful", "plain"): ("pass", False),
        ("declares-float16", "overflows"): ("not-run", True),
        ("declares-float16", "overflows-float16"): ("not-run", True),
        ("declares-float16", "plain"): ("pass", False),
    }
    assert found["faithful", "overflows"].reason.startswith("cannot be judged: the reference overflows float64: ")
    assert report(pytester).complete


def test_a_case_that_is_too_large_fails_without_running(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFORMANCE_MAX_CASE_SECONDS", "1")
    (pytester.path / "cases" / "small.yaml").write_text(
        "defaults: {input_size: 4, hidden_size: 5, seq_len: 6, batch: 3}\n"
        "cases: {plain: {}, long: {seq_len: 65536, batch: 64}}\n"
    )
    done = run(pytester, "--conformance-report=r.jsonl", fakes="Faithful")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["cases/small.yaml:2: long cannot be judged: needs about * CPU seconds * limit is 1. *"])
    assert {result.status: result.rejected for result in report(pytester).results} == {"pass": False, "not-run": True}


def test_an_interrupted_session_leaves_an_incomplete_file(pytester: pytest.Pytester) -> None:
    done = run(pytester, "-x", "--conformance-report=r.jsonl", fakes="Raises")
    done.stdout.fnmatch_lines(["conformance results: r.jsonl (INCOMPLETE: 1 of 3)"])
    assert not report(pytester).complete


def test_an_unwritable_report_is_a_usage_error(pytester: pytest.Pytester) -> None:
    done = run(pytester, "--conformance-report=pytest.ini/r.jsonl", fakes="Faithful")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*pytest.ini/r.jsonl: cannot be written*"])


def test_threads_are_limited_and_shown(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "2")
    done = run_process(pytester, "-n1", "-k", "plain", "--conformance-report=r.jsonl", fakes="Faithful")
    done.stdout.fnmatch_lines(["conformance threads: OMP_NUM_THREADS=1, MKL_NUM_THREADS=2*"])
    assert report(pytester).header.threads["MKL_NUM_THREADS"] == "2"


def test_garbage_is_searched_less_often_and_not_among_collected_items(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import gc\ndef test_it(): assert (gc.get_threshold()[0], gc.isenabled()) == (10_000, True)")
    frozen = gc.get_freeze_count()
    gc.set_threshold(500)
    run(pytester, ".", fakes="Faithful").assert_outcomes(passed=4)
    assert gc.get_freeze_count() > frozen


def test_the_number_of_workers_depends_on_processors_and_memory(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conformance.pytest import plugin as pytest_plugin

    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    for gibibytes, workers in ((64, 4), (4, 2), (1, 1)):
        monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gibibytes * 2**18}.__getitem__)
        assert pytest_plugin.pytest_xdist_auto_num_workers(pytestconfig) == workers
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "7")
    assert pytest_plugin.pytest_xdist_auto_num_workers(pytestconfig) is None


def test_shards_partition_the_cases_and_can_be_merged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_ordinary="def test_it(): pass")
    parts = []
    for index, workers, run_session in ((1, "-n0", run), (2, "-n2", run_process)):
        arguments = (workers, f"--conformance-shard={index}/2", f"--conformance-report={index}.jsonl")
        done = run_session(pytester, *arguments, ".", fakes="Faithful Views")
        parts.append(read(pytester.path / f"{index}.jsonl"))
        assert done.parseoutcomes()["passed"] == len(parts[-1].results) + 1
        assert parts[-1].complete
    merged, _ = merge(parts, ["cases"])  # The selections differ in -n0 and -n2.
    assert merged.complete
    assert merged.header.planned == {"faithful": 3, "views": 3}
    assert all(0 < len(part.results) < 6 for part in parts)
    assert [part.header.shard and part.header.shard.index for part in parts] == [1, 2]


def test_an_invalid_shard_is_a_usage_error(pytester: pytest.Pytester) -> None:
    done = run(pytester, "--conformance-shard=3/2")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*i/n with i from 1 to n*"])


def test_power_can_be_turned_off(pytester: pytest.Pytester) -> None:
    arguments = ("-k", "plain", "--conformance-report=r.jsonl")
    run(pytester, *arguments, fakes="Faithful")
    assert report(pytester).results[0].detects
    run(pytester, *arguments, "--conformance-power=off", fakes="Faithful")
    assert report(pytester).results[0].detects is None


def test_shipped_cases_run_beside_the_tests_of_another_project(pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "small.yaml").unlink()
    pytester.makepyfile(test_ordinary="def test_a(): pass")
    done = run(pytester, "--conformance-shipped=core", "-k", "lengths or test_a", "-v", fakes="Faithful")
    done.stdout.fnmatch_lines(
        ["*core.yaml::lengths?faithful? PASSED*", "*core.yaml::lengths-both-ways?faithful? PASSED*"]
    )
    done.assert_outcomes(passed=3, deselected=12)
    wrong = run(pytester, "--conformance-shipped=cores", fakes="Faithful")
    wrong.stderr.fnmatch_lines(["ERROR: *there is no shipped case file cores. Choose from: *, core, *"])
