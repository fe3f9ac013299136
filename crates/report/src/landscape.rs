//! Loss in a plane through the parameters, L(θ + ‖θ‖ (s d₁ + t d₂)), as a filled contour map.
//!
//! Levels are evenly spaced in L, or in ln L where the largest is at least ten times the smallest; between
//! the points of the grid the same is interpolated bilinearly.

use crate::Error;
use crate::axis::{Axis, Scale};
use crate::chart::{Chart, Frame};
use crate::number::significant;
use crate::picture::check_length;
use crate::svg::{Pen, WIDTH, arranged, colour};

/// Viridis, whose lightness rises evenly and which is read in light and dark alike.
const VIRIDIS: [&str; 16] = [
    "#440154", "#481a6c", "#472f7d", "#414487", "#39568c", "#31688e", "#2a788e", "#23888e",
    "#1f988b", "#22a884", "#35b779", "#54c568", "#7ad151", "#a5db36", "#d2e21b", "#fde725",
];

const LEVELS: usize = VIRIDIS.len();

/// Side of a cell of the map in CSS pixels.
const CELL: f64 = 1.5;

/// Ratio of the largest to the smallest loss from which levels are logarithmic: a decade.
const LOGARITHMIC_FROM: f64 = 10.0;

/// Losses on a grid in a plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landscape<'a> {
    /// The first direction d₁ in words, such as `first eigenvector`.
    pub x_direction: &'a str,
    /// The second direction d₂ in words.
    pub y_direction: &'a str,
    /// Steps s along the first direction in units of ‖θ‖, ascending, at least 2.
    pub x: &'a [f64],
    /// Steps t along the second direction, likewise.
    pub y: &'a [f64],
    /// Mean losses (t, s): the steps along the first direction vary fastest.
    pub losses: &'a [f64],
}

/// The plane as one SVG file; `name` says of which network and data. A loss that is not finite counts as the largest.
///
/// # Errors
/// [`Error::Length`] for losses that are not one for each point, or fewer than 2 steps along a direction.
pub fn landscape_svg(name: &str, landscape: &Landscape<'_>) -> Result<String, Error> {
    let plot = "a landscape";
    let Landscape { x, y, losses, .. } = *landscape;
    for (field, steps) in [("x", x), ("y", y)] {
        check_length(plot, field, steps.len().max(2), steps.len())?;
    }
    check_length(plot, "losses", x.len() * y.len(), losses.len())?;
    let mut chart = Chart::new("", ("", Scale::Linear), ("", Scale::Linear), Vec::new());
    chart.x = axis(landscape.x_direction, x);
    chart.y = axis(landscape.y_direction, y);
    let levels = Levels::of(losses);
    let heights = Heights {
        x,
        y,
        values: losses.iter().map(|&loss| (levels.scale)(loss)).collect(),
    };
    let frame = Frame {
        left: 58.0,
        top: 84.0,
        bottom: 84.0 + Frame::RIGHT - 58.0,
    };
    let mut pen = Pen::default();
    pen.text([14.0, 20.0], "start", "ink", name);
    levels.legend(&mut pen);
    pen.text([14.0, 76.0], "start", "muted", &chart.y.title);
    chart.axes(&mut pen, frame);
    fill(&mut pen, frame, &heights, &levels);
    if let (Some(x), Some(y)) = (frame.x(&chart.x, 0.0), frame.y(&chart.y, 0.0)) {
        // Where the parameters are.
        let surface = colour("surface");
        pen.rectangle([x - 5.0, y - 1.0], [10.0, 2.0], &surface);
        pen.rectangle([x - 1.0, y - 5.0], [2.0, 10.0], &surface);
    }
    let panel = pen.panel(frame.bottom + 44.0);
    Ok(arranged("Loss in a plane", &[panel]))
}

/// From the first step to the last, with no room beyond them.
fn axis(direction: &str, steps: &[f64]) -> Axis {
    let title = format!("step along the {direction} / ‖θ‖");
    let mut axis = Axis::new(&title, Scale::Linear, steps);
    axis.end_at(steps);
    axis
}

/// Every stretch of one level reaches to the end of its row, and every row over the next one, so that no gap shows where
/// neighbours meet.
fn fill(pen: &mut Pen, frame: Frame, heights: &Heights<'_>, levels: &Levels) {
    let (width, height) = (Frame::RIGHT - frame.left, frame.bottom - frame.top);
    let (columns, rows) = ((width / CELL) as usize, (height / CELL) as usize);
    let share = |cell: usize, cells: usize| (cell as f64 + 0.5) / cells as f64;
    for row in 0..rows {
        let y = frame.top + row as f64 * CELL;
        let mut last = None;
        for column in 0..columns {
            let level = levels.level(heights.at(share(column, columns), 1.0 - share(row, rows)));
            if last.replace(level) != Some(level) {
                let x = frame.left + column as f64 * CELL;
                let size = [Frame::RIGHT - x, (2.0 * CELL).min(frame.bottom - y)];
                pen.rectangle([x, y], size, VIRIDIS[level]);
            }
        }
    }
}

