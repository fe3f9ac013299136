//! What is refused before anything is asked for, and how matrices are given to a library that wants columns.

use candle_core::{DType, Device, Tensor};

use super::{Correlation, Images, Launch};
use super::{Extents, Launcher, Matrix, Operand, Product, Source, Wanted, expect_countable, map};
use crate::conv2d::Window;
use crate::device::ELEMENTS_AT_MOST;
use crate::product::Extent;

/// Takes everything.
struct Yes;

impl Launcher for Yes {
    fn room(&self, shape: &[usize], dtype: DType, like: &Tensor) -> candle_core::Result<Tensor> {
        Tensor::zeros(shape, dtype, like.device())
    }
    fn zeros(&self, count: usize, like: &Tensor) -> candle_core::Result<Tensor> {
        Tensor::zeros(count, DType::U32, like.device())
    }
    fn launch(&self, _: &Launch<'_>) -> candle_core::Result<()> {
        Ok(())
    }
    fn multiply(&self, product: &Product<'_>) -> candle_core::Result<()> {
        assert!(!product.sum.leading()?.0, "a sum is row-major");
        Ok(())
    }
    fn correlates(&self) -> bool {
        true
    }
    fn correlate(&self, _: &Correlation<'_>) -> candle_core::Result<()> {
        Ok(())
    }
    fn read(&self, _: &[&Tensor]) -> candle_core::Result<Vec<Vec<f64>>> {
        Ok(Vec::new())
    }
}

fn zeros(count: usize) -> Tensor {
    Tensor::zeros(count, DType::F32, &Device::Cpu).unwrap()
}

#[test]
fn more_elements_than_a_kernel_counts_are_refused() {
    expect_countable(ELEMENTS_AT_MOST).unwrap();
    assert!(expect_countable(ELEMENTS_AT_MOST + 1).is_err());
    // By the extents, before any operand of that size would have to be had.
    let operand = zeros(1 << 16);
    let operands = [Operand::read("x", "v", &operand)];
    let extents = Extents::flat(1 << 16, 1 << 16, 1);
    let error = map(&Yes, Source::new("large", ""), extents, &operands).unwrap_err();
    assert!(error.to_string().contains("counts at most"), "{error}");
}

#[test]
fn many_long_sums_are_counted_one_by_one() {
    let (rows, sums) = (zeros(1 << 21), zeros(1 << 22));
    let operands = [
        Operand::read("w", "va", &rows),
        Operand::read("q", "ca", &rows),
        Operand::written("product", "vc", &sums),
    ];
    // 2^32 addends in all.
    let extents = Extents {
        batch: 1,
        vectors: 1 << 11,
        channels: 1 << 11,
        area: 1 << 10,
    };
    let source = Source::new("products", "product = sum0;");
    super::sums(&Yes, source, extents, &operands, &["w * q"]).unwrap();
}

#[test]
fn operands_of_another_length_type_or_layout_are_refused() {
    let extents = Extents::flat(2, 3, 4);
    let run = |tensor: &Tensor, axes| {
        map(
            &Yes,
            Source::new("any", ""),
            extents,
            &[Operand::read("x", axes, tensor)],
        )
    };
    run(&zeros(24), "bvca").unwrap();
    run(&zeros(8), "ba").unwrap();
    run(&zeros(1), "").unwrap();
    assert!(run(&zeros(24), "ba").is_err());
    let integers = zeros(24).to_dtype(DType::I64).unwrap();
    assert!(run(&integers, "bvca").is_err());
    let columns = zeros(48).reshape((24, 2)).unwrap().narrow(1, 0, 1).unwrap();
    assert!(run(&columns, "bvca").is_err());
}

#[test]
fn what_is_written_overlaps_nothing() {
    let all = zeros(24);
    let part = |start, length| all.narrow(0, start, length).unwrap();
    let run = |written: &Tensor, other: Operand<'_>| {
        let operands = [Operand::written("out", "a", written), other];
        map(
            &Yes,
            Source::new("any", ""),
            Extents::elements(8),
            &operands,
        )
    };
    run(&part(0, 8), Operand::read("x", "a", &part(8, 8))).unwrap();
    run(&part(0, 8), Operand::written("x", "a", &part(8, 8))).unwrap();
    assert!(run(&part(0, 8), Operand::read("x", "a", &part(7, 8))).is_err());
    assert!(run(&part(4, 8), Operand::written("x", "a", &part(0, 8))).is_err());
}

#[test]
fn matrices_are_given_column_by_column_and_sums_row_by_row() {
    let tensor = zeros(60);
    let leading = |extent| Matrix::new(&tensor, extent).leading();
    assert_eq!(leading(Extent::row_major(3, 5)).unwrap(), (false, 5));
    assert_eq!(
        leading(Extent::row_major(3, 5).transposed()).unwrap(),
        (true, 5)
    );
    assert_eq!(leading(Extent::inner(3, 4, 5, 2)).unwrap(), (false, 20));
    // Rows and columns of one element, either way round.
    assert_eq!(leading(Extent::row_major(3, 1)).unwrap(), (false, 1));
    assert_eq!(
        leading(Extent::row_major(3, 1).transposed()).unwrap(),
        (true, 1)
    );
    let strided = Extent {
        column_stride: 2,
        ..Extent::row_major(3, 5)
    };
    assert!(leading(strided).is_err());

    let (left, right) = (zeros(6), zeros(8));
    for sum in [
        Extent::row_major(3, 4),
        Extent::row_major(4, 3).transposed(),
    ] {
        let product = |inner| Product {
            sum: Matrix::new(&tensor, sum),
            left: Matrix::new(&left, Extent::row_major(3, inner)),
            right: Matrix::new(&right, Extent::row_major(inner, 4)),
            accumulate: true,
        };
        product(2).ask(&Yes).unwrap();
        let beyond = product(3).ask(&Yes).unwrap_err().to_string();
        assert!(beyond.contains("9 elements"), "{beyond}");
    }
}

#[test]
fn images_that_reach_beyond_their_tensor_or_fit_no_window_are_refused() {
    let (x, weight, y) = (zeros(2 * 3 * 16), zeros(4 * 3 * 9), zeros(2 * 4 * 16));
    let run = |x_shape, y_shape, padding| {
        let pass = Correlation {
            x: Images::all(&x, x_shape),
            weight: Images::all(&weight, [4, 3, 3, 3]),
            y: Images::all(&y, y_shape),
            window: Window { stride: 1, padding },
            wanted: Wanted::Weight,
            accumulate: true,
        };
        pass.ask(&Yes)
    };
    run([2, 3, 4, 4], [2, 4, 4, 4], 1).unwrap();
    assert!(run([2, 3, 4, 4], [2, 4, 4, 4], 0).is_err());
    assert!(run([3, 3, 4, 4], [3, 4, 4, 4], 1).is_err());
    assert!(run([2, 2, 4, 4], [2, 4, 4, 4], 1).is_err());
}
