//! Small float64 matrices on the host, (rows, columns), and their way to and from a device.

use candle_core::{Device, Tensor};
use nalgebra::DMatrix;

use crate::Error;

/// A float64 tensor (rows, columns) as a matrix.
pub(crate) fn from_tensor(tensor: &Tensor) -> Result<DMatrix<f64>, Error> {
    let (rows, columns) = tensor.dims2()?;
    let entries = tensor.flatten_all()?.to_vec1::<f64>()?;
    Ok(DMatrix::from_row_slice(rows, columns, &entries))
}

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
