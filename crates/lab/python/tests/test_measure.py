"""`flatness.measure` against PyTorch's double backward in float64.

    FLATNESS_BINARY=target/debug/flatness PYTHONPATH=crates/lab/python python crates/lab/python/tests/test_measure.py

Run by hand and not in ci, since it needs PyTorch with `onnx` and `onnxscript`. λ_max is that of the dense Hessian, a double
backward for each parameter, of networks of some hundred; residuals are asked down to 1e-9 λ_max, and values agree to 1e-8.
"""

import unittest
import unittest.mock

import flatness
import flatness.export
import torch
import torch.nn.functional as F
from torch import nn


def hessian(model, loss_of):
    """Hessian (P, P) of the loss, parameters in the order of model.parameters()."""
    weights = list(model.parameters())
    gradient = torch.autograd.grad(loss_of(), weights, create_graph=True)
    rows = []
    for element in torch.cat([piece.reshape(-1) for piece in gradient]):
        row = torch.autograd.grad(element, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([piece.reshape(-1) for piece in row]))
    return torch.stack(rows)


class Net(nn.Module):
    """Convolutions with batch-norm and dropout."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(self.dropout(x.mean([2, 3])))


class Encoder(nn.Module):
    """PyTorch's own layers of a transformer, copies of each other with the same values, and a buffer of floats."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 6)
        layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, activation="gelu")
        self.layers, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(6, 5)
        self.register_buffer("positions", torch.sin(torch.arange(24.0).reshape(4, 6)))

    def forward(self, x):
        return self.head(self.layers(self.embedding(x) + self.positions))


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 + torch.rand(()))


class Counting(nn.Linear):
    """Another function each time it is called."""

    calls = 0

    def forward(self, x):
        type(self).calls += 1
        return super().forward(x) * self.calls


def exact(model, x, y, expected, what="top=2,bottom=1", **options):
    """The result, whose extreme eigenvalues and loss are held to those of the dense Hessian of `expected(outputs, y)`."""
    result = flatness.measure(model, x, y, what, tolerance=1e-9, search=300, **options)
    training = model.training
    model.eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.cuda.enable_flash_sdp(False)
    eigenvalues = torch.linalg.eigvalsh(hessian(model, lambda: expected(model(x), y))).tolist()
    torch.backends.mha.set_fastpath_enabled(fast)
    model.train(training)
    scale = max(abs(eigenvalues[0]), abs(eigenvalues[-1]))
    pairs = [(result.lambda_max, -1), (result.lambda_max_2, -2), (result.lambda_min, 0)]
    for number, place in pairs:
        assert abs(number.value - eigenvalues[place]) < 1e-8 * scale, (number, eigenvalues[place])
        assert number.error < 1e-8 * scale, number
    assert [float(number) for number in result.eigenvalues] == [pairs[at][0].value for at in (0, 1, 2)]
    return result


class Exactness(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)

    def test_classes(self):
        model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
        x, y = torch.randn(12, 5, dtype=torch.float64), torch.randint(3, (12,))
        exact(model, x, y, F.cross_entropy)
        result = exact(model, x, y, lambda outputs, y: F.cross_entropy(outputs, y, label_smoothing=0.1), label_smoothing=0.1)
        self.assertEqual(result.json["model"]["parameters"], 66)
        self.assertEqual(result.notes, [])

    def test_batch_norm_in_eval_mode(self):
        model = Net().double()
        x, y = torch.randn(16, 1, 8, 8, dtype=torch.float64), torch.randint(3, (16,))
        for _ in range(3):
            model(x)
        before = [buffer.clone() for buffer in model.buffers()]
        result = exact(model, x, y, F.cross_entropy)
        self.assertEqual(result.json["model"]["batch_norm"], "frozen")
        model.bn1.eval()
        for batch in (None, 8):
            flatness.measure(model, x, y, "norms", batch_norm="batch", batch_size=batch)
        self.assertTrue(model.training and model.fc.training and not model.bn1.training, "modes are restored")
        for buffer, kept in zip(model.buffers(), before):
            self.assertTrue(torch.equal(buffer, kept))
        self.assertIsNone(model.fc.weight.grad)

    def test_transformer_with_ignored_positions(self):
        model = Encoder().double()
        x, y = torch.randint(5, (6, 4)), torch.randint(5, (6, 4))
        y[0, 1:], y[3, 2] = -100, -100
        loss = lambda outputs, y: F.cross_entropy(outputs.transpose(1, 2), y)
        exact(model, x, y, loss)

    def test_regression_is_half_the_mse_for_each_output(self):
        model = nn.Sequential(nn.Linear(4, 6), nn.SiLU(), nn.Linear(6, 2)).double()
        x, y = torch.randn(10, 4, dtype=torch.float64), torch.randn(10, 2, dtype=torch.float64)
        exact(model, x, y, lambda outputs, y: 2 / 2 * F.mse_loss(outputs, y))
        events = (y > 0).numpy()
        bce = lambda outputs, y: 2 * F.binary_cross_entropy_with_logits(outputs, torch.tensor(y).double())
        exact(model, x, events, bce, loss="binary-cross-entropy")

    def test_classes_in_the_second_axis(self):
        model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GELU(), nn.ConvTranspose2d(4, 3, 2, 2)).double()
        x, y = torch.randn(4, 1, 3, 3, dtype=torch.float64), torch.randint(3, (4, 6, 6))
        exact(model, x, y, F.cross_entropy)
        self.assertEqual(len(model._forward_hooks), 0)


