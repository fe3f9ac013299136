//! The passes of a convolution by cuDNN: multiplications and additions in the number type itself, unless TF32 is asked for, and
//! the same bits each time.
//!
//! The algorithms are those that need no patches laid out, take images at any distance, and add in a fixed order; cuDNN's
//! documentation says so of each. What cuDNN wants to know of a pass is made once for its shapes and kept by the thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceSlice, SyncOnDrop,
};
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{DType, Error, Result, bail};

use super::Cuda;
use crate::launch::{Correlation, Images, Wanted, in_tf32};
use crate::real::Real;

const FORWARD: sys::cudnnConvolutionFwdAlgo_t =
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
const INPUT: sys::cudnnConvolutionBwdDataAlgo_t =
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
const WEIGHT: sys::cudnnConvolutionBwdFilterAlgo_t =
    sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;

/// Shapes of x, W and y with the distances of their images, stride and padding, which is wanted, and whether in TF32.
type Key = ([[usize; 5]; 3], [usize; 2], u8, bool);

/// What cuDNN knows of a pass.
struct Plan<T> {
    convolution: ConvDescriptor<T>,
    x: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
    /// Bytes that it works in.
    bytes: usize,
}

/// What a thread keeps for a device.
struct Kept {
    handle: Arc<Cudnn>,
    single: HashMap<Key, Plan<f32>>,
    double: HashMap<Key, Plan<f64>>,
    workspace: Option<CudaSlice<u8>>,
}

thread_local! {
    // Handles belong to a thread.
    static KEPT: RefCell<HashMap<DeviceId, Kept>> = RefCell::default();
}

/// Elements of a tensor from one of them on.
struct Place {
    address: u64,
    count: usize,
    stream: Arc<CudaStream>,
}

impl<T> DeviceSlice<T> for Place {
    fn len(&self) -> usize {
        self.count
    }
    fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }
}

impl<T> DevicePtr<T> for Place {
    fn device_ptr<'a>(&'a self, _: &'a CudaStream) -> (u64, SyncOnDrop<'a>) {
        // One stream, no events.
        (self.address, SyncOnDrop::Sync(None))
    }
}

impl<T> DevicePtrMut<T> for Place {
    fn device_ptr_mut<'a>(&'a mut self, _: &'a CudaStream) -> (u64, SyncOnDrop<'a>) {
        (self.address, SyncOnDrop::Sync(None))
    }
}

fn key(correlation: &Correlation<'_>) -> Key {
    let Correlation {
        x,
        weight,
        y,
        window,
        wanted,
        ..
    } = correlation;
    let form = |images: &Images<'_>| {
        let [count, channels, height, width] = images.shape;
        [count, channels, height, width, images.stride]
    };
    let forms = [form(x), form(weight), form(y)];
    (
        forms,
        [window.stride, window.padding],
        *wanted as u8,
        in_tf32(),
    )
}

impl<T: CudnnDataType> Plan<T> {
    fn new(handle: &Arc<Cudnn>, correlation: &Correlation<'_>) -> Result<Self> {
        let Correlation {
            x,
            weight,
            y,
            window,
            wanted,
            ..
        } = correlation;
        let tensor = |images: &Images<'_>| {
            let [_, _, height, width] = images.shape;
            let strides = [images.stride, height * width, width, 1];
            handle.create_4d_tensor_ex::<T>(
                images.shape.map(|extent| extent as i32),
                strides.map(|stride| stride as i32),
            )
        };
        let both = |size: usize| [size as i32; 2];
        let mut convolution = handle.create_conv2d::<T>(
            both(window.padding),
            both(window.stride),
            both(1),
            sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
        )?;
        // The default of f32 is TF32 where the card has it.
        convolution.set_math_type(match in_tf32() {
            true => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            false => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        })?;
        let (x, y) = (tensor(x)?, tensor(y)?);
        let weight = handle.create_4d_filter::<T>(
            sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW,
            weight.shape.map(|extent| extent as i32),
        )?;
        let mut plan = Self {
            convolution,
            x,
            weight,
            y,
            bytes: 0,
        };
        plan.bytes = match wanted {
            Wanted::Output => plan.output().get_workspace_size(FORWARD)?,
            Wanted::Input => plan.input().get_workspace_size(INPUT)?,
            Wanted::Weight => plan.kernel().get_workspace_size(WEIGHT)?,
        };
        Ok(plan)
    }

    fn output(&self) -> ConvForward<'_, T, T, T> {
        ConvForward {
            conv: &self.convolution,
            x: &self.x,
            w: &self.weight,
            y: &self.y,
        }
    }

    fn input(&self) -> ConvBackwardData<'_, T, T, T> {
        ConvBackwardData {
            conv: &self.convolution,
            dx: &self.x,
            w: &self.weight,
            dy: &self.y,
        }
    }

    fn kernel(&self) -> ConvBackwardFilter<'_, T, T, T> {
        ConvBackwardFilter {
            conv: &self.convolution,
            x: &self.x,
            dw: &self.weight,
            dy: &self.y,
        }
    }
}

