"""The part that knows PyTorch: a model as ONNX, examples as a file, and the loss that both must have."""

from __future__ import annotations

import contextlib
import io
import logging
import pathlib
import warnings
from typing import Any, Iterator

import numpy
import torch
import torch.nn.functional as F

from .result import Error

# Relative difference of the mean losses, by number type: rounding of a mean over many layers and examples.
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}

# Examples per sweep where nothing else is said, which batch statistics are those of: the program's own.
BATCH = 1000

# Examples that a model is exported with. Two, since one of anything is taken for a constant.
EXAMPLES = 2


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards every module is in its own mode."""
    modes = [(module, module.training) for module in model.modules()]
    # The fused kernels of attention have no form in ONNX.
    mha = getattr(torch.backends, "mha", None)
    fast = mha.get_fastpath_enabled() if mha else None
    try:
        model.eval()
        if mha:
            mha.set_fastpath_enabled(False)
        yield
    finally:
        if mha:
            mha.set_fastpath_enabled(fast)
        for module, mode in modes:
            module.training = mode


class Subject:
    """A model with its examples: x (N, ...), y as :func:`flatness.measure` takes it."""

    def __init__(self, model: torch.nn.Module, x: Any, y: Any):
        first = next((weight for weight in model.parameters() if weight.is_floating_point()), None)
        if first is None:
            raise Error("the model has no parameters")
        others = {weight.dtype for weight in model.parameters()} - {first.dtype}
        if others or first.dtype not in TOLERANCES:
            names = ", ".join(sorted(str(dtype) for dtype in others | {first.dtype}))
            raise Error(f"the parameters are of {names}; measure model.float() or model.double()")
        self.model, self.dtype, self.device = model, first.dtype, first.device
        self.x, self.y = self.tensor(x), self.tensor(y)
        if self.y.dtype == torch.bool:
            self.y = self.y.to(self.dtype)
        if self.x.dim() == 0 or len(self.x) == 0:
            raise Error(f"x has shape {list(self.x.shape)}; its first axis must be that of the examples, at least one")
        outputs = self.outputs(self.sample())
        if not isinstance(outputs, torch.Tensor):
            raise Error(f"the model gives a {type(outputs).__name__}; measure one that gives the outputs alone, as a tensor")
        if outputs.dim() < 2 or len(outputs) != EXAMPLES:
            raise Error(
                f"of {EXAMPLES} examples the outputs have shape {list(outputs.shape)}; measure a model that gives (N, outputs)"
            )
        # PyTorch's own loss has classes in the second axis; the program, as language models, in the last.
        shape, labels = list(outputs.shape[1:]), list(self.y.shape[1:])
        self.is_channel_first = (
            not self.y.is_floating_point() and len(shape) > 1 and shape[1:] == labels and shape[:-1] != labels
        )

    def tensor(self, values: Any) -> torch.Tensor:
        values = torch.as_tensor(values).detach().to(self.device)
        return values.to(self.dtype) if values.is_floating_point() else values

    def sample(self) -> torch.Tensor:
        """Some examples to export with."""
        return self.x[torch.arange(EXAMPLES, device=self.x.device) % len(self.x)]

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.model(x)

    def save(self, path: pathlib.Path) -> None:
        numpy.savez(path, x=self.x.cpu().numpy(), y=self.y.cpu().numpy())

    def constants(self, path: pathlib.Path) -> list[str]:
        """The option that tells the buffers in the exported file, such as tables of positions, from parameters."""
        import onnx

        kind = torch.nn.modules.batchnorm._BatchNorm
        statistics = {buffer for module in self.model.modules() if isinstance(module, kind) for buffer in module.buffers()}
        named = {name for name, buffer in self.model.named_buffers() if buffer.is_floating_point() and buffer not in statistics}
        there = {tensor.name for tensor in onnx.load(str(path), load_external_data=False).graph.initializer}
        return [f"--constants={','.join(sorted(named & there))}"] if named & there else []

    @contextlib.contextmanager
    def classes_last(self) -> Iterator[None]:
        """The model with the classes in the last axis of its outputs."""
        if not self.is_channel_first:
            yield
            return
        hook = self.model.register_forward_hook(lambda _module, _inputs, outputs: outputs.movedim(1, -1))
        try:
            yield
        finally:
            hook.remove()

    def loss(self, examples: int, options: dict[str, Any], precision: torch.dtype) -> tuple[float, float]:
        """Mean loss over the first examples, and the error that rounding of the outputs to `precision` makes in it."""
        by_batch = options.get("batch_norm") == "batch"
        size = int(options.get("batch_size") or BATCH) if by_batch else min(BATCH, 256)
        kind = options.get("loss") or ("squared-error" if self.y.is_floating_point() else "cross-entropy")
        total, largest = 0.0, 0.0
        with self.classes_last(), statistics_of(self.model, by_batch), torch.backends.cudnn.flags(allow_tf32=False):
            for x, y in zip(self.x[:examples].split(size), self.y[:examples].split(size)):
                outputs = self.outputs(x).double()
                largest = max(largest, outputs.abs().max().item())
                total += loss_sum(outputs, y, kind, float(options.get("label_smoothing") or 0)).item()
        counted = examples
        if not self.y.is_floating_point() and self.y.dim() > 1:
            counted = int((self.y[:examples] != -100).sum())
        scale = largest**2 if kind == "squared-error" else largest
        return total / counted, 8 * torch.finfo(precision).eps * scale

    def compare(self, report: dict[str, Any], options: dict[str, Any], failures: list[Error]) -> list[str]:
        """Holds the result to the model; remarks about it.

        Raises:
            Error: It has another number of parameters, or another loss.
        """
        notes = [f"exported by tracing; {failures[0]}"] if failures else []
        sizes = {name: weight.numel() for name, weight in self.model.named_parameters()}
        found, there = report["model"]["parameters"], sum(sizes.values())
        if found != there:
            unused = self.unused()
            there -= sum(sizes[name] for name in unused)
            if found != there:
                raise Error(
                    f"the export has {found} parameters and the model {there}"
                    + (f" (without {', '.join(unused)}, which the outputs do not depend on)" if unused else "")
                    + "".join(f"; {note}" for note in notes)
                )
            notes.append(f"the outputs do not depend on {', '.join(unused)}, whose rows and columns are zero and left out")
        # Which examples a random sample has, only the program knows.
        if "sampled_from" not in report:
            types = [{"f32": torch.float32, "f64": torch.float64}[report["model"]["dtype"]], self.dtype]
            precision = torch.float32 if torch.float32 in types else torch.float64
            loss, rounding = self.loss(report["examples"], options, precision)
            if not abs(report["loss"] - loss) <= TOLERANCES[precision] * abs(loss) + rounding:
                raise Error(
                    f"the loss is {report['loss']:.10g} as measured and {loss:.10g} by PyTorch; the export is not the model, "
                    "whose Python code may depend on values, draw random numbers or count examples"
                    + "".join(f"; {note}" for note in notes)
                )
        return notes

    def unused(self) -> list[str]:
        """Names of parameters that the outputs do not depend on."""
        named = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
        with torch.enable_grad():
            total = self.model(self.sample()).sum()
        gradients = torch.autograd.grad(total, [weight for _, weight in named], allow_unused=True)
        return [name for (name, _), gradient in zip(named, gradients) if gradient is None]


def loss_sum(outputs: torch.Tensor, y: torch.Tensor, kind: str, smoothing: float) -> torch.Tensor:
    """Sum of the losses of outputs (B, ..., C): over the labels that count, or over the examples, of which cross-entropy with
    values is a mean over the positions."""
    rows = outputs.reshape(-1, outputs.shape[-1])
    if not y.is_floating_point():
        return F.cross_entropy(rows, y.reshape(-1).long(), reduction="sum", label_smoothing=smoothing)
    targets = y.double().reshape(rows.shape)
    if kind == "cross-entropy":
        total = F.cross_entropy(rows, targets, reduction="sum", label_smoothing=smoothing)
        return total * len(outputs) / len(rows)
    if kind == "binary-cross-entropy":
        return F.binary_cross_entropy_with_logits(rows, targets, reduction="sum")
    return 0.5 * ((rows - targets) ** 2).sum()


@contextlib.contextmanager
def statistics_of(model: torch.nn.Module, by_batch: bool) -> Iterator[None]:
    """Batch-norm with the statistics of each batch, its running ones untouched, or as it is."""
    kind = torch.nn.modules.batchnorm._BatchNorm
    norms = [module for module in model.modules() if by_batch and isinstance(module, kind)]
    kept = [(norm, norm.running_mean, norm.running_var) for norm in norms]
    try:
        for norm in norms:
            # A norm without running statistics takes the batch's in eval mode too.
            norm.running_mean = norm.running_var = None
        yield
    finally:
        for norm, mean, variance in kept:
            norm.running_mean, norm.running_var = mean, variance


def by_torch_export(subject: Subject, path: pathlib.Path) -> None:
    """by torch.export"""
    # Without the optimiser, which multiplies batch-norm into convolutions and folds weights into made-up ones.
    export(subject, path, dynamo=True, optimize=False, dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=2**31)},))


def by_tracing(subject: Subject, path: pathlib.Path) -> None:
    """by tracing"""
    # PRESERVE keeps batch-norm out of the convolutions, and a weight that is not folded its name.
    axes = {name: {0: "batch"} for name in ("x", "outputs")}
    mode = torch.onnx.TrainingMode.PRESERVE
    options = dict(dynamic_axes=axes, training=mode, do_constant_folding=False, opset_version=17)
    try:
        export(subject, path, dynamo=False, **options)
    except TypeError as error:
        # PyTorch before 2.5 has tracing only, and no option for it.
        if "dynamo" not in str(error):
            raise
        export(subject, path, **options)


# torch.export first: it alone tells parameters from buffers, and equal parameters from one that is used twice.
EXPORTERS = [by_torch_export, by_tracing]


def export(subject: Subject, path: pathlib.Path, **options: Any) -> None:
    names = dict(input_names=["x"], output_names=["outputs"], verbose=False)
    disabled = logging.root.manager.disable
    # What is wrong is an exception; what exporters print, they print about themselves.
    out, err = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with out, err, warnings.catch_warnings(), subject.classes_last():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            torch.onnx.export(subject.model, (subject.sample(),), str(path), **names, **options)
        finally:
            logging.disable(disabled)
