"""Keras files: ``.weights.h5`` and ``.keras``, and the ``.h5`` of Keras 2."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.adapters.layout import KERAS
from conformance.conversion.files.contents import (
    MAX_COMPRESSION,
    Contents,
    library,
    natural,
    only,
    parsing,
    without_bfloat16,
)
from conformance.conversion.framework import directions
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError

_ROLES = {"0": "kernel", "1": "recurrent_kernel", "2": "bias"}
_ACTIVATIONS = ("sigmoid", "tanh", "relu", "elu", "softsign")
_DEFAULTS = {"recurrent_activation": "sigmoid", "activation": "tanh"}
"""Activations of CuDNNLSTM, which has no such options."""
_PLAIN = ("sigmoid", "tanh", "tanh")
_KERAS_3 = {"hard_sigmoid_6": "hard_sigmoid"}
"""Keras 3's names of activations that differ from the suite's."""
_INNER = ("layers", "cell", "cells", "forward_layer", "backward_layer")


def read(data: bytes) -> Contents:
    """Reads the weights, and the options of the LSTMs if the file records the model.

    Raises:
        UserError: the file is invalid, or an LSTM has an activation that the suite does not know.
    """
    with parsing("Keras"):
        if not zipfile.is_zipfile(io.BytesIO(data)):
            return _read_h5(data, {}, "")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_COMPRESSION * len(data):
                raise UserError("not a valid Keras file: it claims to contain more than it can")
            version = json.loads(archive.read("metadata.json")).get("keras_version", "")
            return _read_h5(archive.read("model.weights.h5"), json.loads(archive.read("config.json")), version)


def write(lstms: Sequence[Lstm]) -> bytes:
    """Writes ``.weights.h5`` for a model whose only layers with weights are these LSTMs, in this order."""
    h5py = library("h5py", "writing .h5 files")
    file = io.BytesIO()
    counts = {"lstm": 0, "bidirectional": 0}
    with h5py.File(file, "w") as target:
        for lstm in lstms:
            for layer in range(lstm.model.num_layers):
                both = lstm.model.num_directions == 2
                kind = "bidirectional" if both else "lstm"
                group = target.create_group(f"layers/{kind}_{counts[kind]}" if counts[kind] else f"layers/{kind}")
                counts[kind] += 1
                group.create_group("vars").attrs["name"] = FRAMEWORKS["keras"].unit(lstm, layer)
                for suffix, own in directions(lstm, layer):
                    side = ("backward_layer/" if suffix else "forward_layer/") if both else ""
                    packed = without_bfloat16(KERAS.pack(own), ".weights.h5")
                    for number, role in enumerate(packed):
                        group[f"{side}cell/vars/{number}"] = packed[role]
    return file.getvalue()


def write_model(lstms: Sequence[Lstm]) -> bytes:
    """Writes ``.keras``: a model of one LSTM, for inputs (batch, time, features) of any batch and length.

    Raises:
        UserError: there are several LSTMs, or a stack of reverse layers, whose outputs Keras would reverse in time.
    """
    lstm = only(lstms)
    lstm = replace(lstm, name=re.sub(r"[./]", "_", lstm.name))  # Keras allows no slashes in names.
    model = lstm.model
    if model.direction == "reverse" and model.num_layers > 1:
        raise UserError(f"{lstm.label}Keras returns the output of a reverse layer in reverse order. Write .weights.h5")
    gate, candidate, _ = lstm.options.get("activations", _PLAIN)
    options = {
        "dtype": lstm.dtype,
        "return_sequences": True,
        "activation": _KERAS_3.get(candidate, candidate),
        "recurrent_activation": _KERAS_3.get(gate, gate),
        "use_bias": model.bias,
        "go_backwards": model.direction == "reverse",
    }
    layers = [_layer("InputLayer", name="input", batch_shape=[None, None, model.input_size], dtype=lstm.dtype)]
    for number, hidden in enumerate(model.hidden_sizes):
        own = {"units": hidden, **options}
        name = FRAMEWORKS["keras"].unit(lstm, number)
        if model.num_directions == 2:
            forward = _layer("LSTM", name="forward_lstm", **own)
            backward = _layer(
                "LSTM", name="backward_lstm", **own | {"go_backwards": True, "units": model.hidden_size(number, 1)}
            )
            layers.append(_layer("Bidirectional", name=name, layer=forward, backward_layer=backward))
        else:
            layers.append(_layer("LSTM", name=name, **own))
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", write([lstm]))
    return file.getvalue()


def _layer(kind: str, **config: Any) -> dict[str, Any]:
    """Returns the configuration of a layer."""
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _read_h5(data: bytes, config: Mapping[str, Any], version: str) -> Contents:
    """Reads an HDF5 file of Keras 2 or 3.

    Args:
        data: content of the file.
        config: configuration of the model; empty if it is unknown, or in the file.
        version: version of Keras; empty if it is unknown, or in the file.
    """
    h5py = library("h5py", "reading .h5 files")
    with h5py.File(io.BytesIO(data), "r") as file:
        datasets: dict[str, Any] = {}

        def collect(name: str, entry: Any) -> None:  # Visits neither soft nor external links.
            if isinstance(entry, h5py.Dataset):
                if entry.external or entry.is_virtual or entry.nbytes > MAX_COMPRESSION * len(data):
                    raise UserError(f"{name} is not stored in the file")
                datasets[name] = entry

        file.visititems(collect)
        weights = file.get("model_weights", file)
        if "layer_names" in weights.attrs:
            version = version or _text(file.attrs.get("keras_version", ""))
            config = json.loads(file.attrs.get("model_config", "{}"))
            tensors = _named_by_keras_2(weights, datasets)
        else:
            names = {place: layer["config"]["name"] for place, layer in _layers(config)}
            tensors = _named_by_keras_3(file, datasets, names)
        tensors, notes = _without_cudnn(tensors)
        found = options(config, version)
        return Contents(tensors, found, (*notes, *doubts(config, version, found)))


def _named_by_keras_2(weights: Any, datasets: Mapping[str, Any]) -> dict[str, Array]:
    """Returns the arrays by the names of the weights, in the order of the layers."""
    arrays = {}
    for layer in map(_text, weights.attrs["layer_names"]):
        for weight in map(_text, weights[layer].attrs["weight_names"]):
            name = f"{weights.name}/{layer}/{weight}".strip("/")
            arrays[weight.removesuffix(":0")] = np.array(datasets[name])
    return arrays


def _named_by_keras_3(file: Any, datasets: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Array]:
    """Returns the arrays by the names of layers. Those of a cell get the names of their roles.

    Keras stores them as ``layers/lstm/cell/vars/0``. The attribute ``name`` of ``layers/lstm/vars`` is the layer's.
    Keras 2 does not store it.

    Args:
        file: the file.
        datasets: its datasets by path.
        known: names of layers by their places, such as ``layers/lstm``.
    """
    arrays = {}
    for path in sorted(datasets, key=natural):
        *parts, _, number = path.split("/")
        names = []
        for depth, part in enumerate(parts, 1):
            place = "/".join(parts[:depth])
            own = file.get(f"{place}/vars")
            stored = own is not None and part not in _INNER and "name" in own.attrs
            names.append(_text(own.attrs["name"]) if stored else known.get(place, part))
        names = [name for name in names if name not in ("layers", "cells")]
        group = path.rpartition("/")[0]
        role = _ROLES.get(number, number) if _is_cell(datasets, group) else number
        arrays["/".join([*names, role])] = np.array(datasets[path])
    return arrays


def _is_cell(datasets: Mapping[str, Any], group: str) -> bool:
    """Returns whether the datasets of a group have the shapes of an LSTM cell."""
    shapes = [datasets[name].shape if (name := f"{group}/{number}") in datasets else None for number in range(4)]
    kernel, recurrent, bias, more = shapes
    return bool(
        more is None
        and kernel
        and recurrent
        and len(kernel) == len(recurrent) == 2
        and kernel[1] == recurrent[1] == 4 * recurrent[0]
        and bias in (None, (kernel[1],), (2 * kernel[1],))
    )


def _layers(config: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the LSTMs in the configuration of a model, each with its place: ``layers/lstm_1``.

    A place consists of the class in snake case and the number of earlier layers of that class, as in ``.weights.h5``.
    """
    counts: Counter[str] = Counter()
    for layer in config.get("config", {}).get("layers", []):
        words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", layer["class_name"])
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
        place = f"{path}layers/{kind}_{counts[kind]}" if counts[kind] else f"{path}layers/{kind}"
        counts[kind] += 1
        yield place, layer
        yield from _layers(layer, f"{place}/")


