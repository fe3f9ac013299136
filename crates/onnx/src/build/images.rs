//! Layers of images: convolutions, paddings.

use flatness_layers::{Axis, Conv2d, Convolution, Grid, Pad, Shift, Value, Window};

use super::{Builder, Refusal, constants, refused};
use crate::array::{Array, Kind};
use crate::plan::{Step, WeightId, Windows};

impl Builder<'_> {
    pub(super) fn convolution(
        &mut self,
        step: &Step,
        (weight, bias): (WeightId, Option<WeightId>),
        windows: &Windows,
        groups: usize,
    ) -> Result<Value, Refusal> {
        let [outputs, inputs, ref kernel @ ..] = self.plan.weights[weight].shape[..] else {
            return refused("has no kernel");
        };
        let parameters: Vec<WeightId> = std::iter::once(weight).chain(bias).collect();
        if let (Some(window), &[rows, columns]) = (window(windows), kernel)
            && groups == 1
            && rows == columns
        {
            let layer = Conv2d::new(inputs, outputs, rows, window);
            return match bias {
                Some(_) => self.put(step, layer, &parameters),
                None => self.put(step, layer.without_bias(), &parameters),
            };
        }
        let layer = Convolution::new(inputs * groups, outputs, kernel, grid(windows, groups));
        match bias {
            Some(_) => self.put(step, layer, &parameters),
            None => self.put(step, layer.without_bias(), &parameters),
        }
    }

    pub(super) fn transposed_convolution(
        &mut self,
        step: &Step,
        (weight, bias): (WeightId, Option<WeightId>),
        (windows, output_padding): (&Windows, &[usize]),
        groups: usize,
    ) -> Result<Value, Refusal> {
        let [inputs, outputs, ref kernel @ ..] = self.plan.weights[weight].shape[..] else {
            return refused("has no kernel");
        };
        let layer = Convolution::new(inputs, outputs * groups, kernel, grid(windows, groups));
        let layer = layer.transposed(output_padding);
        match bias {
            Some(bias) => self.put(step, layer, &[weight, bias]),
            None => self.put(step, layer.without_bias(), &[weight]),
        }
    }

    /// `value` before and behind the elements of each axis.
    pub(super) fn padded(
        &mut self,
        step: &Step,
        input: Value,
        pads: &[(usize, usize)],
        value: f64,
    ) -> Result<Value, Refusal> {
        let inner = self.graph.shape(input)?.to_vec();
        let mut padded = input;
        for (axis, &(before, behind)) in
            pads.iter().enumerate().filter(|(_, pads)| **pads != (0, 0))
        {
            padded = self.behind(
                &[padded],
                step,
                Pad {
                    axis,
                    before,
                    behind,
                },
                &[],
            )?;
        }
        if value == 0.0 || padded == input {
            return Ok(padded);
        }
        let shape = self.graph.shape(padded)?.to_vec();
        let border = |place: usize| {
            let mut rest = place;
            let is_inside = (0..shape.len()).rev().all(|axis| {
                let index = rest % shape[axis];
                rest /= shape[axis];
                (pads[axis].0..pads[axis].0 + inner[axis]).contains(&index)
            });
            if is_inside { 0.0 } else { value }
        };
        let count = crate::array::elements(&shape).map_err(Refusal::Reason)?;
        let values = (0..count).map(border).collect();
        let border = Array::new(shape, Kind::Float, values);
        self.behind(&[padded], step, Shift::new(constants(&border)?), &[])
    }
}

/// Stride and padding, where they are the same on both axes and sides.
fn window(windows: &Windows) -> Option<Window> {
    match (
        &windows.strides[..],
        &windows.padding[..],
        &windows.dilations[..],
    ) {
        (&[stride, other], &[(padding, bottom), (left, right)], [1, 1])
            if stride == other && [bottom, left, right] == [padding; 3] =>
        {
            Some(Window { stride, padding })
        }
        _ => None,
    }
}

/// Where a kernel is laid over an image; an image of more axes than three is refused by the layer.
pub(super) fn grid(windows: &Windows, groups: usize) -> Grid {
    let axes = (0..windows.kernel.len()).map(|axis| Axis {
        stride: windows.strides[axis],
        dilation: windows.dilations[axis],
        before: windows.padding[axis].0,
        behind: windows.padding[axis].1,
    });
    Grid::new(groups, &axes.collect::<Vec<_>>())
}
