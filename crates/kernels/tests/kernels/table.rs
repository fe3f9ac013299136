//! The kernels with the axes of their operands.

use candle_core::{Device, Result, Tensor};
use flatness_kernels::Activation::{self, Relu, Softplus, Tanh};
use flatness_kernels::batch_norm::{self, Point, batch, frozen};
use flatness_kernels::conv2d::{self, Window};
use flatness_kernels::pool::{self, Pooling};
use flatness_kernels::{add, add_in_place, affine, cross_entropy};
use flatness_testkit::labels;

/// Extents of all axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) vectors: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// (H, W)
    pub(crate) image: (usize, usize),
    /// Of a convolution, and of a window of a pooling.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Sizes {
    fn window(self) -> Window {
        Window {
            stride: self.stride,
            padding: self.padding,
        }
    }

    fn pooling(self) -> Pooling {
        Pooling {
            kernel: self.kernel,
            stride: self.stride,
        }
    }

    /// B, V, I and O are examples, vectors, inputs and outputs, H and W the image, K and L the kernel,
    /// P and Q the result of a convolution, X and Y that of a pooling, M and N another image as large.
    pub(crate) fn shape(self, axes: &str) -> Vec<usize> {
        let Self {
            image: (height, width),
            kernel,
            ..
        } = self;
        let result = |extent| self.window().output(extent, kernel).expect("a window");
        let pooled = |extent| self.pooling().output(extent).expect("a window");
        let length = |letter: char| match letter.to_ascii_uppercase() {
            'B' => self.batch,
            'V' => self.vectors,
            'I' => self.inputs,
            'O' => self.outputs,
            'H' | 'M' => height,
            'W' | 'N' => width,
            'K' | 'L' => kernel,
            'P' => result(height),
            'Q' => result(width),
            'X' => pooled(height),
            'Y' => pooled(width),
            other => panic!("no axis {other}"),
        };
        axes.chars().map(length).collect()
    }

    /// The forms of kernel `name` that the CPU path treats differently.
    pub(crate) fn forms(name: &str) -> Vec<Self> {
        let form =
            |[kernel, stride, padding]: [usize; 3], [inputs, outputs]: [usize; 2], image| Self {
                batch: 1,
                vectors: 1,
                inputs,
                outputs,
                image,
                kernel,
                stride,
                padding,
            };
        if name.starts_with("conv2d") {
            return vec![
                form([3, 1, 1], [2, 3], (6, 5)),
                form([3, 2, 1], [3, 4], (7, 6)),
                form([1, 1, 0], [5, 4], (4, 4)),
                form([1, 2, 0], [4, 3], (6, 6)),
                form([5, 1, 2], [2, 2], (7, 8)),
                form([3, 1, 1], [16, 16], (8, 8)),
            ];
        }
        let pooling = |kernel, stride| form([kernel, stride, 0], [3, 7], (6, 7));
        match name.starts_with("pool") {
            true => vec![pooling(2, 2), pooling(3, 2), pooling(2, 1)],
            false => vec![pooling(2, 2)],
        }
    }
}

/// A kernel, the axes of its operands, and the number of those, the last, that it adds to in place.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) operands: Vec<&'static str>,
    pub(crate) sums: usize,
    pub(crate) run: fn(&[Tensor], Sizes) -> Result<Vec<Tensor>>,
}

/// What a kernel returns, as a list.
trait Results {
    fn listed(self) -> Result<Vec<Tensor>>;
}

impl Results for Result<()> {
    fn listed(self) -> Result<Vec<Tensor>> {
        self.map(|()| Vec::new())
    }
}

impl Results for Result<Tensor> {
    fn listed(self) -> Result<Vec<Tensor>> {
        Ok(vec![self?])
    }
}

impl Results for Result<Vec<Tensor>> {
    fn listed(self) -> Result<Vec<Tensor>> {
        self
    }
}

