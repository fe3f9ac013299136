//! The kernels with the axes of their operands.

use candle_core::{DType, Device, Result, Tensor};
use flatness_kernels::Activation::{self, Elu, Gelu, HardSwish, Relu, Silu, Softplus, Tanh};
use flatness_kernels::Pairing::{MatMul, Product};
use flatness_kernels::affine::Order::{InputsFirst, OutputsFirst};
use flatness_kernels::affine::Weight;
use flatness_kernels::batch_norm::{self, Point, batch, frozen};
use flatness_kernels::conv2d::{self, Window};
use flatness_kernels::pool::{self, Pooling};
use flatness_kernels::{
    Elementwise, Number, Side, Totals, add, add_in_place, affine, broadcast, cross_entropy, dot,
    images, inner_products, layer_norm, losses, norm, scale_in_place, softmax,
    subtract_combinations, update_elements,
};
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
        if name.starts_with("batch_norm") {
            // Of three examples and of four the sums of a channel are those of several blocks.
            let images = [(6, 7), (61, 70)];
            return images.map(|image| form([2, 2, 0], [3, 7], image)).to_vec();
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
        "gelu" x BIO, dx BVIO => evaluated(Gelu, x, dx),
        "silu" x BIO, dx BVIO => evaluated(Silu, x, dx),
        "elu" x BIO, dx BVIO => evaluated(Elu { alpha: 0.7 }, x, dx),
        "hard-swish" x BIO, dx BVIO => evaluated(HardSwish, x, dx),
        "tanh, curvature" x BIO, primal BIO, dx BVIO; sum BVIO => bent(Tanh, x, primal, dx, sum),
        "softplus, curvature" x BIO, primal BIO, dx BVIO; sum BVIO => bent(Softplus, x, primal, dx, sum),
        "gelu, curvature" x BIO, primal BIO, dx BVIO; sum BVIO => bent(Gelu, x, primal, dx, sum),
        "activations" x BIO, primal BIO, dx BVIO; sum BVIO => every_activation(x, primal, dx, sum),
        "add" a BVI, b BVI => add(a, b),
        "scale_in_place" x BVI; sum BVI => {
            add_in_place(sum, x)?;
            scale_in_place(sum, -0.7)
        },
        "dot" x BIO, y BIO => numbers(&[dot(x, y)?, norm(x)?]),
        "inner_products" w BI, q OI => numbers(&inner_products(w, q)?),
        "subtract_combinations" q OI; w BI => subtract_combinations(w, &coefficients(w, q)?, q),
        "add_in_place" addend BVI; sum BVI => add_in_place(sum, addend),

        "affine::forward" x BI, w OI, b O => affine::forward(x, linear(w), Some(b)),
        "affine::forward without bias" x BHI, w IO => affine::forward(x, product(w), None),
        "affine::tangent" x BI, w OI, dx BVI, dw VOI, db VO =>
            affine::tangent(x, linear(w), Some(dx), dw, Some(db)),
        "affine::tangent of positions" x BHI, w IO, dx BVHI, dw VIO, db VO =>
            affine::tangent(x, product(w), Some(dx), dw, Some(db)),
        "affine::tangent of parameters" x BI, w OI, dw VOI, db VO =>
            affine::tangent(x, linear(w), None, dw, Some(db)),
        "affine::input_cotangent" w OI, block BVO => affine::input_cotangent(linear(w), block),
        "affine::input_cotangent of positions" w IO, block BVHO => affine::input_cotangent(product(w), block),
        "affine::accumulate_cotangent" x BI, block BVO; weights VOI, biases VO =>
            affine::accumulate_cotangent(x, block, OutputsFirst, weights, Some(biases)),
        "affine::accumulate_cotangent of positions" x BHI, block BVHO; weights VIO, biases VO =>
            affine::accumulate_cotangent(x, block, InputsFirst, weights, Some(biases)),
        "affine::accumulate_second_order" primal BO, dx BVI; sum VOI =>
            affine::accumulate_second_order(primal, dx, OutputsFirst, sum),
        "affine::accumulate_second_order of positions" primal BHO, dx BVHI; sum VIO =>
            affine::accumulate_second_order(primal, dx, InputsFirst, sum),
        "affine::add_second_order" primal BO, dw VOI; sum BVI =>
            affine::add_second_order(primal, dw, OutputsFirst, sum),
        "affine::add_second_order of positions" primal BHO, dw VIO; sum BVHI =>
            affine::add_second_order(primal, dw, InputsFirst, sum),

        "product, tangent" a BHI, b BHI, da BVHI, db BVHI => Product.tangent([a, b], [Some(da), Some(db)]),
        "product, cotangent" b BHI, block BVHI => Product.input_cotangent(Side::Left, b, block, &block.dims()[2..]),
        "product, second order" db BVHI, primal BHI; sum BVHI =>
            Product.add_second_order(Side::Left, db, primal, sum),
        "product with repetition" a BI, b BHI, da BVI, db BVHI; sum BVI => {
            Product.add_second_order(Side::Left, db, &Product.evaluate(a, b)?, sum)?;
            Product.tangent([a, b], [Some(da), Some(db)])
        },
        "product with repetition, cotangent" b BHI, block BVHI =>
            Product.input_cotangent(Side::Left, b, block, &block.dims()[3..]),
        "mat mul, tangent" a BHI, b BIO, da BVHI, db BVIO => MatMul.tangent([a, b], [Some(da), Some(db)]),
        "mat mul, cotangents" a BHI, b BIO, block BVHO => {
            let [left, right] = [a, b].map(|value| &value.dims()[1..]);
            let left = MatMul.input_cotangent(Side::Left, b, block, left)?;
            Ok(vec![left, MatMul.input_cotangent(Side::Right, a, block, right)?])
        },
        "mat mul, second order" da BVHI, db BVIO, primal BHO; left BVHI, right BVIO => {
            MatMul.add_second_order(Side::Left, db, primal, left)?;
            MatMul.add_second_order(Side::Right, da, primal, right)
        },
        "mat mul with repetition" a BHI, b BWIO, da BVHI, db BVWIO; sum BVHI => {
            MatMul.add_second_order(Side::Left, db, &MatMul.evaluate(a, b)?, sum)?;
            MatMul.tangent([a, b], [Some(da), Some(db)])
        },
        "broadcast::sum" a BHI, b BHI => broadcast::sum(a, b),
        "broadcast::repeated" a BVI, block BVHI => {
            let full = broadcast::repeated(a, &block.dims()[2..])?;
            Ok(vec![add(&full, block)?, broadcast::gathered(&full, &a.dims()[2..])?])
        },

        "softmax" x BHI, block BVHI => {
            let y = softmax::forward(x)?;
            softmax::product(&y, block).map(|product| vec![y, product])
        },
        "softmax::add_second_order" y BHI, primal BHI, dx BVHI; sum BVHI =>
            softmax::add_second_order(y, primal, dx, sum),
        "softmax::log_forward" x BHI, dx BVHI => {
            let (y, p) = softmax::log_forward(x)?;
            softmax::log_tangent(&p, dx).map(|tangent| vec![y, p, tangent])
        },
        "softmax::log_input_cotangent" p BHI, block BVHI => softmax::log_input_cotangent(p, block),
        "softmax::log_add_second_order" p BHI, primal BHI, dx BVHI; sum BVHI =>
            softmax::log_add_second_order(p, primal, dx, sum),

        "layer_norm::normalise" x BHI, g I, block BVHI => {
            let (y, r) = layer_norm::normalise(x, g.dim(0)?, 1e-5)?;
            layer_norm::input_cotangent(lines(&y, &r, g), block)
        },
        "layer_norm::forward" x BHI, r BH, g I, b I => layer_norm::forward(lines(x, r, g), Some(b)),
        "layer_norm::tangent" x BHI, r BH, g I, dx BVHI, dg VI, db VI =>
            layer_norm::tangent(lines(x, r, g), Some(dx), Some(dg), Some(db)),
        "layer_norm::tangent of parameters" x BHI, r BH, g I, dg VI, db VI =>
            layer_norm::tangent(lines(x, r, g), None, Some(dg), Some(db)),
        "layer_norm::input_cotangent" x BHI, r BH, g I, block BVHI =>
            layer_norm::input_cotangent(lines(x, r, g), block),
        "layer_norm::accumulate_cotangent" x BHI, r BH, g I, block BVHI; gammas VI, betas VI =>
            layer_norm::accumulate_cotangent(lines(x, r, g), block, gammas, Some(betas)),
        "layer_norm::add_second_order" x BHI, r BH, g I, primal BHI, dx BVHI, dg VI; gammas VI, inputs BVHI =>
            layer_norm::add_second_order(
                lines(x, r, g), primal, Some(dx), Some(dg), Some(gammas), Some(inputs),
            ),

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

        "batch_norm::moments" x BIHW; mean I, variance I => {
            let of = batch_norm::moments(x, 1e-5)?;
            batch_norm::add_statistics([mean, variance], [&of.mean, &of.variance], 7, 0.3)?;
            Ok(vec![of.mean, of.variance, of.r])
        },
        "batch_norm::forward" x BIHW, m I, r I, g I, b I => batch_norm::forward(at(x, m, r, g), b),
        "batch_norm::frozen::tangent" x BIHW, m I, r I, g I, dx BVIHW, dg VI, db VI =>
            frozen::tangent(at(x, m, r, g), Some(dx), dg, db),
        "batch_norm::frozen::tangent of parameters" x BIHW, m I, r I, g I, dg VI, db VI =>
            frozen::tangent(at(x, m, r, g), None, dg, db),
        "batch_norm::frozen::input_cotangent" r I, g I, block BVIHW => frozen::input_cotangent(r, g, block),
        "batch_norm::frozen::accumulate_cotangent" x BIHW, m I, r I, g I, block BVIHW; gammas VI, betas VI =>
            frozen::accumulate_cotangent(at(x, m, r, g), block, gammas, betas),
        "batch_norm::frozen::vjp" x BIHW, m I, r I, g I, block BVIHW; gammas VI, betas VI =>
            frozen::vjp(at(x, m, r, g), block, gammas, betas),
        "batch_norm::frozen::add_second_order" r I, primal BIHW, dx BVIHW, dg VI; gammas VI, inputs BVIHW =>
            frozen::add_second_order(r, primal, Some(dx), dg, gammas, Some(inputs)),
        "batch_norm::frozen::add_second_order of parameters" r I, primal BIHW, dg VI, gammas VI; inputs BVIHW =>
            frozen::add_second_order(r, primal, None, dg, gammas, Some(inputs)),
        "batch_norm::frozen::add_second_order to parameters" r I, primal BIHW, dx BVIHW, dg VI; gammas VI =>
            frozen::add_second_order(r, primal, Some(dx), dg, gammas, None),
        "batch_norm::reciprocal_deviation" v I => batch_norm::reciprocal_deviation(&v.sqr()?, 1e-5),
        "batch_norm::batch::tangent" x BIHW, m I, r I, g I, dx BVIHW, dg VI, db VI =>
            batch::tangent(at(x, m, r, g), Some(dx), dg, db),
        "batch_norm::batch::tangent of parameters" x BIHW, m I, r I, g I, dg VI, db VI =>
            batch::tangent(at(x, m, r, g), None, dg, db),
        "batch_norm::batch::input_cotangent" x BIHW, m I, r I, g I, block BVIHW =>
            batch::input_cotangent(at(x, m, r, g), block),
        "batch_norm::batch::vjp" x BIHW, m I, r I, g I, block BVIHW; gammas VI, betas VI =>
            batch::vjp(at(x, m, r, g), block, gammas, betas),
        "batch_norm::batch::add_second_order of parameters" x BIHW, m I, r I, g I, primal BIHW, dg VI, gammas VI; inputs BVIHW =>
            batch::add_second_order(at(x, m, r, g), primal, None, dg, gammas, Some(inputs)),
        "batch_norm::batch::add_second_order"
            x BIHW, m I, r I, g I, primal BIHW, dx BVIHW, dg VI; gammas VI, inputs BVIHW =>
            batch::add_second_order(at(x, m, r, g), primal, Some(dx), dg, gammas, Some(inputs)),

        "pool::max_forward" x BIHW => pool::max_forward(x, s.pooling()).map(|(y, argmax)| vec![y, argmax]),
        "pool::max_gather" x BIMN, dx BVIHW => pool::max_gather(&argmax(x, s)?, dx),
        "pool::max_scatter" x BIMN, block BVIxy => {
            let argmax = argmax(x, s)?;
            pool::max_scatter(&argmax, block, s.image, Some(s.pooling()))
        },
        "pool::average" x BVIHW => pool::average(x, s.pooling()),
        "pool::average_transposed" block BVIxy => pool::average_transposed(block, s.image, s.pooling()),
        "pool::global_average" x BVIHW => pool::global_average(x),
        "pool::global_average_transposed" block BVI => pool::global_average_transposed(block, s.image),

        "images::gather" x BIHW => images_of(x),
        "update_elements" y BI; x BI, z BI => updated(y, x, z),

        "cross_entropy::evaluate" logits BO => every_loss(logits),
        "cross_entropy::hessian_product" p BO, block BVO => cross_entropy::hessian_product(p, block),
    }
}

