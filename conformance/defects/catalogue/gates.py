"""The 23 wrong gate orders. Frameworks differ in their gate order."""

from itertools import permutations

from conformance.defects.catalogue.tensors import read_gates
from conformance.defects.defect import Defect

_USED_BY = {
    "iofg": "onnx LSTM, whose order is i, o, f, c",
    "igfo": "haiku.LSTM",
    "figo": "OpenVINO LSTMSequence",
    "ifog": "ncnn LSTM",
}


def _read_in_order(order: str) -> Defect:
    i, f, g, o = (order.index(gate) for gate in "ifgo")
    return Defect(
        id=f"gates-read-{order}",
        what=f"whose gates are read {', '.join(order)}",
        represents=_USED_BY.get(order, ""),
        reads=read_gates((i, f, g, o), "weight_ih", "weight_hh", "bias"),
    )


DEFECTS = [_read_in_order("".join(order)) for order in permutations("ifgo") if "".join(order) != "ifgo"]
