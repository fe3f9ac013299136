//! Softmax as kernels, with a thread for each line.

use candle_core::{D, Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, map};

/// Lines of a block as places; without vectors those of a primal tensor.
fn lines(
    launcher: &dyn Launcher,
    source: Source<'_>,
    of: &Tensor,
    vectors: usize,
    operands: &[Operand<'_>],
) -> Result<()> {
    let (batch, length) = (of.dim(0)?, of.dim(D::Minus1)?);
    let each = of.elem_count() / (batch * vectors * length).max(1);
    let source = Source {
        sizes: &[("LENGTH", length)],
        ..source
    };
    map(
        launcher,
        source,
        Extents::flat(batch, vectors, each),
        operands,
    )
}

fn pointer<'a>(name: &'static str, tensor: &'a Tensor) -> Operand<'a> {
    Operand::pointer(name, tensor.elem_count(), tensor)
}

/// The largest x of a line and Σ e to the power x less it.
const LARGEST: &str = "x += i * LENGTH;
        T most = x[0], total = 0;
        for (unsigned k = 1; k < LENGTH; k++) if (x[k] > most || x[k] != x[k]) most = x[k];
        for (unsigned k = 0; k < LENGTH; k++) total += exp(x[k] - most);";

pub(super) fn forward(launcher: &dyn Launcher, x: &Tensor) -> Result<Tensor> {
    let y = launcher.room(x.dims(), x.dtype(), x)?;
    let body = format!(
        "{LARGEST}
        for (unsigned k = 0; k < LENGTH; k++) y[i * LENGTH + k] = exp(x[k] - most) / total;
        x -= i * LENGTH;"
    );
    let operands = [pointer("x", x), pointer("y", &y).into_written()];
    lines(launcher, Source::new("softmax", &body), x, 1, &operands)?;
    Ok(y)
}

pub(super) fn log_forward(launcher: &dyn Launcher, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let y = launcher.room(x.dims(), x.dtype(), x)?;
    let p = launcher.room(x.dims(), x.dtype(), x)?;
    let body = format!(
        "{LARGEST}
        for (unsigned k = 0; k < LENGTH; k++) {{
            const T value = x[k] - most - log(total);
            y[i * LENGTH + k] = value;
            p[i * LENGTH + k] = exp(value);
        }}
        x -= i * LENGTH;"
    );
    let operands = [
        pointer("x", x),
        pointer("y", &y).into_written(),
        pointer("p", &p).into_written(),
    ];
    lines(launcher, Source::new("log_softmax", &body), x, 1, &operands)?;
    Ok((y, p))
}

/// Where a line of the block and that of what its vectors share begin.
const STARTS: &str = "const unsigned line = i * LENGTH, shared = (b * A + a) * LENGTH;";

/// A kernel that makes the lines of a new block of those of `shared` and `block`.
fn mapped(
    launcher: &dyn Launcher,
    (name, body): (&'static str, &str),
    shared: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    let out = launcher.room(block.dims(), block.dtype(), block)?;
    let body = format!("{STARTS}\n        {body}");
    let operands = [
        pointer("y", shared),
        pointer("block", block),
        pointer("out", &out).into_written(),
    ];
    lines(
        launcher,
        Source::new(name, &body),
        block,
        block.dim(1)?,
        &operands,
    )?;
    Ok(out)
}

/// ⟨y, b⟩ of a line.
const MEAN: &str = "T mean = 0;
        for (unsigned k = 0; k < LENGTH; k++) mean += y[shared + k] * block[line + k];";

pub(super) fn product(launcher: &dyn Launcher, y: &Tensor, block: &Tensor) -> Result<Tensor> {
    let body = format!(
        "{MEAN}
        for (unsigned k = 0; k < LENGTH; k++) out[line + k] = y[shared + k] * (block[line + k] - mean);"
    );
    mapped(launcher, ("softmax_product", &body), y, block)
}

pub(super) fn log_tangent(launcher: &dyn Launcher, p: &Tensor, dx: &Tensor) -> Result<Tensor> {
    let body = format!(
        "{MEAN}
        for (unsigned k = 0; k < LENGTH; k++) out[line + k] = block[line + k] - mean;"
    );
    mapped(launcher, ("log_softmax_tangent", &body), p, dx)
}

pub(super) fn log_input_cotangent(
    launcher: &dyn Launcher,
    p: &Tensor,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let body = "T total = 0;
        for (unsigned k = 0; k < LENGTH; k++) total += block[line + k];
        for (unsigned k = 0; k < LENGTH; k++) out[line + k] = block[line + k] - total * y[shared + k];";
    mapped(launcher, ("log_softmax_cotangent", body), p, cotangent)
}

/// A kernel that adds to the lines of `sum`.
fn added(
    launcher: &dyn Launcher,
    (name, body): (&'static str, &str),
    [y, cotangent, dx]: [&Tensor; 3],
    sum: &Tensor,
) -> Result<()> {
    let body = format!("{STARTS}\n        {MEAN}\n        {body}");
    let operands = [
        pointer("y", y),
        pointer("cotangent", cotangent),
        pointer("block", dx),
        pointer("sum", sum).into_written(),
    ];
    lines(
        launcher,
        Source::new(name, &body),
        dx,
        dx.dim(1)?,
        &operands,
    )
}

pub(super) fn add_second_order(
    launcher: &dyn Launcher,
    y: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let body = "T slope = 0, inner = 0;
        for (unsigned k = 0; k < LENGTH; k++) slope += y[shared + k] * cotangent[shared + k];
        for (unsigned k = 0; k < LENGTH; k++)
            inner += y[shared + k] * (cotangent[shared + k] - slope) * (block[line + k] - mean);
        for (unsigned k = 0; k < LENGTH; k++)
            sum[line + k] += y[shared + k] * ((cotangent[shared + k] - slope) * (block[line + k] - mean) - inner);";
    added(
        launcher,
        ("softmax_second_order", body),
        [y, cotangent, dx],
        input_sum,
    )
}

pub(super) fn log_add_second_order(
    launcher: &dyn Launcher,
    p: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    let body = "T total = 0;
        for (unsigned k = 0; k < LENGTH; k++) total += cotangent[shared + k];
        for (unsigned k = 0; k < LENGTH; k++) sum[line + k] -= y[shared + k] * (block[line + k] - mean) * total;";
    added(
        launcher,
        ("log_softmax_second_order", body),
        [p, cotangent, dx],
        input_sum,
    )
}
