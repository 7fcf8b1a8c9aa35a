from dataclasses import replace

from conformance.results.record import Result
from conformance.results.summary import dtypes, error_ratios

PASSED = Result("a.yaml::one", "k1", "fake", "pass", error_ratio=0.25, features=("float32",), dtype="float32")


def test_the_largest_error_ratio_of_each_implementation_and_dtype_leaves_out_known_divergences() -> None:
    results = [
        PASSED,
        replace(PASSED, error_ratio=0.5),
        replace(PASSED, status="known", error_ratio=7.0),
        replace(PASSED, status="unsupported", error_ratio=None),
        replace(PASSED, implementation="other", status="fail", error_ratio=9.0, dtype="bfloat16"),
        replace(PASSED, implementation="other", error_ratio=0.1, dtype="float64"),
    ]
    largest = error_ratios(results)
    assert largest == {("fake", "float32"): 0.5, ("other", "bfloat16"): 9.0, ("other", "float64"): 0.1}
    assert dtypes(largest) == ["float64", "float32", "bfloat16"]
