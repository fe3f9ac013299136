//! Repetitions, and pixels that become channels and back.

use super::one;
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand};

/// All elements so often, along each axis.
pub(super) fn tile(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let mut operand = call.input(0)?.clone();
    let repeats = call.integers(1)?.ok_or("has no repeats")?;
    let shape = operand.shape(importer.marker);
    if repeats.len() != shape.len() {
        return Err(format!("repeats {} axes of {}", repeats.len(), shape.len()).into());
    }
    for (place, (&extent, &repeat)) in shape.iter().zip(&repeats).enumerate() {
        let count = usize::try_from(repeat)
            .ok()
            .and_then(|repeat| extent.checked_mul(repeat));
        let count = crate::array::elements(&[count.ok_or("repeats an axis too often")?])?;
        if repeat != 1 {
            let indices = (0..count).map(|index| index % extent).collect();
            operand = importer.taken(call, &operand, place, indices)?;
        }
    }
    one(operand)
}

/// (B, C, H, W) with the axes of `parts`, their order `perm` and the shape that they are merged to.
fn shuffled(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    parts: [usize; 6],
    perm: [usize; 6],
    shape: [usize; 4],
) -> Result<Vec<Operand>, Reason> {
    let split = importer.reshaped(call, call.input(0)?, &parts)?;
    let turned = importer.transposed(call, &split, &perm)?;
    one(importer.reshaped(call, &turned, &shape)?)
}

/// The extents of (B, C, H, W) and the side of the blocks of pixels.
fn blocks(importer: &Importer<'_>, call: &Call<'_>) -> Result<([usize; 4], usize), Reason> {
    let shape = call.input(0)?.shape(importer.marker);
    let shape: Result<[usize; 4], _> = shape.try_into();
    let side = usize::try_from(call.int("blocksize", 0));
    match (shape, side) {
        (Ok(shape), Ok(side @ 1..=1024)) => Ok((shape, side)),
        _ => Err("needs images (batch, channels, height, width) and the side of a block".into()),
    }
}

/// Channels to pixels, `PixelShuffle`.
pub(super) fn depth_to_space(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let ([batch, channels, height, width], side) = blocks(importer, call)?;
    let outputs = channels / (side * side);
    let shape = [batch, outputs, height * side, width * side];
    match call.text("mode", "DCR") {
        "CRD" => {
            let parts = [batch, outputs, side, side, height, width];
            shuffled(importer, call, parts, [0, 1, 4, 2, 5, 3], shape)
        }
        _ => {
            let parts = [batch, side, side, outputs, height, width];
            shuffled(importer, call, parts, [0, 3, 4, 1, 5, 2], shape)
        }
    }
}

/// Pixels to channels, those of one place in its block together.
pub(super) fn space_to_depth(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let ([batch, channels, height, width], side) = blocks(importer, call)?;
    let (rows, columns) = (height / side, width / side);
    let parts = [batch, channels, rows, side, columns, side];
    let shape = [batch, channels * side * side, rows, columns];
    shuffled(importer, call, parts, [0, 3, 5, 1, 2, 4], shape)
}
