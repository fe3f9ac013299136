//! The launcher of a CUDA device: kernels by NVRTC, products by cuBLAS, convolutions by cuDNN, all on the device's one stream.
//!
//! Nothing here waits but [`Launcher::read`]. A tensor that is dropped is freed on the same stream, behind what uses it.

#[cfg(feature = "cudnn")]
mod convolutions;

use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::cublas::{result as blas, sys as blas_sys};
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, WrapErr};
use candle_core::{DType, Device, Error, Result, Storage, Tensor, bail};

use crate::launch::{Correlation, Launch, Launcher, PRELUDE, Product, in_tf32};

struct Cuda(CudaDevice);

/// Who is asked for work on tensors of `device`.
pub(crate) fn launcher(device: &CudaDevice) -> Rc<dyn Launcher> {
    Rc::new(Cuda(device.clone()))
}

/// The kernel in the assembly of a virtual card, which the driver translates for its own; compiled once in a process.
fn compiled(source: &str) -> Result<Arc<str>> {
    static COMPILED: Mutex<Option<HashMap<String, Arc<str>>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default();
    if let Some(ready) = compiled.get(source) {
        return Ok(ready.clone());
    }
    let assembly = compile_ptx(format!("{PRELUDE}{source}"));
    let assembly = assembly
        .map_err(|error| Error::msg(format!("NVRTC does not compile {source}: {error:?}")))?;
    let ready: Arc<str> = assembly.to_src().into();
    compiled.insert(source.to_owned(), ready.clone());
    Ok(ready)
}

impl Cuda {
    /// Where element `start` of a tensor is on the device.
    fn address(&self, tensor: &Tensor, start: usize) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else {
            bail!("expected a tensor of a CUDA device");
        };
        let start = layout.start_offset() + start;
        match tensor.dtype() {
            DType::F32 => self.of_type::<f32>(storage, start),
            DType::F64 => self.of_type::<f64>(storage, start),
            DType::U32 => self.of_type::<u32>(storage, start),
            DType::U8 => self.of_type::<u8>(storage, start),
            other => bail!("expected a tensor of f32 or f64, got {other:?}"),
        }
    }

    fn of_type<T: CudaDType>(&self, storage: &CudaStorage, start: usize) -> Result<u64> {
        let slice = storage.as_cuda_slice::<T>()?.slice(start..);
        let stream = self.0.cuda_stream();
        // What would wait for other streams does nothing: there are no events.
        let (address, _wait) = slice.device_ptr(&stream);
        Ok(address)
    }
}

/// A matrix as cuBLAS takes one, column by column: whether it is to be transposed, and its leading dimension.
type Column = (blas_sys::cublasOperation_t, i32);

fn column((transposed, leading): (bool, usize)) -> Column {
    let operation = match transposed {
        true => blas_sys::cublasOperation_t::CUBLAS_OP_T,
        false => blas_sys::cublasOperation_t::CUBLAS_OP_N,
    };
    (operation, leading as i32)
}

impl Launcher for Cuda {
    #[allow(unsafe_code, reason = "see the crate root")]
    fn room(&self, shape: &[usize], dtype: DType, _: &Tensor) -> Result<Tensor> {
        // SAFETY: the launch that comes next writes all of it before anything reads it: the device has one stream.
        unsafe { Tensor::empty(shape, dtype, &Device::Cuda(self.0.clone())) }
    }

    fn zeros(&self, count: usize, _: &Tensor) -> Result<Tensor> {
        static ZEROS: Mutex<Vec<(Device, Tensor)>> = Mutex::new(Vec::new());
        let mut all = ZEROS.lock().unwrap_or_else(PoisonError::into_inner);
        let device = Device::Cuda(self.0.clone());
        let known =
            (all.iter()).find(|(on, zeros)| on.same_device(&device) && zeros.elem_count() >= count);
        if let Some((_, zeros)) = known {
            return zeros.narrow(0, 0, count);
        }
        let zeros = Tensor::zeros(count.next_power_of_two(), DType::U32, &device)?;
        all.push((device, zeros.clone()));
        zeros.narrow(0, 0, count)
    }

