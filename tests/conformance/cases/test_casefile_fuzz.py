"""Every file loads as cases or is rejected with mistakes, without a traceback."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.cases.casefile import CaseFileError, load, shipped_cases

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70000),
    st.floats(),
    st.sampled_from(["unbatched", "ragged", "bidirectional", "float16", "zero", "nan", "train", "output", "x"]),
)
OPTIONS = st.dictionaries(
    st.sampled_from([*(name for name in Case.model_fields), "bidirectional", "betch"]),
    st.one_of(SCALARS, st.lists(SCALARS, max_size=3)),
    max_size=6,
)
FILES = st.fixed_dictionaries(
    {"defaults": OPTIONS},
    optional={
        "matrix": st.dictionaries(st.sampled_from(list(Case.model_fields)), st.lists(SCALARS, max_size=3), max_size=3),
        "exclude": st.lists(OPTIONS, max_size=2),
        "also": st.lists(OPTIONS, max_size=3),
        "cases": st.dictionaries(st.text(max_size=5), OPTIONS, max_size=3),
        "tags": st.one_of(SCALARS, st.lists(st.text(max_size=3))),
    },
)
SEEDS = [path.read_bytes() for path in sorted(shipped_cases().glob("*.yaml"))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draws a shipped file with a few pieces removed, repeated or overwritten."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        piece = draw(
            st.sampled_from(
                [b"", b"[", b"}", b": ", b"\n", b"- ", b"&a ", b"*a", b"!!x ", b"\xff", b"0", data[start:end] * 2]
            )
        )
        data = data[:start] + piece + data[end:]
    return data


@given(
    st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(str.encode), FILES.map(json.dumps).map(str.encode), mutated()
    )
)
@example(b"%YAML 3.0\n---\na: 1")
@example(b"? [a]\n: b")
@example(b"\xef\xbb\xbf")
@example(b"cases: {a: {hidden_size: []}}")
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
def test_every_file_has_either_cases_or_mistakes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    file.write_bytes(data)
    try:
        cases = load(file)
    except CaseFileError as error:
        cases, mistakes = [], error.mistakes
    else:
        mistakes = ()
    assert bool(cases) != bool(mistakes)
    assert all(mistake.line >= 1 and mistake.column >= 1 and mistake.text for _, mistake in mistakes)
    assert len({case.name for case in cases}) == len({case.key for case in cases}) == len(cases)
