//! Dropout in a training step on a device: y = x ⊙ m, where each example draws m from a ChaCha8 stream of its own.
//!
//! ```text
//! mᵢ = 1 / (1 - rate)  where  uᵢ ≥ rate,  else 0,      uᵢ = (word i of the stream ≫ 8) / 2^24
//! ```
//!
//! A stream is a function of its key, its number and a counter of blocks of 16 words (Bernstein, ChaCha, a variant of Salsa20,
//! 2008; 64-bit counter and number), so that every block is made by itself. The masks are those that `rand_chacha` draws on the
//! host, where there is no kernel.

use std::fmt::Write;

use candle_core::{Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, launcher, map};
use crate::real::on_cpu;

/// Words of a block of a stream.
const BLOCK: usize = 16;

/// The words of each quarter of a double round: four columns, four diagonals.
const QUARTERS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// Which streams the masks are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Masks {
    /// Of the generator.
    pub key: [u32; 8],
    /// Number of the stream of the first example; each has the next.
    pub first_stream: u64,
    /// Probability of a zero, below 1.
    pub rate: f64,
}

/// x ⊙ m and m for `x` (B, ...); `None` where there is no kernel.
///
/// # Errors
/// A number type other than f32 and f64, or a device error.
pub fn forward(x: &Tensor, masks: &Masks) -> Result<Option<(Tensor, Tensor)>> {
    if on_cpu(x) {
        return Ok(None);
    }
    let launcher = launcher(x);
    let launched = launcher.map(|launcher| launched(&*launcher, &x.contiguous()?, masks));
    launched.transpose()
}

fn launched(launcher: &dyn Launcher, x: &Tensor, masks: &Masks) -> Result<(Tensor, Tensor)> {
    let (examples, count) = (x.dim(0)?, x.elem_count());
    let width = count / examples.max(1);
    let [y, mask] = [(); 2].map(|()| launcher.room(x.dims(), x.dtype(), x));
    let (y, mask) = (y?, mask?);
    let operands = [
        Operand::pointer("x", count, x),
        Operand::pointer("y", count, &y).into_written(),
        Operand::pointer("mask", count, &mask).into_written(),
    ];
    let [k0, k1, k2, k3, k4, k5, k6, k7] = masks.key.map(f64::from);
    let (low, high) = (
        masks.first_stream as u32,
        (masks.first_stream >> u32::BITS) as u32,
    );
    // The least of the numbers below 2^24 that is kept: the rate is compared in single precision.
    let least = (f64::from(masks.rate as f32) * f64::from(1 << 24)).ceil();
    let mut rounds = String::new();
    for [a, b, c, d] in QUARTERS {
        for (sum, other, turned, bits) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]
        {
            let _ = write!(
                rounds,
                "s[{sum}] += s[{other}]; s[{turned}] ^= s[{sum}]; s[{turned}] = s[{turned}] << {bits} | s[{turned}] >> {};\n            ",
                32 - bits
            );
        }
    }
    let body = format!(
        "const unsigned number = unsigned(low) + b, carry = number < b;
        const unsigned start[16] = {{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, unsigned(k0), unsigned(k1), unsigned(k2),
            unsigned(k3), unsigned(k4), unsigned(k5), unsigned(k6), unsigned(k7), a, 0, number, unsigned(high) + carry}};
        unsigned s[16];
        for (unsigned k = 0; k < 16; k++) s[k] = start[k];
        for (unsigned pair = 0; pair < 4; pair++) {{
            {rounds}
        }}
        for (unsigned k = 0; k < 16; k++) if (16 * a + k < W) {{
            const unsigned place = b * W + 16 * a + k;
            const T m = (s[k] + start[k]) >> 8 >= LEAST ? T(scale) : T(0);
            mask[place] = m;
            y[place] = x[place] * m;
        }}"
    );
    let source = Source {
        sizes: &[("W", width), ("LEAST", least as usize)],
        numbers: &[
            ("k0", k0),
            ("k1", k1),
            ("k2", k2),
            ("k3", k3),
            ("k4", k4),
            ("k5", k5),
            ("k6", k6),
            ("k7", k7),
            ("low", f64::from(low)),
            ("high", f64::from(high)),
            ("scale", 1.0 / (1.0 - masks.rate)),
        ],
        ..Source::new("dropout", &body)
    };
    let extents = Extents::flat(examples, 1, width.div_ceil(BLOCK));
    map(launcher, source, extents, &operands)?;
    Ok((y, mask))
}
