"""ncnn: an LSTM of four units returns zeros for NaN."""

import tempfile
from pathlib import Path

import ncnn
import numpy as np

UNITS = 4
PARAM = f"7767517\n2 4\nInput x 0 1 x\nLSTM lstm 1 3 x y h c 0={UNITS} 1={4 * UNITS} 2=0 3={UNITS}\n"
flag = np.zeros(1, "i4").tobytes()  # Precedes each array: its numbers are float32.
arrays = [np.ones((1, 4 * UNITS, 1), "f4"), np.zeros((1, 4, UNITS), "f4"), np.ones((1, 4 * UNITS, UNITS), "f4")]

net = ncnn.Net()
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "param").write_text(PARAM)
    Path(folder, "bin").write_bytes(b"".join(flag + array.tobytes() for array in arrays))
    assert not net.load_param(f"{folder}/param")
    assert not net.load_model(f"{folder}/bin")
x = np.array([[0.5], [np.nan], [2.0]], "f4")
extractor = net.create_extractor()
extractor.input("x", ncnn.Mat(x))
y = np.array(extractor.extract("y")[1])

print("first unit, with NaN in the second of three steps:", y[:, 0])
shown = bool(np.isnan(y[1:]).all())
print("output contains NaN:", shown)
raise SystemExit(0 if shown else 1)  # 1: it still happens