/// Lists kernels: a name, operands with their axes (small letters are held by the window), behind a
/// semicolon those that are added to in place, and a call.
macro_rules! kernels {
    ($sizes:ident: $(
        $name:literal $($operand:ident $axes:ident),* $(; $($sum:ident $sum_axes:ident),*)? => $call:expr,
    )*) => {
        vec![$(Kernel {
            name: $name,
            operands: vec![$(stringify!($axes),)* $($(stringify!($sum_axes)),*)?],
            sums: <[&str]>::len(&[$($(stringify!($sum)),*)?]),
            run: |operands, $sizes| {
                let _ = $sizes;
                let [$($operand,)* $($($sum,)*)?] = operands else {
                    candle_core::bail!("expected the operands of {}", $name);
                };
                $call.listed()
            },
        }),*]
    };
}

pub(crate) fn kernels() -> Vec<Kernel> {
    kernels! { s:
        "relu" x BIO, dx BVIO => evaluated(Relu, x, dx),
        "tanh" x BIO, dx BVIO => evaluated(Tanh, x, dx),
        "softplus" x BIO, dx BVIO => evaluated(Softplus, x, dx),
        "tanh, curvature" x BIO, primal BIO, dx BVIO => bent(Tanh, x, primal, dx),
        "softplus, curvature" x BIO, primal BIO, dx BVIO => bent(Softplus, x, primal, dx),
        "add" a BVI, b BVI => add(a, b),
        "add_in_place" addend BVI; sum BVI => add_in_place(sum, addend),

        "affine::forward" x BI, w OI, b O => affine::forward(x, w, b),
        "affine::tangent" x BI, w OI, dx BVI, dw VOI, db VO => affine::tangent(x, w, Some(dx), dw, db),
        "affine::tangent of parameters" x BI, w OI, dw VOI, db VO => affine::tangent(x, w, None, dw, db),
        "affine::input_cotangent" w OI, block BVO => affine::input_cotangent(w, block),
        "affine::accumulate_cotangent" x BI, block BVO; weights VOI, biases VO =>
            affine::accumulate_cotangent(x, block, weights, biases),
        "affine::accumulate_second_order" primal BO, dx BVI; sum VOI =>
            affine::accumulate_second_order(primal, dx, sum),
        "affine::add_second_order" primal BO, dw VOI; sum BVI => affine::add_second_order(primal, dw, sum),

        "conv2d::forward" x BIHW, w OIKL, b O => conv2d::forward(x, w, Some(b), s.window()),
        "conv2d::forward without bias" x BIHW, w OIKL => conv2d::forward(x, w, None, s.window()),
        "conv2d::tangent" x BIHW, w OIKL, dx BVIHW, dw VOIKL, db VO =>
            conv2d::tangent(x, w, Some(dx), dw, Some(db), s.window()),
        "conv2d::tangent of parameters" x BIHW, w OIKL, dw VOIKL =>
            conv2d::tangent(x, w, None, dw, None, s.window()),
        "conv2d::input_cotangent" w OIkl, block BVOpq =>
            conv2d::input_cotangent(w, block, s.image, s.window()),
        "conv2d::accumulate_cotangent" x BIhw, block BVOpq; weights VOIkl, biases VO =>
            conv2d::accumulate_cotangent(x, block, weights, Some(biases), s.window()),
        "conv2d::accumulate_second_order" primal BOpq, dx BVIhw; sum VOIkl =>
            conv2d::accumulate_second_order(primal, dx, sum, s.window()),
        "conv2d::add_second_order" primal BOpq, dw VOIkl; sum BVIhw =>
            conv2d::add_second_order(primal, dw, sum, s.window()),

        "batch_norm::moments" x BIHW => batch_norm::moments(x).map(|of| vec![of.mean, of.variance]),
        "batch_norm::forward" x BIHW, m I, r I, g I, b I => batch_norm::forward(at(x, m, r, g), b),
        "batch_norm::frozen::tangent" x BIHW, m I, r I, g I, dx BVIHW, dg VI, db VI =>
            frozen::tangent(at(x, m, r, g), Some(dx), dg, db),
        "batch_norm::frozen::tangent of parameters" x BIHW, m I, r I, g I, dg VI, db VI =>
            frozen::tangent(at(x, m, r, g), None, dg, db),
        "batch_norm::frozen::input_cotangent" r I, g I, block BVIHW => frozen::input_cotangent(r, g, block),
        "batch_norm::frozen::accumulate_cotangent" x BIHW, m I, r I, g I, block BVIHW; gammas VI, betas VI =>
            frozen::accumulate_cotangent(at(x, m, r, g), block, gammas, betas),
        "batch_norm::frozen::accumulate_second_order" r I, primal BIHW, dx BVIHW; sum VI =>
            frozen::accumulate_second_order(r, primal, dx, sum),
        "batch_norm::frozen::add_second_order" r I, primal BIHW, dg VI; sum BVIHW =>
            frozen::add_second_order(r, primal, dg, sum),
        "batch_norm::batch::tangent" x BIHW, m I, r I, g I, dx BVIHW, dg VI, db VI =>
            batch::tangent(at(x, m, r, g), Some(dx), dg, db),
        "batch_norm::batch::tangent of parameters" x BIHW, m I, r I, g I, dg VI, db VI =>
            batch::tangent(at(x, m, r, g), None, dg, db),
        "batch_norm::batch::input_cotangent" x BIHW, m I, r I, g I, block BVIHW =>
            batch::input_cotangent(at(x, m, r, g), block),
        "batch_norm::batch::add_second_order"
            x BIHW, m I, r I, g I, primal BIHW, dx BVIHW, dg VI; gammas VI, inputs BVIHW =>
            batch::add_second_order(at(x, m, r, g), primal, Some(dx), dg, gammas, Some(inputs)),

        "pool::max_forward" x BIHW => pool::max_forward(x, s.pooling()).map(|(y, argmax)| vec![y, argmax]),
        "pool::max_gather" x BIMN, dx BVIHW => pool::max_gather(&argmax(x, s)?, dx),
        "pool::max_scatter" x BIMN, block BVIxy => pool::max_scatter(&argmax(x, s)?, block, s.image),
        "pool::average" x BVIHW => pool::average(x, s.pooling()),
        "pool::average_transposed" block BVIxy => pool::average_transposed(block, s.image, s.pooling()),
        "pool::global_average" x BVIHW => pool::global_average(x),
        "pool::global_average_transposed" block BVI => pool::global_average_transposed(block, s.image),

        "cross_entropy::evaluate" logits BO => losses(logits),
        "cross_entropy::hessian_product" p BO, block BVO => cross_entropy::hessian_product(p, block),
    }
}

