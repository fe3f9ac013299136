"""Trajectories of optimisers and averages in float64, for the tests of this crate.

    python trajectories.py > trajectories.json

Three objectives (a quadratic with condition number 100, Rosenbrock, a tanh network on four examples), 50 steps of
every optimiser; the rate halves at step 25, so that the file tells a rate outside the velocity from one inside it.
`torch.optim` where it has the optimiser. Where it has none (Padam, SGD with decoupled decay, SAM) the published
equations are written out below, one operation a line. Numbers are written with 17 digits.
"""

import json
import math

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS, HALVING = 50, 25
KEPT = [1, 2, 10, 26, 50]
EIGENVALUES = [100.0, 10.0, 3.0, 1.0]
WIDTHS = [2, 3, 2]
INPUTS = [[0.5, -1.0], [1.5, 0.25], [-0.75, 0.5], [-0.25, -2.0]]
LABELS = [0, 1, 1, 0]


def quadratic(theta):
    return 0.5 * (torch.tensor(EIGENVALUES, dtype=torch.float64) * theta**2).sum()


def rosenbrock(theta):
    return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2


def network(theta):
    x, offset = torch.tensor(INPUTS, dtype=torch.float64), 0
    for layer, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        if layer > 0:
            x = torch.tanh(x)
        weight = theta[offset : offset + outputs * inputs].reshape(outputs, inputs)
        offset += outputs * inputs
        x = x @ weight.T + theta[offset : offset + outputs]
        offset += outputs
    return torch.nn.functional.cross_entropy(x, torch.tensor(LABELS), reduction="sum")


# Objective, start, rate of SGD, rate of optimisers whose steps do not grow with the gradient.
OBJECTIVES = [
    ("quadratic", quadratic, [1.0, -2.0, 0.5, 3.0], 0.004, 0.03),
    ("rosenbrock", rosenbrock, [-1.2, 1.0], 0.0002, 0.01),
    ("network", network, [0.3 * (-1) ** i + 0.05 * i for i in range(17)], 0.05, 0.03),
]
# The biases of the network, which may be left out of the decay.
BIASES = [[6, 9], [15, 17]]


class DecoupledSgd(torch.optim.SGD):
    """theta <- (1 - lr wd) theta, then SGD without decay."""

    def __init__(self, params, lr, decay, **settings):
        super().__init__(params, lr=lr, **settings)
        self.decay = decay

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(1 - group["lr"] * group.get("decay", self.decay))
        super().step()


class Padam(torch.optim.Optimizer):
    """Chen et al. (2018) as in github.com/uclaml/Padam, with the decoupled decay of github.com/diegogranziol/Gadam."""

    def __init__(self, params, lr, betas, eps, partial, weight_decay, decoupled):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay))
        self.betas, self.eps, self.partial, self.decoupled, self.t = betas, eps, partial, decoupled, 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        beta1, beta2 = self.betas
        for group in self.param_groups:
            for parameter in group["params"]:
                state, gradient = self.state[parameter], parameter.grad
                m, v, w = [state.get(name, torch.zeros_like(parameter)) for name in "mvw"]
                if self.decoupled:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                else:
                    gradient = gradient + group["weight_decay"] * parameter
                m = beta1 * m + (1 - beta1) * gradient
                v = beta2 * v + (1 - beta2) * gradient**2
                w = torch.maximum(w, v)
                denominator = (w.sqrt() + self.eps) ** (2 * self.partial)
                step = group["lr"] * math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
                parameter.sub_(step * m / denominator)
                state.update(m=m, v=v, w=w)


BETAS, EPS = (0.9, 0.999), 1e-8


def make(parameters, rate, spec):
    kind, decay = spec["kind"], spec["decay"]
    decoupled = spec["decay_kind"] == "decoupled"
    if kind == "sgd":
        settings = {name: spec[name] for name in ["momentum", "dampening", "nesterov"]}
        if decoupled:
            return DecoupledSgd(parameters, rate, decay, **settings)
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, **settings)
    if kind in ["adam", "ams_grad"]:
        form = torch.optim.AdamW if decoupled else torch.optim.Adam
        betas = (spec["beta1"], spec["beta2"])
        return form(
            parameters, lr=rate, betas=betas, eps=spec["epsilon"], weight_decay=decay, amsgrad=kind == "ams_grad"
        )
    return Padam(parameters, rate, BETAS, EPS, spec["partial"], decay, decoupled)


def specs():
    for momentum, dampening, nesterov in [
        (0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.4, False), (0.9, 0.0, True), (0.5, 0.0, True),
    ]:
        for decay_kind, decay in [("coupled", 0.0), ("coupled", 0.01), ("decoupled", 0.5)]:
            yield {"kind": "sgd", "momentum": momentum, "dampening": dampening, "nesterov": nesterov,
                   "decay_kind": decay_kind, "decay": decay}
    for kind in ["adam", "ams_grad"]:
        for decay_kind, decay in [("coupled", 0.0), ("coupled", 0.3), ("decoupled", 0.25)]:
            yield {"kind": kind, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
                   "decay_kind": decay_kind, "decay": decay}
        yield {"kind": kind, "beta1": 0.5, "beta2": 0.8, "epsilon": 0.1, "decay_kind": "coupled", "decay": 0.0}
    for partial in [0.5, 0.25, 0.125, 0.3]:
        for decay_kind, decay in [("coupled", 0.3), ("decoupled", 0.25)]:
            yield {"kind": "padam", "partial": partial, "decay_kind": decay_kind, "decay": decay}


