"""What a measurement found: numbers with their errors, as attributes and as a table, and plots."""

from __future__ import annotations

import base64
import dataclasses
import html
import os
import pathlib
from typing import Any

import numpy

# Kinds of error in a report, and what each is: a standard error is of a mean over random probes, a residual ‖Hx − λx‖ (an
# eigenvalue lies this close), rounding that of the arithmetic, and a gap what a maximum may be above its lower bound.
ERRORS = {"standard_error": "standard error", "residual": "residual", "rounding": "rounding", "gap": "a lower bound"}

HEAD = ("measure", "value", "error", "products", "how")


class Error(Exception):
    """What could not be done, in one sentence."""


@dataclasses.dataclass(frozen=True)
class Number:
    """A number with its error, in the same unit."""

    value: float
    error: float
    #: The whole entry of the report: method, products it cost, probes or steps, why it stopped.
    json: dict[str, Any] = dataclasses.field(repr=False)

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Number:
        error = next((entry[kind] for kind in ERRORS if kind in entry), float("nan"))
        return cls(entry["value"], error, entry)

    @property
    def how(self) -> str:
        """What the error is, and why it is not smaller."""
        entry = self.json
        said = [name for kind, name in ERRORS.items() if kind in entry]
        said += [f"over {entry['probes']} probes"] if "probes" in entry else []
        said += [f"after {entry['steps']} steps"] if "steps" in entry else []
        said += [] if entry.get("converged", True) else ["not converged"]
        said += [f"at {entry['at']}"] if "at" in entry else []
        said += [f"step error {entry['step_error']:.1e}"] if "step_error" in entry else []
        said += [f"stopped: {entry['stop']}"] if entry.get("stop", "accurate") != "accurate" else []
        return ", ".join(said)

    def row(self, name: str) -> tuple[str, ...]:
        products = self.json.get("cost", {}).get("products", 0)
        return name, f"{self.value:.6e}", f"{self.error:.1e}", str(products or ""), self.how

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.6g} +- {self.error:.1g}"


class Matrix:
    """Numbers of one curvature matrix of the mean loss, or of the block of a group of parameters: `matrix.trace`, or
    `matrix["count(0:1)"]` for names that are none in Python."""

    def __init__(self, report: dict[str, Any]):
        self.json = report
        self.name: str = report["matrix"]
        self.group: str | None = report.get("group")
        self.numbers = numbers_of(report)

    @property
    def eigenvalues(self) -> list[Number]:
        """Those that were measured one by one, the largest first."""
        found = [number for name, number in self.numbers.items() if name.startswith(("lambda_max", "lambda_min"))]
        return sorted(found, key=float, reverse=True)

    @property
    def spectrum(self) -> numpy.ndarray:
        """All eigenvalues (P), the largest first, of `what="spectrum"`."""
        if "eigenvalues" not in self.json:
            raise AttributeError('the whole spectrum was not measured; ask for what="spectrum"')
        return numpy.array(self.json["eigenvalues"])

    @property
    def title(self) -> str:
        rows = f", rows and columns of {self.json['rows']} parameters" if "rows" in self.json else ""
        return self.name + (f", {self.group}" if self.group else "") + rows

    def __getitem__(self, name: str) -> Number:
        return self.numbers[name]

    def __getattr__(self, name: str) -> Number:
        if name.startswith("_") or name not in self.__dict__.get("numbers", {}):
            raise AttributeError(f"{name} was not measured; there are {', '.join(self.__dict__.get('numbers', {}))}")
        return self.numbers[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.numbers]

    def __repr__(self) -> str:
        return table([(self.title, self.numbers)])