def options(config: Any, version: str) -> dict[str, dict[str, Any]]:
    """Returns the options of each LSTM in the configuration of a model by the name of its layer.

    Raises:
        UserError: two layers have the same name and different options, or options cannot be assigned to weights.
    """
    options: dict[str, dict[str, Any]] = {}
    for _, layer in _layers(config):
        own, kind = layer["config"], layer["class_name"]
        sides = [own[side] for side in ("layer", "backward_layer") if side in own]
        parts = sides if kind == "Bidirectional" else [layer]
        kinds = {part["class_name"] for part in parts}
        if kinds in ({"LSTM"}, {"CuDNNLSTM"}):
            found = [_options_of_layer({**part["config"], "name": own["name"]}, version) for part in parts]
            if kind == "Bidirectional":
                found = [{name: value for name, value in each.items() if name != "direction"} for each in found]
            if any(options.setdefault(own["name"], each) != each for each in found):
                raise UserError(f"two layers named {own['name']} have different options")
        elif "layers" not in own and any(_options_of_layer(cell, version) for cell in _cells(layer)):
            raise UserError(f"{own['name']}: cannot assign the options of a cell within a {kind} to its weights")
    return options


def _cells(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the configurations of LSTMs and their cells anywhere within a layer."""
    if isinstance(config, Mapping):
        if config.get("class_name") in ("LSTM", "LSTMCell", "CuDNNLSTM"):
            yield config["config"]
        else:
            for value in config.values():
                yield from _cells(value)
    elif isinstance(config, list):
        for value in config:
            yield from _cells(value)


def _options_of_layer(config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Returns the options of a layer that are not the defaults, see ``Contents.options``."""
    gate, candidate = (_activation(config, name, version) for name in ("recurrent_activation", "activation"))
    options: dict[str, Any] = {}
    if (gate, candidate) != ("sigmoid", "tanh"):
        options["activations"] = (gate, candidate, candidate)
    if config.get("go_backwards"):
        options["direction"] = "reverse"
    return options


def _activation(config: Mapping[str, Any], key: str, version: str) -> str:
    """Returns the suite's name of an activation. Before Keras 3, hard_sigmoid had another slope."""
    name = config.get(key, _DEFAULTS[key])
    if name == "hard_sigmoid":
        return "hard_sigmoid" if version.startswith(("1.", "2.")) else "hard_sigmoid_6"
    if name not in _ACTIVATIONS:
        raise UserError(f"{config['name']}: {key} is {name!r}, which cannot be converted")
    return str(name)


def doubts(config: Any, version: str, options: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns notes on what the weights do not say.

    Args:
        config: configuration of the model; empty if the file does not contain it.
        version: version of Keras; empty if it is unknown.
        options: options of the LSTMs.
    """
    notes = [
        f"{name} has go_backwards=True: Keras returns the output of its last step first, other frameworks in the order "
        "of time"
        for name, own in options.items()
        if "direction" in own
    ]
    if not config and re.match(r"1\.|2\.[0-2](\.|-|$)", version):
        notes.append(
            f"the file was written by Keras {version}, whose default recurrent_activation was hard_sigmoid, and does "
            "not record the model: check the model's code"
        )
    return tuple(notes)


def _without_cudnn(tensors: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Returns the arrays of CuDNNLSTM layers in the layout of LSTM layers, and a note on each. Others are kept.

    cuDNN stores each gate's weights as (H, features). Keras declares them as (features, 4H), and thereby reads rows as
    columns. The bias consists of two, one after the other.
    """
    arrays, notes = dict(tensors), []
    for name, bias in tensors.items():
        start, _, role = name.rpartition("bias")
        kernel, recurrent = f"{start}kernel", f"{start}recurrent_kernel"
        if role or recurrent not in tensors or bias.shape != (8 * len(tensors[recurrent]),):
            continue
        for weight in (kernel, recurrent):
            arrays[weight] = np.hstack(
                [gate.reshape(gate.shape[::-1]).T for gate in np.split(tensors[weight], 4, axis=1)]
            )
        first, second = np.split(bias, 2)
        arrays[name] = first + second
        exact = first.astype(np.longdouble) + second
        change = f"which changes it by at most {float(np.abs(exact - arrays[name]).max()):.2g}"
        notes.append(f"{start.rstrip('/')} is a CuDNNLSTM: the sum of its two biases is rounded once, {change}")
    return arrays, notes


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