def run(objective, rate, spec, excluded=(), clip=None, radius=None):
    name, function, start = objective[:3]
    # Every range is a parameter of its own, with a decay of its own.
    bounds = sorted({0, len(start), *[bound for pair in excluded for bound in pair]})
    pieces = list(zip(bounds, bounds[1:]))
    parameters = [torch.tensor(start[a:b], dtype=torch.float64, requires_grad=True) for a, b in pieces]
    groups = []
    for piece, parameter in zip(pieces, parameters):
        group = {"params": [parameter]}
        if list(piece) in [list(pair) for pair in excluded]:
            group |= {"weight_decay": 0.0, "decay": 0.0}
        groups.append(group)
    optimizer = make(groups, rate, spec)

    def gradient():
        optimizer.zero_grad()
        function(torch.cat(parameters)).backward()

    iterates = []
    for step in range(1, STEPS + 1):
        if step == HALVING:
            for group in optimizer.param_groups:
                group["lr"] = rate / 2
        gradient()
        if radius is not None:
            with torch.no_grad():
                before = [parameter.clone() for parameter in parameters]
                norm = torch.cat([parameter.grad for parameter in parameters]).norm()
                for parameter in parameters:
                    parameter.add_(radius * parameter.grad / (norm + 1e-12))
            gradient()
            with torch.no_grad():
                for parameter, old in zip(parameters, before):
                    parameter.copy_(old)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        iterates.append(torch.cat(parameters).detach().clone())
    return {
        "objective": name, "start": start, "rate": rate, "optimizer": spec, "excluded": [list(p) for p in excluded],
        "clip": clip, "radius": radius, "trajectory": [iterates[step - 1].tolist() for step in KEPT],
    }, iterates


class Holder(torch.nn.Module):
    def __init__(self, theta):
        super().__init__()
        self.theta = torch.nn.Parameter(theta.clone())


def averaged(iterates, **settings):
    model = AveragedModel(Holder(iterates[0]), **settings)
    for theta in iterates:
        model.update_parameters(Holder(theta))
    return model.module.theta.tolist()


def averages(iterates):
    return [
        {"kind": "uniform", "start": 0, "average": averaged(iterates)},
        {"kind": "uniform", "start": 20, "average": averaged(iterates[20:])},
        {"kind": "exponential", "decay": 0.9,
         "average": averaged(iterates, multi_avg_fn=get_ema_multi_avg_fn(0.9))},
        {"kind": "tail", "window": 7, "average": torch.stack(iterates[-7:]).mean(0).tolist()},
        {"kind": "tail", "window": 100, "average": torch.stack(iterates).mean(0).tolist()},
    ]


def schedules():
    """Factors of 30 epochs: torch's where they match, the authors' function written out."""

    def factors(make):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule, out = make(optimizer), []
        for _ in range(30):
            out.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return out

    def papers(epoch, total, ratio):
        t = epoch / total
        if t <= 0.5:
            return 1.0
        if t <= 0.9:
            return 1.0 - (1.0 - ratio) * (t - 0.5) / 0.4
        return ratio

    lr = torch.optim.lr_scheduler
    return {
        "steps 7 0.1": factors(lambda o: lr.StepLR(o, 7, 0.1)),
        "cosine 0.01": factors(lambda o: lr.CosineAnnealingLR(o, 30, 0.01)),
        "cosine 0.01 after 5 from 0.2": factors(lambda o: lr.SequentialLR(
            o, [lr.LinearLR(o, 0.2, 1.0, 5), lr.CosineAnnealingLR(o, 25, 0.01)], [5])),
        "paper 0.01": [papers(epoch, 30, 0.01) for epoch in range(30)],
        "averaging 17 0.5": [papers(epoch, 17, 0.5) for epoch in range(30)],
    }


def main():
    runs, average_runs = [], []
    for objective in OBJECTIVES:
        slow, fast = objective[3:]
        for spec in specs():
            rate = {"sgd": slow, "padam": fast / 5}.get(spec["kind"], fast)
            runs.append(run(objective, rate, spec)[0])
        sgd = {"kind": "sgd", "momentum": 0.9, "dampening": 0.0, "nesterov": False, "decay_kind": "coupled",
               "decay": 0.01}
        runs.append(run(objective, slow, sgd, clip=2.0)[0])
        runs.append(run(objective, slow, sgd, radius=0.05)[0])
    for spec in specs():
        if spec["decay"] > 0.0:
            runs.append(run(OBJECTIVES[2], 0.03, spec, excluded=BIASES)[0])
    gadam = {"kind": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decay_kind": "decoupled", "decay": 0.25}
    gadamx = {"kind": "padam", "partial": 0.125, "decay_kind": "decoupled", "decay": 0.25}
    swa = {"kind": "sgd", "momentum": 0.9, "dampening": 0.0, "nesterov": False, "decay_kind": "coupled", "decay": 0.01}
    for spec in [gadam, gadamx, swa]:
        record, iterates = run(OBJECTIVES[2], 0.03, spec)
        average_runs.append({"run": record, "averages": averages(iterates)})
    print(json.dumps({
        "torch": torch.__version__, "steps": KEPT, "halving": HALVING, "eigenvalues": EIGENVALUES, "widths": WIDTHS,
        "inputs": INPUTS, "labels": LABELS, "runs": runs, "average_runs": average_runs, "schedules": schedules(),
    }))


main()