class Result:
    """A measurement. The numbers of the network are attributes, and those of the matrix where there is one; of several
    matrices or groups, each is `result[name]`, one of `result.matrices`."""

    def __init__(self, report: dict[str, Any], notes: list[str], plots: list[Plot]):
        #: All that the program said, as `flatness measure --json` prints it.
        self.json = report
        #: Remarks about the export, a sentence each.
        self.notes = notes
        #: Mean loss over the examples.
        self.loss: float = report["loss"]
        #: Numbers of the network and its parameters, by name.
        self.numbers = numbers_of(report)
        #: Each matrix, or each group of its parameters.
        self.matrices = [Matrix(matrix) for matrix in report["matrices"]]
        self.plots = plots

    def plot(self, name: str | None = None) -> Plots:
        """The plots, all or those called `name` ("density", "stems", "landscape"), which a notebook shows.

        Raises:
            Error: Nothing of this measurement, or nothing of that name, is drawn.
        """
        shown = Plots(plot for plot in self.plots if name is None or name in (plot.name, plot.name.rsplit("/", 1)[-1]))
        if not shown:
            there = ", ".join(plot.name for plot in self.plots)
            raise Error(
                f"there is no plot {name}; there are {there}" if there else
                "nothing of this measurement is drawn; density, spectrum, keskar, quadratic and landscape are"
            )
        return shown

    def __getitem__(self, name: str) -> Matrix | Number:
        for matrix in self.matrices:
            if name in (matrix.group, None if matrix.group else matrix.name):
                return matrix
        numbers = {**self.numbers, **(self.matrices[0].numbers if len(self.matrices) == 1 else {})}
        return numbers[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "plots" not in self.__dict__:
            raise AttributeError(name)
        if name in self.numbers:
            return self.numbers[name]
        if len(self.matrices) == 1:
            return getattr(self.matrices[0], name)
        places = ", ".join(f'["{matrix.group or matrix.name}"]' for matrix in self.matrices)
        raise AttributeError(f"{name} is not of the network; the matrices are {places}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.numbers, *(dir(self.matrices[0]) if len(self.matrices) == 1 else [])]

    @property
    def _head(self) -> list[str]:
        model, accuracy = self.json["model"], self.json.get("accuracy")
        share = "" if accuracy is None else f", accuracy {100 * accuracy:.2f} %"
        return [
            f"model  {model['name']}, {model['parameters']} parameters, batch-norm {model['batch_norm']}, {model['dtype']}",
            f"loss   {self.loss:.6f}, {self.json['loss_function']}, {self.json['examples']} examples{share}",
        ]

    @property
    def _sections(self) -> list[tuple[str, dict[str, Number]]]:
        curves = [
            (f"{curve['name']} at {point['x']:g}", numbers_of(point))
            for curve in self.json.get("curves", []) for point in curve["points"]
        ]
        return [("network", self.numbers), *((matrix.title, matrix.numbers) for matrix in self.matrices), *curves]

    def __repr__(self) -> str:
        return "\n".join([*self._head, table(self._sections)])

    def _repr_html_(self) -> str:
        cells = lambda row, kind: "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row)
        rows = [f"<tr>{cells(HEAD, 'th')}</tr>"]
        for title, numbers in self._sections:
            rows += [f"<tr><th colspan={len(HEAD)}>{html.escape(title)}</th></tr>"] if numbers else []
            rows += [f"<tr>{cells(number.row(name), 'td')}</tr>" for name, number in numbers.items()]
        return f"<p>{'<br>'.join(map(html.escape, self._head))}</p><table>{''.join(rows)}</table>"


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot as SVG."""

    #: Such as "density", or "hessian/fc1/density" of a group.
    name: str
    svg: str = dataclasses.field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        pathlib.Path(path).write_text(self.svg, "utf-8")

    def _repr_svg_(self) -> str:
        return self.svg


class Plots(list):
    """Plots that a notebook shows one beside the other."""

    def _repr_html_(self) -> str:
        # An image each, since the styles and names within one SVG would reach into the next.
        images = [base64.b64encode(plot.svg.encode()).decode() for plot in self]
        return "".join(f'<img src="data:image/svg+xml;base64,{image}">' for image in images)


def numbers_of(report: dict[str, Any]) -> dict[str, Number]:
    return {name: Number.of(entry) for name, entry in report["numbers"].items()}


def table(sections: list[tuple[str, dict[str, Number]]]) -> str:
    """Sections of rows under one head, in columns."""
    rows = [HEAD] + [number.row(name) for _, numbers in sections for name, number in numbers.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    aligned = lambda row: (
        f"{row[0]:<{widths[0]}}  " + "  ".join(f"{row[column]:>{widths[column]}}" for column in (1, 2, 3)) + f"  {row[4]}"
    ).rstrip()
    lines = []
    for title, numbers in sections:
        if numbers:
            lines += ["", title, aligned(HEAD), *(aligned(number.row(name)) for name, number in numbers.items())]
    return "\n".join(lines)