fn linear(tensor: &Tensor) -> Weight<'_> {
    let order = OutputsFirst;
    Weight { tensor, order }
}

fn product(tensor: &Tensor) -> Weight<'_> {
    let order = InputsFirst;
    Weight { tensor, order }
}

fn lines<'a>(normalised: &'a Tensor, r: &'a Tensor, gamma: &'a Tensor) -> layer_norm::Point<'a> {
    layer_norm::Point {
        normalised,
        r,
        gamma: Some(gamma),
        run: 1,
    }
}

fn at<'a>(x: &'a Tensor, mean: &'a Tensor, r: &'a Tensor, gamma: &'a Tensor) -> Point<'a> {
    Point { x, mean, r, gamma }
}

fn evaluated(activation: Activation, x: &Tensor, dx: &Tensor) -> Result<Vec<Tensor>> {
    let (y, kept) = activation.evaluate(x)?;
    Ok(vec![y, activation.slope_product(&kept, dx)?])
}

fn bent(
    activation: Activation,
    x: &Tensor,
    primal: &Tensor,
    dx: &Tensor,
    sum: &Tensor,
) -> Result<()> {
    let (_, kept) = activation.evaluate(x)?;
    activation.add_curvature_product(&kept, primal, dx, sum)
}

/// Those with f'' as text of their own, and each kind of piece; where the logarithm and powers are numbers.
fn every_activation(x: &Tensor, primal: &Tensor, dx: &Tensor, sum: &Tensor) -> Result<Vec<Tensor>> {
    use Activation::*;
    let above = x.sqr()?.affine(1.0, 0.3)?;
    let (lowest, highest) = (-0.5, f64::INFINITY);
    let kinds = [
        Relu,
        Tanh,
        Softplus,
        Sigmoid,
        Gelu,
        GeluTanh,
        Silu,
        LeakyRelu { slope: 0.1 },
        Elu { alpha: 0.7 },
        HardSigmoid {
            slope: 0.2,
            shift: 0.4,
        },
        HardSwish,
        Mish,
        Clip { lowest, highest },
        Exp,
        Log,
        Sqrt,
        Reciprocal,
        Power { exponent: 2.5 },
        Erf,
        Abs,
        Linear {
            scale: 2.0,
            shift: -1.0,
        },
        Sin,
        Cos,
    ];
    let mut results = Vec::new();
    for activation in kinds {
        let (y, kept) = activation.evaluate(&above)?;
        results.extend([y, activation.slope_product(&kept, dx)?]);
        let (y, kept) = activation.evaluate(x)?;
        if matches!(activation, Log | Sqrt | Power { .. }) {
            continue;
        }
        results.extend([y, activation.slope_product(&kept, dx)?]);
        activation.add_curvature_product(&kept, primal, dx, sum)?;
    }
    Ok(results)
}

