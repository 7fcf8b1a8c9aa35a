import pytest

from conformance.cases.case import Case
from conformance.cases.features import features


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"num_layers": 2, "direction": "bidirectional"}, ["layers", "bidirectional"]),
        ({"hidden_size": [4, 5]}, ["layers", "sizes per layer"]),
        ({"direction": "bidirectional", "reverse_hidden_size": 3}, ["bidirectional", "sizes per direction"]),
        ({"direction": "reverse", "lengths": "ragged"}, ["reverse", "lengths"]),
        ({"proj_size": 2, "dropout": 0.5, "bias": False}, ["projection", "dropout", "no bias"]),
        ({"batch": "unbatched", "batch_first": True}, ["unbatched", "batch first"]),
        ({"initial_state": "omitted"}, ["state omitted"]),
    ],
)
def test_features_of_a_case(options: dict[str, object], expected: list[str]) -> None:
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3} | options
    assert features(Case.model_validate(values)) == [*expected, "gradients", "float32"]


def test_a_case_without_gradients_lacks_the_feature_gradients() -> None:
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "check": ["output"]}
    assert features(Case.model_validate(values)) == ["float32"]
