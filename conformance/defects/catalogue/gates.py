"""Gates read in the wrong order: all 23 of them. Gate order is the first thing in which frameworks differ."""

from itertools import permutations

import numpy as np

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect

_KNOWN = {
    "iofg": "onnx LSTM, whose order is i, o, f, c",
    "igfo": "haiku.LSTM",
    "fgio": "",
    "figo": "OpenVINO LSTMSequence",
    "ifog": "ncnn LSTM",
}


def _read(order: str) -> Defect:
    places = ["ifgo".index(gate) for gate in order]

    def reads(numbers: Arrays, case: Case) -> Arrays:
        del case
        gated = {name: array for name, array in numbers.items() if name.startswith(("weight_ih", "weight_hh", "bias"))}
        return {
            name: np.concatenate([np.split(array, 4)[places.index(k)] for k in range(4)])
            for name, array in gated.items()
        }

    return Defect(
        id=f"gates-read-{order}",
        what=f"whose gates are read {', '.join(order)}",
        stands_for=_KNOWN.get(order, ""),
        reads=reads,
    )


DEFECTS = [_read("".join(order)) for order in permutations("ifgo") if "".join(order) != "ifgo"]