fn numbers(numbers: &[f64]) -> Result<Vec<Tensor>> {
    Ok(vec![Tensor::new(numbers, &Device::Cpu)?])
}

/// As many numbers as there are pairs.
fn coefficients(rows: &Tensor, vectors: &Tensor) -> Result<Vec<f64>> {
    let count = rows.dim(0)? * vectors.dim(0)?;
    Ok((0..count).map(|index| 0.3 * index as f64 - 1.0).collect())
}

fn argmax(x: &Tensor, sizes: Sizes) -> Result<Tensor> {
    Ok(pool::max_forward(x, sizes.pooling())?.1)
}

/// Every image twice as it is, and cut on every side, upright and mirrored.
fn images_of(x: &Tensor) -> Result<Vec<Tensor>> {
    let (batch, channels, ..) = x.dims4()?;
    let pixels = x.affine(60.0, 128.0)?.clamp(0.0, 255.0)?;
    let pixels = pixels.to_dtype(DType::U8)?;
    let affine = Tensor::arange(0.0, 2.0 * channels as f64, x.device())?;
    let affine = affine.affine(0.01, -0.015)?.reshape((2, channels))?;
    let images: Vec<u32> = (0..2 * batch as u32).map(|image| image / 2).collect();
    let gathered = |pad: u32, crops: &dyn Fn(u32) -> [u32; 3]| {
        let crops = [0, 1, 2].map(|number| images.iter().map(move |&n| crops(n)[number]));
        let numbers = images.iter().copied().chain(crops.into_iter().flatten());
        let places = Tensor::from_iter(numbers, x.device())?.reshape((4, images.len()))?;
        images::gather(&pixels, &places, pad as usize, &affine, x.dtype())
    };
    Ok(vec![
        gathered(0, &|_| [0, 0, 0])?,
        gathered(0, &|_| [0, 0, 1])?,
        gathered(2, &|n| [n % 5, 4 - n % 5, n % 2])?,
        gathered(4, &|n| [8 - n % 3, 2 * n % 9, (n + 1) % 2])?,
    ])
}

