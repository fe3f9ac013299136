//! Shapes, and the definition as loops over every product.

use candle_core::DType;

use crate::bilinear::Definition;
use crate::conv2d::Window;

/// B and V, I and O, H and W, kh and kw, stride and padding.
pub(super) type Case = [(usize, usize); 5];

/// Odd and even sizes, strides that leave a rest and that do not, kernels that are no squares and
/// paddings that reach beyond the kernel; then the shapes of residual networks, that is one of
/// every blocking and of every remainder of channels and pixels.
pub(super) const CASES: [Case; 30] = [
    [(1, 1), (1, 1), (1, 1), (1, 1), (1, 0)],
    [(1, 2), (2, 3), (5, 5), (2, 2), (1, 0)],
    [(2, 1), (3, 2), (6, 7), (3, 2), (1, 1)],
    [(2, 3), (2, 4), (7, 5), (1, 3), (1, 2)],
    [(2, 2), (3, 5), (5, 6), (5, 5), (1, 2)],
    [(2, 1), (1, 9), (9, 8), (7, 7), (1, 3)],
    [(1, 2), (2, 3), (4, 3), (4, 6), (1, 3)],
    [(2, 2), (3, 4), (7, 8), (3, 3), (2, 1)],
    [(2, 1), (4, 3), (8, 7), (3, 3), (2, 1)],
    [(1, 3), (2, 2), (9, 9), (2, 3), (2, 0)],
    [(2, 1), (3, 3), (11, 10), (5, 3), (3, 2)],
    [(2, 2), (5, 3), (6, 5), (1, 1), (2, 0)],
    [(2, 1), (2, 3), (5, 4), (1, 1), (1, 2)],
    [(1, 1), (2, 2), (8, 9), (1, 2), (3, 0)],
    [(1, 1), (3, 4), (10, 10), (7, 7), (2, 3)],
    [(3, 2), (5, 7), (6, 7), (1, 1), (1, 0)],
    [(2, 2), (16, 33), (9, 10), (1, 1), (1, 0)],
    [(2, 1), (64, 16), (8, 8), (1, 1), (1, 0)],
    [(2, 1), (1, 2), (2, 2), (3, 3), (1, 1)],
    [(3, 2), (2, 3), (1, 1), (3, 3), (1, 1)],
    [(5, 2), (17, 19), (2, 2), (3, 3), (1, 1)],
    [(3, 3), (16, 16), (7, 9), (3, 3), (1, 1)],
    [(2, 1), (16, 16), (32, 32), (3, 3), (1, 1)],
    [(5, 2), (33, 40), (4, 5), (3, 3), (1, 1)],
    [(4, 1), (48, 64), (8, 8), (3, 3), (1, 1)],
    [(2, 2), (20, 24), (5, 6), (3, 3), (1, 0)],
    [(2, 1), (16, 17), (6, 5), (3, 3), (1, 3)],
    [(2, 2), (3, 16), (12, 12), (3, 3), (1, 1)],
    [(2, 1), (16, 32), (12, 12), (3, 3), (2, 1)],
    [(4, 1), (8, 9), (24, 24), (3, 3), (1, 1)],
];

/// All products of an output, a weight and an input, by their places in (O, H', W'),
/// (O, I, kh, kw) and (I, H, W).
pub(super) fn definition(case: Case) -> Definition {
    let [
        (batch, vectors),
        (inputs, outputs),
        (height, width),
        (rows, columns),
        window,
    ] = case;
    let (stride, padding) = window;
    let window = Window { stride, padding };
    let extent = |input, kernel| window.output(input, kernel).unwrap();
    let (out_height, out_width) = (extent(height, rows), extent(width, columns));
    let mut products = Vec::new();
    for (o, i) in (0..outputs).flat_map(|o| (0..inputs).map(move |i| (o, i))) {
        for (p, q) in (0..rows).flat_map(|p| (0..columns).map(move |q| (p, q))) {
            for (h, w) in (0..out_height).flat_map(|h| (0..out_width).map(move |w| (h, w))) {
                let (from_h, from_w) = (h * stride + p, w * stride + q);
                let inside = (padding..padding + height).contains(&from_h)
                    && (padding..padding + width).contains(&from_w);
                if inside {
                    let (from_h, from_w) = (from_h - padding, from_w - padding);
                    let product = [
                        (o * out_height + h) * out_width + w,
                        ((o * inputs + i) * rows + p) * columns + q,
                        (i * height + from_h) * width + from_w,
                    ];
                    products.push(product.map(|place| place as u32));
                }
            }
        }
    }
    Definition {
        batch,
        vectors,
        input: vec![inputs, height, width],
        result: vec![outputs, out_height, out_width],
        kernel: vec![outputs, inputs, rows, columns],
        outputs: 0,
        products,
    }
}

/// Rounding of sums of products of order one: of each of `terms` additions, in units of the number
/// type, with room for the sums of four operands in a Winograd transform.
pub(super) fn bound(terms: usize, dtype: DType) -> f64 {
    let unit = match dtype {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    (10 + 2 * terms) as f64 * unit
}
