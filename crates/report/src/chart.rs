//! Two axes, what is drawn between them, and a legend: the one model of every plot.

use crate::axis::{Axis, Scale};
use crate::svg::{Pen, WIDTH, arranged, colour, fitted, series_colour, text_width, wrapped};

/// Height of the drawing within the axes.
const PLOT: f64 = 180.0;

const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 14.0;

/// Two axes with what is drawn between them.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// Values of x and y at which a line is drawn.
    pub(crate) guides: [Vec<f64>; 2],
}

#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Ends of a bar, along x or along y.
    pub(crate) bar: Option<[f64; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A line and a marker at every point.
    Line,
    /// A line alone.
    Bare,
    /// A dashed line in the colour of the series before.
    Dashed,
    /// Markers alone.
    Points,
    /// Small faint markers in the colour of the series before, not in the legend.
    Runs,
    /// Markers with horizontal bars.
    Rows,
    /// A line with its bars as a band.
    Band,
    /// From the bottom to every point.
    Stems,
}

impl Point {
    pub(crate) fn new(x: f64, y: f64) -> Self {
        Self { x, y, bar: None }
    }
}

impl Series {
    pub(crate) fn new(
        label: impl Into<String>,
        mark: Mark,
        points: impl IntoIterator<Item = Point>,
    ) -> Self {
        Self {
            label: label.into(),
            mark,
            points: points.into_iter().collect(),
        }
    }
}

/// Where the axes are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    pub(crate) const RIGHT: f64 = RIGHT;

    pub(crate) fn x(&self, axis: &Axis, value: f64) -> Option<f64> {
        Some(self.left + axis.share(value)? * (RIGHT - self.left))
    }

    pub(crate) fn y(&self, axis: &Axis, value: f64) -> Option<f64> {
        Some(self.bottom - axis.share(value)? * (self.bottom - self.top))
    }
}

impl Chart {
    /// Titles and scales of x and y, which reach over all points that are finite; no guides.
    pub(crate) fn new(
        title: impl Into<String>,
        x: (impl Into<String>, Scale),
        y: (impl Into<String>, Scale),
        series: Vec<Series>,
    ) -> Self {
        let finite = |of: fn(&Point) -> f64| {
            let values = series.iter().flat_map(|series| &series.points).map(of);
            values.filter(|value| value.is_finite()).collect::<Vec<_>>()
        };
        Self {
            title: title.into(),
            x: Axis::new(x.0, x.1, &finite(|point| point.x)),
            y: Axis::new(y.0, y.1, &finite(|point| point.y)),
            series,
            guides: [Vec::new(), Vec::new()],
        }
    }

    pub(crate) fn shows_something(&self) -> bool {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        points.any(|point| self.x.share(point.x).is_some() && self.y.share(point.y).is_some())
    }

    /// Every series with the number of its colour and marker.
    fn numbered(&self) -> impl Iterator<Item = (usize, &Series)> {
        let mut number = 0;
        self.series.iter().enumerate().map(move |(place, series)| {
            number += usize::from(place > 0 && !matches!(series.mark, Mark::Dashed | Mark::Runs));
            (number, series)
        })
    }

    pub(crate) fn draw(&self) -> String {
        let mut pen = Pen::default();
        let top = self.legend(&mut pen);
        let rows = self.series.iter().any(|series| series.mark == Mark::Rows);
        let labels = self.y.ticks.iter().map(|(_, label)| text_width(label));
        let (left, height) = match rows {
            true => {
                let widest = labels.fold(0.0, f64::max);
                (
                    (widest + 18.0).min(150.0),
                    16.0 + 30.0 * self.y.ticks.len() as f64,
                )
            }
            false => (LEFT, PLOT),
        };
        let frame = Frame {
            left,
            top,
            bottom: top + height,
        };
        self.axes(&mut pen, frame);
        for (number, series) in self.numbered() {
            self.marks(&mut pen, frame, series, number);
        }
        pen.panel(frame.bottom + 44.0)
    }

    /// As a file of its own.
    pub(crate) fn alone(&self, title: &str) -> String {
        arranged(title, &[self.draw()])
    }

    /// Title and legend; where the drawing begins.
    fn legend(&self, pen: &mut Pen) -> f64 {
        let mut y = 3.0;
        for line in wrapped(&self.title, WIDTH - 28.0) {
            y += 17.0;
            pen.text([14.0, y], "start", "ink", &line);
        }
        let mut x = 14.0;
        y += 20.0;
        let shown = || {
            self.numbered()
                .filter(|(_, series)| series.mark != Mark::Runs)
        };
        let several = shown().count() > 1;
        for (number, series) in shown().filter(|(_, series)| several && !series.label.is_empty()) {
            let label = fitted(&series.label, WIDTH - 60.0);
            let width = 26.0 + text_width(&label);
            if x + width > WIDTH - 8.0 && x > 14.0 {
                (x, y) = (14.0, y + 17.0);
            }
            let middle = y - 4.0;
            if matches!(series.mark, Mark::Rows | Mark::Points) {
                pen.marker([x + 8.0, middle], number, 4.0, 1.0);
            } else {
                let (ends, colour) = ([[x, middle], [x + 16.0, middle]], series_colour(number));
                pen.polyline(&ends, &colour, series.mark == Mark::Dashed);
            }
            if series.mark == Mark::Line {
                pen.marker([x + 8.0, middle], number, 3.5, 1.0);
            }
            pen.text([x + 21.0, y], "start", "muted", &label);
            x += width + 8.0;
        }
        if !self.y.title.is_empty() {
            let below = if x > 14.0 { y + 20.0 } else { y };
            pen.text(
                [14.0, below],
                "start",
                "muted",
                &fitted(&self.y.title, WIDTH - 28.0),
            );
            return below + 12.0;
        }
        if x > 14.0 { y + 12.0 } else { y - 8.0 }
    }

