"""Trajectories of torch.optim.SGD in float64, for tests/trajectories.rs.

    python sgd_trajectories.py > sgd_trajectories.json

Three objectives (a quadratic with condition number 100, Rosenbrock, a tanh network on four examples), every
combination of momentum and weight decay, 50 steps; the rate halves at step 25, so that the file tells a rate
outside the velocity from one inside it. Numbers are written with 17 digits.
"""

import json

import torch

STEPS, HALVING = 50, 25
KEPT = [1, 2, 3, 10, 25, 26, 27, 50]
SETTINGS = [
    {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True), (0.5, True)]
    for weight_decay in [0.0, 0.01]
]

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


OBJECTIVES = [
    ("quadratic", quadratic, [1.0, -2.0, 0.5, 3.0], 0.004),
    ("rosenbrock", rosenbrock, [-1.2, 1.0], 0.0002),
    ("network", network, [0.3 * (-1) ** i + 0.05 * i for i in range(17)], 0.05),
]


def trajectory(objective, start, rate, settings):
    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=rate, **settings)
    kept = []
    for step in range(1, STEPS + 1):
        if step == HALVING:
            optimizer.param_groups[0]["lr"] = rate / 2
        optimizer.zero_grad()
        objective(theta).backward()
        optimizer.step()
        if step in KEPT:
            kept.append(theta.tolist())
    return kept


print(json.dumps({
    "torch": torch.__version__,
    "steps": KEPT,
    "halving": HALVING,
    "eigenvalues": EIGENVALUES,
    "widths": WIDTHS,
    "inputs": INPUTS,
    "labels": LABELS,
    "runs": [
        {"objective": name, "start": start, "rate": rate, **settings,
         "trajectory": trajectory(objective, start, rate, settings)}
        for name, objective, start, rate in OBJECTIVES
        for settings in SETTINGS
    ],
}))
