"""Loss, gradient and curvature of the zoo by PyTorch's double backward in float64, for tests/golden.rs.

    python curvature.py DIRECTORY > curvature.json

DIRECTORY holds models.py, the PyTorch definitions of the networks. Nothing random is stored: both sides draw
parameters, buffers, inputs, labels and the vector from the same generator, in the order of named_parameters() and
named_buffers(), one stream for each of the five:

    state <- 6364136223846793005 state + 1442695040888963407 mod 2^64,   u = 2 (state >> 11) 2^-53 - 1

u is exact in float64. The streams start at states 1 (parameters) to 5 (vector). With fan-in the number of elements
behind the first axis of a weight:

    weight of a convolution or an affine map   u sqrt(gain / fan-in)      weight of a batch norm   1 + u / 4
    every bias                                 u / 8                      running mean             u / 4
    inputs                                     2 u                        running variance         1 + u / 2
    labels                                     (state >> 33) mod classes  vector                   u

Values are sums over the examples: the loss, |g|, v'Hv, |Hv|, v'Gv, |Gv|, once with running statistics ("frozen") and,
where there is batch norm, once with those of the batch ("batch"); dropout is off. G v = J' A J v with the loss
Hessian A applied by its formula.
"""

import json
import math
import sys

import torch
from torch import nn

sys.path.insert(0, sys.argv[1])
import models

MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407

# No ReLU is nearer to its kink, so that float32 takes the same side.
MARGIN = 1e-6

# name: (network, examples, gain of the weights). Gains keep activations of order one and off the kinks.
CASES = {
    "logistic": (models.Logistic, 4, 6),
    "mlp": (lambda: models.Mlp([784, 10, 100, 10]), 4, 6),
    "cnn": (models.Cnn, 4, 6),
    "all-cnn-c": (models.AllCnn, 1, 6),
    "vgg-11@0.25": (lambda: models.Vgg(11, False, 0.25), 4, 4),
    "vgg-11-bn@0.125": (lambda: models.Vgg(11, True, 0.125), 4, 4),
    "preresnet-20": (lambda: models.PreResNet(models.PreBasic, 3), 2, 3),
    "preresnet-56": (lambda: models.PreResNet(models.PreBottleneck, 6), 1, 4),
    "wrn-16-1": (lambda: models.WideResNet(16, 1), 2, 4),
}


def states(seed):
    state = seed
    while True:
        state = (MULTIPLIER * state + INCREMENT) % 2**64
        yield state


def uniform(stream, shape):
    values = [2 * (next(stream) >> 11) * 2.0**-53 - 1 for _ in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def parameter(stream, name, shape, gain):
    u = uniform(stream, shape)
    if len(shape) > 1:
        return u * math.sqrt(gain / math.prod(shape[1:]))
    return 1 + u / 4 if name.endswith("weight") else u / 8


@torch.no_grad()
def fill(network, gain):
    stream = states(1)
    for name, tensor in network.named_parameters():
        tensor.copy_(parameter(stream, name, tensor.shape, gain))
    stream = states(2)
    for name, tensor in network.named_buffers():
        if name.endswith("running_mean"):
            tensor.copy_(uniform(stream, tensor.shape) / 4)
        elif name.endswith("running_var"):
            tensor.copy_(1 + uniform(stream, tensor.shape) / 2)


def check_margin(network, inputs):
    relu, nearest = models.F.relu, []

    def watched(x, inplace=False):
        nearest.append(x.abs().min().item())
        return relu(x, inplace)

    models.F.relu = watched
    with torch.no_grad():
        network(inputs)
    models.F.relu = relu
    assert min(nearest, default=1.0) >= MARGIN, nearest


def norm(tensors):
    return math.sqrt(sum(tensor.square().sum().item() for tensor in tensors))


def dot(a, b):
    return sum((a * b).sum() for a, b in zip(a, b))


def measure(network, inputs, labels):
    check_margin(network, inputs)
    parameters = list(network.parameters())
    stream = states(5)
    vector = [uniform(stream, tensor.shape) for tensor in parameters]

    logits = network(inputs)
    loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    hessian = torch.autograd.grad(dot(gradient, vector), parameters, retain_graph=True)

    # J v is the derivative of v' J' u with respect to u.
    dummy = torch.zeros_like(logits, requires_grad=True)
    transposed = torch.autograd.grad(logits, parameters, dummy, create_graph=True)
    tangent = torch.autograd.grad(dot(transposed, vector), dummy, retain_graph=True)[0]
    p = logits.detach().softmax(1)
    curved = p * tangent - p * (p * tangent).sum(1, keepdim=True)
    gauss_newton = torch.autograd.grad(logits, parameters, curved)
    return {
        "loss": loss.item(),
        "gradient": norm(gradient),
        "vHv": dot(vector, hessian).item(),
        "Hv": norm(hessian),
        "vGv": dot(vector, gauss_newton).item(),
        "Gv": norm(gauss_newton),
    }


def run(name):
    make, examples, gain = CASES[name]
    network = make().double()
    fill(network, gain)
    shape, classes = ((1, 28, 28), 10) if name in ("logistic", "mlp", "cnn") else ((3, 32, 32), 100)
    inputs = 2 * uniform(states(3), (examples, *shape))
    stream = states(4)
    labels = torch.tensor([(next(stream) >> 33) % classes for _ in range(examples)])

    result = {
        "name": name,
        "examples": examples,
        "gain": gain,
        "parameters": sum(tensor.numel() for tensor in network.parameters()),
        "frozen": measure(network.eval(), inputs, labels),
    }
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        network.train()
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        result["batch"] = measure(network, inputs, labels)
    return result


if __name__ == "__main__":
    print(json.dumps([run(name) for name in CASES], indent=1))
