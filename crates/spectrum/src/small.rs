//! Small float64 matrices on the host, (rows, columns), and their way to a device.

use candle_core::{Device, Tensor};
use nalgebra::DMatrix;

use crate::Error;

/// A matrix as a float64 tensor (rows, columns).
pub(crate) fn to_tensor(matrix: &DMatrix<f64>, device: &Device) -> Result<Tensor, Error> {
    let shape = matrix.shape();
    // The transpose is stored row by row in the order of the matrix's own rows.
    Ok(Tensor::from_slice(
        matrix.transpose().as_slice(),
        shape,
        device,
    )?)
}
