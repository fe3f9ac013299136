//! What a device with kernels of our own is asked for, and who asks it.
//!
//! A function of this crate whose tensors are on a CUDA device says what is to be done there in four words: a [`Launch`] of a
//! kernel whose source is text, a [`Product`] of matrices, a [`Correlation`] of images, and the reading of numbers, which waits
//! for all that was asked for before. A [`Launcher`] does it: on a CUDA device by NVRTC, cuBLAS and cuDNN. Under
//! [`with_launcher`] tensors of the CPU go the same way to a launcher of the caller's, which counts what it is asked for, or
//! runs the kernels as C++: so the way is tested where there is no GPU.

mod rules;
#[cfg(test)]
mod tests;

pub(crate) use rules::{Extents, Operand, Source, map, sums, sums_and_map};

use std::cell::Cell;
use std::rc::Rc;

use candle_core::{DType, Result, Tensor, bail};

use crate::conv2d::Window;
use crate::device::ELEMENTS_AT_MOST;
use crate::product::Extent;
use crate::real::{Route, route, with_route};

/// What every source is preceded by: on a GPU each thread of a block runs `PHASE ... NEXT` once and waits there for the
/// others; in C++ it is a loop over them.
pub const PRELUDE: &str = include_str!("launch/prelude.cu");

/// The same for a compiler of C++, where `BLOCK`, `BLOCKS` and `THREADS` are variables.
pub const TWIN_PRELUDE: &str = include_str!("launch/twin.h");

/// One launch of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// What it is called in its source.
    pub name: &'a str,
    /// The kernel, to be put behind [`PRELUDE`]. Its arguments are the sizes, the numbers and pointers to the tensors.
    pub source: &'a str,
    /// Blocks of threads.
    pub blocks: u32,
    /// Threads of each.
    pub threads: u32,
    /// `unsigned` arguments.
    pub sizes: &'a [u32],
    /// `double` arguments.
    pub numbers: &'a [f64],
    /// Contiguous tensors that are read.
    pub read: &'a [&'a Tensor],
    /// Contiguous tensors that are written, behind those; none of them overlaps another tensor of the launch.
    pub written: &'a [&'a Tensor],
}

/// A matrix inside a contiguous tensor: element (i, j) at `start + i * strides[0] + j * strides[1]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// What it lies in.
    pub tensor: &'a Tensor,
    /// Of the first element.
    pub start: usize,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// From a row to the next and from a column to the next, one of which is 1.
    pub strides: [usize; 2],
}

/// C = A B, or C += A B.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// C, row-major.
    pub sum: Matrix<'a>,
    /// A
    pub left: Matrix<'a>,
    /// B
    pub right: Matrix<'a>,
    /// Whether C is added to.
    pub accumulate: bool,
}

/// Images (N, C, H, W) inside a contiguous tensor, each contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// What they lie in.
    pub tensor: &'a Tensor,
    /// Of the first element.
    pub start: usize,
    /// N, C, H, W.
    pub shape: [usize; 4],
    /// From an image to the next.
    pub stride: usize,
}

/// Which of the three factors of a convolution is wanted of the other two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// y = W * x
    Output,
    /// x = Wᵀ * y
    Input,
    /// W = y x, summed over the images.
    Weight,
}

/// A pass of a convolution: the wanted factor of the other two, set or added to.
#[derive(Debug, Clone, Copy)]
pub struct Correlation<'a> {
    /// (N, I, H, W)
    pub x: Images<'a>,
    /// (O, I, kh, kw), as images.
    pub weight: Images<'a>,
    /// (N, O, H', W')
    pub y: Images<'a>,
    /// Stride and padding.
    pub window: Window,
    /// Which factor.
    pub wanted: Wanted,
    /// Whether it is added to.
    pub accumulate: bool,
}

/// Does what is asked for, in the order in which it is asked for.
pub trait Launcher {
    /// A contiguous tensor on the device of `like`, all of which the next launch writes.
    ///
    /// # Errors
    /// Memory that cannot be had.
    fn room(&self, shape: &[usize], dtype: DType, like: &Tensor) -> Result<Tensor>;

