"""Networks exported by PyTorch with their curvature in float64, for tests/exported.rs.

    python make.py

writes beside the script NAME.onnx and golden.json. Made with torch 2.15, onnx 1.23, onnxscript 0.7. Files are in float32;
values are those of the same numbers in float64, by double backward. Nothing random is stored: with one stream

    state <- 6364136223846793005 state + 1442695040888963407 mod 2^64,   u = 2 (state >> 11) 2^-53 - 1

from state 1, every parameter (named_parameters order) and buffer is drawn, rounded to float32:

    weight of two axes or more   u sqrt(gain / fan-in), fan-in the elements behind the first axis
    other weights, gamma         1 + u / 4        running variance   1 + u / 2
    all others                   u / 4

Inputs are 2 sin(1 + i), targets of a regression cos(1 + i), labels (7 i + 3) mod classes, tokens (5 i + 2) mod vocabulary,
i counting in row-major order. The vector is v_i = sin(1 + i), i counting through the parameters in the order of
"parameters", each in row-major order. Values are sums over the examples, whose own loss is the mean over the positions of a
sequence: the loss, |g|, v'Hv, |Hv|, v'Gv; with running statistics ("frozen") and, where there is batch norm, with those of
the batch ("batch").
"""

import json
import math
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).parent
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
EXAMPLES = 3


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 5, padding=2), nn.Conv2d(3, 6, 3)
        self.fc1, self.fc2, self.pool = nn.Linear(24, 10), nn.Linear(10, 10), nn.AvgPool2d(2)

    def forward(self, x):
        x = self.pool(torch.tanh(self.conv1(x)))
        x = self.pool(torch.tanh(self.conv2(x)))
        return self.fc2(torch.tanh(self.fc1(torch.flatten(x, 1))))


class Basic(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """That of torchvision, narrow."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 3, 7, 2, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 3
        for stage, outputs in enumerate([3, 4, 6, 8]):
            blocks = [Basic(inputs, outputs, 1 if stage == 0 else 2), Basic(outputs, outputs, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(inputs, 10)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Cifar(nn.Module):
    """Of layers that the zoo has too."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.block1, self.block2, self.fc = Basic(4, 4, 1), Basic(4, 6, 2), nn.Linear(6, 10)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = self.block2(self.block1(self.features(x)))
        return self.fc(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))


