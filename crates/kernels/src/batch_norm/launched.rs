//! Batch normalisation as kernels: each pass over the entries one launch, with the arithmetic per channel inside it.

use candle_core::{DType, Result, Tensor};

use super::{Moments, Point};
use crate::launch::{Extents, Launcher, Operand, Source, map, sums, sums_and_map};

impl<'a> Point<'a> {
    /// Its operands, for the blocks of which there are `vectors`.
    fn operands(self) -> [Operand<'a>; 4] {
        [
            Operand::read("x", "bca", self.x),
            Operand::read("mean", "c", self.mean),
            Operand::read("r", "c", self.r),
            Operand::read("gamma", "c", self.gamma),
        ]
    }

    fn extents(self, vectors: usize) -> Result<Extents> {
        let (batch, channels, height, width) = self.x.dims4()?;
        Ok(Extents {
            batch,
            vectors,
            channels,
            area: height * width,
        })
    }
}

pub(super) fn moments(launcher: &dyn Launcher, x: &Tensor, epsilon: f64) -> Result<Moments> {
    let extents = Extents::block(&x.unsqueeze(1)?)?;
    let [mean, variance, r] = [(); 3].map(|()| launcher.room(&[extents.channels], x.dtype(), x));
    let (mean, variance, r) = (mean?, variance?, r?);
    let operands = [
        Operand::read("x", "bca", x),
        Operand::written("mean", "c", &mean),
    ];
    let source = Source::new("means", "mean = sum0 / (double(B) * A);");
    sums(launcher, source, extents, &operands, &["x"])?;
    let operands = [
        Operand::read("x", "bca", x),
        Operand::read("mean", "c", &mean),
        Operand::written("variance", "c", &variance),
        Operand::written("r", "c", &r),
    ];
    let source = Source {
        numbers: &[("epsilon", epsilon)],
        ..Source::new(
            "variances",
            "variance = sum0 / (double(B) * A); r = T(1) / sqrt(variance + T(epsilon));",
        )
    };
    let square = "(double(x) - mean) * (double(x) - mean)";
    sums(launcher, source, extents, &operands, &[square])?;
    Ok(Moments { mean, variance, r })
}

/// Adds the weight times the mean, and times the factor of the unbiased variance the variance.
pub(super) fn add_statistics(
    launcher: &dyn Launcher,
    sums: [&Tensor; 2],
    [mean, variance]: [&Tensor; 2],
    [weight, unbiased]: [f64; 2],
) -> Result<()> {
    let operands = [
        Operand::read("mean", "a", mean),
        Operand::read("variance", "a", variance),
        Operand::written("mean_sum", "a", sums[0]),
        Operand::written("variance_sum", "a", sums[1]),
    ];
    let source = Source {
        numbers: &[("weight", weight), ("unbiased", unbiased)],
        ..Source::new(
            "add_statistics",
            "mean_sum += mean * T(weight); variance_sum += variance * T(unbiased) * T(weight);",
        )
    };
    let extents = Extents::elements(mean.elem_count());
    map(launcher, source, extents, &operands)
}

pub(super) fn forward(launcher: &dyn Launcher, at: Point<'_>, beta: &Tensor) -> Result<Tensor> {
    let y = launcher.room(at.x.dims(), at.x.dtype(), at.x)?;
    let own = [
        Operand::read("beta", "c", beta),
        Operand::written("y", "bca", &y),
    ];
    let source = Source::new("normalise", "y = gamma * r * (x - mean) + beta;");
    map(
        launcher,
        source,
        at.extents(1)?,
        &[&at.operands()[..], &own].concat(),
    )?;
    Ok(y)
}

fn block_room(launcher: &dyn Launcher, at: Point<'_>, vectors: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = at.x.dims4()?;
    let shape = [batch, vectors, channels, height, width];
    launcher.room(&shape, at.x.dtype(), at.x)
}

