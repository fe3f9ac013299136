//! The passes as kernels: means over the groups in double precision, and what is made of them element by element.
//!
//! A group of a block is a channel of a rule: (B V, L, W) for sums, (B, V, L, W) for maps. In both, `line` is its group of x̂,
//! `own` its vector and `place` where its element is among the parameters.

use candle_core::{DType, Result, Tensor};

use super::{Point, Sizes};
use crate::launch::{Extents, Launcher, Operand, Source, map, sums, sums_and_map};

fn pointer<'a>(name: &'static str, tensor: &'a Tensor) -> Operand<'a> {
    Operand::pointer(name, tensor.elem_count(), tensor)
}

pub(super) fn normalise(
    launcher: &dyn Launcher,
    x: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let (examples, lines, width) = x.dims3()?;
    let extents = Extents {
        batch: 1,
        vectors: 1,
        channels: examples * lines,
        area: width,
    };
    let mean = launcher.room(&[examples, lines], DType::F64, x)?;
    let r = launcher.room(&[examples, lines], x.dtype(), x)?;
    let normalised = launcher.room(x.dims(), x.dtype(), x)?;
    let shared = [
        Operand::read("x", "ca", x),
        Operand::read("mean", "c", &mean),
        Operand::read("r", "c", &r),
    ];
    let written = |name, tensor| Operand::written(name, "c", tensor);
    let operands = [shared[0], written("mean", &mean)];
    let source = Source::new("line_means", "mean = sum0 / A;");
    sums(launcher, source, extents, &operands, &["x"])?;
    let operands = [shared[0], shared[1], written("r", &r)];
    let source = Source {
        numbers: &[("epsilon", epsilon)],
        ..Source::new("line_deviations", "r = 1 / sqrt(sum0 / A + epsilon);")
    };
    let square = "(x - mean) * (x - mean)";
    sums(launcher, source, extents, &operands, &[square])?;
    let operands = [&shared[..], &[Operand::written("y", "ca", &normalised)]].concat();
    let source = Source::new("normalise_lines", "y = (x - mean) * r;");
    map(launcher, source, extents, &operands)?;
    Ok((normalised, r))
}

/// What both rules know of a block's elements.
struct Lines<'a> {
    launcher: &'a dyn Launcher,
    sizes: Sizes,
}

impl<'a> Lines<'a> {
    fn room(&self, shape: &[usize], dtype: DType, like: &Tensor) -> Result<Tensor> {
        self.launcher.room(shape, dtype, like)
    }

    /// A new block.
    fn block(&self, like: &Tensor) -> Result<Tensor> {
        let Sizes {
            examples,
            vectors,
            width,
            ..
        } = self.sizes;
        let shape = [examples, vectors, self.sizes.lines(), width];
        self.room(&shape, like.dtype(), like)
    }

    /// Means over each group of a block of N terms, which may use what `each` declares: f64 (B, V, L) each.
    fn means<const N: usize>(
        &self,
        name: &'static str,
        operands: &[Operand<'_>],
        (each, terms): (&str, [&str; N]),
        like: &Tensor,
    ) -> Result<[Tensor; N]> {
        const NAMES: [&str; 5] = ["mean0", "mean1", "mean2", "mean3", "mean4"];
        const { assert!(N <= NAMES.len()) };
        let Sizes {
            examples,
            vectors,
            groups,
            width,
            ..
        } = self.sizes;
        let lines = self.sizes.lines();
        let all = self.room(&[N, examples * vectors * lines], DType::F64, like)?;
        let means: Vec<Tensor> = (0..N).map(|index| all.get(index)).collect::<Result<_>>()?;
        let mut operands = operands.to_vec();
        let written = NAMES.into_iter().zip(&means);
        operands.extend(written.map(|(name, mean)| Operand::written(name, "vc", mean)));
        let body: String = (0..N).map(|k| format!("mean{k} = sum{k} / A; ")).collect();
        let each = format!(
            "const unsigned line = v / VECTORS * C + c, own = v % VECTORS, place = c % GROUPS * A + a;
        const T x = normalised[line * A + a];
        {each}"
        );
        let source = Source {
            sizes: &[("VECTORS", vectors), ("GROUPS", groups)],
            ..Source::new(name, &body)
        };
        let extents = Extents {
            batch: 1,
            vectors: examples * vectors,
            channels: lines,
            area: width,
        };
        sums_and_map(self.launcher, source, extents, &operands, (&terms, &each))?;
        Ok(std::array::from_fn(|index| means[index].clone()))
    }

    /// Statements for every element of a block.
    fn map(&self, name: &'static str, operands: &[Operand<'_>], body: &str) -> Result<()> {
        let Sizes {
            examples,
            vectors,
            groups,
            width,
            ..
        } = self.sizes;
        let body = format!(
            "const unsigned own = v, place = c % GROUPS * A + a;
        {body}"
        );
        let source = Source {
            sizes: &[("GROUPS", groups)],
            ..Source::new(name, &body)
        };
        let extents = Extents {
            batch: examples,
            vectors,
            channels: self.sizes.lines(),
            area: width,
        };
        map(self.launcher, source, extents, operands)
    }

