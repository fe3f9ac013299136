//! What a device would be asked for, counted on tensors of the CPU.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use candle_core::{DType, Result, Tensor};
use flatness_kernels::launch::{Correlation, Images, Launch, Launcher, Product, Wanted, in_tf32};

/// A launcher that does nothing but write down what it is asked for: its new tensors are zero. Shapes alone decide what
/// that is.
#[derive(Debug, Default)]
pub struct Recorder {
    asked: RefCell<Asked>,
    sources: RefCell<BTreeSet<(String, String)>>,
}

/// What was asked for, in order.
#[derive(Debug, Default, Clone)]
pub struct Asked {
    /// Kernels of our own, products of matrices and passes of convolutions.
    pub launches: Vec<Work>,
    /// Times that the host has waited for numbers.
    pub readings: usize,
    /// Those of the launches that are products or convolutions in TF32.
    pub in_tf32: usize,
}

/// What a launch has to do.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its name.
    pub name: String,
    /// Bytes that it reads and writes, each operand once.
    bytes: usize,
    /// Seconds of its products of matrices, at best and at worst.
    multiplying: [f64; 2],
    /// Blocks of threads; none where a library decides.
    blocks: Option<u32>,
    /// Threads of each, alike.
    pub threads: Option<u32>,
}

/// Bytes a second that kernels of one pass reach on an H100.
const BANDWIDTH: f64 = 2.5e12;
/// Processors of an H100: fewer blocks have their share of the bandwidth.
const PROCESSORS: f64 = 132.0;
/// Multiply-adds a second of single precision in large products: five eighths of its peak.
const MULTIPLY_ADDS: f64 = 21e12;
/// Rows and columns of the tiles of a product, and from how long sums on these are shared by several blocks.
const TILE: f64 = 128.0;
const LONG: usize = 4096;
/// Seconds that the shortest kernel takes, that the host takes to launch one, and to wait for a number.
const SHORTEST: f64 = 2.2e-6;
const LAUNCH: f64 = 7e-6;
const READING: f64 = 8e-6;

impl Work {
    /// Seconds on an H100 by the model, at best and at worst.
    fn seconds(&self) -> [f64; 2] {
        let share = self
            .blocks
            .map_or(1.0, |blocks| (f64::from(blocks) / PROCESSORS).min(1.0));
        let memory = self.bytes as f64 / (BANDWIDTH * share);
        self.multiplying
            .map(|seconds| memory.max(seconds).max(SHORTEST))
    }
}

/// Seconds of the product of matrices (m, k) and (k, n): at the rate of large ones, and in tiles, which may be too few for the
/// processors and not full.
fn multiplying([m, n, k]: [usize; 3]) -> [f64; 2] {
    let [rows, columns] = [m, n].map(|side| side as f64 / TILE);
    let filling = match k {
        ..LONG => (rows * columns / PROCESSORS + 0.25).min(1.0),
        _ => 0.5,
    };
    let full: f64 = [rows, columns]
        .map(|side| (side + 0.15).min(1.0))
        .iter()
        .product();
    let whole = (m * n * k) as f64 / MULTIPLY_ADDS;
    [whole, whole / (filling * full)]
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

impl Recorder {
    /// Since the last time.
    pub fn take(&self) -> Asked {
        self.asked.take()
    }

    /// Name and source of every kernel that was launched, each once.
    pub fn sources(&self) -> Vec<(String, String)> {
        self.sources.borrow().iter().cloned().collect()
    }

    fn add(&self, work: Work) {
        let mut asked = self.asked.borrow_mut();
        // No kernel of our own is.
        asked.in_tf32 += usize::from(work.blocks.is_none() && in_tf32());
        asked.launches.push(work);
    }
}

impl Asked {
    /// Seconds on an H100 by the model: those of the card, at best and at worst, and those of the host, which run side by side.
    pub fn modelled(&self) -> [f64; 3] {
        let [best, worst] = [0, 1].map(|case| {
            let each = self.launches.iter().map(|work| work.seconds()[case]);
            each.sum::<f64>()
        });
        let host = self.launches.len() as f64 * LAUNCH + self.readings as f64 * READING;
        [best, worst, host]
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [best, worst, host] = self.modelled().map(|seconds| 1e3 * seconds);
        let (total, readings) = (self.launches.len(), self.readings);
        writeln!(
            formatter,
            "{total} launches, {readings} readings; modelled {best:.1} to {worst:.1} ms on the card, {host:.1} ms on the host"
        )?;
        let mut kinds: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
        for work in &self.launches {
            let (count, seconds) = kinds.entry(&work.name).or_default();
            *count += 1;
            *seconds += work.seconds()[0];
        }
        for (name, (count, seconds)) in kinds {
            writeln!(formatter, "{count:6} {name:32} {:8.3} ms", 1e3 * seconds)?;
        }
        Ok(())
    }
}

impl Launcher for Recorder {
    fn room(&self, shape: &[usize], dtype: DType, like: &Tensor) -> Result<Tensor> {
        Tensor::zeros(shape, dtype, like.device())
    }

    fn zeros(&self, count: usize, like: &Tensor) -> Result<Tensor> {
        Tensor::zeros(count, DType::U32, like.device())
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        let tensors = launch.read.iter().chain(launch.written);
        self.add(Work {
            name: launch.name.to_owned(),
            bytes: tensors.map(|tensor| bytes(tensor)).sum(),
            multiplying: [0.0; 2],
            blocks: Some(launch.blocks),
            threads: Some(launch.threads),
        });
        let own = (launch.name.to_owned(), launch.source.to_owned());
        self.sources.borrow_mut().insert(own);
        Ok(())
    }

    fn multiply(&self, product: &Product<'_>) -> Result<()> {
        let Product {
            sum, left, right, ..
        } = product;
        let matrices = [sum, left, right].map(|matrix| matrix.shape.iter().product::<usize>());
        self.add(Work {
            name: "matrix product".to_owned(),
            bytes: matrices.iter().sum::<usize>() * sum.tensor.dtype().size_in_bytes(),
            multiplying: multiplying([sum.shape[0], sum.shape[1], left.shape[1]]),
            blocks: None,
            threads: None,
        });
        Ok(())
    }

    fn correlates(&self) -> bool {
        true
    }

    fn correlate(&self, correlation: &Correlation<'_>) -> Result<()> {
        let Correlation { x, weight, y, .. } = correlation;
        let name = match correlation.wanted {
            Wanted::Output => "convolution",
            Wanted::Input => "convolution, input",
            Wanted::Weight => "convolution, weight",
        };
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let pixels = |images: &Images<'_>| images.shape[0] * count(&images.shape[2..]);
        let [outputs, inputs, height, width] = weight.shape;
        let window = height * width;
        let elements: usize = [x, weight, y]
            .iter()
            .map(|images| count(&images.shape))
            .sum();
        self.add(Work {
            name: name.to_owned(),
            bytes: elements * y.tensor.dtype().size_in_bytes(),
            multiplying: multiplying(match correlation.wanted {
                Wanted::Output => [pixels(y), outputs, inputs * window],
                Wanted::Input => [pixels(x), inputs, outputs * window],
                Wanted::Weight => [outputs, inputs * window, pixels(y)],
            }),
            blocks: None,
            threads: None,
        });
        Ok(())
    }

    fn read(&self, tensors: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
        self.asked.borrow_mut().readings += 1;
        let each = tensors.iter();
        each.map(|tensor| tensor.flatten_all()?.to_vec1()).collect()
    }
}