/// Losses on the scale of the levels.
struct Heights<'a> {
    x: &'a [f64],
    y: &'a [f64],
    /// One for each y and x, x fastest.
    values: Vec<f64>,
}

impl Heights<'_> {
    /// Bilinear interpolation at a place of the map, both coordinates from 0 to 1.
    fn at(&self, rightward: f64, upward: f64) -> f64 {
        let (left, right_share) = cell(self.x, rightward);
        let (below, above_share) = cell(self.y, upward);
        let at = |column: usize, row: usize| self.values[row * self.x.len() + column];
        let along = |row| (1.0 - right_share) * at(left, row) + right_share * at(left + 1, row);
        (1.0 - above_share) * along(below) + above_share * along(below + 1)
    }
}

/// The interval of `steps` at a share of their range, and the share of the interval.
fn cell(steps: &[f64], share: f64) -> (usize, f64) {
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let value = first + share * (last - first);
    let interval = steps[1..steps.len() - 1].partition_point(|&step| step <= value);
    let (low, high) = (steps[interval], steps[interval + 1]);
    let within = (value - low) / (high - low);
    (interval, if within.is_finite() { within } else { 0.0 })
}

type Map = fn(f64) -> f64;

/// Colours for ranges of loss, evenly spaced between two losses on a scale.
struct Levels {
    /// The smallest loss on the scale.
    low: f64,
    /// The largest.
    high: f64,
    /// From a loss to the scale.
    scale: Map,
    /// And back.
    inverse: Map,
}

impl Levels {
    fn of(losses: &[f64]) -> Self {
        let finite = || losses.iter().copied().filter(|loss| loss.is_finite());
        let low = finite().reduce(f64::min).unwrap_or(0.0);
        let high = finite().reduce(f64::max).unwrap_or(1.0);
        let logarithmic = low > 0.0 && high >= LOGARITHMIC_FROM * low;
        let (scale, inverse): (Map, Map) = if logarithmic {
            (f64::ln, f64::exp)
        } else {
            (|value| value, |value| value)
        };
        Self {
            low: scale(low),
            high: scale(high),
            scale,
            inverse,
        }
    }

    /// The level of a loss on the scale; a constant has the lowest.
    fn level(&self, height: f64) -> usize {
        let share = (height - self.low) / (self.high - self.low);
        if share < 1.0 {
            (share.max(0.0) * LEVELS as f64) as usize
        } else if height == self.low {
            0
        } else {
            LEVELS - 1
        }
    }

    /// The colours from the smallest loss to the largest, with four numbers.
    fn legend(&self, pen: &mut Pen) {
        let (left, right) = (14.0, WIDTH - 14.0);
        for (level, viridis) in VIRIDIS.iter().enumerate() {
            let x = left + (right - left) * level as f64 / LEVELS as f64;
            pen.rectangle([x, 32.0], [right - x, 10.0], viridis);
        }
        let anchors = ["start", "middle", "middle", "end"];
        for (part, anchor) in (0..).zip(anchors) {
            let share = f64::from(part) / 3.0;
            let value = (self.inverse)(self.low + share * (self.high - self.low));
            let loss = if part == 0 { "loss " } else { "" };
            let text = format!("{loss}{}", significant(value, 3));
            pen.text(
                [left + (right - left) * share, 56.0],
                anchor,
                "muted",
                &text,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_is_exact_for_bilinear_functions_on_uneven_grids() {
        let (x, y) = ([-1.0, 0.0, 3.0], [0.0, 1.0, 4.0, 5.0]);
        let function = |x: f64, y: f64| 2.0 + 3.0 * x - y + 0.5 * x * y;
        let rows = y.iter().map(|&y| x.map(|x| function(x, y)));
        let values = rows.collect::<Vec<_>>().concat();
        let heights = Heights {
            x: &x,
            y: &y,
            values,
        };
        for (rightward, upward) in [(0.0, 0.0), (0.3, 0.9), (0.25, 0.5), (1.0, 1.0)] {
            let expected = function(-1.0 + 4.0 * rightward, 5.0 * upward);
            let got = heights.at(rightward, upward);
            // A few roundings of numbers of order ten.
            assert!((got - expected).abs() < 1e-13, "{got} {expected}");
        }
    }

    #[test]
    fn levels_span_the_losses_and_what_is_not_finite_is_the_highest() {
        let even = Levels::of(&[1.0, 2.0, f64::NAN]);
        let logarithmic = Levels::of(&[0.01, 100.0, f64::INFINITY]);
        let constant = Levels::of(&[3.0, 3.0]);
        for (levels, loss, expected) in [
            (&even, 1.0, 0),
            (&even, 1.5, LEVELS / 2),
            (&even, 2.0, LEVELS - 1),
            (&even, f64::NAN, LEVELS - 1),
            (&logarithmic, 0.01, 0),
            (&logarithmic, 1.0 + 1e-9, LEVELS / 2),
            (&logarithmic, f64::INFINITY, LEVELS - 1),
            (&constant, 3.0, 0),
        ] {
            assert_eq!(levels.level((levels.scale)(loss)), expected, "{loss}");
        }
    }
}
