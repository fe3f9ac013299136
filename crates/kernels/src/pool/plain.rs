//! Pooling as candle operations, for every device. Windows are walked by their offsets: the entries
//! at one offset of every window are a strided selection of rows and columns.

use candle_core::{D, Device, Result, Tensor};

use super::Pooling;

pub(super) fn max_forward(
    x: &Tensor,
    pooling: Pooling,
    (height, width): (usize, usize),
) -> Result<(Tensor, Tensor)> {
    let (shape, device) = (x.dims4()?, x.device());
    let output = (shape.0, shape.1, height, width);
    let mut best: Option<(Tensor, Tensor)> = None;
    for row in 0..pooling.kernel {
        let rows = steps(row, pooling.stride, height, device)?;
        let selected = x.index_select(&rows, 2)?;
        for column in 0..pooling.kernel {
            let columns = steps(column, pooling.stride, width, device)?;
            let values = selected.index_select(&columns, 3)?;
            let places: Vec<u32> = (0..height * width)
                .map(|place| {
                    let row = place / width * pooling.stride + row;
                    let column = place % width * pooling.stride + column;
                    (row * shape.3 + column) as u32
                })
                .collect();
            let places = Tensor::from_vec(places, (1, 1, height, width), device)?
                .broadcast_as(output)?
                .contiguous()?;
            best = Some(match best {
                None => (values, places),
                Some((largest, argmax)) => {
                    let wins = (values.gt(&largest)? + values.ne(&values)?)?;
                    (
                        wins.where_cond(&values, &largest)?,
                        wins.where_cond(&places, &argmax)?,
                    )
                }
            });
        }
    }
    match best {
        Some(best) => Ok(best),
        None => candle_core::bail!("expected a kernel with entries, got {pooling:?}"),
    }
}

pub(super) fn max_gather(argmax: &Tensor, block: &Tensor) -> Result<Tensor> {
    let (batch, vectors, channels, _, _) = block.dims5()?;
    let (_, _, height, width) = argmax.dims4()?;
    block
        .flatten_from(3)?
        .gather(&shared(argmax, vectors)?, 3)?
        .reshape((batch, vectors, channels, height, width))
}

pub(super) fn max_scatter(
    argmax: &Tensor,
    cotangent: &Tensor,
    (height, width): (usize, usize),
    _: Option<Pooling>,
) -> Result<Tensor> {
    let (batch, vectors, channels, _, _) = cotangent.dims5()?;
    let flat = (batch, vectors, channels, height * width);
    Tensor::zeros(flat, cotangent.dtype(), cotangent.device())?
        .scatter_add(&shared(argmax, vectors)?, &cotangent.flatten_from(3)?, 3)?
        .reshape((batch, vectors, channels, height, width))
}

/// The places of the maxima for each of the vectors, (B, V, C, H' W').
fn shared(argmax: &Tensor, vectors: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = argmax.dims4()?;
    argmax
        .reshape((batch, 1, channels, height * width))?
        .broadcast_as((batch, vectors, channels, height * width))?
        .contiguous()
}

pub(super) fn average(
    x: &Tensor,
    pooling: Pooling,
    (height, width): (usize, usize),
) -> Result<Tensor> {
    let device = x.device();
    let window = |x: &Tensor, length, axis| {
        let first = x.index_select(&steps(0, pooling.stride, length, device)?, axis)?;
        (1..pooling.kernel).try_fold(first, |sum, offset| {
            sum + x.index_select(&steps(offset, pooling.stride, length, device)?, axis)?
        })
    };
    window(&window(x, width, 2)?, height, 1)? / (pooling.kernel * pooling.kernel) as f64
}

pub(super) fn average_transposed(
    cotangent: &Tensor,
    (height, width): (usize, usize),
    pooling: Pooling,
) -> Result<Tensor> {
    let (planes, output_height, output_width) = cotangent.dims3()?;
    let (device, dtype) = (cotangent.device(), cotangent.dtype());
    let scaled = (cotangent / (pooling.kernel * pooling.kernel) as f64)?;
    let tall = Tensor::zeros((planes, height, output_width), dtype, device)?;
    let tall = (0..pooling.kernel).try_fold(tall, |sum, offset| {
        let rows = steps(offset, pooling.stride, output_height, device)?;
        sum.index_add(&rows, &scaled, 1)
    })?;
    let whole = Tensor::zeros((planes, height, width), dtype, device)?;
    (0..pooling.kernel).try_fold(whole, |sum, offset| {
        let columns = steps(offset, pooling.stride, output_width, device)?;
        sum.index_add(&columns, &tall, 2)
    })
}

/// The entries at one offset of every window.
fn steps(offset: usize, stride: usize, windows: usize, device: &Device) -> Result<Tensor> {
    let entries: Vec<u32> = (0..windows)
        .map(|window| (window * stride + offset) as u32)
        .collect();
    Tensor::from_vec(entries, windows, device)
}

pub(super) fn global_average(planes: &Tensor) -> Result<Tensor> {
    planes.mean(D::Minus1)
}

pub(super) fn global_average_transposed(cotangent: &Tensor, entries: usize) -> Result<Tensor> {
    (cotangent / entries as f64)?
        .unsqueeze(1)?
        .broadcast_as((cotangent.elem_count(), entries))?
        .contiguous()
}
