"""Adapter for IREE: its ONNX importer, compiler and runtime."""

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.adapter import ELSEWHERE
from conformance.adapters.onnx.common import Array, OnnxAdapter, Run
from conformance.cases.case import Case

OPTIONS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    "--iree-input-demote-f64-to-f32=false",
)
"""Options of the compiler."""
NOT_LOWERED = 'iree-compile: "failed to legalize operation", for an LSTM with'


class Iree(OnnxAdapter):
    """Drives ``iree.compiler`` and ``iree.runtime`` on the CPU. Compiling a model takes about a second."""

    name = "iree"
    requires = ("iree", "onnx")
    install = ELSEWHERE
    default_tag = "core"
    own_process = True

    features = OnnxAdapter.features - {"reverse", "clip", "coupled gates"} | {"float16", "one state given"}
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        "reverse": f"{NOT_LOWERED} direction=reverse",
        "clip": f"{NOT_LOWERED} clip",
        "coupled gates": f"{NOT_LOWERED} input_forget=1",
        "float64": 'iree-compile: "undefined symbol: tanh"',
    }

    def load(self, model: Any, case: Case) -> Run:
        """Imports and compiles a model, as ``iree-import-onnx`` does, and loads the program."""
        import onnx
        from iree import runtime
        from iree.compiler import compile_str
        from iree.compiler.extras import onnx_importer
        from iree.compiler.ir import Context

        del case
        with Context() as context:
            info = onnx_importer.ModelInfo(onnx.shape_inference.infer_shapes(model, data_prop=True))
            root = info.create_module(context).operation
            onnx_importer.NodeImporter.define_function(info.main_graph, root).import_all()
            source = str(root)
        program = compile_str(source, input_type="onnx", extra_args=OPTIONS)
        function = getattr(runtime.load_vm_flatbuffer(program, driver="local-sync"), model.graph.name)
        inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            results = function(*(feeds[name] for name in inputs))
            return {name: result.to_host() for name, result in zip(outputs, results, strict=True)}

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions and the options of the compiler."""
        from iree.compiler import version

        return super().describe() | {"iree": version.VERSION, "compiled": " ".join(OPTIONS)}