class Answers(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        self.x, self.y = torch.randn(12, 5), torch.randint(3, (12,))

    def refusal(self, *arguments, **options):
        with self.assertRaises(flatness.Error) as caught:
            flatness.measure(*arguments, **options)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_a_result_has_its_numbers_tables_and_plots(self):
        result = flatness.measure(self.model, self.x, self.y, ["density", "spectrum", "count=0:1"])
        self.assertEqual(len(result.spectrum), 66)
        self.assertAlmostEqual(result.trace.value, result.spectrum.sum(), places=5)
        self.assertGreater(result["count(0e0:1e0)"].error, 0)
        self.assertEqual({plot.name for plot in result.plot()}, {"density", "log-density", "stems"})
        self.assertTrue(result.plot("stems")[0]._repr_svg_().startswith("<svg"))
        for text in (repr(result), result._repr_html_()):
            self.assertTrue("gradient_norm" in text and "count(0e0:1e0)" in text, text)
        layers = flatness.measure(self.model, self.x, self.y, "top=1", each="layer", matrices=["gauss-newton"], budget=50)
        self.assertEqual([matrix.group for matrix in layers.matrices], ["0", "2"])
        self.assertLess(layers["0"].lambda_max.value, result.lambda_max.value * 10)
        with self.assertRaises(AttributeError):
            layers.lambda_max
        with self.assertRaises(flatness.Error):
            layers.plot()

    def test_refusals_are_those_of_the_program(self):
        self.assertIn("unexpected argument '--wat' found", self.refusal(self.model, self.x, self.y, wat=3))
        self.assertIn("there is no `foo`; choose from top", self.refusal(self.model, self.x, self.y, "foo"))
        self.assertIn("--label-smoothing must be", self.refusal(self.model, self.x, self.y, label_smoothing=2))
        recurrent = nn.Sequential(nn.LSTM(5, 4, batch_first=True))
        recurrent.register_forward_hook(lambda _module, _inputs, outputs: outputs[0][:, -1])
        said = self.refusal(recurrent.train(), torch.randn(6, 3, 5), torch.randint(4, (6,)))
        self.assertIn("is of the operator LSTM, which is not there; there are Abs", said)
        self.assertTrue(recurrent.training)
        self.assertIn("(N, outputs)", self.refusal(nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), self.x, self.x[:, 0]))
        self.assertIn("model.float()", self.refusal(self.model.half(), self.x, self.y))
        self.assertIn("label 0 must be in 0..3", self.refusal(self.model.float(), self.x, self.y % 1 + 3))

    def test_another_loss_or_number_of_parameters_is_an_error(self):
        said = self.refusal(Counting(5, 3), self.x, self.y, "norms")
        self.assertRegex(said, r"the loss is [\d.]+ as measured and [\d.]+ by PyTorch")
        self.assertIn("RandomUniform", self.refusal(Noisy(5, 3), self.x, self.y, "norms"))
        with unittest.mock.patch.object(flatness.export, "EXPORTERS", [flatness.export.by_tracing]):
            buffers = Encoder()
            said = self.refusal(buffers, torch.randint(5, (6, 4)), torch.randint(5, (6, 4)), "norms")
        count = sum(weight.numel() for weight in buffers.parameters())
        self.assertRegex(said, rf"the export has \d+ parameters and the model {count}")

    def test_parameters_without_use_are_named_and_left_out(self):
        self.model.spare = nn.Linear(2, 2)
        self.model.forward = lambda x: self.model[2](self.model[1](self.model[0](x)))
        result = flatness.measure(self.model, self.x, self.y, "norms")
        self.assertEqual(result.json["model"]["parameters"], 66)
        self.assertIn("spare.weight, spare.bias", result.notes[-1])


if __name__ == "__main__":
    unittest.main()
