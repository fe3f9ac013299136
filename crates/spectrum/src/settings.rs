//! Checks of what the caller asks for, made before the first product.

use crate::Error;

/// Refuses a count of zero.
pub(crate) fn check_positive(field: &'static str, value: usize) -> Result<(), Error> {
    if value == 0 {
        return Err(Error::Zero { field });
    }
    Ok(())
}

/// Refuses a tolerance or width that is not a positive number.
pub(crate) fn check_positive_real(field: &'static str, got: f64) -> Result<(), Error> {
    if got.is_finite() && got > 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field,
        expected: "above 0",
        got,
    })
}

/// Checks the number of Lanczos steps against the dimension of the space.
pub(crate) fn check_steps(steps: usize, dim: usize) -> Result<(), Error> {
    check_positive("steps", steps)?;
    if steps > dim {
        return Err(Error::TooManySteps { steps, dim });
    }
    Ok(())
}

/// Checks the number of probes and of vectors per block product.
pub(crate) fn check_probes(probes: usize, block: usize) -> Result<(), Error> {
    if probes < 2 {
        return Err(Error::TooFewProbes { got: probes });
    }
    check_positive("block", block)
}
