"""ncnn: an LSTM layer accepts inputs and states of wrong shapes and dtypes, or ends the process."""

import os
import tempfile
from pathlib import Path

import ncnn
import numpy as np

PARAM = "7767517\n4 6\nInput x 0 1 x\nInput h0 0 1 h0\nInput c0 0 1 c0\nLSTM lstm 3 3 x h0 c0 y h c 0=5 1=80 2=0 3=5\n"
net = ncnn.Net()
net.opt.num_threads = 1  # Threads do not survive a fork.
with tempfile.TemporaryDirectory() as folder:
    arrays = [np.full(size, 0.5, "f4").tobytes() for size in (80, 20, 100)]
    Path(folder, "param").write_text(PARAM)
    Path(folder, "bin").write_bytes(b"".join(bytes(4) + array for array in arrays))
    net.load_param(f"{folder}/param")
    net.load_model(f"{folder}/bin")
right = {"x": np.ones((6, 4), "f4")} | dict.fromkeys(("h0", "c0"), np.ones((1, 5), "f4"))
wrong, statuses = {"5 features": {"x": np.ones((6, 5), "f4")}, "float64": {"x": np.ones((6, 4))}}, {}
wrong |= {"a c0 of 1 unit": {"c0": np.ones((1, 1), "f4")}, "an h0 of 0 layers": {"h0": np.ones((0, 5), "f4")}}
for what, change in wrong.items():
    if os.fork() == 0:
        extractor = net.create_extractor()
        given = right | change
        codes = [extractor.input(name, ncnn.Mat(array)) for name, array in given.items()]
        os._exit(1 if any(codes) or extractor.extract("y")[0] else 0)
    statuses[what] = os.wait()[1]
    print(f"{what}: refused: {statuses[what] == 256} (exit status {statuses[what]})")
raise SystemExit(0 if set(statuses.values()) == {256} else 1)  # 1: it still happens