    /// So many zeros of u32, contiguous on the device of `like`, which the next launch leaves as zeros: they may be the same every
    /// time.
    ///
    /// # Errors
    /// Memory that cannot be had.
    fn zeros(&self, count: usize, like: &Tensor) -> Result<Tensor>;

    /// Launches a kernel.
    ///
    /// # Errors
    /// A source that does not compile, or a device error.
    fn launch(&self, launch: &Launch<'_>) -> Result<()>;

    /// Multiplies two matrices.
    ///
    /// # Errors
    /// A device error.
    fn multiply(&self, product: &Product<'_>) -> Result<()>;

    /// Whether it has convolutions; else they are products with patches, by operations of candle.
    fn correlates(&self) -> bool;

    /// Does a pass of a convolution.
    ///
    /// # Errors
    /// No convolutions, or a device error.
    fn correlate(&self, correlation: &Correlation<'_>) -> Result<()>;

    /// The elements of each of some tensors of f64, once all that was asked for is done.
    ///
    /// # Errors
    /// A device error.
    fn read(&self, tensors: &[&Tensor]) -> Result<Vec<Vec<f64>>>;
}

thread_local! {
    static IN_TF32: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with products of matrices and convolutions of f32 that it asks of a CUDA device from this thread multiplied in
/// TF32, which has 10 bits of mantissa: faster, for training alone. Sums are of f32 still, and so is everything else.
pub fn with_tf32<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_TF32.set(self.0);
        }
    }
    let _restore = Restore(IN_TF32.replace(true));
    work()
}

/// Whether what a launcher is asked for is to be multiplied in TF32, if it is of f32.
#[must_use]
pub fn in_tf32() -> bool {
    IN_TF32.get()
}

/// Runs `work` with every function of this crate that it calls from this thread asking `launcher`, whatever the device: where
/// there are kernels for it; else candle is asked.
pub fn with_launcher<T>(launcher: Rc<dyn Launcher>, work: impl FnOnce() -> T) -> T {
    with_route(Route::Launcher(launcher), work)
}

/// Who is asked for work on `tensor`, if it is work for kernels of our own.
pub(crate) fn launcher(tensor: &Tensor) -> Option<Rc<dyn Launcher>> {
    match (route(), tensor.device()) {
        (Route::Launcher(launcher), _) => Some(launcher),
        #[cfg(feature = "cuda")]
        (Route::Own, candle_core::Device::Cuda(device)) => Some(crate::cuda::launcher(device)),
        _ => None,
    }
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(tensor: &'a Tensor, extent: Extent) -> Self {
        Self {
            tensor,
            start: extent.start,
            shape: [extent.rows, extent.columns],
            strides: [extent.row_stride, extent.column_stride],
        }
    }

    /// Rows and columns exchanged.
    fn transposed(self) -> Self {
        let ([rows, columns], [of_row, of_column]) = (self.shape, self.strides);
        Self {
            shape: [columns, rows],
            strides: [of_column, of_row],
            ..self
        }
    }

    /// Whether it lies in memory column by column, and the distance of its rows, or columns.
    ///
    /// # Errors
    /// A matrix that is neither row-major nor column-major.
    pub fn leading(&self) -> Result<(bool, usize)> {
        match (self.strides, self.shape) {
            ([leading, 1], [_, columns]) if leading >= columns => Ok((false, leading)),
            ([1, leading], [rows, _]) if leading >= rows => Ok((true, leading)),
            _ => bail!("expected a row-major or column-major matrix, got {self:?}"),
        }
    }

    /// Elements of the tensor up to its last one.
    fn reach(&self) -> usize {
        let last = |axis: usize| self.shape[axis].saturating_sub(1) * self.strides[axis];
        self.start + last(0) + last(1) + 1
    }
}

impl<'a> Images<'a> {
    /// All of a contiguous tensor, whose leading axes are folded into `shape`.
    pub(crate) fn all(tensor: &'a Tensor, shape: [usize; 4]) -> Self {
        Self {
            tensor,
            start: 0,
            shape,
            stride: shape[1..].iter().product(),
        }
    }

    /// Those of vector number `index` of a block (B, V, C, H, W).
    pub(crate) fn of_vector(tensor: &'a Tensor, index: usize) -> Result<Self> {
        let (batch, vectors, channels, height, width) = tensor.dims5()?;
        let each = channels * height * width;
        Ok(Self {
            tensor,
            start: index * each,
            shape: [batch, channels, height, width],
            stride: vectors * each,
        })
    }