/// x <- a x + y, z <- √(z² + x y + 20) where that is above the old z.
struct Pair(f64);

impl Elementwise<2, 1, 1> for Pair {
    const NAME: &'static str = "pair";

    fn constants(&self) -> [f64; 1] {
        [self.0]
    }

    fn apply<X: Number>(&self, [a]: &[X; 1], [x, z]: &[X; 2], [y]: &[X; 1]) -> [X; 2] {
        let root = z.squared().plus(&x.times(y)).affine(1.0, 20.0).sqrt();
        let larger = root.minus(z).choose(0.0, &root, z);
        [a.times(x).plus(y), larger]
    }
}

/// All elements at once, then some of them each by a rule of its own.
fn updated(y: &Tensor, x: &Tensor, z: &Tensor) -> Result<()> {
    let count = y.elem_count();
    update_elements([x, z], [y], &[(0..count, Pair(0.7))])?;
    let bounds = [0, 1, count / 3, count / 2, count];
    let pieces = [(0, 0.5), (2, -1.5), (3, 3.0)].map(|(piece, factor)| {
        let (start, end) = (bounds[piece], bounds[piece + 1]);
        (start.min(count)..end.min(count), Pair(factor))
    });
    update_elements([x, z], [y], &pieces)
}

fn every_loss(logits: &Tensor) -> Result<Vec<Tensor>> {
    let (examples, classes) = logits.dims2()?;
    let labels = labels(examples, classes as u32, 2).to_device(logits.device())?;
    let evaluation = cross_entropy::evaluate(logits, &labels)?;
    let factors = logits.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
    let weighted = cross_entropy::evaluate_weighted(logits, &labels, &factors)?;
    let correct = cross_entropy::count_correct(logits, &labels)?;
    let numbers = [&evaluation.loss_sum, &weighted.loss_sum, &correct];
    let numbers = Tensor::new(Totals::read(&numbers)?.concat(), &Device::Cpu)?;
    let targets = cross_entropy::one_hot(&labels, classes, logits)?;
    let (p, residual) = (evaluation.probabilities, evaluation.residual);
    let mut results = vec![numbers, p, residual, weighted.residual, targets];
    let values = losses::Labels::Values(logits.sqr()?);
    for labels in [losses::Labels::Classes(labels), values] {
        for evaluate in [losses::squared_error, losses::binary_cross_entropy] {
            let of = evaluate(logits, &labels)?;
            results.push(Tensor::new(
                Totals::read(&[&of.loss_sum])?.concat(),
                &Device::Cpu,
            )?);
            results.extend([Some(of.gradient), of.curvature].into_iter().flatten());
        }
    }
    Ok(results)
}