class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride, factor):
        super().__init__()
        hidden, self.is_residual = inputs * factor, stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6(),
            Inverted(4, 4, 1, 2), Inverted(4, 6, 2, 3), Inverted(6, 6, 1, 3),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 10))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class ChannelNorm(nn.Module):
    """Layer norm of channels as ConvNeXt's authors write it."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class NextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block1 = nn.Sequential(nn.Conv2d(3, 6, 2, 2), ChannelNorm(6)), NextBlock(6)
        self.down, self.block2 = nn.Sequential(ChannelNorm(6), nn.Conv2d(6, 8, 2, 2)), NextBlock(8)
        self.norm, self.head = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 10)

    def forward(self, x):
        x = self.block2(self.down(self.block1(self.stem(x))))
        return self.head(self.norm(x.mean([-2, -1])))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self, width=12, heads=3):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 5, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class CausalAttention(nn.Module):
    def __init__(self, width, heads, tokens):
        super().__init__()
        self.heads, self.c_attn, self.c_proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(tokens, tokens)).view(1, 1, tokens, tokens))

    def forward(self, x):
        batch, tokens, width = x.size()
        parts = self.c_attn(x).split(width, dim=2)
        q, k, v = [part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2) for part in parts]
        weights = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        weights = weights.masked_fill(self.mask[:, :, :tokens, :tokens] == 0, float("-inf"))
        y = F.softmax(weights, -1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, tokens, width))


class CausalBlock(nn.Module):
    def __init__(self, width, heads, tokens):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), CausalAttention(width, heads, tokens)
        self.ln_2, self.c_fc, self.c_proj = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.c_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    vocabulary, tokens = 16, 6

    def __init__(self, width=12, heads=3):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(self.vocabulary, width), nn.Embedding(self.tokens, width)
        self.h = nn.ModuleList([CausalBlock(width, heads, self.tokens) for _ in range(2)])
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, self.vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def double(inputs, outputs):
            first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
            return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

        self.down1, self.down2, self.middle = double(1, 3), double(3, 4), double(4, 5)
        self.up2, self.conv2 = nn.ConvTranspose2d(5, 4, 2, 2), double(8, 4)
        self.up1, self.narrow, self.conv1 = nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 1), double(6, 3)
        self.out, self.pool = nn.Conv2d(3, 3, 1), nn.MaxPool2d(2)

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(self.pool(one))
        y = self.conv2(torch.cat([self.up2(self.middle(self.pool(two))), two], 1))
        y = self.conv1(torch.cat([self.narrow(self.up1(y)), one], 1))
        return self.out(y).mean([2, 3])


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(x)


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2), nn.GroupNorm(4, 8)
        self.act, self.fc = nn.SiLU(), nn.Linear(8, 10)

    def forward(self, x):
        x = self.act(self.norm1(self.conv1(x)))
        x = self.act(self.norm2(self.conv2(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Mixed(nn.Module):
    """What the others do not have."""

    def __init__(self):
        super().__init__()
        self.conv, self.depth = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, (3, 1), (2, 1), (1, 0), groups=8)
        self.norm, self.squeeze, self.excite = nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.tail, self.head = nn.Conv2d(8, 4, 3, (1, 2), dilation=(1, 2)), nn.Linear(4, 10)

    def forward(self, x):
        x = F.elu(self.depth(F.hardswish(self.conv(x))))
        gate = torch.sigmoid(self.excite(F.leaky_relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = F.avg_pool2d(self.norm(x * gate), 3, 2, 1, count_include_pad=False)
        x = F.max_pool2d(F.mish(x) + F.softplus(x), 2, 1, ceil_mode=True)
        x = F.interpolate(F.pad(x, (1, 2, 0, 1)), scale_factor=2, mode="nearest")
        x = self.tail(x).flip(1).exp().clamp(max=5.0).sum((2, 3)).sqrt()
        return F.log_softmax(self.head(x), 1)


class Encoder(nn.Module):
    """PyTorch's own attention, which moves the batch behind the tokens and merges it with the heads."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Signals(nn.Module):
    """One axis: strides, dilation, groups, transposes, poolings, padding on one side."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 4, 3, 2, padding=2, dilation=2, groups=2), nn.BatchNorm1d(4)
        self.up, self.tail = nn.ConvTranspose1d(4, 3, 4, 2, 1, output_padding=1), nn.Conv1d(3, 4, 2)
        self.prelu, self.head = nn.PReLU(4), nn.Linear(8, 10)

    def forward(self, x):
        x = F.max_pool1d(torch.tanh(self.norm(self.conv(x))), 2, 1)
        x = self.prelu(self.tail(F.pad(self.up(x), (1, 0))))
        x = F.avg_pool1d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)
        return self.head(torch.cat([x.amax(-1), x.logsumexp(2)], 1))


class Volumes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 3, (2, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(3, affine=False)
        self.up, self.head = nn.ConvTranspose3d(3, 2, 2, (1, 2, 2), bias=False), nn.Linear(2, 10)

    def forward(self, x):
        x = F.avg_pool3d(torch.tanh(self.norm(self.conv(x))), (1, 3, 3), 2, (0, 1, 1))
        return self.head(F.max_pool3d(F.silu(self.up(x)), (1, 2, 3), (1, 1, 2)).mean((2, 3, 4)))


class Masked(nn.Module):
    """Attention that leaves out the tokens that are padding, a mask that the data make."""

    vocabulary = 16

    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.proj, self.head = nn.Embedding(16, 8), nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, tokens):
        x, kept = self.embed(tokens), tokens != 7
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.qkv(x).split(8, -1))
        weights = (q @ k.transpose(-2, -1) * 0.5).masked_fill(~kept[:, None, None], float("-inf")).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).flatten(2))
        kept = kept.unsqueeze(-1).to(x.dtype)
        return self.head((x * kept).sum(1) / kept.sum(1).clamp(min=1))


class Pixels(nn.Module):
    """A class at each pixel, in the second axis; interpolation, paddings and poolings of every form."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.out = nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 8, 3), nn.Conv2d(10, 3, 1)

    def forward(self, x):
        size, blur = x.shape[-2:], torch.tensor([[[[1.0, 2.0], [3.0, 2.0]]]], dtype=x.dtype).repeat(4, 1, 1, 1) / 8
        one = torch.tanh(self.one(x))
        two = F.conv2d(F.pad(one, (1, 1, 0, 2), mode="replicate"), blur, groups=4)
        two = F.max_pool2d(F.silu(self.two(two)), 2, 1, dilation=2)
        two = F.avg_pool2d(two, (3, 2), 2, 1, ceil_mode=True)
        parts = F.interpolate(F.pixel_shuffle(two, 2), size=size, mode="bicubic"), F.interpolate(one, scale_factor=0.5, mode="bilinear")
        parts = parts[0], F.interpolate(parts[1], size=size, mode="bilinear", align_corners=True)
        return self.out(torch.cat([*parts, F.pixel_unshuffle(x, 2).repeat(1, 1, 2, 2)[:, :4]], 1))