    /// x̂ and r of every element, and N's means (B, V, L).
    fn at<'t>(at: Point<'t>, means: &[(&'static str, &'t Tensor)]) -> Vec<Operand<'t>> {
        let mut operands = vec![
            Operand::read("x", "bca", at.normalised),
            Operand::read("r", "bc", at.r),
        ];
        operands.extend(
            means
                .iter()
                .map(|(name, mean)| Operand::read(name, "bvc", mean)),
        );
        operands
    }
}

/// A parameter as a factor, where there is one.
fn factor(parameter: Option<&Tensor>) -> &'static str {
    if parameter.is_some() {
        "gamma[place] * "
    } else {
        ""
    }
}

pub(super) fn scaled(
    launcher: &dyn Launcher,
    sizes: Sizes,
    normalised: &Tensor,
    [slope, shift]: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let lines = Lines { launcher, sizes };
    let y = lines.block(normalised)?;
    let mut operands = vec![
        Operand::read("x", "bca", normalised),
        Operand::written("y", "bvca", &y),
    ];
    operands.extend(slope.map(|slope| pointer("slope", slope)));
    operands.extend(shift.map(|shift| pointer("shift", shift)));
    lines.map(
        "scale_lines",
        &operands,
        &format!("y = {};", affine(slope, shift)),
    )?;
    Ok(y)
}

/// γ̇ x̂ + β̇, of those that there are.
fn affine(slope: Option<&Tensor>, shift: Option<&Tensor>) -> String {
    let own = |name| format!("{name}[own * GROUPS * A + place]");
    let slope = slope.map_or("T(0)".to_owned(), |_| format!("{} * x", own("slope")));
    let shift = shift.map_or(String::new(), |_| format!(" + {}", own("shift")));
    slope + &shift
}

pub(super) fn tangent(
    launcher: &dyn Launcher,
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    dx: &Tensor,
    [slope, shift]: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let lines = Lines { launcher, sizes };
    let out = lines.block(dx)?;
    let operands = [
        Operand::read("dx", "vca", dx),
        pointer("normalised", at.normalised),
    ];
    let terms = ("", ["dx", "double(dx) * x"]);
    let [m, q] = lines.means("tangent_means", &operands, terms, dx)?;
    let mut operands = Lines::at(at, &[("m", &m), ("q", &q)]);
    operands.extend([
        Operand::read("dx", "bvca", dx),
        Operand::written("out", "bvca", &out),
    ]);
    operands.extend(gamma.map(|gamma| pointer("gamma", gamma)));
    operands.extend(slope.map(|slope| pointer("slope", slope)));
    operands.extend(shift.map(|shift| pointer("shift", shift)));
    let body = format!(
        "out = {}r * (dx - m - x * q) + {};",
        factor(gamma),
        affine(slope, shift)
    );
    lines.map("line_tangent", &operands, &body)?;
    Ok(out)
}

pub(super) fn input_cotangent(
    launcher: &dyn Launcher,
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let lines = Lines { launcher, sizes };
    let out = lines.block(cotangent)?;
    let u = format!("const T u = {}cotangent;", factor(gamma));
    let mut operands = vec![
        Operand::read("cotangent", "vca", cotangent),
        pointer("normalised", at.normalised),
    ];
    operands.extend(gamma.map(|gamma| pointer("gamma", gamma)));
    let terms = (&*u, ["u", "double(u) * x"]);
    let [m, q] = lines.means("cotangent_means", &operands, terms, cotangent)?;
    let mut operands = Lines::at(at, &[("m", &m), ("q", &q)]);
    operands.extend([
        Operand::read("cotangent", "bvca", cotangent),
        Operand::written("out", "bvca", &out),
    ]);
    operands.extend(gamma.map(|gamma| pointer("gamma", gamma)));
    let body = format!("{u} out = r * (u - m - x * q);");
    lines.map("line_cotangent", &operands, &body)?;
    Ok(out)
}