    /// Grid, ticks and titles.
    pub(crate) fn axes(&self, pen: &mut Pen, frame: Frame) {
        let Frame { left, top, bottom } = frame;
        let (grid, muted) = (colour("grid"), colour("muted"));
        for (value, label) in &self.y.ticks {
            if let Some(y) = frame.y(&self.y, *value) {
                pen.line([left, y], [RIGHT, y], &grid, 1.0);
                pen.text(
                    [left - 7.0, y + 4.0],
                    "end",
                    "muted",
                    &fitted(label, left - 10.0),
                );
            }
        }
        let mut free = f64::NEG_INFINITY;
        for (value, label) in &self.x.ticks {
            if let Some(x) = frame.x(&self.x, *value) {
                pen.line([x, bottom], [x, bottom + 4.0], &muted, 1.0);
                let half = 0.5 * text_width(label);
                if x - half > free && x + half < WIDTH {
                    free = x + half + 4.0;
                    pen.text([x, bottom + 18.0], "middle", "muted", label);
                }
            }
        }
        pen.line([left, bottom], [RIGHT, bottom], &muted, 1.0);
        let title = fitted(&self.x.title, WIDTH - 28.0);
        pen.text(
            [0.5 * (left + RIGHT), bottom + 36.0],
            "middle",
            "muted",
            &title,
        );
        let [across, along] = &self.guides;
        for x in across.iter().filter_map(|value| frame.x(&self.x, *value)) {
            pen.line([x, top], [x, bottom], &muted, 1.4);
        }
        for y in along.iter().filter_map(|value| frame.y(&self.y, *value)) {
            pen.line([left, y], [RIGHT, y], &muted, 1.4);
        }
    }

    fn marks(&self, pen: &mut Pen, frame: Frame, series: &Series, number: usize) {
        let (mark, stroke) = (series.mark, series_colour(number));
        let place = |x: f64, y: f64| Some([frame.x(&self.x, x)?, frame.y(&self.y, y)?]);
        let at = |point: &Point| place(point.x, point.y);
        // In pieces without a gap.
        let pieces = || series.points.split(|point| at(point).is_none());
        if mark == Mark::Band {
            let [least, _] = self.y.ends();
            let end = |point: &Point, side: usize| {
                let value = point.bar.map_or(point.y, |bar| bar[side]);
                place(point.x, value.max(least))
            };
            for piece in pieces() {
                // Along the lower ends and back along the upper ones.
                let lower = piece.iter().filter_map(|point| end(point, 0));
                let upper = piece.iter().rev().filter_map(|point| end(point, 1));
                let corners: Vec<[f64; 2]> = lower.chain(upper).collect();
                if corners.len() > 2 {
                    pen.polygon(&corners, &stroke, 0.2);
                }
            }
        }
        if matches!(mark, Mark::Line | Mark::Bare | Mark::Dashed | Mark::Band) {
            for piece in pieces() {
                match piece.iter().filter_map(at).collect::<Vec<_>>().as_slice() {
                    [] => {}
                    // A line of one point is no line.
                    [one] if mark != Mark::Line => pen.marker(*one, number, 3.0, 1.0),
                    points => pen.polyline(points, &stroke, mark == Mark::Dashed),
                }
            }
        }
        for point in &series.points {
            let Some([x, y]) = at(point) else {
                continue;
            };
            match mark {
                Mark::Line => pen.marker([x, y], number, 3.5, 1.0),
                Mark::Points => pen.marker([x, y], number, 3.2, 0.7),
                Mark::Runs => pen.marker([x, y], number, 2.4, 0.4),
                Mark::Stems => pen.line([x, frame.bottom], [x, y], &stroke, 1.4),
                Mark::Rows => {
                    if let Some(bar) = point.bar {
                        let [low, high] = self.x.ends();
                        let [left, right] =
                            bar.map(|end| frame.x(&self.x, end.clamp(low, high)).unwrap_or(x));
                        pen.line([left, y], [right, y], &stroke, 2.2);
                    }
                    pen.marker([x, y], number, 4.0, 1.0);
                }
                Mark::Bare | Mark::Dashed | Mark::Band => {}
            }
        }
    }
}