pub(super) fn frozen_tangent(
    launcher: &dyn Launcher,
    at: Point<'_>,
    dx: Option<&Tensor>,
    [dgamma, dbeta]: [&Tensor; 2],
) -> Result<Tensor> {
    let vectors = dgamma.dim(0)?;
    let out = block_room(launcher, at, vectors)?;
    let mut operands = at.operands().to_vec();
    operands.extend([
        Operand::read("dgamma", "vc", dgamma),
        Operand::read("dbeta", "vc", dbeta),
        Operand::written("out", "bvca", &out),
    ]);
    let source = match dx {
        Some(dx) => {
            operands.push(Operand::read("dx", "bvca", dx));
            let body = "out = r * (gamma * dx + dgamma * (x - mean)) + dbeta;";
            Source::new("frozen_tangent", body)
        }
        None => {
            let body = "out = r * dgamma * (x - mean) + dbeta;";
            Source::new("frozen_tangent_of_parameters", body)
        }
    };
    map(launcher, source, at.extents(vectors)?, &operands)?;
    Ok(out)
}

pub(super) fn frozen_input_cotangent(
    launcher: &dyn Launcher,
    r: &Tensor,
    gamma: &Tensor,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let out = launcher.room(cotangent.dims(), cotangent.dtype(), cotangent)?;
    let operands = [
        Operand::read("cotangent", "bvca", cotangent),
        Operand::read("r", "c", r),
        Operand::read("gamma", "c", gamma),
        Operand::written("out", "bvca", &out),
    ];
    let source = Source::new("frozen_input_cotangent", "out = gamma * r * cotangent;");
    map(launcher, source, Extents::block(cotangent)?, &operands)?;
    Ok(out)
}

/// b (x - mean), the product without its r.
const PRODUCT: &str = "double(block) * (double(x) - mean)";

pub(super) fn accumulate_cotangent(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
    [gamma_sum, beta_sum]: [&Tensor; 2],
) -> Result<()> {
    let operands = [
        Operand::read("block", "bvca", cotangent),
        Operand::read("x", "bca", at.x),
        Operand::read("mean", "c", at.mean),
        Operand::read("r", "c", at.r),
        Operand::written("gamma_sum", "vc", gamma_sum),
        Operand::written("beta_sum", "vc", beta_sum),
    ];
    let source = Source::new("parameter_sums", "beta_sum += sum0; gamma_sum += r * sum1;");
    let terms = ["block", PRODUCT];
    sums(
        launcher,
        source,
        Extents::block(cotangent)?,
        &operands,
        &terms,
    )
}

/// Cotangents of the parameters and of the input in one pass.
pub(super) fn frozen_vjp(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
    [gamma_sum, beta_sum]: [&Tensor; 2],
) -> Result<Tensor> {
    let out = launcher.room(cotangent.dims(), cotangent.dtype(), cotangent)?;
    let mut operands = at.operands().to_vec();
    operands.extend([
        Operand::read("block", "bvca", cotangent),
        Operand::written("gamma_sum", "vc", gamma_sum),
        Operand::written("beta_sum", "vc", beta_sum),
        Operand::written("out", "bvca", &out),
    ]);
    let source = Source::new("frozen_vjp", "beta_sum += sum0; gamma_sum += r * sum1;");
    let each = (&["block", PRODUCT][..], "out = gamma * r * block;");
    sums_and_map(
        launcher,
        source,
        Extents::block(cotangent)?,
        &operands,
        each,
    )?;
    Ok(out)
}

