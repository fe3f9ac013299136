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
        "along": ["top=1", "trace"],
        "what": ["top=3", "bottom=1", "trace", "density", "scaling=5e-1:2e0", "quadratic=1e-2"],
        "matrices": ["hessian", "gauss-newton"],
        "split": "train",
        "batch_size": 50,
        "relative_error": 0.05,
        "tolerance": 0.001,
        "budget": 200,
        "search": 48,
        "steps": 10,
        "block": 1,
    },
}
text = json.dumps(spec, separators=(",", ":"))
print(hashlib.sha256(text.encode()).hexdigest()[:16])
