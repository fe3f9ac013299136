//! Both paths of every pass against loops in float64.

use candle_core::{DType, Tensor};

use super::super::tests::{SIZES, Sizes};
use super::{Combination, Normalised, cpu, plain};
use crate::real::dispatch;
use crate::samples::{NUMBER_TYPES, assert_close, uniform, values};

#[derive(Clone, Copy, Debug)]
enum Path {
    Cpu,
    Plain,
}

/// What one path does with random operands.
struct Passes {
    moments: (Tensor, Tensor),
    sums: [Tensor; 2],
    inner: Tensor,
    scaled: Tensor,
    /// Of x alone, and with a block.
    combined: [Tensor; 2],
    /// What started as `start`: with ȳ alone, with x, and with x and a block.
    added: [Tensor; 3],
}

struct Operands {
    x: Tensor,
    mean: Tensor,
    block: Tensor,
    scale: Tensor,
    slope: Tensor,
    shift: Tensor,
    cotangent: Tensor,
    weight: Tensor,
    start: Tensor,
}

impl Operands {
    fn new(sizes: Sizes, dtype: DType) -> Self {
        let numbers = (sizes.vectors, sizes.channels);
        Self {
            x: uniform(sizes.primal(), 1, dtype),
            mean: uniform(sizes.channels, 2, dtype),
            block: uniform(sizes.block(), 3, dtype),
            scale: uniform(sizes.channels, 4, DType::F64),
            slope: uniform(numbers, 5, DType::F64),
            shift: uniform(numbers, 6, DType::F64),
            cotangent: uniform(sizes.primal(), 7, dtype),
            weight: uniform(numbers, 8, DType::F64),
            start: uniform(sizes.block(), 9, dtype),
        }
    }

    fn run(&self, path: Path) -> candle_core::Result<Passes> {
        let dtype = self.x.dtype();
        let normalised = Normalised {
            x: &self.x,
            mean: &self.mean,
        };
        let combination = |with_block: bool| Combination {
            block: with_block.then(|| (&self.block, self.scale.clone())),
            slope: self.slope.clone(),
            shift: self.shift.clone(),
        };
        let combine = |with_block| match path {
            Path::Cpu => dispatch!(dtype, cpu::combine(normalised, &combination(with_block))),
            Path::Plain => plain::combine(normalised, &combination(with_block)),
        };
        let added = |with_block: Option<bool>| {
            let sum = self.start.copy()?;
            let combination = with_block.map(combination);
            let combination = combination.as_ref().map(|all| (normalised, all));
            let (cotangent, weight) = (&self.cotangent, &self.weight);
            match path {
                Path::Cpu => dispatch!(dtype, cpu::add(&sum, cotangent, weight, combination))?,
                Path::Plain => plain::add(&sum, cotangent, weight, combination)?,
            }
            Ok::<_, candle_core::Error>(sum)
        };
        Ok(Passes {
            moments: match path {
                Path::Cpu => dispatch!(dtype, cpu::moments(&self.x)),
                Path::Plain => plain::moments(&self.x),
            }?,
            sums: match path {
                Path::Cpu => dispatch!(dtype, cpu::sums(normalised, &self.block)),
                Path::Plain => plain::sums(normalised, &self.block),
            }?,
            inner: match path {
                Path::Cpu => dispatch!(dtype, cpu::inner(&self.cotangent, &self.block)),
                Path::Plain => plain::inner(&self.cotangent, &self.block),
            }?,
            scaled: match path {
                Path::Cpu => dispatch!(dtype, cpu::scale(&self.block, &self.scale)),
                Path::Plain => plain::scale(&self.block, &self.scale),
            }?,
            combined: [combine(false)?, combine(true)?],
            added: [added(None)?, added(Some(false))?, added(Some(true))?],
        })
    }
}

