import pytest

from conformance.cases.shard import Shard


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_row_belongs_to_exactly_one_shard(of: int) -> None:
    shards = [Shard(index, of) for index in range(1, of + 1)]
    rows = [(f"{number:016x}", name) for number in range(200) for name in ("torch.nn.LSTM", "keras.layers.LSTM[jax]")]
    for key, name in rows:
        assert sum(shard.holds(key, name) for shard in shards) == 1
    assert all(sum(shard.holds(*row) for row in rows) > 200 / of for shard in shards)


def test_the_shard_of_a_row_is_the_same_on_every_machine() -> None:
    """Otherwise, merged shards from different machines would lack rows or contain them twice."""
    assert [Shard(1, 3).holds(f"key-{number}", "mine") for number in range(6)] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("text", ["1/3", "3/3", "1/1"])
def test_parsing_a_shard_and_formatting_it_is_the_identity(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/3", "a/b", "1/0", "-1/3", "1/3/5"])
def test_an_invalid_shard_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1/3, not "):
        Shard.parse(text)
