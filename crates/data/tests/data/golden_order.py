#!/usr/bin/env python3
"""The golden orders of batches.rs and variations of augmentation.rs: ChaCha8 (Bernstein 2008) with a
64-bit counter and a 64-bit stream, seeded as rand_core 0.9 expands a u64 (PCG32), the Fisher-Yates shuffle
of `Order::Shuffled`, and row, column and mirroring of `Augmented`.

    python3 golden_order.py
"""

import struct

M32, M64 = 2**32 - 1, 2**64 - 1


def rotate(x, n):
    return ((x << n) | (x >> (32 - n))) & M32


def key(seed):
    words = []
    for _ in range(8):
        seed = (seed * 6364136223846793005 + 11634580027462260723) & M64
        shifted, rotation = (((seed >> 18) ^ seed) >> 27) & M32, seed >> 59
        words.append(((shifted >> rotation) | (shifted << (-rotation & 31))) & M32)
    return words


def block(key_words, counter, stream):
    split = lambda x: [x & M32, x >> 32]
    start = list(struct.unpack("<4I", b"expand 32-byte k")) + key_words + split(counter) + split(stream)
    state = start[:]

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & M32
            state[z] = rotate(state[z] ^ state[x], n)

    for _ in range(4):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) & M32 for a, b in zip(state, start)]


def order(n, seed, epoch):
    words, counter = [], 0
    indices = list(range(n))
    for last in range(n - 1, 0, -1):
        if not words:
            words, counter = block(key(seed), counter, epoch), counter + 1
        low, high = words.pop(0), words.pop(0)
        other = ((high << 32 | low) * (last + 1)) >> 64
        indices[last], indices[other] = indices[other], indices[last]
    return indices


def variation(pad, seed, epoch, example):
    row, column, mirrored = block(key(seed), example, epoch)[:3]
    return (row * (2 * pad + 1)) >> 32, (column * (2 * pad + 1)) >> 32, mirrored >> 31 == 1


for seed, epoch in ((0, 0), (0, 1), (20060909, 161)):
    print(seed, epoch, order(12, seed, epoch))
for seed, epoch in ((0, 0), (0, 1), (20060909, 161)):
    print(seed, epoch, [variation(4, seed, epoch, example) for example in (0, 1, 2, 199)])