#[test]
fn both_paths_equal_loops() {
    for sizes in SIZES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let operands = Operands::new(sizes, dtype);
            for path in [Path::Cpu, Path::Plain] {
                let entries = sizes.batch * sizes.height * sizes.width;
                let tolerance = tolerance * (entries as f64 / 10.0).max(1.0);
                let passes = operands.run(path).unwrap();
                check(
                    sizes,
                    &operands,
                    &passes,
                    &format!("{path:?} {sizes:?}"),
                    tolerance,
                );
            }
        }
    }
}

fn check(sizes: Sizes, operands: &Operands, passes: &Passes, what: &str, tolerance: f64) {
    let Operands {
        x,
        mean,
        block,
        scale,
        slope,
        shift,
        cotangent,
        weight,
        start,
    } = operands;
    let [x, mean, block, scale] = [x, mean, block, scale].map(values);
    let [slope, shift, ybar, weight, start] = [slope, shift, cotangent, weight, start].map(values);
    let entries = |all: &[f64], v, c| sizes.entries(all, v, c);
    let number = |v, c| v * sizes.channels + c;

    let count = (sizes.batch * sizes.height * sizes.width) as f64;
    let means: Vec<f64> = (0..sizes.channels)
        .map(|c| entries(&x, 0, c).iter().sum::<f64>() / count)
        .collect();
    let variances: Vec<f64> = (0..sizes.channels)
        .map(|c| {
            let squares = entries(&x, 0, c)
                .into_iter()
                .map(|x| (x - means[c]).powi(2));
            squares.sum::<f64>() / count
        })
        .collect();
    assert_close(what, &passes.moments.0, &means, tolerance);
    assert_close(what, &passes.moments.1, &variances, tolerance);

    let sum = |v, c| entries(&block, v, c).iter().sum();
    let product = |v, c| {
        let pairs = entries(&x, 0, c).into_iter().zip(entries(&block, v, c));
        pairs.map(|(x, b)| b * (x - mean[c])).sum()
    };
    let inner = |v, c| {
        let pairs = entries(&ybar, 0, c).into_iter().zip(entries(&block, v, c));
        pairs.map(|(y, b)| y * b).sum()
    };
    assert_close(what, &passes.sums[0], &sizes.numbers(sum), tolerance);
    assert_close(what, &passes.sums[1], &sizes.numbers(product), tolerance);
    assert_close(what, &passes.inner, &sizes.numbers(inner), tolerance);

    let scaled = |v, c| -> Vec<f64> {
        let block = entries(&block, v, c).into_iter();
        block.map(|b| scale[c] * b).collect()
    };
    let normal = |v, c| -> Vec<f64> {
        let x = entries(&x, 0, c).into_iter();
        x.map(|x| slope[number(v, c)] * (x - mean[c]) + shift[number(v, c)])
            .collect()
    };
    let weighted = |v, c| -> Vec<f64> {
        let terms = entries(&ybar, 0, c).into_iter();
        let terms = terms.map(|y| weight[number(v, c)] * y);
        terms
            .zip(entries(&start, v, c))
            .map(|(y, start)| start + y)
            .collect()
    };
    let plus =
        |a: Vec<f64>, b: Vec<f64>| -> Vec<f64> { a.iter().zip(&b).map(|(a, b)| a + b).collect() };
    let blocks =
        |entries: &dyn Fn(usize, usize) -> Vec<f64>| sizes.assembled(sizes.vectors, entries);
    let close = |got: &Tensor, formula: &dyn Fn(usize, usize) -> Vec<f64>| {
        assert_close(what, got, &blocks(formula), tolerance);
    };
    close(&passes.scaled, &scaled);
    close(&passes.combined[0], &normal);
    close(&passes.combined[1], &|v, c| {
        plus(scaled(v, c), normal(v, c))
    });
    close(&passes.added[0], &weighted);
    close(&passes.added[1], &|v, c| plus(weighted(v, c), normal(v, c)));
    close(&passes.added[2], &|v, c| {
        plus(plus(weighted(v, c), normal(v, c)), scaled(v, c))
    });
}
