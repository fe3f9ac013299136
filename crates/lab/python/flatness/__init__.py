"""Exact curvature of PyTorch models, with error bars.

    import flatness
    result = flatness.measure(model, x, y, what="top=5,trace,frobenius")
    print(result)                 # a table
    result.lambda_max.value       # the largest eigenvalue of the Hessian of the mean loss
    result.lambda_max.error       # its residual: an eigenvalue lies this close

The model is exported to ONNX and measured by the program `flatness`, which this package carries. PyTorch is imported when
:func:`measure` is called; its exporters need the packages `onnx` and `onnxscript` beside it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from typing import TYPE_CHECKING, Any

from .result import Error, Matrix, Number, Plot, Result

if TYPE_CHECKING:
    import torch

# Under the name that users catch it by.
Error.__module__ = __name__

__all__ = ["Error", "Matrix", "Number", "Plot", "Result", "binary", "measure"]


def measure(
    model: torch.nn.Module,
    x: Any,
    y: Any,
    what: str | list[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Result:
    """Measures the curvature of the mean loss of `model` over the examples `x`, `y`.

    The model is measured in eval mode: dropout is off, batch-norm takes its running statistics (`batch_norm="batch"`: those
    of each batch). Every module is back in its own mode afterwards, and nothing else of the model changes.

    Args:
        model: Of one input, whose first axis is that of the examples; in float32 or float64, which is that of the arithmetic.
        x: Inputs (N, ...), a tensor or an array, in the form that the model takes.
        y: Labels. Integers are classes, (N), or (N, positions) for outputs (N, positions, classes) or as PyTorch's own loss
            has them (N, classes, positions), where -100 is ignored; floats are targets in the shape of the outputs.
        what: What to measure, as `flatness measure --what` takes it; "top,bottom,trace,frobenius" where it is not given.
        out: Directory for plots, their data and diagonals.
        options: The other options of `flatness measure`: `label_smoothing=0.1` is `--label-smoothing 0.1`, a list becomes
            its elements with commas between them, True a flag; None and False are left out.

    Returns:
        Numbers of the loss L, a mean over the examples, in nats for cross-entropy. For classes it is
        `F.cross_entropy(outputs, y)`, a mean over the positions that count. For floats it is half the squared distance,
        summed over the K outputs of an example: L = K / 2 · `F.mse_loss(outputs, y)`, and every eigenvalue
        of L is K / 2 times that of the `mse_loss`. `loss="binary-cross-entropy"` is summed in the same way, K times
        `F.binary_cross_entropy_with_logits(outputs, y)`.

    Raises:
        Error: In the words of the program, for what it refuses; where PyTorch cannot export the model; where the number
            of parameters or the mean loss is not that of PyTorch (relative 1e-4 in float32, 1e-9 in float64).
    """
    from . import export

    program = binary()
    options = {"what": what, **options}
    if options.get("journal"):
        options["journal"] = os.path.abspath(options["journal"])
    name = re.sub(r"\W", "", type(model).__name__) or "model"
    with tempfile.TemporaryDirectory(prefix="flatness-") as temporary, export.evaluating(model):
        directory = pathlib.Path(temporary)
        plots = pathlib.Path(out).absolute() if out is not None else directory / "out"
        subject = export.Subject(model, x, y)
        subject.save(directory / "data.npz")
        command = [program, "measure", f"{name}.onnx", "--data", "data.npz", "--json", "--out", str(plots)]
        command += arguments(options)
        report, failures = None, []
        for exporter in export.EXPORTERS:
            try:
                exporter(subject, directory / f"{name}.onnx")
            except Exception as error:  # Exporters fail with whatever the model's own code or a library raises.
                failures.append(Error(f"{exporter.__doc__}: {first_line(error)}"))
                continue
            try:
                report, notes = run(command + subject.constants(directory / f"{name}.onnx"), directory)
                break
            except Error as error:
                # Another exporter writes another file, and changes nothing about options and data.
                if f"{name}.onnx" not in str(error):
                    raise
                failures.append(error)
        if report is None:
            refused = next((failure for failure in failures if f"{name}.onnx" in str(failure)), None)
            missing = [package for package in ("onnx", "onnxscript") if importlib.util.find_spec(package) is None]
            advice = [f"install what its exporters need with `pip install {' '.join(missing)}`"] if missing else []
            reasons = "; ".join(["PyTorch cannot export this model to ONNX", *map(str, failures), *advice])
            raise refused or Error(reasons)
        notes += subject.compare(report, options, failures)
        files = [file for file in report.get("files", []) if file.endswith(".svg")]
        return Result(report, notes, [Plot(file[:-4], (plots / file).read_text("utf-8")) for file in files])


def binary() -> str:
    """Path of the program: the environment's FLATNESS_BINARY, the one beside this Python, or the first on the PATH.

    Raises:
        Error: There is none.
    """
    chosen = os.environ.get("FLATNESS_BINARY")
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise Error(f"FLATNESS_BINARY is {chosen}, which is no program")
        return os.path.abspath(found)
    # Where pip installs programs, for this Python and for this user; None is the PATH.
    places = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user"), None]
    found = next(filter(None, (shutil.which("flatness", path=place) for place in places)), None)
    if found is None:
        raise Error(
            "there is no program `flatness`, neither beside this Python nor on the PATH; install the wheel `flatness`, or set "
            "FLATNESS_BINARY to the program"
        )
    return os.path.abspath(found)


def arguments(options: dict[str, Any]) -> list[str]:
    """Keyword arguments as the command line has them."""
    given = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            given.append(option)
        elif isinstance(value, (list, tuple)):
            given.append(f"{option}={','.join(map(str, value))}")
        elif value is not None and value is not False:
            given.append(f"{option}={value}")
    return given


def run(command: list[str], directory: pathlib.Path) -> tuple[dict[str, Any], list[str]]:
    """What the program prints as JSON, and what it remarks."""
    done = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    if done.returncode < 0:
        raise Error(f"flatness was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode > 0 or not done.stdout.startswith("{"):
        raise Error(sentence(done.stderr) or done.stdout.strip() or f"flatness ended with code {done.returncode}")
    return json.loads(done.stdout), [line for line in done.stderr.splitlines() if line.strip()]


def sentence(said: str) -> str:
    """The error in what the program said, without the usage that follows a wrong option."""
    said = said[said.rfind("\nerror: ") + 1 :].strip()
    said = re.split(r"\n\s*(?:Usage:|For more information)", said)[0]
    said = said[len("error: ") :] if said.startswith("error: ") else said
    return re.sub(r"\s*\n\s*", " ", re.sub(r"\n\s*\n\s*", "; ", said)).strip("; ")


def first_line(error: BaseException) -> str:
    """Kind and first line of what an error of PyTorch, which may be pages long, comes from."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
