from dataclasses import replace

from conformance.results.record import Result
from conformance.results.summary import dtypes, headrooms

PASSED = Result("a.yaml::one", "k1", "fake", "pass", headroom=0.25, features=("float32",), dtype="float32")


def test_headroom_is_the_largest_of_each_implementation_and_dtype_known_divergences_aside() -> None:
    results = [
        PASSED,
        replace(PASSED, headroom=0.5),
        replace(PASSED, status="known", headroom=7.0),
        replace(PASSED, status="unsupported", headroom=None),
        replace(PASSED, implementation="other", status="fail", headroom=9.0, dtype="bfloat16"),
        replace(PASSED, implementation="other", headroom=0.1, dtype="float64"),
    ]
    largest = headrooms(results)
    assert largest == {("fake", "float32"): 0.5, ("other", "bfloat16"): 9.0, ("other", "float64"): 0.1}
    assert dtypes(largest) == ["float64", "float32", "bfloat16"]
