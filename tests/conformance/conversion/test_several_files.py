"""Checkpoints of several files: those that frameworks write, what is refused, and how they are written."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from conformance.commands.cli import main
from conformance.conversion.files import formats, several
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array
from conformance.errors import WRONG_USE, UserError
from reference import Model
from tests.conformance.conversion.samples import FOLDER, assert_computes, draw


def test_steps_of_a_checkpoint_manager_are_read(tmp_path: Path) -> None:
    orbax = pytest.importorskip("orbax.checkpoint")
    weights = FRAMEWORKS["nnx"].pack(draw(Model(3, (2,)), name="first"))
    # As flax.nnx.State is stored: each variable has a value.
    cell: dict[str, dict[str, dict[str, Array]]] = {"dense_i": {}, "dense_h": {}}
    for name, array in weights.items():
        *_, dense, role = name.split("/")
        cell[dense][role] = {"value": array}
    with orbax.CheckpointManager(tmp_path) as manager:
        for step in (1, 2):
            manager.save(step, args=orbax.args.StandardSave({"first": {"cell": cell}}))
        manager.wait_until_finished()
    with pytest.raises(UserError, match=r"contains 2 checkpoints. Give one of them: .*/1/default, .*/2/default"):
        formats.read(tmp_path)
    found = formats.read(tmp_path / "2").tensors
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_folder_without_a_checkpoint_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the folder contains no checkpoint of Orbax"):
        formats.read(tmp_path)


def test_models_that_openvino_converted_are_read(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    openvino.serialize(openvino.Core().read_model(FOLDER / "onnx_legacy.onnx"), tmp_path / "a.xml")
    lstms = FRAMEWORKS["openvino"].find(formats.read(tmp_path / "a.xml").tensors, sure=True)
    assert_computes(lstms, "torch")


def test_cells_and_weights_that_constants_yield_are_read_from_openvino_models(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset5 as ops

    arrays = FRAMEWORKS["openvino"].pack(draw(Model(3, (2,)), name="lstm"))
    w, r, b = (arrays[f"lstm/{name}"][0] for name in "WRB")
    x, h, c = (ops.parameter([1, size], np.float32) for size in (3, 2, 2))
    turned = ops.transpose(ops.constant(np.ascontiguousarray(w.T)), ops.constant(np.array([1, 0])))
    compressed = ops.convert(ops.constant(b.astype(np.float16)), "f32")
    cell = ops.lstm_cell(x, h, c, turned, ops.constant(r), compressed, 2, name="cell", clip=3.0)
    openvino.serialize(openvino.Model([cell.output(0)], [x, h, c]), tmp_path / "a.xml")
    contents = formats.read(tmp_path / "a.xml")
    assert contents.options == {"cell": {"clip": 3.0}}
    for name in "WR":
        np.testing.assert_array_equal(contents.tensors[f"cell/{name}"], arrays[f"lstm/{name}"])
    assert contents.tensors["cell/B"].dtype == np.float32
    np.testing.assert_array_equal(contents.tensors["cell/B"][0], b.astype(np.float16))
    computed = ops.lstm_cell(x, h, c, ops.concat([x, ops.constant(np.ones((7, 3), np.float32))], 0), r, b, 2)
    openvino.serialize(openvino.Model([computed.output(0)], [x, h, c]), tmp_path / "b.xml")
    with pytest.raises(UserError, match="W is computed from the model's input, so it is not a weight"):
        formats.read(tmp_path / "b.xml")


def test_cells_within_loops_of_openvino_models_are_read(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset5 as ops

    arrays = FRAMEWORKS["openvino"].pack(draw(Model(3, (2,)), name="lstm"))
    weights = [ops.constant(arrays[f"lstm/{name}"][0]) for name in "WRB"]
    outer = [ops.parameter(shape, np.float32) for shape in ([1, 5, 3], [1, 2], [1, 2])]
    inner = [ops.parameter(shape, np.float32) for shape in ([1, 1, 3], [1, 2], [1, 2])]
    cell = ops.lstm_cell(ops.squeeze(inner[0], ops.constant(np.array([1]))), *inner[1:], *weights, 2, name="cell")
    body = openvino.Model([cell.output(0), cell.output(1)], inner)
    loop = ops.tensor_iterator()
    loop.set_body(body)
    loop.set_sliced_input(inner[0], outer[0].output(0), 0, 1, 1, -1, 1)
    for state, initial, result in zip(inner[1:], outer[1:], body.get_results(), strict=True):
        loop.set_merged_input(state, initial.output(0), result.output(0))
    last = loop.get_iter_value(body.get_results()[0].output(0), -1)
    openvino.serialize(openvino.Model([last], outer), tmp_path / "a.xml")
    found = formats.read(tmp_path / "a.xml").tensors
    for name in "WRB":
        np.testing.assert_array_equal(found[f"cell/{name}"], arrays[f"lstm/{name}"])


def test_the_forget_bias_of_a_cell_of_tensorflow_must_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    source, target = str(FOLDER / "tf1.index"), str(tmp_path / "new.npz")
    assert main(["convert", source, target, "--to", "haiku", "--layer", "bidirectional_rnn"]) == WRONG_USE
    assert "which no checkpoint contains. Give the number" in capsys.readouterr().err
    arguments = ["convert", source, target, "--to", "haiku", "--layer", "bidirectional_rnn", "--forget-bias", "1"]
    assert main(arguments) == 0
    found, original = formats.read(Path(target)).tensors, formats.read(FOLDER / "tf1.index").tensors
    np.testing.assert_array_equal(
        found["bidirectional_rnn/backward/linear/w"], original["bidirectional_rnn/backward/w"]
    )


def test_the_index_of_a_tensorflow_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.index").touch()
    with pytest.raises(UserError, match=r"give .*model\.ckpt\.index") as raised:
        formats.read(tmp_path / "model.ckpt")
    assert raised.value.exit_code == WRONG_USE


def test_an_incomplete_checkpoint_of_tensorflow_is_rejected(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    shutil.copy(FOLDER / "tf1.index", tmp_path)
    with pytest.raises(UserError, match="not a valid TensorFlow file"):
        formats.read(tmp_path / "tf1.index")


def test_a_folder_is_written_at_once_and_not_overwritten(tmp_path: Path) -> None:
    files = {"new.orbax/d/1": b"one", "new.orbax/_METADATA": b"two"}
    several.store(tmp_path / "new.orbax", files)
    assert (tmp_path / "new.orbax" / "d" / "1").read_bytes() == b"one"
    with pytest.raises(UserError, match="exists already, and folders are not overwritten"):
        several.store(tmp_path / "new.orbax", {"new.orbax/_METADATA": b"three"})
    assert (tmp_path / "new.orbax" / "_METADATA").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["new.orbax"]


def test_files_beside_each_other_replace_older_ones(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        several.store(tmp_path / "a.xml", {"a.xml": content, "a.bin": content})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.xml": b"two", "a.bin": b"two"}
