from benchmarks.mutants import ROOT, TESTS


def test_modules_to_mutate_and_their_tests_exist() -> None:
    assert [path for path in (*TESTS, *sum(TESTS.values(), ())) if not (ROOT / path).is_file()] == []
