//! Layers of images: convolutions, poolings, paddings.

use flatness_layers::{
    AveragePool, Conv2d, Convolution, Factors, Grid, MaxPool, Pad, Shift, Value, Window,
};

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
        let &[outputs, inputs, rows, columns] = &self.plan.weights[weight].shape[..] else {
            return refused("acts on other than images of two axes");
        };
        let parameters: Vec<WeightId> = std::iter::once(weight).chain(bias).collect();
        if let Some(window) = window(windows).filter(|_| groups == 1 && rows == columns) {
            let layer = Conv2d::new(inputs, outputs, rows, window);
            return match bias {
                Some(_) => self.put(step, layer, &parameters),
                None => self.put(step, layer.without_bias(), &parameters),
            };
        }
        let grid = grid(windows, groups)?;
        let layer = Convolution::new(inputs * groups, outputs, [rows, columns], grid);
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
        let shape = &self.plan.weights[weight].shape[..];
        let (&[inputs, outputs, rows, columns], &[bottom, right]) = (shape, output_padding) else {
            return refused("acts on other than images of two axes");
        };
        let grid = grid(windows, groups)?;
        let layer = Convolution::new(inputs, outputs * groups, [rows, columns], grid);
        let layer = layer.transposed([bottom, right]);
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

    /// An image with the padding of `windows` around it.
    fn bordered(
        &mut self,
        step: &Step,
        input: Value,
        windows: &Windows,
        value: f64,
    ) -> Result<Value, Refusal> {
        let pads = [&[(0, 0)], windows.padding.as_slice()].concat();
        self.padded(step, input, &pads, value)
    }

    pub(super) fn max_pool(
        &mut self,
        step: &Step,
        input: Value,
        windows: &Windows,
    ) -> Result<Value, Refusal> {
        let Some((kernel, stride)) = square(windows) else {
            return refused("has other than square windows of neighbours");
        };
        let image = self.bordered(step, input, windows, f64::NEG_INFINITY)?;
        self.behind(&[image], step, MaxPool::new(kernel, stride), &[])
    }

    pub(super) fn average_pool(
        &mut self,
        step: &Step,
        input: Value,
        windows: &Windows,
        counts_padding: bool,
    ) -> Result<Value, Refusal> {
        let Some((kernel, stride)) = square(windows) else {
            return refused("has other than square windows of neighbours");
        };
        let extents = self.graph.shape(input)?[1..].to_vec();
        let image = self.bordered(step, input, windows, 0.0)?;
        let mean = self.behind(&[image], step, AveragePool::new(kernel, stride), &[])?;
        if counts_padding || windows.padding.iter().all(|&pads| pads == (0, 0)) {
            return Ok(mean);
        }
        let factors = Factors::new(constants(&shares(windows, &extents, &step.shape[1..]))?);
        self.behind(&[mean], step, factors, &[])
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

fn grid(windows: &Windows, groups: usize) -> Result<Grid, Refusal> {
    let (&[down, across], &[rows, columns]) = (&windows.strides[..], &windows.dilations[..]) else {
        return refused("acts on other than images of two axes");
    };
    let [(top, bottom), (left, right)] = windows.padding[..] else {
        return refused("acts on other than images of two axes");
    };
    Ok(Grid {
        groups,
        stride: [down, across],
        dilation: [rows, columns],
        before: [top, left],
        behind: [bottom, right],
    })
}

/// Extent and stride of square windows without gaps.
fn square(windows: &Windows) -> Option<(usize, usize)> {
    match (
        &windows.kernel[..],
        &windows.strides[..],
        &windows.dilations[..],
    ) {
        (&[kernel, width], &[stride, across], [1, 1]) if kernel == width && stride == across => {
            Some((kernel, stride))
        }
        _ => None,
    }
}

/// Elements of each window over those of them inside the image.
fn shares(windows: &Windows, input: &[usize], output: &[usize]) -> Array {
    let inside = |axis: usize, place: usize| {
        let start = place * windows.strides[axis];
        let (before, kernel) = (windows.padding[axis].0, windows.kernel[axis]);
        let taps =
            (start..start + kernel).filter(|tap| (before..before + input[axis]).contains(tap));
        kernel as f64 / taps.count().max(1) as f64
    };
    let rows = (0..output[0]).map(|row| inside(0, row));
    let values = rows.flat_map(|share| (0..output[1]).map(move |column| share * inside(1, column)));
    Array::new(output.to_vec(), Kind::Float, values.collect())
}
