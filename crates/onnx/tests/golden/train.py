"""Networks of make.py trained by PyTorch in float64, for crates/lab/tests/commands/onnx_training.rs.

    python train.py

writes training.json beside the script. Made with torch 2.15. Parameters begin at the values that are in NAME.onnx. Inputs are
2 sin(1 + i), tokens (5 i + 2) mod vocabulary, classes (7 i + 3) mod classes and of positions -100 where i mod 5 is 4; values
cos(1 + i), probabilities (1 + cos(1 + i)) / 2, and as distributions over their sum; i counts in row-major order. A step is
over all examples. Values are the mean loss of the network in evaluation after the steps ("loss") and for each parameter the
sum of sin(1 + i) theta_i ("parameters"), of the last iterate and of the mean of those from step "average_from" on, whose
batch norms have the statistics of all examples there.
"""

import copy
import json
import pathlib

import torch
import torch.nn.functional as F

import make

HERE = pathlib.Path(__file__).parent
EXAMPLES, STEPS = 8, 6
SGD = dict(kind="sgd", learning_rate=0.05, momentum=0.9, weight_decay=0.01)
SLOW = dict(SGD, learning_rate=0.005)
ADAMW = dict(kind="adam", learning_rate=0.01, weight_decay=0.1, decay="decoupled")
WEIGHTS = [0.5, 2.0, 1.0, 0.25, 1.5, 3.0, 0.75, 1.0, 2.5, 0.1]

# network, labels, loss, optimiser, first averaged step or none
CASES = [
    ("resnet-18", "classes", {}, SLOW, 3),
    ("gpt", "positions", {}, ADAMW, None),
    ("vit", "classes", dict(label_smoothing=0.1), ADAMW, None),
    ("regression", "values", dict(kind="squared-error"), SGD, None),
    ("lenet", "probabilities", dict(kind="binary-cross-entropy"), SGD, None),
    ("lenet", "distributions", dict(kind="cross-entropy"), SGD, None),
    ("lenet", "classes", dict(class_weights=WEIGHTS), SGD, None),
    ("lenet", "classes", dict(class_weights=WEIGHTS, label_smoothing=0.2), SGD, None),
    ("lenet", "distributions", dict(class_weights=WEIGHTS, label_smoothing=0.2), SGD, None),
    ("gpt", "positions", dict(class_weights=WEIGHTS + WEIGHTS[:6], label_smoothing=0.1), ADAMW, None),
]


def labels_of(kind, outputs):
    count = torch.arange(outputs.numel(), dtype=torch.float64)
    rows = torch.arange(outputs.numel() // outputs.shape[-1])
    classes = (7 * rows + 3) % outputs.shape[-1]
    cosines = torch.cos(1 + count).reshape(outputs.shape)
    probabilities = (1 + cosines) / 2
    return {
        "classes": classes,
        "positions": torch.where(rows % 5 == 4, -100, classes),
        "values": cosines,
        "probabilities": probabilities,
        "distributions": probabilities / probabilities.sum(-1, keepdim=True),
    }[kind]


def mean_loss(outputs, labels, kind="cross-entropy", label_smoothing=0.0, class_weights=None):
    if kind == "squared-error":
        return 0.5 * (outputs - labels).square().sum() / len(outputs)
    if kind == "binary-cross-entropy":
        return F.binary_cross_entropy_with_logits(outputs, labels, reduction="sum") / len(outputs)
    weights = class_weights and torch.tensor(class_weights, dtype=torch.float64)
    rows = outputs.reshape(-1, outputs.shape[-1])
    return F.cross_entropy(rows, labels, weight=weights, label_smoothing=label_smoothing)


def optimizer_of(model, kind, learning_rate, weight_decay, **settings):
    settings = dict(lr=learning_rate, weight_decay=weight_decay, **settings)
    if kind == "sgd":
        return torch.optim.SGD(model.parameters(), **settings)
    assert settings.pop("decay") == "decoupled"
    return torch.optim.AdamW(model.parameters(), **settings)


def values(model, inputs, labels, loss):
    model.eval()
    with torch.no_grad():
        value = mean_loss(model(inputs), labels, **loss).item()
    dot = lambda x: (torch.sin(1 + torch.arange(x.numel(), dtype=torch.float64)) * x.detach().reshape(-1)).sum().item()
    return {"loss": value, "parameters": {name: dot(tensor) for name, tensor in model.named_parameters()}}


def trained(name, kind, loss, optimizer, average_from):
    network, shape, gain, _, _ = make.CASES[name]
    model = network()
    make.draw(model, gain)
    model = model.double().train()
    inputs = make.inputs_of(shape, network, EXAMPLES)
    labels = labels_of(kind, copy.deepcopy(model)(inputs).detach())
    steps, iterates = optimizer_of(model, **optimizer), []
    for step in range(STEPS):
        steps.zero_grad()
        mean_loss(model(inputs), labels, **loss).backward()
        steps.step()
        if average_from is not None and step >= average_from:
            iterates.append([tensor.detach().clone() for tensor in model.parameters()])
    case = {
        "network": name, "labels": kind, "loss": loss, "optimizer": optimizer, "average_from": average_from,
        "examples": EXAMPLES, "steps": STEPS, "last": values(model, inputs, labels, loss),
    }
    if iterates:
        for tensor, of in zip(model.parameters(), zip(*iterates)):
            tensor.data.copy_(torch.stack(of).mean(0))
        torch.optim.swa_utils.update_bn([inputs], model)
        case["average"] = values(model, inputs, labels, loss)
    return case


if __name__ == "__main__":
    cases = [trained(*case) for case in CASES]
    (HERE / "training.json").write_text(json.dumps(cases, indent=1) + "\n")
    for case in cases:
        print(case["network"], case["labels"], case["loss"], case["last"]["loss"], case.get("average", {}).get("loss"))