    fn reach(&self) -> usize {
        let each: usize = self.shape[1..].iter().product();
        self.start + self.shape[0].saturating_sub(1) * self.stride + each
    }
}

/// Fails unless `tensor` is contiguous, of `dtype`, has `reach` elements at least, and can be counted by kernels.
fn expect_reach(tensor: &Tensor, dtype: DType, reach: usize) -> Result<()> {
    let count = tensor.elem_count();
    if !tensor.is_contiguous() || tensor.dtype() != dtype || reach > count {
        bail!(
            "expected a contiguous tensor of {dtype:?} with {reach} elements, got {:?} of {:?}",
            tensor.layout(),
            tensor.dtype()
        );
    }
    expect_countable(count)
}

/// Fails for more elements than kernels count.
fn expect_countable(count: usize) -> Result<()> {
    if count > ELEMENTS_AT_MOST {
        bail!("a kernel counts at most {ELEMENTS_AT_MOST} elements, got {count}");
    }
    Ok(())
}

/// Fails where a tensor of `written` overlaps another one or one of `read`.
fn expect_apart(written: &[&Tensor], read: &[&Tensor]) -> Result<()> {
    for (index, target) in written.iter().enumerate() {
        let others = written[index + 1..].iter().chain(read);
        if others.into_iter().any(|other| overlap(target, other)) {
            bail!("expected a sum that shares no storage with the operands of its update");
        }
    }
    Ok(())
}

fn overlap(a: &Tensor, b: &Tensor) -> bool {
    let ((first, layout), (second, other)) = (a.storage_and_layout(), b.storage_and_layout());
    let range = |layout: &candle_core::Layout| {
        layout.start_offset()..layout.start_offset() + layout.shape().elem_count()
    };
    let (own, other) = (range(layout), range(other));
    std::ptr::eq(&raw const *first, &raw const *second)
        && own.start < other.end
        && other.start < own.end
}

impl Product<'_> {
    /// Asks for the product, if it has elements.
    pub(crate) fn ask(&self, launcher: &dyn Launcher) -> Result<()> {
        let Self {
            sum, left, right, ..
        } = self;
        let dtype = sum.tensor.dtype();
        if [left.shape[0], left.shape[1], right.shape[1]]
            != [sum.shape[0], right.shape[0], sum.shape[1]]
        {
            bail!("expected conforming matrices, got {self:?}");
        }
        for matrix in [sum, left, right] {
            if matrix.shape.contains(&0) {
                return Ok(());
            }
            expect_reach(matrix.tensor, dtype, matrix.reach())?;
        }
        expect_apart(&[sum.tensor], &[left.tensor, right.tensor])?;
        if !sum.leading()?.0 {
            return launcher.multiply(self);
        }
        launcher.multiply(&Product {
            sum: sum.transposed(),
            left: right.transposed(),
            right: left.transposed(),
            ..*self
        })
    }
}

impl Correlation<'_> {
    /// Asks for the pass, if the factors have elements.
    pub(crate) fn ask(&self, launcher: &dyn Launcher) -> Result<()> {
        let Self {
            x,
            weight,
            y,
            window,
            ..
        } = self;
        let extent = |axis| window.output(x.shape[axis], weight.shape[axis]);
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let fits = x.shape[..2] == [y.shape[0], inputs]
            && y.shape[1] == outputs
            && [extent(2), extent(3)] == [Some(y.shape[2]), Some(y.shape[3])];
        if !fits {
            bail!("expected the factors of a convolution, got {self:?}");
        }
        for images in [x, weight, y] {
            if images.shape.contains(&0) {
                return Ok(());
            }
            expect_reach(images.tensor, y.tensor.dtype(), images.reach())?;
        }
        let [wanted, one, other] = match self.wanted {
            Wanted::Output => [y, x, weight],
            Wanted::Input => [x, y, weight],
            Wanted::Weight => [weight, x, y],
        };
        expect_apart(&[wanted.tensor], &[one.tensor, other.tensor])?;
        launcher.correlate(self)
    }
}
