//! Tensors that stay where batches are made of them.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result, Tensor};

/// Bytes of a tensor that is kept on a device; of a larger one every batch is sent there.
const BYTES_AT_MOST: usize = i32::MAX as usize;

/// A tensor, as a rule of the CPU, with its copies on CUDA devices, each made when it is first asked for. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Resident {
    host: Tensor,
    copies: Arc<Mutex<Vec<Tensor>>>,
}

impl Resident {
    pub(crate) fn new(host: Tensor) -> Self {
        Self {
            host,
            copies: Arc::default(),
        }
    }

    /// Where it was made.
    pub(crate) fn host(&self) -> &Tensor {
        &self.host
    }

    /// The tensor that batches for `device` are made of: that of the device where it can be there, else the one it was made of.
    pub(crate) fn nearest(&self, device: &Device) -> Result<Tensor> {
        let bytes = self.host.elem_count() * self.host.dtype().size_in_bytes();
        let is_there = self.host.device().same_device(device);
        if is_there || !device.is_cuda() || bytes > BYTES_AT_MOST {
            return Ok(self.host.clone());
        }
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = copies.iter();
        if let Some(copy) = there.find(|copy| copy.device().same_device(device)) {
            return Ok(copy.clone());
        }
        let copy = self.host.to_device(device)?;
        copies.push(copy.clone());
        Ok(copy)
    }

    /// The elements at `indices` along the first axis, near `device`.
    pub(crate) fn at(&self, indices: &[u32], device: &Device) -> Result<Tensor> {
        let nearest = self.nearest(device)?;
        nearest.index_select(&Tensor::new(indices, nearest.device())?, 0)
    }
}
