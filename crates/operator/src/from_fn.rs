//! An operator of a closure: W = f(V), V and W (k, dim).

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// The operator of a closure, from [`from_fn`].
#[derive(Debug, Clone)]
pub struct FromFn<Product> {
    dim: usize,
    dtype: DType,
    device: Device,
    product: Product,
}

/// The symmetric matrix whose products A v, for each row v of a block (k, dim), `product` returns. The blocks
/// that it is given are of `dim` columns, of `dtype` and on `device`.
pub fn from_fn<Product, Failure>(
    dim: usize,
    dtype: DType,
    device: &Device,
    product: Product,
) -> FromFn<Product>
where
    Product: Fn(&Tensor) -> Result<Tensor, Failure>,
    Error: From<Failure>,
{
    FromFn {
        dim,
        dtype,
        device: device.clone(),
        product,
    }
}

impl<Product, Failure> LinearOperator for FromFn<Product>
where
    Product: Fn(&Tensor) -> Result<Tensor, Failure>,
    Error: From<Failure>,
{
    fn dim(&self) -> usize {
        self.dim
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(self, vectors)?;
        Ok((self.product)(vectors)?)
    }
}
