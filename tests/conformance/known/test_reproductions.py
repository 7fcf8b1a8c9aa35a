"""Reproductions are short, stand alone, and still show their divergence."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from conformance.adapters import installed
from conformance.known import divergences as known
from conformance.known.divergences import Divergence
from tests.conftest import ROOT

JAVASCRIPT = ROOT / "harnesses" / "js"
PACKAGES = {"@tensorflow/tfjs", "onnxruntime-node", "onnxruntime-web"}
FRAMEWORKS = {
    "_tools", "ai_edge_litert", "cv2", "flax", "haiku", "iree", "jax", "keras", "litert_torch", "mindspore", "mlx",
    "MNN", "mxnet", "ncnn", "onnx", "onnx2tf", "onnxruntime", "openvino", "paddle", "paddle2onnx", "sonnet",
    "tensorflow", "tf2onnx", "tf_keras", "torch", "tract", "tvm",
}  # fmt: skip
HELPERS = {"importlib", "os", "pathlib", "signal", "sys", "tempfile", "unittest", "numpy"}

RUN_SCRIPTS = """\
import contextlib, io, json, runpy, sys, traceback
found = {}
for path in sys.argv[1:]:
    code, output = 0, io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = traceback.format_exc()
    found[path] = [code, output.getvalue()]
print("RESULTS" + json.dumps(found))
"""
"""Runs several scripts in one process, so that their framework is imported once."""


def _scripts(suffix: str) -> dict[Path, Divergence]:
    entries = (entry for entry in known.shipped() if entry.reproduction.endswith(suffix))
    return {known.REPRODUCTIONS / entry.reproduction: entry for entry in entries}


def _imports(script: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(script.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def _groups() -> dict[str, list[Path]]:
    """Returns the Python scripts that can share a process, by the name of the group.

    They use the same large framework, by itself or as Keras' back end, which is TensorFlow if a script does not choose.
    JAX in 64 bits has a process of its own. Scripts that fork share a process only with others that do: the threads of
    a framework do not survive a fork.
    """
    groups: dict[str, list[Path]] = {}
    for script in _scripts(".py"):
        text = script.read_text(encoding="utf-8")
        backend = re.findall(r'os\.environ\["KERAS_BACKEND"\] = "(\w+)"', text)
        frameworks = _imports(script) - HELPERS
        if "JAX_ENABLE_X64" in text:
            name = "jax in 64 bits"
        elif "keras" in frameworks:
            name = backend[0] if backend else "tensorflow"
        else:
            large = [each for each in ("jax", "torch", "openvino") if each in frameworks]
            name = large[0] if large else "+".join(sorted(frameworks))
        if "os.fork()" in text:
            name += ", forking"
        groups.setdefault(name, []).append(script)
    return groups


@pytest.mark.parametrize("script", _scripts(".py"), ids=lambda script: script.stem)
def test_a_script_is_short_and_imports_only_the_framework_and_numpy(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 30
    assert _imports(script) <= HELPERS | FRAMEWORKS


@pytest.mark.parametrize("script", _scripts(".mjs"), ids=lambda script: script.stem)
def test_a_script_in_javascript_is_short_and_imports_only_the_package(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 30
    assert set(re.findall(r'from "(.*)"', source)) <= PACKAGES | {"node:child_process", "node:fs"}


@pytest.mark.parametrize("script", _scripts(".cpp"), ids=lambda script: script.stem)
def test_a_reproduction_in_cpp_is_short_and_includes_only_the_library(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 60
    assert [name for name in re.findall(r"#include <(.*)>", source) if "/" in name] == ["oneapi/dnnl/dnnl.hpp"]


@pytest.mark.parametrize("group", _groups())
def test_scripts_exit_with_1_and_report_the_deviation(group: str) -> None:
    entries = _scripts(".py")
    scripts = [
        script
        for script in _groups()[group]
        if entries[script].affects(installed.version(entries[script].package))
        and all(find_spec(module) for module in _imports(script) - HELPERS - {"_tools"})
    ]
    if not scripts:
        pytest.skip(f"{group} is not installed in an affected version")
    command = [sys.executable, "-c", RUN_SCRIPTS, *map(str, scripts)]
    done = _run(command)
    assert "RESULTS" in done.stdout, done.stdout + done.stderr
    found: Mapping[str, tuple[object, str]] = json.loads(done.stdout.partition("RESULTS")[2])
    assert set(found) == set(map(str, scripts))
    for script, (code, output) in found.items():
        assert code == 1, f"{script}: exit code {code}\n{output}"
        assert "false" in output.lower(), f"{script}: {output}"


@pytest.mark.parametrize("script", _scripts(".mjs"), ids=lambda script: script.stem)
def test_scripts_in_javascript_exit_with_1_and_report_the_deviation(script: Path) -> None:
    package = _scripts(".mjs")[script].package
    if not shutil.which("node") or not (JAVASCRIPT / "node_modules" / package).is_dir():
        pytest.skip(f"node or {package} is not installed")
    if "webgl" in script.stem and not shutil.which("chromium"):
        pytest.skip("Chromium is not installed")
    # Node.js looks for packages in the working directory if the script comes from the standard input.
    done = _run(["node", "--input-type=module"], cwd=JAVASCRIPT, script=script.read_text(encoding="utf-8"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "false" in done.stdout.lower()


@pytest.mark.parametrize("script", _scripts(".cpp"), ids=lambda script: script.stem)
def test_programs_in_cpp_exit_with_1_and_report_the_deviation(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = os.environ.get("ONEDNN")
    if not prefix:
        pytest.skip("the environment variable ONEDNN does not name the folder that oneDNN is installed in")
    program, libraries = tmp_path / "program", f"{prefix}/lib"
    rpath = f"-Wl,--disable-new-dtags,-rpath,{libraries}"
    compiler = ["c++", "-std=c++17", "-isystem", f"{prefix}/include", "-o", str(program), str(script)]
    subprocess.run([*compiler, f"-L{libraries}", rpath, "-ldnnl"], check=True, timeout=240)
    monkeypatch.setenv("OCL_ICD_FILENAMES", f"{libraries}/libintelocl.so")
    done = _run([str(program)])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "false" in done.stdout


def _run(command: Sequence[str], cwd: Path | None = None, script: str = "") -> subprocess.CompletedProcess[str]:
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, capture_output=True, text=True, env=quiet, cwd=cwd, input=script, check=False)
