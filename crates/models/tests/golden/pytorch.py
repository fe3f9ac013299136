"""Small files of torch.save, for tests/checkpoints/pytorch.rs: a convolution, a batch norm and an affine map.

    python pytorch.py

writes next to the script. The elements of all parameters, and after them of all running statistics, count
0, 1/8, 2/8, ... in row-major order, which float16 holds exactly. Written with torch 2.15.0.

state_dict.pth   `model.state_dict()` in float32
training.pth     what a training script keeps: epoch, optimiser, and under `state_dict` a network of
                 `DataParallel` in float16 with a convolution in channels-last order and the others transposed
parameters.pth   a dict of `torch.nn.Parameter`s in float64, all views of one storage, in pickle protocol 4
module.pth       the module itself, which is not a state dict
integers.pth     weights that are integers
legacy.pth       the format before PyTorch 1.6
"""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).parent


def network():
    return torch.nn.Sequential(
        collections.OrderedDict(conv=torch.nn.Conv2d(2, 3, 2), bn=torch.nn.BatchNorm2d(3), fc=torch.nn.Linear(3, 2))
    )


def counted():
    """The state dict with counted elements."""
    model, count = network(), 0
    buffers = [buffer for name, buffer in model.named_buffers() if "running" in name]
    for tensor in [*model.parameters(), *buffers]:
        elements = torch.arange(count, count + tensor.numel()) / 8
        tensor.data.copy_(elements.reshape(tensor.shape))
        count += tensor.numel()
    return model


def reordered(tensor):
    """The same elements in another order in memory."""
    if tensor.dim() == 4:
        return tensor.to(memory_format=torch.channels_last)
    return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor


def save(value, name, **options):
    torch.save(value, HERE / name, **options)


model = counted()
state = model.state_dict()
save(state, "state_dict.pth")
save(state, "legacy.pth", _use_new_zipfile_serialization=False)
save(model, "module.pth")
half = {f"module.{name}": reordered(tensor.half()) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
save({"epoch": 300, "best": 0.5, "state_dict": half, "optimizer": optimizer.state_dict()}, "training.pth")
wide = {name: tensor.double() for name, tensor in state.items() if "num_batches" not in name}
flat = torch.cat([tensor.flatten() for tensor in wide.values()])
pieces = flat.split([tensor.numel() for tensor in wide.values()])
views = {name: torch.nn.Parameter(piece.view(tensor.shape)) for (name, tensor), piece in zip(wide.items(), pieces)}
save(views, "parameters.pth", pickle_protocol=4)
save({name: tensor.long() for name, tensor in state.items()}, "integers.pth")