/// Both second-order terms, in one pass where both are wanted.
pub(super) fn frozen_second_order(
    launcher: &dyn Launcher,
    r: &Tensor,
    cotangent: &Tensor,
    (dx, dgamma): (Option<&Tensor>, &Tensor),
    (gamma_sum, input_sum): (&Tensor, Option<&Tensor>),
) -> Result<()> {
    let (batch, channels, height, width) = cotangent.dims4()?;
    let extents = Extents {
        batch,
        vectors: dgamma.dim(0)?,
        channels,
        area: height * width,
    };
    let mut operands = vec![
        Operand::read("cotangent", "bca", cotangent),
        Operand::read("r", "c", r),
        Operand::read("dgamma", "vc", dgamma),
    ];
    let of_input = "sum += r * dgamma * cotangent;";
    if let Some(sum) = input_sum {
        operands.push(Operand::written("sum", "bvca", sum));
    }
    let Some(dx) = dx else {
        return match input_sum {
            Some(_) => map(
                launcher,
                Source::new("frozen_second_order_of_parameters", of_input),
                extents,
                &operands,
            ),
            None => Ok(()),
        };
    };
    operands.push(Operand::read("dx", "bvca", dx));
    operands.push(Operand::written("gamma_sum", "vc", gamma_sum));
    let each = if input_sum.is_some() { of_input } else { "" };
    let source = Source::new("frozen_second_order", "gamma_sum += r * sum0;");
    sums_and_map(
        launcher,
        source,
        extents,
        &operands,
        (&["double(cotangent) * dx"], each),
    )
}