fn at<'a>(x: &'a Tensor, mean: &'a Tensor, r: &'a Tensor, gamma: &'a Tensor) -> Point<'a> {
    Point { x, mean, r, gamma }
}

fn evaluated(activation: Activation, x: &Tensor, dx: &Tensor) -> Result<Vec<Tensor>> {
    let (y, kept) = activation.evaluate(x)?;
    Ok(vec![y, activation.slope_product(&kept, dx)?])
}

fn bent(activation: Activation, x: &Tensor, primal: &Tensor, dx: &Tensor) -> Result<Vec<Tensor>> {
    let (_, kept) = activation.evaluate(x)?;
    let terms = activation.curvature_product(&kept, primal, dx)?;
    Ok(terms.into_iter().collect())
}

fn argmax(x: &Tensor, sizes: Sizes) -> Result<Tensor> {
    Ok(pool::max_forward(x, sizes.pooling())?.1)
}

fn losses(logits: &Tensor) -> Result<Vec<Tensor>> {
    let (examples, classes) = logits.dims2()?;
    let labels = labels(examples, classes as u32, 2).to_device(logits.device())?;
    let evaluation = cross_entropy::evaluate(logits, &labels)?;
    let correct = cross_entropy::count_correct(logits, &labels)?;
    let counts = [correct.first, correct.among_five].map(|count| count as f64);
    let numbers = Tensor::new(&[evaluation.loss_sum, counts[0], counts[1]], &Device::Cpu)?;
    let targets = cross_entropy::one_hot(&labels, classes, logits)?;
    let (p, residual) = (evaluation.probabilities, evaluation.residual);
    Ok(vec![numbers, p, residual, targets])
}
