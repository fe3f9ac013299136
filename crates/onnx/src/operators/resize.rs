//! Images of other extents, by interpolation along one axis after the other.

use super::one;
use crate::array::{Reason, elements};
use crate::import::Importer;
use crate::operand::{Call, Operand, axis};
use crate::plan::Operation;

/// Where along an axis of the input the elements of the output are.
#[derive(Debug, Clone, Copy)]
struct Sampling {
    inputs: usize,
    outputs: usize,
    /// Elements of the output for one of the input.
    scale: f64,
}

impl Sampling {
    /// The place of output `index`, between the elements of the input.
    fn place(self, mode: &str, index: usize) -> Result<f64, Reason> {
        let index = index as f64;
        Ok(match mode {
            "half_pixel" => (index + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" if self.outputs == 1 => 0.0,
            "pytorch_half_pixel" => (index + 0.5) / self.scale - 0.5,
            "align_corners" if self.outputs == 1 => 0.0,
            "align_corners" => index * (self.inputs - 1) as f64 / (self.outputs - 1) as f64,
            "asymmetric" => index / self.scale,
            other => return Err(format!("resizes with the coordinates {other}").into()),
        })
    }

    /// Elements around `place` with their weights, none outside of the axis.
    fn taps(self, place: f64, cubic: Option<f64>) -> Vec<(u32, f64)> {
        let (below, last) = (place.floor(), self.inputs as f64 - 1.0);
        let t = place - below;
        let weights = match cubic {
            None => vec![(0.0, 1.0 - t), (1.0, t)],
            // Keys (1981), with the slope `a`.
            Some(a) => {
                let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
                let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
                vec![
                    (-1.0, far(t + 1.0)),
                    (0.0, near(t)),
                    (1.0, near(1.0 - t)),
                    (2.0, far(2.0 - t)),
                ]
            }
        };
        let taps = weights.into_iter();
        taps.map(|(step, weight)| ((below + step).clamp(0.0, last) as u32, weight))
            .collect()
    }
}

pub(super) fn resize(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let mut operand = call.input(0)?.clone();
    let own = operand.shape(importer.marker);
    let is_old = call.node.op_type == "Upsample";
    let kept =
        |index: usize| Ok::<_, Reason>(call.known(index)?.filter(|array| !array.values.is_empty()));
    let (scales, sizes) = match is_old {
        true => (kept(1)?, None),
        false => (kept(2)?, kept(3)?),
    };
    let places = match call.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&number| axis(number, own.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..own.len()).collect(),
    };
    let numbers = scales.or(sizes).ok_or("has neither scales nor sizes")?;
    let mode = call.text("mode", "nearest");
    let coordinates = match is_old {
        true => "asymmetric",
        false => call.text("coordinate_transformation_mode", "half_pixel"),
    };
    let rounding = match is_old {
        true => "floor",
        false => call.text("nearest_mode", "round_prefer_floor"),
    };
    let is_plain = call.int("antialias", 0) == 0
        && call.int("exclude_outside", 0) == 0
        && call.text("keep_aspect_ratio_policy", "stretch") == "stretch";
    if numbers.values.len() != places.len() || !is_plain {
        return Err("resizes with antialiasing, or in a way that PyTorch does not export".into());
    }
    for (place, &number) in places.into_iter().zip(numbers.values.iter()) {
        let inputs = own[place];
        let outputs = if scales.is_some() {
            (inputs as f64 * number).floor()
        } else {
            number
        };
        let outputs = elements(&[outputs.max(0.0) as usize])?;
        let scale = if scales.is_some() {
            number
        } else {
            outputs as f64 / inputs as f64
        };
        if outputs == inputs && scale == 1.0 {
            continue;
        }
        if outputs == 0 || inputs == 0 {
            return Err(format!("makes {outputs} elements of {inputs}").into());
        }
        let sampling = Sampling {
            inputs,
            outputs,
            scale,
        };
        let sampled = (0..outputs).map(|index| sampling.place(coordinates, index));
        let sampled = sampled.collect::<Result<Vec<f64>, _>>()?;
        let cubic = match mode {
            "nearest" => {
                let rounded = |place: f64| match rounding {
                    "floor" => Ok(place.floor()),
                    "ceil" => Ok(place.ceil()),
                    "round_prefer_floor" => Ok((place - 0.5).ceil()),
                    "round_prefer_ceil" => Ok((place + 0.5).floor()),
                    other => Err(Reason::from(format!("rounds by {other}"))),
                };
                let index =
                    |&place: &f64| Ok(rounded(place)?.clamp(0.0, inputs as f64 - 1.0) as usize);
                let indices = sampled
                    .iter()
                    .map(index)
                    .collect::<Result<Vec<_>, Reason>>()?;
                operand = importer.taken(call, &operand, place, indices)?;
                continue;
            }
            "linear" => None,
            "cubic" => Some(call.float("cubic_coeff_a", -0.75)),
            other => return Err(format!("resizes by {other}").into()),
        };
        importer.charge_windows(outputs, if cubic.is_some() { 4 } else { 2 }, inputs)?;
        let argument = importer.materialize(call, &operand)?;
        let operation = Operation::WeightedSums {
            axis: argument.layout.position(place)?,
            windows: sampled
                .into_iter()
                .map(|place| sampling.taps(place, cubic))
                .collect(),
        };
        let layout = argument.layout.with(place, outputs);
        operand = Operand::Value(importer.push(call, operation, &[argument.number], layout)?);
    }
    one(operand)
}