pub(super) fn correlate(cuda: &Cuda, correlation: &Correlation<'_>) -> Result<()> {
    KEPT.with_borrow_mut(|kept| {
        let own = match kept.entry(cuda.0.id()) {
            Entry::Occupied(own) => own.into_mut(),
            Entry::Vacant(place) => place.insert(Kept {
                handle: Cudnn::new(cuda.0.cuda_stream())?,
                single: HashMap::new(),
                double: HashMap::new(),
                workspace: None,
            }),
        };
        let Kept {
            handle,
            single,
            double,
            workspace,
        } = own;
        match correlation.y.tensor.dtype() {
            DType::F32 => run::<f32>(cuda, correlation, (handle, single), workspace),
            DType::F64 => run::<f64>(cuda, correlation, (handle, double), workspace),
            other => bail!("expected a tensor of f32 or f64, got {other:?}"),
        }
    })
}

#[allow(unsafe_code, reason = "see the crate root")]
fn run<T: Real + CudnnDataType>(
    cuda: &Cuda,
    correlation: &Correlation<'_>,
    (handle, plans): (&Arc<Cudnn>, &mut HashMap<Key, Plan<T>>),
    workspace: &mut Option<CudaSlice<u8>>,
) -> Result<()> {
    let plan = match plans.entry(key(correlation)) {
        Entry::Occupied(plan) => plan.into_mut(),
        Entry::Vacant(place) => place.insert(Plan::new(handle, correlation)?),
    };
    let place = |images: &Images<'_>| {
        Ok::<_, Error>(Place {
            address: cuda.address(images.tensor, images.start)?,
            count: images.shape.iter().product(),
            stream: cuda.0.cuda_stream(),
        })
    };
    let Correlation { x, weight, y, .. } = correlation;
    let [mut x, mut weight, mut y] = [place(x)?, place(weight)?, place(y)?];
    if workspace.as_ref().map_or(0, CudaSlice::len) < plan.bytes {
        // Freed before the larger one is asked for.
        workspace.take();
        *workspace = Some(cuda.0.cuda_stream().alloc_zeros(plan.bytes).w()?);
    }
    let room = workspace.as_mut().filter(|_| plan.bytes > 0);
    let beta = if correlation.accumulate {
        T::ONE
    } else {
        T::ZERO
    };
    let scales = (T::ONE, beta);
    // SAFETY: `Correlation::ask` has checked that the images, at their distances, lie inside their tensors, that their shapes
    // are those of a convolution, and that the one that is written overlaps no other; the descriptors were made of the
    // same shapes, and the workspace has the bytes that cuDNN has asked for.
    let done = unsafe {
        match correlation.wanted {
            Wanted::Output => plan
                .output()
                .launch(FORWARD, room, scales, &x, &weight, &mut y),
            Wanted::Input => plan
                .input()
                .launch(INPUT, room, scales, &mut x, &weight, &y),
            Wanted::Weight => plan
                .kernel()
                .launch(WEIGHT, room, scales, &x, &mut weight, &y),
        }
    };
    Ok(done?)
}
