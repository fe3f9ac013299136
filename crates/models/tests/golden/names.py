"""Names and shapes of three networks in PyTorch, for tests/zoo.rs.

    python names.py MODELS_PY > names.txt

MODELS_PY defines the networks as `torch.nn.Module`s. A line is model, kind, name and shape; parameters in
`named_parameters()` order, buffers in `named_buffers()` order but for the batch counters.
"""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("models", sys.argv[1])
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)

NETWORKS = {
    "cnn": models.Cnn(),
    "vgg-11-bn@0.25": models.Vgg(11, batch_norm=True, width=0.25),
    "preresnet-20": models.PreResNet(models.PreBasic, 3),
}

for model, network in NETWORKS.items():
    for kind, named in [("parameter", network.named_parameters()), ("buffer", network.named_buffers())]:
        for name, tensor in named:
            if not name.endswith("num_batches_tracked"):
                print(model, kind, name, *tensor.shape)