/// Sums over batch and repeats of `terms` for each place of the parameters: (V, P · run) in float64 each.
fn gathered<const N: usize>(
    launcher: &dyn Launcher,
    sizes: Sizes,
    (name, each, terms): (&'static str, &str, [&str; N]),
    operands: &[Operand<'_>],
    like: &Tensor,
) -> Result<[Tensor; N]> {
    const NAMES: [&str; 2] = ["total0", "total1"];
    const { assert!(N <= NAMES.len()) };
    let shape = [sizes.vectors, sizes.period()];
    let totals: Vec<Tensor> = (0..N)
        .map(|_| launcher.room(&shape, DType::F64, like))
        .collect::<Result<_>>()?;
    let mut operands = operands.to_vec();
    let written = NAMES.into_iter().zip(&totals);
    operands.extend(written.map(|(name, total)| Operand::written(name, "vc", total)));
    let body: String = (0..N).map(|k| format!("total{k} = sum{k}; ")).collect();
    // The repeats stand before the places.
    let each = format!(
        "const unsigned shared = (b * A + a) * C + c, line = shared / WIDTH;
        const unsigned own = ((b * V + v) * A + a) * C + c;
        {each}"
    );
    let source = Source {
        sizes: &[("WIDTH", sizes.width)],
        ..Source::new(name, &body)
    };
    let extents = Extents {
        batch: sizes.examples,
        vectors: sizes.vectors,
        channels: sizes.period(),
        area: sizes.repeats,
    };
    sums_and_map(launcher, source, extents, &operands, (&terms, &each))?;
    Ok(std::array::from_fn(|index| totals[index].clone()))
}

pub(super) fn parameter_sums(
    launcher: &dyn Launcher,
    sizes: Sizes,
    normalised: &Tensor,
    cotangent: &Tensor,
) -> Result<[Tensor; 2]> {
    let terms = [
        "double(cotangent[own]) * normalised[shared]",
        "cotangent[own]",
    ];
    let operands = [
        pointer("cotangent", cotangent),
        pointer("normalised", normalised),
    ];
    let rule = ("line_parameter_sums", "", terms);
    gathered(launcher, sizes, rule, &operands, cotangent)
}

pub(super) fn add_second_order(
    launcher: &dyn Launcher,
    sizes: Sizes,
    at: Point<'_>,
    [gamma, dgamma]: [Option<&Tensor>; 2],
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    input_sum: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let lines = Lines { launcher, sizes };
    let shared = [
        pointer("normalised", at.normalised),
        pointer("cotangent", cotangent),
    ];
    let primal = Operand::read("cotangent", "bca", cotangent);
    let sum = input_sum.map(|sum| Operand::written("sum", "bvca", sum));
    if let (Some(dgamma), Some(sum)) = (dgamma, sum) {
        let tangents = pointer("dgamma", dgamma);
        let each = "const T t = dgamma[own * GROUPS * A + place] * cotangent[line * A + a];";
        let terms = (each, ["t", "double(t) * x"]);
        let operands = [&shared[..], &[tangents]].concat();
        let [m, q] = lines.means("turned_means", &operands, terms, cotangent)?;
        let mut operands = Lines::at(at, &[("m", &m), ("q", &q)]);
        operands.extend([primal, tangents, sum]);
        let body = "sum += r * (dgamma[own * GROUPS * A + place] * cotangent - m - x * q);";
        lines.map("line_second_order_of_parameters", &operands, body)?;
    }
    let Some(dx) = dx else {
        return Ok(None);
    };
    let each = format!("const T u = {}cotangent[line * A + a];", factor(gamma));
    let terms = [
        "dx",
        "double(dx) * x",
        "u",
        "double(u) * x",
        "double(u) * dx",
    ];
    let mut operands = shared.to_vec();
    operands.push(Operand::read("dx", "vca", dx));
    operands.extend(gamma.map(|gamma| pointer("gamma", gamma)));
    let [n, p, m, q, k] = lines.means("second_order_means", &operands, (&each, terms), dx)?;
    if let Some(sum) = sum {
        let means = [("n", &n), ("p", &p), ("m", &m), ("q", &q), ("k", &k)];
        let mut operands = Lines::at(at, &means);
        operands.extend([primal, Operand::read("dx", "bvca", dx), sum]);
        operands.extend(gamma.map(|gamma| pointer("gamma", gamma)));
        // k is the mean of u ẋ so far.
        let body = format!(
            "const double u = {}cotangent, moved = r * (dx - n - x * p);
        sum -= r * (p * r * (u - m - x * q) + q * moved + r * (k - n * m - p * q) * x);",
            factor(gamma)
        );
        lines.map("line_second_order", &operands, &body)?;
    }
    let operands = [
        shared[0],
        shared[1],
        pointer("dx", dx),
        pointer("r", at.r),
        pointer("n", &n),
        pointer("p", &p),
    ];
    let each = "const unsigned own_line = own / WIDTH;";
    let moved = "double(cotangent[shared]) * r[line] * (dx[own] - n[own_line] - normalised[shared] * p[own_line])";
    let rule = ("line_second_order_sums", each, [moved]);
    let [total] = gathered(launcher, sizes, rule, &operands, dx)?;
    Ok(Some(total))
}
