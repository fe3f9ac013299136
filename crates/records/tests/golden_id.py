"""Prints the id of the spec in specs.rs: SHA-256 of its compact JSON, first 16 digits.

Fields in the order of the Rust structs; absent options left out.
"""

import hashlib
import json

spec = {
    "seed": 7,
    "data": {"set": "mnist", "train_examples": 100, "validation_examples": 0},
    "model": {"name": "mlp", "dtype": "f64"},
    "train": {
        "epochs": 5,
        "batch_size": 10,
        "optimizer": {
            "kind": "sgd",
            "learning_rate": 0.03,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 0.0005,
        },
        "schedule": {"kind": "paper", "ratio": 0.01},
    },
    "measure": {
        "epochs": [0, 2],
        "split": "train",
        "matrices": ["hessian", "gauss-newton"],
        "batch_size": 50,
        "lanczos": {"steps": 20, "tolerance": 0.001},
        "power": {"iterations": 50, "tolerance": 0.01},
        "trace": {"probes": 4, "block": 2},
        "density": {"probes": 2, "steps": 10},
        "scales": [0.5, 2.0],
        "perturbation": {"relative_radii": [0.01], "directions": 2},
    },
}
text = json.dumps(spec, separators=(",", ":"))
print(hashlib.sha256(text.encode()).hexdigest()[:16])