/// N numbers of every vector and channel, (V, C) of f64 each, that the statements of `source` make of the sums of `terms`.
fn coefficients<'a, const N: usize>(
    launcher: &dyn Launcher,
    source: Source<'_>,
    (at, block): (Point<'a>, &'a Tensor),
    operands: &[Operand<'a>],
    (names, terms): ([&'static str; N], &[&str]),
) -> Result<[Tensor; N]> {
    let extents = Extents::block(block)?;
    let shape = [N, extents.vectors, extents.channels];
    let all = launcher.room(&shape, DType::F64, at.x)?;
    let each = names.iter().enumerate().map(|(index, _)| all.get(index));
    let each = each.collect::<Result<Vec<_>>>()?;
    let mut operands = [&at.operands()[..], operands].concat();
    operands.push(Operand::read("block", "bvca", block));
    let written = names.into_iter().zip(&each);
    operands.extend(written.map(|(name, tensor)| Operand::written(name, "vc", tensor)));
    sums(launcher, source, extents, &operands, terms)?;
    let mut each = each.into_iter();
    // As many as there are names.
    Ok(std::array::from_fn(|_| {
        each.next().unwrap_or_else(|| all.clone())
    }))
}

/// mean b and mean(b x̂) of a block b.
fn means(launcher: &dyn Launcher, at: Point<'_>, block: &Tensor) -> Result<[Tensor; 2]> {
    let body = "average = sum0 / (double(B) * A); product = r * sum1 / (double(B) * A);";
    let source = Source::new("block_means", body);
    let (names, terms) = (["average", "product"], ["block", PRODUCT]);
    coefficients(launcher, source, (at, block), &[], (names, &terms))
}

pub(super) fn batch_tangent(
    launcher: &dyn Launcher,
    at: Point<'_>,
    dx: &Tensor,
    [dgamma, dbeta]: [&Tensor; 2],
) -> Result<Tensor> {
    let vectors = dx.dim(1)?;
    let (out, [n, p]) = (block_room(launcher, at, vectors)?, means(launcher, at, dx)?);
    let mut operands = at.operands().to_vec();
    operands.extend([
        Operand::read("dx", "bvca", dx),
        Operand::read("n", "vc", &n),
        Operand::read("p", "vc", &p),
        Operand::read("dgamma", "vc", dgamma),
        Operand::read("dbeta", "vc", dbeta),
        Operand::written("out", "bvca", &out),
    ]);
    let body = "const double h = r * (double(x) - mean);
        out = gamma * r * (dx - n - h * p) + dgamma * h + dbeta;";
    let source = Source::new("batch_tangent", body);
    map(launcher, source, at.extents(vectors)?, &operands)?;
    Ok(out)
}

/// Cotangents of the parameters, whose sums are those that the cotangent of the input needs, and of the input.
pub(super) fn batch_vjp(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
    [gamma_sum, beta_sum]: [&Tensor; 2],
) -> Result<Tensor> {
    let body = "beta_sum += sum0; gamma_sum += r * sum1;
        average = sum0 / (double(B) * A); product = r * sum1 / (double(B) * A);";
    let source = Source::new("parameter_sums_and_means", body);
    let own = [
        Operand::written("gamma_sum", "vc", gamma_sum),
        Operand::written("beta_sum", "vc", beta_sum),
    ];
    let (names, terms) = (["average", "product"], ["block", PRODUCT]);
    let means = coefficients(launcher, source, (at, cotangent), &own, (names, &terms))?;
    batch_input(launcher, at, cotangent, means)
}

pub(super) fn batch_input_cotangent(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
) -> Result<Tensor> {
    batch_input(launcher, at, cotangent, means(launcher, at, cotangent)?)
}

/// x̄ of e = mean ȳ and q = mean(ȳ x̂).
fn batch_input(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
    [e, q]: [Tensor; 2],
) -> Result<Tensor> {
    let vectors = cotangent.dim(1)?;
    let out = block_room(launcher, at, vectors)?;
    let mut operands = at.operands().to_vec();
    operands.extend([
        Operand::read("cotangent", "bvca", cotangent),
        Operand::read("e", "vc", &e),
        Operand::read("q", "vc", &q),
        Operand::written("out", "bvca", &out),
    ]);
    let body = "out = gamma * r * (cotangent - e - r * (double(x) - mean) * q);";
    let source = Source::new("batch_input_cotangent", body);
    map(launcher, source, at.extents(vectors)?, &operands)?;
    Ok(out)
}

/// The equations of [`batch`](super::batch), with h for x̂ and dh for x̂̇.
pub(super) fn batch_second_order(
    launcher: &dyn Launcher,
    at: Point<'_>,
    cotangent: &Tensor,
    (dx, dgamma): (Option<&Tensor>, &Tensor),
    (gamma_sum, input_sum): (&Tensor, Option<&Tensor>),
) -> Result<()> {
    let vectors = dgamma.dim(0)?;
    let primal = cotangent.unsqueeze(1)?;
    let point = at.operands();
    let cotangents = Operand::read("cotangent", "bca", cotangent);
    let dgammas = Operand::read("dgamma", "vc", dgamma);
    let Some(dx) = dx else {
        let Some(sum) = input_sum else {
            return Ok(());
        };
        let [e, q] = means(launcher, at, &primal)?;
        let mut operands = point.to_vec();
        operands.extend([
            cotangents,
            dgammas,
            Operand::read("e", "c", &e),
            Operand::read("q", "c", &q),
            Operand::written("sum", "bvca", sum),
        ]);
        let body = "sum += r * dgamma * (cotangent - e - r * (double(x) - mean) * q);";
        let source = Source::new("batch_second_order_of_parameters", body);
        return map(launcher, source, at.extents(vectors)?, &operands);
    };
    let terms = [
        "cotangent",
        "double(cotangent) * (double(x) - mean)",
        "block",
        PRODUCT,
        "double(cotangent) * block",
    ];
    let body = "const double m = double(B) * A;
        e = sum0 / m; q = r * sum1 / m; n = sum2 / m; p = r * sum3 / m;
        k = r * (sum4 / m - e * n - q * p);
        gamma_sum += m * k;";
    let source = Source::new("batch_second_order_sums", body);
    let own = [cotangents, Operand::written("gamma_sum", "vc", gamma_sum)];
    let names = ["e", "q", "n", "p", "k"];
    let [e, q, n, p, k] = coefficients(launcher, source, (at, dx), &own, (names, &terms))?;
    let Some(sum) = input_sum else {
        return Ok(());
    };
    let mut operands = point.to_vec();
    operands.extend([cotangents, dgammas, Operand::read("dx", "bvca", dx)]);
    let of_channels = names.into_iter().zip([&e, &q, &n, &p, &k]);
    operands.extend(of_channels.map(|(name, tensor)| Operand::read(name, "vc", tensor)));
    operands.push(Operand::written("sum", "bvca", sum));
    let body = "const double h = r * (double(x) - mean), dh = r * (dx - n - h * p);
        const double rest = cotangent - e - h * q;
        sum += r * (dgamma * rest - gamma * (q * dh + k * h)) - r * p * gamma * r * rest;";
    map(
        launcher,
        Source::new("batch_second_order", body),
        at.extents(vectors)?,
        &operands,
    )
}
