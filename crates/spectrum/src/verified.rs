//! An operator that is asked twice before it is believed, at the cost of a product or two.
//!
//! The first block of a measurement is multiplied twice, and the two products must agree in every bit; the
//! first row of the first block of another width is multiplied alone as well, and must agree with its row of
//! the block up to √ε (half the digits) of the product or of what the first product makes of such a vector,
//! whichever is more, and the rounding of the terms of a difference besides: a later vector may be one that A
//! makes vanish. A first block of random vectors, two at least, shows whether uᵀ A v = vᵀ A u; from a single
//! one a method of Lanczos sees it by itself: see
//! [`Eigenpairs::asymmetry`](crate::Eigenpairs::asymmetry).

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor};
use flatness_kernels::{dot, norm};
use flatness_operator::LinearOperator;

use crate::Error;
use crate::product::{Precision, multiply};

/// Asymmetry allowed in units of √ε: random forms scatter by a factor of a few.
const SCATTER: f64 = 8.0;

/// Entries compared at a time, for which they are copied.
const AT_A_TIME: usize = 1 << 16;

/// An operator whose first products are checked as a method asks for them.
#[derive(Debug)]
pub struct Verified<Operator> {
    operator: Operator,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rows of the block V that was multiplied twice and ‖A V‖ / ‖V‖, none before it.
    repeated: Option<(usize, f64)>,
    /// A row has been compared with its product alone.
    compared: bool,
}

impl<Operator: LinearOperator> Verified<Operator> {
    /// Checks nothing yet.
    pub fn new(operator: Operator) -> Self {
        Self {
            operator,
            state: Mutex::default(),
        }
    }

    fn checked(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let product = multiply(&self.operator, vectors)?;
        let rows = vectors.dim(0)?;
        let precision = Precision::of(&self.operator)?;
        let state = self.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match state.repeated {
            None => {
                compare_bits(&product, &multiply(&self.operator, vectors)?)?;
                if rows > 1 {
                    let pair = |tensor: &Tensor| -> Result<[Tensor; 2], Error> {
                        Ok([tensor.narrow(0, 0, 1)?, tensor.narrow(0, 1, 1)?])
                    };
                    let ([u, v], [first, second]) = (pair(vectors)?, pair(&product)?);
                    check_symmetric([&u, &v], [&first, &second], precision)?;
                }
                state.repeated = Some((rows, norm(&product)? / norm(vectors)?));
            }
            Some((before, gain)) if before != rows && !state.compared => {
                let first = |tensor: &Tensor| tensor.narrow(0, 0, 1);
                let vector = first(vectors)?.contiguous()?;
                let alone = multiply(&self.operator, &vector)?;
                let scale = gain * norm(&vector)?;
                compare_blocks(&alone, &first(&product)?, scale, precision)?;
                state.compared = true;
            }
            Some(_) => {}
        }
        Ok(product)
    }
}

impl<Operator: LinearOperator> LinearOperator for Verified<Operator> {
    flatness_operator::space_of!(operator);

    fn scale(&self) -> f64 {
        self.operator.scale()
    }

    /// As the operator's own, and [`Error::NotDeterministic`], [`Error::Asymmetric`] or
    /// [`Error::BlockDependent`] as a source.
    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        self.checked(vectors).map_err(|error| match error {
            Error::Operator(error) => error,
            error => flatness_operator::Error::from_source(error),
        })
    }
}

/// That uᵀ A v and vᵀ A u agree for two independent random vectors (1, dim) with their products, over their
/// lengths: A − Aᵀ is seen in units of A, since |uᵀ (A − Aᵀ) v| √dim / (‖A u‖ + ‖A v‖) is about
/// ‖A − Aᵀ‖_F / ‖A‖_F for unit vectors, and √ε (half the digits) or the rounding of what cancels is allowed.
fn check_symmetric(
    [u, v]: [&Tensor; 2],
    products: [&Tensor; 2],
    precision: Precision,
) -> Result<(), Error> {
    let lengths = [norm(u)?, norm(v)?];
    let form = |left: &Tensor, right: &Tensor| -> Result<f64, Error> {
        Ok(dot(left, right)? / (lengths[0] * lengths[1]))
    };
    let (left, right) = (form(u, products[1])?, form(v, products[0])?);
    let gains = norm(products[0])? / lengths[0] + norm(products[1])? / lengths[1];
    let scale = gains / (u.dim(1)? as f64).sqrt();
    let tolerance = SCATTER * precision.epsilon.sqrt() * scale;
    let tolerance = tolerance.max(precision.breakdown(0.0));
    if (left - right).abs() > tolerance {
        return Err(Error::Asymmetric {
            left,
            right,
            tolerance,
        });
    }
    Ok(())
}

/// That two products of the same block (rows, dim) agree in every bit; infinite and undefined entries are
/// left to the method.
fn compare_bits(first: &Tensor, second: &Tensor) -> Result<(), Error> {
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

/// That a product alone and in a block agree within √ε of ‖A v‖ or of `scale`, the larger, or within the rounding
/// of what cancels in them.
fn compare_blocks(
    alone: &Tensor,
    in_block: &Tensor,
    scale: f64,
    precision: Precision,
) -> Result<(), Error> {
    let length = norm(alone)?;
    let difference = norm(&(alone - in_block)?)?;
    let allowed = precision.epsilon.sqrt() * length.max(scale);
    if difference > allowed.max(precision.breakdown(0.0)) {
        return Err(Error::BlockDependent {
            difference,
            norm: length,
        });
    }
    Ok(())
}

fn host(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    Ok(tensor.to_dtype(DType::F64)?.to_vec1()?)
}
