//! An operator that is asked twice before it is believed, at the cost of a product or two.
//!
//! The first block of a measurement is multiplied twice, and the two products must agree in every bit; the
//! first row of the first block of another width is multiplied alone as well, and must agree with its row of
//! the block up to √ε (half the digits) of the product or of what the first product makes of such a vector,
//! whichever is more, and the rounding of the terms of a difference besides: a later vector may be one that A
//! makes vanish. A first block of random vectors, two at
//! least, shows whether the operator is symmetric as [`check_operator`](crate::check_operator) sees it; from a
//! single one a method of Lanczos sees it by itself: see [`Lanczos::asymmetry`](crate::Lanczos::asymmetry).

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use flatness_operator::LinearOperator;

use crate::check::asymmetry;
use crate::product::{Precision, multiply, norm};
use crate::{Budget, Error};

/// Entries compared at a time, for which they are copied.
const AT_A_TIME: usize = 1 << 16;

/// An operator whose first products are checked as a method asks for them.
#[derive(Debug)]
pub struct Verified<'a, Operator> {
    operator: Operator,
    budget: Budget<'a>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rows of the block V that was multiplied twice and ‖A V‖ / ‖V‖, none before it.
    repeated: Option<(usize, f64)>,
    /// A row has been compared with its product alone.
    compared: bool,
    /// Products made for checks alone.
    products: usize,
}

impl<'a, Operator: LinearOperator> Verified<'a, Operator> {
    /// Checks nothing yet. `budget` may interrupt a check too, which fails it with [`Error::Interrupted`]:
    /// what could not be checked is not believed. Its number of products is not looked at.
    pub fn new(operator: Operator, budget: Budget<'a>) -> Self {
        Self {
            operator,
            budget,
            state: Mutex::default(),
        }
    }

    /// Products made beside those asked for.
    #[must_use]
    pub fn extra_products(&self) -> usize {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).products
    }

    fn checked(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let product = multiply(&self.operator, vectors)?;
        let rows = vectors.dim(0)?;
        let precision = Precision::of(&self.operator)?;
        let state = self.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match state.repeated {
            None => {
                self.budget.go_on(rows)?;
                compare_bits(&product, &multiply(&self.operator, vectors)?)?;
                if rows > 1 {
                    let pair = |tensor: &Tensor| -> Result<[Tensor; 2], Error> {
                        Ok([tensor.narrow(0, 0, 1)?, tensor.narrow(0, 1, 1)?])
                    };
                    let ([u, v], [first, second]) = (pair(vectors)?, pair(&product)?);
                    asymmetry([&u, &v], [&first, &second], precision)?;
                }
                state.repeated = Some((rows, norm(&product)? / norm(vectors)?));
                state.products += rows;
            }
            Some((before, gain)) if before != rows && !state.compared => {
                let first = |tensor: &Tensor| tensor.narrow(0, 0, 1);
                let vector = first(vectors)?.contiguous()?;
                self.budget.go_on(rows)?;
                let alone = multiply(&self.operator, &vector)?;
                let scale = gain * norm(&vector)?;
                block_difference(&alone, &first(&product)?, scale, precision)?;
                state.compared = true;
                state.products += 1;
            }
            Some(_) => {}
        }
        Ok(product)
    }
}

impl<Operator: LinearOperator> LinearOperator for Verified<'_, Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn scale(&self) -> f64 {
        self.operator.scale()
    }

    /// As the operator's own, and [`Error::NotDeterministic`], [`Error::Asymmetric`],
    /// [`Error::BlockDependent`] or [`Error::Interrupted`] as a source.
    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        self.checked(vectors).map_err(|error| match error {
            Error::Operator(error) => error,
            error => flatness_operator::Error::from_source(error),
        })
    }
}

/// That two products of the same block (rows, dim) agree in every bit; infinite and undefined entries are
/// left to the method.
pub(crate) fn compare_bits(first: &Tensor, second: &Tensor) -> Result<(), Error> {
    let (mut largest, mut worst) = (0.0_f64, None::<(usize, f64)>);
    let [first_entries, second_entries] = [first, second].map(Tensor::flatten_all);
    let (first_entries, second_entries) = (first_entries?, second_entries?);
    let count = first.elem_count();
    for start in (0..count).step_by(AT_A_TIME) {
        let len = AT_A_TIME.min(count - start);
        let entries = host(&first_entries.narrow(0, start, len)?)?;
        let again = host(&second_entries.narrow(0, start, len)?)?;
        for (entry, (left, right)) in (start..).zip(entries.iter().zip(&again)) {
            largest = largest.max(left.abs());
            if left.to_bits() != right.to_bits() && !(left.is_nan() && right.is_nan()) {
                let difference = (left - right).abs();
                if worst.is_none_or(|(_, most)| difference > most) {
                    worst = Some((entry, difference));
                }
            }
        }
    }
    match worst {
        Some((entry, difference)) => Err(Error::NotDeterministic {
            rows: first.dim(0)?,
            difference,
            entry,
            largest,
        }),
        None => Ok(()),
    }
}

/// ‖difference‖ and ‖A v‖ of a product alone and in a block, within √ε of each other in units of ‖A v‖ or of
/// `scale`, the larger, or within the rounding of what cancels in them.
pub(crate) fn block_difference(
    alone: &Tensor,
    in_block: &Tensor,
    scale: f64,
    precision: Precision,
) -> Result<(f64, f64), Error> {
    let length = norm(alone)?;
    let difference = norm(&(alone - in_block)?)?;
    let allowed = precision.epsilon.sqrt() * length.max(scale);
    if difference > allowed.max(precision.breakdown(0.0)) {
        return Err(Error::BlockDependent {
            difference,
            norm: length,
        });
    }
    Ok((difference, length))
}

fn host(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    Ok(tensor.to_dtype(DType::F64)?.to_vec1()?)
}
