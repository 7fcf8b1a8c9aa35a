"""Exact minimum set cover: the fewest sets with the same union as all sets.

The problem is reduced as far as possible and then solved by branch and bound. Source: Beasley, "An algorithm for set
covering problem", European Journal of Operational Research 31 (1987).
"""

from collections.abc import Iterator, Mapping, Sequence

Masks = Mapping[int, int]
"""Sets by their index. Element n of a set is bit n of its mask."""


def minimum_cover(masks: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Returns the indices of the fewest sets whose union is the union of all sets, in ascending order.

    Args:
        masks: sets. Element n of a set is bit n of its mask.
        sizes: sizes of the sets. Among the solutions, the one with the smallest total size is returned.
    """
    one_set = 1 + sum(sizes)  # More than any difference in size.
    costs = [one_set + size for size in sizes]
    union = 0
    for mask in masks:
        union |= mask
    cover = _cheapest(dict(enumerate(masks)), union, costs, 1 + sum(costs))
    assert cover is not None
    return sorted(cover)


def _cheapest(masks: Masks, needed: int, costs: Sequence[int], limit: int) -> set[int] | None:
    """Returns the cheapest cover of the needed elements; None if none costs less than the limit."""
    masks, needed, chosen = _reduce(masks, needed, costs)
    limit -= sum(costs[i] for i in chosen)
    owners = _owners(masks, needed)
    if limit <= _lower_bound(owners, costs):
        return None
    if not owners:
        return chosen
    best = None
    left = dict(masks)
    # One of these owners is part of the cover. Each branch excludes the owners of the branches before it.
    for i in min(owners, key=len):
        own = left.pop(i)
        found = _cheapest(left, needed & ~own, costs, limit - costs[i])
        if found is not None:
            best = found | {i}
            limit = sum(costs[j] for j in best)
    return None if best is None else chosen | best


def _reduce(masks: Masks, needed: int, costs: Sequence[int]) -> tuple[Masks, int, set[int]]:
    """Returns an equivalent smaller problem, and the sets that belong to the cover in any case."""
    chosen: set[int] = set()
    while True:
        before = len(masks), needed
        masks = _without_dominated({i: mask & needed for i, mask in masks.items() if mask & needed}, costs)
        needed = _hardest(masks, needed)
        forced = {owners[0] for owners in _owners(masks, needed) if len(owners) == 1}
        for i in forced:
            needed &= ~masks[i]
        chosen |= forced
        masks = {i: mask for i, mask in masks.items() if i not in forced}
        if (len(masks), needed) == before:
            return masks, needed, chosen


def _without_dominated(masks: Masks, costs: Sequence[int]) -> Masks:
    """Returns the sets that are not part of another set of at most the same cost."""
    kept: dict[int, int] = {}
    for i in sorted(masks, key=lambda i: (costs[i], -masks[i].bit_count())):
        if all(masks[i] & ~mask for mask in kept.values()):
            kept[i] = masks[i]
    return {i: masks[i] for i in sorted(kept)}


def _hardest(masks: Masks, needed: int) -> int:
    """Returns the needed elements without those that every cover of the others contains."""
    owners = {bit: sum(1 << i for i, mask in masks.items() if mask >> bit & 1) for bit in _bits(needed)}
    kept: list[int] = []
    for bit in sorted(owners, key=lambda bit: owners[bit].bit_count()):
        if all(owners[other] & ~owners[bit] for other in kept):
            kept.append(bit)
    return sum(1 << bit for bit in kept)


def _owners(masks: Masks, needed: int) -> list[list[int]]:
    """Returns, for each needed element, the indices of the sets that contain it."""
    return [[i for i, mask in masks.items() if mask >> bit & 1] for bit in _bits(needed)]


def _lower_bound(owners: Sequence[Sequence[int]], costs: Sequence[int]) -> int:
    """Returns a cost that every cover reaches: elements without a common owner need one set each."""
    bound, used = 0, set[int]()
    for each in sorted(owners, key=len):
        if used.isdisjoint(each):
            bound += min((costs[i] for i in each), default=sum(costs) + 1)
            used.update(each)
    return bound


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask.bit_length() - 1
        mask &= ~(1 << mask.bit_length() - 1)
