//! Layer and group normalisation and their derivative passes.
//!
//! ```text
//! x̂ = (x - mean) r,   r = (variance + ε)^(-1/2),   y = γ x̂ + β        N(b) = r (b - mean b - x̂ mean(b x̂))
//!
//! tangent        x̂̇  = N(ẋ),   ẏ = γ x̂̇ + γ̇ x̂ + β̇
//! cotangent      x̄  = N(γ ȳ),     γ̄ += Σ ȳ x̂,    β̄ += Σ ȳ
//! second order   γ̄ += Σ ȳ x̂̇
//!                x̄ += N(γ̇ ȳ) - r (p N(u) + q x̂̇ + k x̂),   u = γ ȳ,   p = mean(ẋ x̂),  q = mean(u x̂),  k = mean(u x̂̇)
//! ```
//!
//! An example (...) is cut into L groups of W neighbouring elements, each normalised by its own mean and biased variance:
//! those are the means above, while Σ runs over the batch and over what shares a parameter, and is not divided. γ and β are
//! (P), taken in turn by the elements of an example: each by `run` neighbours, and from the first again when
//! all have been. So layer normalisation over W elements has P = W and `run` = 1, and group normalisation of C channels of S
//! elements has P = C and `run` = S. Without γ and β, y = x̂.
//!
//! Functions fail for shapes that do not fit, tensors that are not contiguous, or a device error.

mod cpu;
mod launched;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::elementwise::add_in_place;
use crate::real::{by_path, expect_shape};

/// x̂ (B, ...) and r (B, L) of `x` (B, ...), whose examples are cut into groups of `width` neighbouring elements.
pub fn normalise(x: &Tensor, width: usize, epsilon: f64) -> Result<(Tensor, Tensor)> {
    let examples = x.dim(0)?;
    let elements: usize = x.dims()[1..].iter().product();
    if width == 0 || !elements.is_multiple_of(width) {
        bail!(
            "expected examples in groups of {width} elements, got {:?}",
            x.shape()
        );
    }
    let folded = x.reshape((examples, elements / width, width))?;
    let (normalised, r) = by_path!(x, normalise(&folded, epsilon))?;
    Ok((normalised.reshape(x.shape())?, r))
}

/// Where the passes are: a normalised input with what scales it.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// x̂, (B, ...)
    pub normalised: &'a Tensor,
    /// (B, L)
    pub r: &'a Tensor,
    /// (P)
    pub gamma: Option<&'a Tensor>,
    /// Neighbouring elements that share a parameter.
    pub run: usize,
}

/// y = γ x̂ + β, (B, ...), with `beta` (P).
pub fn forward(at: Point<'_>, beta: Option<&Tensor>) -> Result<Tensor> {
    let sizes = Sizes::of(at, 1)?;
    let beta = spread(at, "beta", beta, None)?;
    let beta = beta.map(|beta| beta.unsqueeze(0)).transpose()?;
    let gamma = spread(at, "gamma", at.gamma, None)?;
    let Some(gamma) = gamma.map(|gamma| gamma.unsqueeze(0)).transpose()? else {
        return Ok(at.normalised.clone());
    };
    let parameters = [Some(&gamma), beta.as_ref()];
    let y = by_path!(at.normalised, scaled(sizes, at.normalised, parameters));
    y?.reshape(at.normalised.shape())
}

/// ẏ = γ x̂̇ + γ̇ x̂ + β̇, (B, V, ...), with `dgamma` and `dbeta` (V, P). Without `dx` the input has no tangent.
pub fn tangent(
    at: Point<'_>,
    dx: Option<&Tensor>,
    dgamma: Option<&Tensor>,
    dbeta: Option<&Tensor>,
) -> Result<Tensor> {
    let vectors = match (dx, dgamma) {
        (Some(dx), _) => dx.dim(1)?,
        (None, Some(dgamma)) => dgamma.dim(0)?,
        (None, None) => bail!("expected a tangent"),
    };
    let (sizes, gamma) = (
        Sizes::of(at, vectors)?,
        spread(at, "gamma", at.gamma, None)?,
    );
    let dgamma = spread(at, "gamma tangents", dgamma, Some(vectors))?;
    let dbeta = spread(at, "beta tangents", dbeta, Some(vectors))?;
    let parameters = [dgamma.as_ref(), dbeta.as_ref()];
    let dy = match dx {
        None => by_path!(at.normalised, scaled(sizes, at.normalised, parameters)),
        Some(dx) => {
            expect_block("input tangents", at, vectors, dx)?;
            let gamma = gamma.as_ref();
            by_path!(at.normalised, tangent(sizes, at, gamma, dx, parameters))
        }
    };
    dy?.reshape(block_shape(at, vectors))
}

/// x̄ = N(γ ȳ), (B, V, ...), of `cotangent` ȳ (B, V, ...).
pub fn input_cotangent(at: Point<'_>, cotangent: &Tensor) -> Result<Tensor> {
    let vectors = cotangent.dim(1)?;
    let (sizes, gamma) = (
        Sizes::of(at, vectors)?,
        spread(at, "gamma", at.gamma, None)?,
    );
    expect_block("cotangents", at, vectors, cotangent)?;
    let x_bar = by_path!(
        at.normalised,
        input_cotangent(sizes, at, gamma.as_ref(), cotangent)
    );
    x_bar?.reshape(cotangent.shape())
}

