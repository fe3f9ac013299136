//! Shapes with seeded operands, and the definition as loops over every product.

use candle_core::{DType, Tensor};

use crate::conv2d::Window;
use crate::seeded::uniform;
use crate::{with_candle_path, with_threads};

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) batch: usize,
    pub(super) vectors: usize,
    /// I, O
    pub(super) channels: (usize, usize),
    /// H, W
    pub(super) input: (usize, usize),
    /// kh, kw
    pub(super) kernel: (usize, usize),
    pub(super) window: Window,
}

const fn case(
    (batch, vectors): (usize, usize),
    channels: (usize, usize),
    input: (usize, usize),
    kernel: (usize, usize),
    (stride, padding): (usize, usize),
) -> Case {
    Case {
        batch,
        vectors,
        channels,
        input,
        kernel,
        window: Window { stride, padding },
    }
}

/// Odd and even sizes, strides that leave a rest and that do not, kernels that are no squares and
/// paddings that reach beyond the kernel; then the shapes of residual networks, that is one of
/// every blocking and of every remainder of channels and pixels.
const CASES: [Case; 30] = [
    case((1, 1), (1, 1), (1, 1), (1, 1), (1, 0)),
    case((1, 2), (2, 3), (5, 5), (2, 2), (1, 0)),
    case((2, 1), (3, 2), (6, 7), (3, 2), (1, 1)),
    case((2, 3), (2, 4), (7, 5), (1, 3), (1, 2)),
    case((2, 2), (3, 5), (5, 6), (5, 5), (1, 2)),
    case((2, 1), (1, 9), (9, 8), (7, 7), (1, 3)),
    case((1, 2), (2, 3), (4, 3), (4, 6), (1, 3)),
    case((2, 2), (3, 4), (7, 8), (3, 3), (2, 1)),
    case((2, 1), (4, 3), (8, 7), (3, 3), (2, 1)),
    case((1, 3), (2, 2), (9, 9), (2, 3), (2, 0)),
    case((2, 1), (3, 3), (11, 10), (5, 3), (3, 2)),
    case((2, 2), (5, 3), (6, 5), (1, 1), (2, 0)),
    case((2, 1), (2, 3), (5, 4), (1, 1), (1, 2)),
    case((1, 1), (2, 2), (8, 9), (1, 2), (3, 0)),
    case((1, 1), (3, 4), (10, 10), (7, 7), (2, 3)),
    case((3, 2), (5, 7), (6, 7), (1, 1), (1, 0)),
    case((2, 2), (16, 33), (9, 10), (1, 1), (1, 0)),
    case((2, 1), (64, 16), (8, 8), (1, 1), (1, 0)),
    case((2, 1), (1, 2), (2, 2), (3, 3), (1, 1)),
    case((3, 2), (2, 3), (1, 1), (3, 3), (1, 1)),
    case((5, 2), (17, 19), (2, 2), (3, 3), (1, 1)),
    case((3, 3), (16, 16), (7, 9), (3, 3), (1, 1)),
    case((2, 1), (16, 16), (32, 32), (3, 3), (1, 1)),
    case((5, 2), (33, 40), (4, 5), (3, 3), (1, 1)),
    case((4, 1), (48, 64), (8, 8), (3, 3), (1, 1)),
    case((2, 2), (20, 24), (5, 6), (3, 3), (1, 0)),
    case((2, 1), (16, 17), (6, 5), (3, 3), (1, 3)),
    case((2, 2), (3, 16), (12, 12), (3, 3), (1, 1)),
    case((2, 1), (16, 32), (12, 12), (3, 3), (2, 1)),
    case((4, 1), (8, 9), (24, 24), (3, 3), (1, 1)),
];

/// One image's share of the definition: all products of an output, a weight and an input, by their
/// places in (O, H', W'), (O, I, kh, kw) and (I, H, W).
pub(super) fn products(case: Case, mut visit: impl FnMut(usize, usize, usize)) {
    let (inputs, outputs) = case.channels;
    let ((height, width), (rows, columns)) = (case.input, case.kernel);
    let (out_height, out_width) = case.output();
    let (stride, padding) = (case.window.stride as isize, case.window.padding as isize);
    for o in 0..outputs {
        for i in 0..inputs {
            for (p, q) in (0..rows).flat_map(|p| (0..columns).map(move |q| (p, q))) {
                for h in 0..out_height {
                    for w in 0..out_width {
                        let from_h = h as isize * stride + p as isize - padding;
                        let from_w = w as isize * stride + q as isize - padding;
                        let inside = (0..height as isize).contains(&from_h)
                            && (0..width as isize).contains(&from_w);
                        if inside {
                            visit(
                                (o * out_height + h) * out_width + w,
                                ((o * inputs + i) * rows + p) * columns + q,
                                (i * height + from_h as usize) * width + from_w as usize,
                            );
                        }
                    }
                }
            }
        }
    }
}

impl Case {
    pub(super) fn output(&self) -> (usize, usize) {
        let extent = |input, kernel| self.window.output(input, kernel).unwrap();
        (
            extent(self.input.0, self.kernel.0),
            extent(self.input.1, self.kernel.1),
        )
    }

    /// Elements of one image, of one result and of one kernel.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let ((inputs, outputs), (height, width)) = (self.channels, self.output());
        (
            inputs * self.input.0 * self.input.1,
            outputs * height * width,
            outputs * inputs * self.kernel.0 * self.kernel.1,
        )
    }

    /// Rounding of sums of products of order one: of each of `terms` additions, in units of the
    /// number type, with room for the sums of four operands in a Winograd transform.
    pub(super) fn bound(&self, terms: usize, dtype: DType) -> f64 {
        let unit = match dtype {
            DType::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        (10 + 2 * terms) as f64 * unit
    }

    pub(super) fn images(&self, seed: u64, dtype: DType) -> Tensor {
        let shape = (self.batch, self.channels.0, self.input.0, self.input.1);
        uniform(shape, seed, dtype)
    }

    /// (B, V, I, H, W)
    pub(super) fn image_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, _), (height, width)) = (self.channels, self.input);
        uniform(
            (self.batch, self.vectors, inputs, height, width),
            seed,
            dtype,
        )
    }

    pub(super) fn kernel(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, outputs), (rows, columns)) = (self.channels, self.kernel);
        uniform((outputs, inputs, rows, columns), seed, dtype)
    }

    /// (V, O, I, kh, kw)
    pub(super) fn kernel_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, outputs), (rows, columns)) = (self.channels, self.kernel);
        uniform((self.vectors, outputs, inputs, rows, columns), seed, dtype)
    }

    pub(super) fn results(&self, seed: u64, dtype: DType) -> Tensor {
        let ((_, outputs), (height, width)) = (self.channels, self.output());
        uniform((self.batch, outputs, height, width), seed, dtype)
    }

    /// (B, V, O, H', W')
    pub(super) fn result_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((_, outputs), (height, width)) = (self.channels, self.output());
        uniform(
            (self.batch, self.vectors, outputs, height, width),
            seed,
            dtype,
        )
    }
}

/// Runs `check` on every case in both number types, on the path of candle's operations and on that of
/// slices, with one thread and with three granted.
pub(super) fn for_all(check: impl Fn(Case, DType) + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let pool = pool.unwrap();
    for case in CASES {
        for dtype in [DType::F64, DType::F32] {
            with_candle_path(|| check(case, dtype));
            check(case, dtype);
            pool.install(|| with_threads(3, || check(case, dtype)));
        }
    }
}