    #[allow(unsafe_code, reason = "see the crate root")]
    fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        let assembly = compiled(launch.source)?;
        let kernel = self
            .0
            .get_or_load_custom_func(launch.name, launch.source, &assembly)?;
        let tensors = launch.read.iter().chain(launch.written);
        let addresses = tensors.map(|tensor| self.address(tensor, 0));
        let addresses = addresses.collect::<Result<Vec<u64>>>()?;
        let mut arguments = kernel.builder();
        for size in launch.sizes {
            arguments.arg(size);
        }
        for number in launch.numbers {
            arguments.arg(number);
        }
        for address in &addresses {
            arguments.arg(address);
        }
        let config = LaunchConfig {
            grid_dim: (launch.blocks, 1, 1),
            block_dim: (launch.threads, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those of the head that `launch::rules` has written for these operands, in its order. It has
        // checked that they are contiguous, that they have as many elements as the index reaches, fewer than 2^31, and that
        // none that is written overlaps another. What a text does with pointers is checked by the caller who gives them
        // their lengths, and tested as C++ on the same operands.
        unsafe { arguments.launch(config) }.w()?;
        Ok(())
    }

    #[allow(unsafe_code, reason = "see the crate root")]
    fn multiply(&self, product: &Product<'_>) -> Result<()> {
        let Product {
            sum, left, right, ..
        } = product;
        let handle = *self.0.cublas_handle().handle();
        // Row-major C = A B is Cᵀ = Bᵀ Aᵀ, column by column.
        let [(left_as, left_leading), (right_as, right_leading)] =
            [left.leading().map(column)?, right.leading().map(column)?];
        let [rows, columns] = sum.shape.map(|extent| extent as i32);
        let (inner, sum_leading) = (left.shape[1] as i32, sum.leading()?.1 as i32);
        let address =
            |matrix: &crate::launch::Matrix<'_>| self.address(matrix.tensor, matrix.start);
        let [a, b, c] = [address(left)?, address(right)?, address(sum)?];
        macro_rules! multiply {
            ($function:ident, $type:ty) => {{
                let (one, beta) = (1.0 as $type, <$type>::from(u8::from(product.accumulate)));
                // SAFETY: `Product::ask` has checked that the extents reach no further than the tensors, that they fit
                // each other, and that C overlaps neither A nor B.
                unsafe {
                    blas::$function(
                        handle,
                        right_as,
                        left_as,
                        columns,
                        rows,
                        inner,
                        &raw const one,
                        b as *const $type,
                        right_leading,
                        a as *const $type,
                        left_leading,
                        &raw const beta,
                        c as *mut $type,
                        sum_leading,
                    )
                }
                .map_err(Error::wrap)
            }};
        }
        match sum.tensor.dtype() {
            DType::F32 if in_tf32() => {
                let (one, beta) = (1.0f32, f32::from(u8::from(product.accumulate)));
                let of_f32 = blas_sys::cudaDataType::CUDA_R_32F;
                // SAFETY: as in `multiply!`; all three are of f32.
                unsafe {
                    blas::gemm_ex(
                        handle,
                        right_as,
                        left_as,
                        columns,
                        rows,
                        inner,
                        (&raw const one).cast(),
                        b as *const c_void,
                        of_f32,
                        right_leading,
                        a as *const c_void,
                        of_f32,
                        left_leading,
                        (&raw const beta).cast(),
                        c as *mut c_void,
                        of_f32,
                        sum_leading,
                        blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
                        blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                    )
                }
                .map_err(Error::wrap)
            }
            DType::F32 => multiply!(sgemm, f32),
            DType::F64 => multiply!(dgemm, f64),
            other => bail!("expected a tensor of f32 or f64, got {other:?}"),
        }
    }

    fn correlates(&self) -> bool {
        cfg!(feature = "cudnn")
    }

    fn correlate(&self, correlation: &Correlation<'_>) -> Result<()> {
        #[cfg(feature = "cudnn")]
        return convolutions::correlate(self, correlation);
        #[cfg(not(feature = "cudnn"))]
        bail!("this build has no feature `cudnn`: {correlation:?}");
    }

    /// The first waits, and there is nothing left to wait for.
    fn read(&self, tensors: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
        let each = tensors.iter();
        each.map(|tensor| tensor.flatten_all()?.to_vec1()).collect()
    }
}