/// γ̄ += Σ ȳ x̂ and β̄ += Σ ȳ, (V, P) each and in place, of `cotangent` ȳ (B, V, ...).
pub fn accumulate_cotangent(
    at: Point<'_>,
    cotangent: &Tensor,
    gamma_sum: &Tensor,
    beta_sum: Option<&Tensor>,
) -> Result<()> {
    let vectors = cotangent.dim(1)?;
    let sizes = Sizes::of(at, vectors)?;
    expect_block("cotangents", at, vectors, cotangent)?;
    let sums = by_path!(
        at.normalised,
        parameter_sums(sizes, at.normalised, cotangent)
    );
    let [gamma_terms, beta_terms] = sums?;
    add_gathered(at, "gamma sum", gamma_sum, &gamma_terms)?;
    match beta_sum {
        Some(beta_sum) => add_gathered(at, "beta sum", beta_sum, &beta_terms),
        None => Ok(()),
    }
}

/// γ̄ += Σ ȳ x̂̇, (V, P), and x̄ += the rest of the second order, (B, V, ...), each where it is given and in place; the
/// primal `cotangent` ȳ is (B, ...), `dx` (B, V, ...), `dgamma` (V, P). Without `dx` the input has no tangent.
pub fn add_second_order(
    at: Point<'_>,
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    dgamma: Option<&Tensor>,
    gamma_sum: Option<&Tensor>,
    input_sum: Option<&Tensor>,
) -> Result<()> {
    expect_shape("cotangent", cotangent, at.normalised.dims())?;
    let Some(vectors) = dx.or(input_sum).map(|block| block.dim(1)).transpose()? else {
        return Ok(());
    };
    let (sizes, gamma) = (
        Sizes::of(at, vectors)?,
        spread(at, "gamma", at.gamma, None)?,
    );
    let dgamma = spread(at, "gamma tangents", dgamma, Some(vectors))?;
    for (name, block) in [("input tangents", dx), ("input sum", input_sum)] {
        block.map_or(Ok(()), |block| expect_block(name, at, vectors, block))?;
    }
    let parameters = [gamma.as_ref(), dgamma.as_ref()];
    let gamma_terms = by_path!(
        at.normalised,
        add_second_order(sizes, at, parameters, cotangent, dx, input_sum)
    )?;
    match (gamma_sum, gamma_terms) {
        (Some(sum), Some(terms)) => add_gathered(at, "gamma sum", sum, &terms),
        _ => Ok(()),
    }
}

/// The axes of a block (B, V, M, G, W): elements behind each other, M of G parameters' worth of groups.
#[derive(Clone, Copy)]
struct Sizes {
    examples: usize,
    vectors: usize,
    /// M: how often an example goes through the parameters.
    repeats: usize,
    /// G: groups from a parameter to itself.
    groups: usize,
    /// W
    width: usize,
}

impl Sizes {
    fn of(at: Point<'_>, vectors: usize) -> Result<Self> {
        let examples = at.normalised.dim(0)?;
        let elements: usize = at.normalised.dims()[1..].iter().product();
        let lines = at.r.dim(1)?;
        expect_shape("r", at.r, &[examples, lines])?;
        let width = elements / lines.max(1);
        let period = at.gamma.map_or(Ok(width), |gamma| {
            Ok::<_, candle_core::Error>(gamma.dims1()? * at.run)
        })?;
        let fits = width > 0
            && width * lines == elements
            && period > 0
            && period.is_multiple_of(width)
            && elements.is_multiple_of(period);
        if !fits {
            bail!(
                "expected parameters for runs of {} elements, and {lines} groups, of {:?}, got {:?} of them",
                at.run,
                at.normalised.shape(),
                at.gamma.map(Tensor::shape)
            );
        }
        Ok(Self {
            examples,
            vectors,
            repeats: elements / period,
            groups: period / width,
            width,
        })
    }

    /// Groups of an example.
    fn lines(self) -> usize {
        self.repeats * self.groups
    }

    /// Elements from a parameter to itself.
    fn period(self) -> usize {
        self.groups * self.width
    }
}

fn block_shape(at: Point<'_>, vectors: usize) -> Vec<usize> {
    let dims = at.normalised.dims();
    [&[dims[0], vectors], &dims[1..]].concat()
}

fn expect_block(name: &str, at: Point<'_>, vectors: usize, block: &Tensor) -> Result<()> {
    expect_shape(name, block, &block_shape(at, vectors))
}

/// A parameter (P), or one for each of `vectors`, with each of its elements repeated `run` times.
fn spread(
    at: Point<'_>,
    name: &str,
    parameter: Option<&Tensor>,
    vectors: Option<usize>,
) -> Result<Option<Tensor>> {
    let Some(parameter) = parameter else {
        return Ok(None);
    };
    let Some(gamma) = at.gamma else {
        bail!("{name}: expected none without gamma");
    };
    let count = gamma.dims1()?;
    let expected: Vec<usize> = vectors.into_iter().chain([count]).collect();
    expect_shape(name, parameter, &expected)?;
    if at.run == 1 {
        return Ok(Some(parameter.clone()));
    }
    let runs = [expected.as_slice(), &[at.run]].concat();
    let spread = parameter
        .unsqueeze(expected.len())?
        .broadcast_as(runs)?
        .contiguous()?;
    spread.flatten_from(expected.len() - 1).map(Some)
}

/// sum (V, P) += terms (V, P · run), added up over the runs.
fn add_gathered(at: Point<'_>, name: &str, sum: &Tensor, terms: &Tensor) -> Result<()> {
    let (vectors, period) = terms.dims2()?;
    let count = period / at.run;
    expect_shape(name, sum, &[vectors, count])?;
    let terms = match at.run {
        1 => terms.clone(),
        run => terms.reshape((vectors, count, run))?.sum(2)?,
    };
    add_in_place(sum, &terms.to_dtype(sum.dtype())?)
}