class Segmenter(Pixels):
    """The same with the classes last."""

    def forward(self, x):
        return super().forward(x).permute(0, 2, 3, 1)


class Contractions(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads, self.qk = nn.Parameter(torch.zeros(2, 6, 4)), nn.Linear(6, 8)
        self.merge, self.gate = nn.Parameter(torch.zeros(2, 4, 6)), nn.Parameter(torch.zeros(6, 5, 10))

    def forward(self, x):
        v = torch.einsum("btc,hcd->bhtd", x, self.heads)
        q, k = F.normalize(self.qk(x).unflatten(-1, (2, 4)), dim=-1), F.elu(self.qk(x)).unflatten(-1, (2, 4)) + 1
        y = torch.einsum("bihd,bjhd,bhje->bihe", q, k, v)
        y = torch.einsum("bihe,hed->bid", y, self.merge) + x
        return torch.einsum("bid,dio->bo", y, self.gate)


class Pieces(nn.Module):
    """Functions in pieces, by masks that the data make."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))
        self.head = nn.Linear(6, 10)

    def forward(self, x):
        a, b = F.selu(self.layers[0](x)), F.celu(self.layers[1](x), 0.5)
        x = torch.maximum(a, b) * torch.sign(b) + torch.minimum(a * 0.5, b)
        x = F.softplus(self.layers[2](x), 2.0, 5.0) + F.hardshrink(self.layers[2](x), 0.2)
        y = self.layers[3](x)
        x = torch.where((y > 0) & (y <= 1) | (y == x), y**2, torch.where(y >= 1, 2 * y - 1, 0.1 * y)) + F.softsign(y)
        return self.head(torch.cumsum(F.logsigmoid(self.layers[4](x)), 1) * (x == x.max(1, keepdim=True)[0]))


class Norms(nn.Module):
    """A batch norm that is used twice, one without parameters, and a kernel that is normalised."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.plain = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.v, self.gamma, self.b = nn.Parameter(torch.zeros(4, 2, 3, 3)), nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = torch.tanh(self.norm(self.conv(x)))
        w = self.gamma[:, None, None, None] * self.v / self.v.pow(2).sum((1, 2, 3), keepdim=True).sqrt()
        x = F.silu(self.norm(F.conv2d(x, w, self.b, padding=1, groups=2)))
        return self.head(self.plain(x).tanh().mean((2, 3)))


class Llama(nn.Module):
    """Two heads of queries for one of keys, turned by numbers that float32 has; with the operators of opset 23."""

    vocabulary = 16

    def __init__(self):
        super().__init__()
        self.embed, self.norm1, self.norm2 = nn.Embedding(16, 8), nn.RMSNorm(8, 1e-6), nn.RMSNorm(8, 1e-6)
        self.q, self.kv, self.o = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.gate, self.up, self.down = nn.Linear(8, 12, bias=False), nn.Linear(8, 12, bias=False), nn.Linear(12, 8, bias=False)
        self.head = nn.Linear(8, 16, bias=False)

    def forward(self, tokens):
        x = self.embed(tokens)
        angles = torch.arange(tokens.shape[1])[:, None] * torch.tensor([1.0, 0.25]).repeat(2)
        turned = lambda z: z * (1 - angles / 8) + torch.cat((-z[..., 2:], z[..., :2]), -1) * angles / 8
        y = self.norm1(x)
        q, (k, v) = self.q(y).unflatten(-1, (2, 4)).transpose(1, 2), self.kv(y).unflatten(-1, (2, 1, 4)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return self.head(x + self.down(F.silu(self.gate(y)) * self.up(y)))


# name: (network, shape of an example, gain of the weights, exporter, classes: none for a regression).
# The tracing exporter, unless "dynamo"; "whole" computes nothing beforehand, 23 is the opset, and "folded" has batch norms
# multiplied into convolutions. Of "pixels" there are no values of its own: with its classes last it is "segmenter".
CASES = {
    "lenet": (LeNet, (1, 12, 12), 3, "trace", 10),
    "lenet-dynamo": (LeNet, (1, 12, 12), 3, "dynamo", 10),
    "cifar": (Cifar, (3, 8, 8), 3, "trace", 10),
    "cifar-folded": (Cifar, (3, 8, 8), 3, "folded", 10),
    "resnet-18": (ResNet18, (3, 32, 32), 3, "trace", 10),
    "mobilenet": (MobileNet, (3, 12, 12), 6, "trace", 10),
    "convnext": (ConvNeXt, (3, 8, 8), 2, "dynamo", 10),
    "vit": (ViT, (3, 8, 8), 2, "trace", 10),
    "vit-dynamo": (ViT, (3, 8, 8), 2, "dynamo", 10),
    "gpt": (GPT, (6,), 2, "trace", 16),
    "gpt-dynamo": (GPT, (6,), 2, "dynamo", 16),
    "unet": (UNet, (1, 8, 8), 5, "trace", 3),
    "regression": (Regression, (5,), 2, "dynamo", None),
    "group-norm": (Grouped, (3, 6, 6), 3, "trace", 10),
    "group-norm-dynamo": (Grouped, (3, 6, 6), 3, "dynamo", 10),
    "mixed": (Mixed, (3, 8, 8), 2, "trace", 10),
    "mixed-dynamo": (Mixed, (3, 8, 8), 2, "dynamo", 10),
    "encoder": (Encoder, (5, 4), 2, "trace", 10),
    "signals": (Signals, (2, 11), 3, "trace", 10),
    "signals-dynamo": (Signals, (2, 11), 3, "dynamo whole", 10),
    "volumes": (Volumes, (1, 4, 5, 6), 3, "trace", 10),
    "masked": (Masked, (6,), 2, "trace", 10),
    "masked-dynamo": (Masked, (6,), 2, "dynamo", 10),
    "segmenter": (Segmenter, (2, 8, 10), 4, "trace", 3),
    "segmenter-dynamo": (Segmenter, (2, 8, 10), 4, "dynamo", 3),
    "contractions": (Contractions, (5, 6), 2, "trace", 10),
    "contractions-dynamo": (Contractions, (5, 6), 2, "dynamo", 10),
    "pieces": (Pieces, (6,), 4, "trace", 10),
    "pieces-dynamo": (Pieces, (6,), 4, "dynamo", 10),
    "norms": (Norms, (2, 6, 5), 4, "trace whole", 10),
    "norms-dynamo": (Norms, (2, 6, 5), 4, "dynamo whole", 10),
    "llama": (Llama, (6,), 2, "dynamo 23", 16),
    "pixels": (Pixels, (2, 8, 10), 4, "trace", 3),
}


def draw(model, gain):
    state = 1
    shared = set()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        local = name.rsplit(".", 1)[-1]
        if not tensor.dtype.is_floating_point or local == "mask" or id(tensor) in shared:
            continue
        shared.add(id(tensor))
        fan_in = math.prod(tensor.shape[1:])
        values = []
        for _ in range(tensor.numel()):
            state = (MULTIPLIER * state + INCREMENT) % 2**64
            u = 2 * ((state >> 11) * 2.0**-53) - 1
            if local == "running_var":
                values.append(1 + u / 2)
            elif "weight" in local and tensor.dim() > 1:
                values.append(u * math.sqrt(gain / fan_in))
            elif local in ("weight", "gamma"):
                values.append(1 + u / 4)
            else:
                values.append(u / 4)
        tensor.data.copy_(torch.tensor(values, dtype=torch.float64).reshape(tensor.shape).float())


def inputs_of(shape, network, examples):
    count = torch.arange(examples * math.prod(shape), dtype=torch.float64)
    if hasattr(network, "vocabulary"):
        return ((5 * count + 2) % network.vocabulary).long().reshape(examples, *shape)
    return (2 * torch.sin(1 + count)).reshape(examples, *shape)


def loss_of(outputs, classes):
    if classes is None:
        targets = torch.cos(1 + torch.arange(outputs.numel(), dtype=torch.float64)).reshape(outputs.shape)
        return 0.5 * ((outputs - targets) ** 2).sum()
    rows = outputs.reshape(-1, classes)
    labels = (7 * torch.arange(len(rows)) + 3) % classes
    return F.cross_entropy(rows, labels, reduction="sum") * len(outputs) / len(rows)


def golden(model, inputs, classes):
    parameters = dict(model.named_parameters())
    names, tensors = list(parameters), list(parameters.values())
    sizes = [tensor.numel() for tensor in tensors]
    flat = lambda pieces: torch.cat([piece.reshape(-1) for piece in pieces])
    vector = torch.sin(1 + torch.arange(sum(sizes), dtype=torch.float64))
    pieces = [piece.reshape(tensor.shape) for piece, tensor in zip(vector.split(sizes), tensors)]
    loss = loss_of(model(inputs), classes)
    gradient = torch.autograd.grad(loss, tensors, create_graph=True)
    slope = sum((piece * direction).sum() for piece, direction in zip(gradient, pieces))
    hessian = flat(torch.autograd.grad(slope, tensors, allow_unused=True, materialize_grads=True))
    forward = lambda *values: torch.func.functional_call(model, dict(zip(names, values)), (inputs,))
    outputs, tangent = torch.func.jvp(forward, tuple(tensor.detach() for tensor in tensors), tuple(pieces))
    outputs, tangent = outputs.detach(), tangent.detach()
    product = tangent
    if classes is not None:
        p = outputs.softmax(-1)
        product = p * (tangent - (p * tangent).sum(-1, keepdim=True)) * len(outputs) * classes / outputs.numel()
    values = {
        "loss": loss.item(),
        "gradient": flat(gradient).norm().item(),
        "vHv": (vector @ hessian).item(),
        "Hv": hessian.norm().item(),
        "vGv": (tangent * product).sum().item(),
    }
    return values


def export(model, inputs, kind, path):
    model.eval()
    names = dict(input_names=["x"], output_names=["y"], verbose=False)
    if "dynamo" in kind:
        shapes = ({0: torch.export.Dim("batch", min=1, max=1024)},)
        torch.onnx.export(model, (inputs,), path, dynamo=True, dynamic_shapes=shapes, external_data=False,
                          optimize="whole" not in kind, opset_version=23 if "23" in kind else None, **names)
    else:
        mode = torch.onnx.TrainingMode.EVAL if kind == "folded" else torch.onnx.TrainingMode.PRESERVE
        axes = {"x": {0: "batch"}, "y": {0: "batch"}}
        torch.onnx.export(model, (inputs,), path, dynamo=False, dynamic_axes=axes, training=mode, opset_version=17 if
                          kind == "folded" else 20, do_constant_folding="whole" not in kind, **names)


def strip(path):
    """Without the traces of the exporter's stack, which are paths of the machine."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for owner in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        kept = [entry for entry in owner.metadata_props if "name_scopes" in entry.key or "InputSpec.kind" in entry.key
                or "folded_from" in entry.key]
        kept = [(entry.key, entry.value) for entry in kept]
        del owner.metadata_props[:]
        for key, value in kept:
            owner.metadata_props.add(key=key, value=value)
    for node in graph.node:
        node.doc_string = ""
    onnx.save(model, path)


def main():
    warnings.filterwarnings("ignore")
    cases = []
    chosen = sys.argv[1:] or list(CASES)
    for name in chosen:
        network, shape, gain, kind, classes = CASES[name]
        torch.manual_seed(0)
        model = network()
        draw(model, gain)
        inputs = inputs_of(shape, network, 2)
        path = HERE / f"{name}.onnx"
        is_tokens = hasattr(network, "vocabulary")
        export(model, inputs if is_tokens else inputs.float(), kind, path)
        strip(path)
        assert path.stat().st_size < 200_000, path
        # The fast paths of PyTorch's own attention have no second derivatives.
        torch.backends.mha.set_fastpath_enabled(False)
        torch.backends.cuda.enable_flash_sdp(False)
        model = model.double()
        inputs = inputs_of(shape, network, EXAMPLES)
        case = {"name": name, "examples": EXAMPLES, "input": list(shape), "classes": classes,
                "tokens": is_tokens}
        if network is Pixels:
            continue
        if kind != "folded":
            # torch.export keeps the last name of a tied weight.
            last = {id(tensor): key for key, tensor in model.named_parameters(remove_duplicate=False)}
            named = [(last[id(tensor)] if "dynamo" in kind else key, tensor) for key, tensor in model.named_parameters()]
            case["parameters"] = [[key, list(tensor.shape)] for key, tensor in named]
            case["frozen"] = golden(model.eval(), inputs, classes)
            norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
            for norm in norms:
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None
            if norms:
                case["batch"] = golden(model, inputs, classes)
        else:
            case["parameters"] = []
            case["frozen"] = {"loss": loss_of(model.eval()(inputs), classes).item()}
        cases.append(case)
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "golden.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
