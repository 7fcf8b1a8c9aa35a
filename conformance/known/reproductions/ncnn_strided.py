"""ncnn: a Mat of a strided NumPy array holds the elements in the order of the memory."""

import ncnn
import numpy as np

array = np.arange(12, dtype="f4").reshape(3, 4)
strided = array.T.copy().T
assert np.array_equal(array, strided)
print("expected:", array.tolist())
print("got:     ", np.array(ncnn.Mat(strided)).tolist())
right = np.array_equal(ncnn.Mat(strided), array)
print("as expected:", right)
raise SystemExit(0 if right else 1)  # 1: it still happens
