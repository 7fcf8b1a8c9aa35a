"""Files are written as the frameworks' own, and hostile ones are rejected without running or allocating anything."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from conformance.conversion.convert import convert_one
from conformance.conversion.files import formats, keras
from conformance.conversion.find import with_options
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Lstm
from conformance.errors import WRONG_USE, UserError
from reference import Model
from reference.model import Direction
from tests.conformance.conversion.samples import FOLDER, draw, load

H5PY = pytest.importorskip("h5py")


def write(path: Path, lstms: list[Lstm], framework: str) -> Path:
    tensors = {name: array for lstm in lstms for name, array in FRAMEWORKS[framework].pack(lstm).items()}
    formats.store(path, formats.encode(path, tensors, lstms))
    return path


def datasets(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with H5PY.File(path) as file:
        file.visititems(lambda name, entry: found.update({name: entry[()]}) if hasattr(entry, "shape") else None)
    return found


def test_keras_weights_are_written_where_keras_writes_them(tmp_path: Path) -> None:
    _, lstms = load("keras.weights.h5")
    written = datasets(write(tmp_path / "new.weights.h5", lstms, "keras"))
    original = {name: array for name, array in datasets(FOLDER / "keras.weights.h5").items() if "dense" not in name}
    assert written.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(written[name], array)


def test_flax_weights_are_written_as_flax_writes_them(tmp_path: Path) -> None:
    msgpack = pytest.importorskip("msgpack")
    _, lstms = load("nnx.msgpack")
    written = msgpack.unpackb(write(tmp_path / "new.msgpack", lstms, "nnx").read_bytes())["params"]
    original = msgpack.unpackb((FOLDER / "nnx.msgpack").read_bytes())
    assert written["first"] == original["first"]
    assert written["second"]["cell"] == original["second"]["cell"]


def test_equinox_cells_are_written_as_equinox_writes_them(tmp_path: Path) -> None:
    _, lstms = load("equinox.eqx")
    written = write(tmp_path / "new.eqx", lstms, "equinox").read_bytes()
    assert (FOLDER / "equinox.eqx").read_bytes().endswith(written)


def test_paddle_weights_have_the_names_that_paddle_writes(tmp_path: Path) -> None:
    _, lstms = load("paddle.pdparams")
    written = formats.read(write(tmp_path / "new.pdparams", lstms, "paddle")).tensors
    original = {
        name: array for name, array in formats.read(FOLDER / "paddle.pdparams").tensors.items() if name[0] == "e"
    }
    assert written.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(written[name], array)


def test_torch_loads_what_was_written(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    _, lstms = load("torch.pt")
    path = write(tmp_path / "new.pt", lstms, "torch")
    state = torch.load(path, weights_only=True)
    lstm = torch.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)
    lstm.load_state_dict({name.removeprefix("model.encoder."): tensor for name, tensor in state.items()})
    computed = np.load(FOLDER / "computed" / "torch.npz")
    with torch.no_grad():
        np.testing.assert_array_equal(lstm(torch.from_numpy(computed["input"]))[0].numpy(), computed["output"])


def test_an_onnx_model_runs_on_any_length_and_batch(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    _, lstms = load("torch.safetensors")
    path = write(tmp_path / "new.onnx", lstms, "onnx")
    computed = np.load(FOLDER / "computed" / "torch.npz")
    x = np.ascontiguousarray(computed["input"].swapaxes(0, 1))
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    output = session.run(["output"], {"input": x})[0]
    np.testing.assert_allclose(output.swapaxes(0, 1), computed["output"], rtol=0, atol=1e-6)
    assert session.run(["output"], {"input": x[:2, :1]})[0].shape == (2, 1, 8)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_bfloat16_survives(name: str, tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    if name == "a.pt":
        pytest.importorskip("torch")
    lstm = draw(Model(3, (2,)), name="")
    lstm = Lstm("", {parameter: array.astype(bfloat16) for parameter, array in lstm.parameters.items()})
    [found] = FRAMEWORKS["torch"].find(formats.read(write(tmp_path / name, [lstm], "torch")).tensors)
    assert found.equals(lstm)
    keras_bias = convert_one(lstm, FRAMEWORKS["keras"]).tensors["lstm/lstm_cell/bias"]
    assert keras_bias.dtype == bfloat16
    for other in ("a.npz", "a.eqx", "a.pdparams", "a.weights.h5"):
        with pytest.raises(UserError, match=r"bfloat16, which \S+ files cannot store"):
            write(tmp_path / other, [lstm], "equinox")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            target.writestr(name.replace("__", "."), content)
    return file.getvalue()


def npy(header: str) -> bytes:
    text = f"{header:<117}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def pickled_npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, params=np.array({"a": Bomb()}, dtype=object))
    return file.getvalue()


HUGE = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 100000), }")
HOSTILE = {
    "header.safetensors": (struct.pack("<Q", 2**31) + b"{}", "header too large"),
    "offsets.safetensors": (struct.pack("<Q", 2) + b"{}" + b"\0" * 9, "not a valid safetensors file"),
    "code.npz": (pickled_npz(), "contains a pickled object, which can run any code.*numpy.savez"),
    "huge.npz": (archive(a__npy=HUGE), "not a valid npz file"),
    "bomb.npz": (archive(a__npy=b"\0" * 10_000_000)[:-1000], "not a valid npz file"),
    "huge.eqx": (HUGE, "not a valid Equinox file"),
    "code.eqx": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + pickle.dumps(Bomb()), "not a valid"),
    "code.pdparams": (pickle.dumps({"a": Bomb()}), r"contains the object posix.mkdir, which could run any code"),
    "list.pdparams": (pickle.dumps([1]), "contains a list, expected a state dictionary"),
    "nested.msgpack": (b"\x91" * 100_000, "not a valid msgpack file"),
    "text.msgpack": (b"\xa1a", "contains a str, expected a mapping"),
    "noise.h5": (b"\x89HDF\r\n\x1a\n" + bytes(2000), "not a valid Keras file"),
    "noise.keras": (archive(config__json=b"{}"), "not a valid Keras file"),
    "noise.onnx": (b"\xff" * 100, "not a valid ONNX file"),
    "some.pkl": (b"", "a pickle can run any code when it is loaded. Save the arrays with numpy.savez"),
    "noise.xml": (b"<net", "not a valid OpenVINO file"),
    "some.txt": (b"", r"unknown file format; known endings are \.safetensors, \.pt"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_rejected(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, message = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as raised:
        formats.read(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert not Path("exploded").exists()


def test_a_torch_file_with_code_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Bomb()}, "model.pt")
    with pytest.raises(UserError, match=r"contains the object posix.mkdir.*torch.save\(model.state_dict\(\), path\)"):
        formats.read(Path("model.pt"))
    assert not Path("exploded").exists()


def test_hdf5_data_in_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    with H5PY.File(tmp_path / "a.weights.h5", "w") as file:
        file.create_dataset("layers/lstm/cell/vars/0", (8,), "f4", external=[(str(tmp_path / "secret"), 0, 32)])
    with pytest.raises(UserError, match="layers/lstm/cell/vars/0 is not stored in the file"):
        formats.read(tmp_path / "a.weights.h5")
    with H5PY.File(tmp_path / "b.weights.h5", "w") as file:
        file.create_dataset("layers/lstm/cell/vars/0", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(UserError, match="is not stored in the file"):
        formats.read(tmp_path / "b.weights.h5")


def test_onnx_weights_in_other_files_and_computed_weights_are_rejected(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    _, lstms = load("torch.safetensors")
    model = onnx.load(write(tmp_path / "a.onnx", lstms, "onnx"))
    weight = next(entry for entry in model.graph.initializer if entry.name == "W_l0")
    weight.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="W_l0 is stored in another file"):
        formats.read(tmp_path / "a.onnx")
    model.graph.initializer.remove(weight)
    model.graph.input.append(onnx.helper.make_tensor_value_info("W_l0", 1, (2, 16, 3)))
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="W_l0 is computed from the model's input"):
        formats.read(tmp_path / "a.onnx")


def test_onnx_weights_may_be_computed_from_constants(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    _, lstms = load("torch.safetensors")
    path = write(tmp_path / "a.onnx", lstms, "onnx")
    expected = formats.read(path).tensors
    model = onnx.load(path)
    initializers = {entry.name: entry for entry in model.graph.initializer}
    for name in ("W_l0", "R_l1"):
        model.graph.initializer.remove(initializers[name])
        halves = np.split(onnx.numpy_helper.to_array(initializers[name]), 2)
        for direction, half in enumerate(halves):
            value = onnx.numpy_helper.from_array(half)
            model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [f"{name}_{direction}"], value=value))
        model.graph.node.insert(2, onnx.helper.make_node("Concat", [f"{name}_0", f"{name}_1"], [name], axis=0))
    path.write_bytes(model.SerializeToString())
    for name, array in formats.read(path).tensors.items():
        np.testing.assert_array_equal(array, expected[name])


def test_an_onnx_model_without_lstms_is_rejected(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "graph", [], [])
    (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(UserError, match="the model has no LSTM node"):
        formats.read(tmp_path / "a.onnx")


def test_onnx_nodes_within_branches_are_found(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    _, lstms = load("torch.safetensors")
    path = write(tmp_path / "a.onnx", lstms, "onnx")
    expected = formats.read(path).tensors
    graph = onnx.load(path).graph
    branch = onnx.helper.make_graph(list(graph.node), "branch", [], list(graph.output))
    outputs = [output.name for output in graph.output]
    condition = onnx.helper.make_tensor_value_info("condition", onnx.TensorProto.BOOL, [])
    nodes = [onnx.helper.make_node("If", ["condition"], outputs, then_branch=branch, else_branch=branch)]
    inputs = [condition, *graph.input]
    whole = onnx.helper.make_graph(nodes, "whole", inputs, list(graph.output), list(graph.initializer))
    path.write_bytes(onnx.helper.make_model(whole).SerializeToString())
    found = formats.read(path).tensors
    assert len(found) == 2 * len(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_missing_file_and_a_missing_library_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no\.onnx: cannot be read: No such file") as raised:
        formats.read(tmp_path / "no.onnx")
    assert raised.value.exit_code == WRONG_USE
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"needs h5py, which is not installed; install with: pip install"):
        formats.read(FOLDER / "keras.weights.h5")


@pytest.mark.parametrize(
    ("version", "config", "expected"),
    [
        ("2.21.0", {"recurrent_activation": "hard_sigmoid"}, {"activations": ("hard_sigmoid", "tanh", "tanh")}),
        ("3.6.0", {"recurrent_activation": "hard_sigmoid"}, {"activations": ("hard_sigmoid_6", "tanh", "tanh")}),
        (
            "3.6.0",
            {"activation": "relu", "go_backwards": True},
            {"activations": ("sigmoid", "relu", "relu"), "direction": "reverse"},
        ),
        ("3.6.0", {}, {}),
    ],
)
def test_options_of_keras_layers(version: str, config: dict[str, object], expected: dict[str, object]) -> None:
    layer = {"name": "top", "activation": "tanh", "recurrent_activation": "sigmoid", **config}
    inner = {
        "class_name": "Functional",
        "config": {"name": "inner", "layers": [{"class_name": "LSTM", "config": layer}]},
    }
    model = {"class_name": "Sequential", "config": {"layers": [inner]}}
    assert keras.options(model, version) == {"top": expected}


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_a_keras_model_records_the_options_of_its_layers(direction: Direction, tmp_path: Path) -> None:
    options = {"activations": ("hard_sigmoid_6", "relu", "relu")}
    lstm = Lstm("net/top", draw(Model(3, (2,), direction)).parameters, options)
    path = write(tmp_path / "a.keras", [lstm], "keras")
    contents = formats.read(path)
    [found] = with_options(FRAMEWORKS["keras"].find(contents.tensors), contents.options)
    after = convert_one(lstm, FRAMEWORKS["keras"]).after
    assert (found.name, found.options, found.model) == ("net_top", options, after.model)
    if direction == "reverse":
        deep = Lstm("top", draw(Model(3, (2, 2), direction)).parameters)
        with pytest.raises(UserError, match=r"output of a reverse layer in reverse order. Write .weights.h5"):
            write(path, [deep], "keras")


def test_the_order_of_the_output_of_a_backward_layer_is_noted() -> None:
    [note] = keras.doubts({"config": {}}, "3.6.0", {"top": {"direction": "reverse"}, "other": {}})
    assert note.startswith("top has go_backwards=True: Keras returns the output of its last step first")


def layer(kind: str, **config: object) -> dict[str, object]:
    return {"class_name": kind, "config": {"name": "top", **config}}


PLAIN = {"activation": "tanh", "recurrent_activation": "sigmoid"}
HARD = {"activation": "tanh", "recurrent_activation": "hard_sigmoid"}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([layer("LSTM", **PLAIN), layer("LSTM", **HARD)], "two layers named top have different options"),
        (
            [layer("Bidirectional", layer=layer("LSTM", **PLAIN), backward_layer=layer("LSTM", **HARD))],
            "two layers named top have different options",
        ),
        ([layer("RNN", cell=layer("LSTMCell", **HARD))], "options of a cell within a RNN"),
        ([layer("TimeDistributed", layer=layer("LSTM", **HARD))], "options of a cell within a TimeDistributed"),
    ],
)
def test_options_that_cannot_be_assigned_are_rejected(layers: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        keras.options({"config": {"layers": layers}}, "3.6.0")


def test_options_of_other_layers_do_not_matter() -> None:
    gru = layer("Bidirectional", layer=layer("GRU", **HARD), backward_layer=layer("GRU", **HARD))
    plain = layer("RNN", cell=layer("StackedRNNCells", cells=[layer("LSTMCell", **PLAIN)]))
    assert keras.options({"config": {"layers": [gru, plain]}}, "3.6.0") == {}


def test_layers_of_cudnn_are_found_by_the_shape_of_the_bias(tmp_path: Path) -> None:
    # Element (h, i) of the input weights of gate k is 100 k + 10 h + i, as cuDNN stores them.
    gates = np.array([[[100 * k + 10 * h + i for i in range(3)] for h in range(2)] for k in range(4)], np.float32)
    with H5PY.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = ["top"]
        file.create_group("top").attrs["weight_names"] = ["top/kernel:0", "top/recurrent_kernel:0", "top/bias:0"]
        file["top/top/kernel:0"] = np.hstack([gate.reshape(3, 2) for gate in gates])
        file["top/top/recurrent_kernel:0"] = np.hstack([gate[:, :2] for gate in gates])
        file["top/top/bias:0"] = np.arange(16, dtype=np.float32)
    contents = formats.read(tmp_path / "a.h5")
    assert "top is a CuDNNLSTM: the sum of its two biases is rounded once" in contents.notes[0]
    np.testing.assert_array_equal(contents.tensors["top/kernel"], np.hstack([gate.T for gate in gates]))
    np.testing.assert_array_equal(
        contents.tensors["top/recurrent_kernel"], np.hstack([gate[:, :2].T for gate in gates])
    )
    np.testing.assert_array_equal(contents.tensors["top/bias"], np.arange(8) * 2 + 8)


def test_an_unknown_activation_of_keras_is_rejected() -> None:
    layer = {"name": "top", "activation": "swish", "recurrent_activation": "sigmoid"}
    with pytest.raises(UserError, match="top: activation is 'swish', which cannot be converted"):
        keras.options({"config": {"layers": [{"class_name": "LSTM", "config": layer}]}}, "3.6.0")


@pytest.mark.parametrize(
    ("version", "doubtful"), [("2.2.4", True), ("2.2.4-tf", True), ("2.3.0", False), ("2.21.0", False)]
)
def test_old_weights_without_a_model_are_doubtful(version: str, doubtful: bool) -> None:
    assert bool(keras.doubts({}, version, {})) == doubtful


def test_activations_of_onnx_are_matched_with_their_constants(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for activations in (("hard_sigmoid", "tanh", "leaky_relu"), ("hard_sigmoid_6", "scaled_tanh", "tanh")):
        lstm = Lstm("x", draw(Model(3, (2,), "reverse")).parameters, {"activations": activations, "clip": 3.0})
        contents = formats.read(write(tmp_path / "a.onnx", [lstm], "onnx"))
        assert contents.options == {"x": {"activations": activations, "clip": 3.0, "direction": "reverse"}}
