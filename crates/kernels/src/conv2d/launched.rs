//! The convolution passes as those of cuDNN, each added up where it belongs: a block of V vectors is as many images, or the
//! tangents of a weight as many output channels, without a copy. Where there is no cuDNN they are operations of candle.

use candle_core::{Result, Tensor};

use super::{Window, plain};
use crate::launch::{Correlation, Extents, Images, Launcher, Operand, Source, Wanted, map, sums};

/// A weight (O, I, kh, kw), or V of them as one with V O outputs.
fn weights(weight: &Tensor) -> Result<Images<'_>> {
    let (outputs, inputs, rows, columns) = match *weight.dims() {
        [vectors, outputs, inputs, rows, columns] => (vectors * outputs, inputs, rows, columns),
        _ => weight.dims4()?,
    };
    Ok(Images::all(weight, [outputs, inputs, rows, columns]))
}

/// That of one vector of V.
fn weights_of_vector(weight: &Tensor, vector: usize) -> Result<Images<'_>> {
    let (_, outputs, inputs, rows, columns) = weight.dims5()?;
    let each = outputs * inputs * rows * columns;
    Ok(Images {
        start: vector * each,
        ..Images::all(weight, [outputs, inputs, rows, columns])
    })
}

/// Images (B, C, H, W), or a block of them as B V images.
fn images(tensor: &Tensor) -> Result<Images<'_>> {
    let shape = match *tensor.dims() {
        [batch, vectors, channels, height, width] => [batch * vectors, channels, height, width],
        _ => tensor.dims4()?.into(),
    };
    Ok(Images::all(tensor, shape))
}

/// A block as B images of V C channels.
fn wide(block: &Tensor) -> Result<Images<'_>> {
    let (batch, vectors, channels, height, width) = block.dims5()?;
    Ok(Images::all(
        block,
        [batch, vectors * channels, height, width],
    ))
}

/// A new block of the biases (V, O), or of nothing yet.
fn room(
    launcher: &dyn Launcher,
    shape: [usize; 5],
    bias: Option<&Tensor>,
    like: &Tensor,
) -> Result<Tensor> {
    let y = launcher.room(&shape, like.dtype(), like)?;
    if let Some(bias) = bias {
        let operands = [
            Operand::read("bias", "vc", bias),
            Operand::written("out", "bvca", &y),
        ];
        map(
            launcher,
            Source::new("fill", "out = bias;"),
            Extents::block(&y)?,
            &operands,
        )?;
    }
    Ok(y)
}

pub(super) fn forward(
    launcher: &dyn Launcher,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    if !launcher.correlates() {
        return plain::forward(x, weight, bias, window);
    }
    let (batch, _, height, width) = x.dims4()?;
    let (outputs, _, rows, columns) = weight.dims4()?;
    let (height, width) = window.outputs((height, width), (rows, columns))?;
    let y = room(launcher, [batch, 1, outputs, height, width], bias, x)?;
    let correlation = Correlation {
        x: images(x)?,
        weight: weights(weight)?,
        y: images(&y)?,
        window,
        wanted: Wanted::Output,
        accumulate: bias.is_some(),
    };
    correlation.ask(launcher)?;
    y.squeeze(1)
}

pub(super) fn tangent(
    launcher: &dyn Launcher,
    x: &Tensor,
    weight: &Tensor,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
    window: Window,
) -> Result<Tensor> {
    if !launcher.correlates() {
        return plain::tangent(x, weight, dx, dweight, dbias, window);
    }
    let (batch, _, height, width) = x.dims4()?;
    let (vectors, outputs, _, rows, columns) = dweight.dims5()?;
    let (height, width) = window.outputs((height, width), (rows, columns))?;
    let dy = room(launcher, [batch, vectors, outputs, height, width], dbias, x)?;
    let of_weights = Correlation {
        x: images(x)?,
        weight: weights(dweight)?,
        y: wide(&dy)?,
        window,
        wanted: Wanted::Output,
        accumulate: dbias.is_some(),
    };
    of_weights.ask(launcher)?;
    if let Some(dx) = dx {
        let of_input = Correlation {
            x: images(dx)?,
            weight: weights(weight)?,
            y: images(&dy)?,
            accumulate: true,
            ..of_weights
        };
        of_input.ask(launcher)?;
    }
    Ok(dy)
}

pub(super) fn input_cotangent(
    launcher: &dyn Launcher,
    weight: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    window: Window,
) -> Result<Tensor> {
    if !launcher.correlates() {
        return plain::input_cotangent(weight, cotangent, input, window);
    }
    let (batch, vectors, ..) = cotangent.dims5()?;
    let shape = [batch, vectors, weight.dim(1)?, input.0, input.1];
    let x_bar = launcher.room(&shape, cotangent.dtype(), cotangent)?;
    let correlation = Correlation {
        x: images(&x_bar)?,
        weight: weights(weight)?,
        y: images(cotangent)?,
        window,
        wanted: Wanted::Input,
        accumulate: false,
    };
    correlation.ask(launcher)?;
    Ok(x_bar)
}

pub(super) fn accumulate_cotangent(
    launcher: &dyn Launcher,
    x: &Tensor,
    cotangent: &Tensor,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
    window: Window,
) -> Result<()> {
    if !launcher.correlates() {
        return plain::accumulate_cotangent(x, cotangent, weight_sum, bias_sum, window);
    }
    let correlation = Correlation {
        x: images(x)?,
        weight: weights(weight_sum)?,
        y: wide(cotangent)?,
        window,
        wanted: Wanted::Weight,
        accumulate: true,
    };
    correlation.ask(launcher)?;
    let Some(bias_sum) = bias_sum else {
        return Ok(());
    };
    let operands = [
        Operand::read("cotangent", "bvca", cotangent),
        Operand::written("bias_sum", "vc", bias_sum),
    ];
    let source = Source::new("bias_sums", "bias_sum += sum0;");
    sums(
        launcher,
        source,
        Extents::block(cotangent)?,
        &operands,
        &["cotangent"],
    )
}

pub(super) fn accumulate_second_order(
    launcher: &dyn Launcher,
    cotangent: &Tensor,
    dx: &Tensor,
    weight_sum: &Tensor,
    window: Window,
) -> Result<()> {
    if !launcher.correlates() {
        return plain::accumulate_second_order(cotangent, dx, weight_sum, window);
    }
    for vector in 0..dx.dim(1)? {
        let correlation = Correlation {
            x: Images::of_vector(dx, vector)?,
            weight: weights_of_vector(weight_sum, vector)?,
            y: images(cotangent)?,
            window,
            wanted: Wanted::Weight,
            accumulate: true,
        };
        correlation.ask(launcher)?;
    }
    Ok(())
}

pub(super) fn add_second_order(
    launcher: &dyn Launcher,
    cotangent: &Tensor,
    dweight: &Tensor,
    input_sum: &Tensor,
    window: Window,
) -> Result<()> {
    if !launcher.correlates() {
        return plain::add_second_order(cotangent, dweight, input_sum, window);
    }
    for vector in 0..dweight.dim(0)? {
        let correlation = Correlation {
            x: Images::of_vector(input_sum, vector)?,
            weight: weights_of_vector(dweight, vector)?,
            y: images(cotangent)?,
            window,
            wanted: Wanted::Input,
            accumulate: true,
        };
        correlation.ask(launcher)?;
    }
    Ok(())
}
