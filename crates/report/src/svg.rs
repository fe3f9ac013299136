//! Charts as SVG: scales, ticks, marks, legend. Colours are custom properties with a light fallback.
//!
//! A panel is as wide as a narrow telephone, so that its text keeps its size there; wider surroundings show several. The
//! series colours are variations of the Okabe-Ito palette, which readers with any common colour-vision deficiency can tell apart;
//! every series has a marker of its own besides.

use std::fmt::Write as _;

use crate::number::{power_of_ten, significant};
use crate::table::escape;

/// Width of a panel in CSS pixels.
pub(crate) const WIDTH: f64 = 340.0;

/// Height of the drawing within the axes.
const PLOT: f64 = 180.0;

const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 14.0;
const TEXT: f64 = 12.0;

/// Custom property, light and dark colour.
const COLOURS: [[&str; 3]; 11] = [
    ["--plot-surface", "#ffffff", "#1b1c1e"],
    ["--plot-ink", "#1d1e20", "#eceae6"],
    ["--plot-muted", "#62656a", "#a5a8ad"],
    ["--plot-grid", "#e6e6e3", "#33353a"],
    ["--plot-band", "#e3f1ea", "#1f3a30"],
    ["--plot-series-1", "#0a6bb0", "#5db2f0"],
    ["--plot-series-2", "#c14a05", "#f2935a"],
    ["--plot-series-3", "#0a7f5b", "#45c79f"],
    ["--plot-series-4", "#97498f", "#d698d0"],
    ["--plot-series-5", "#8a6a00", "#e0bc45"],
    ["--plot-series-6", "#55606b", "#aab6c2"],
];

const SERIES: usize = 6;

/// `var(--property, #fallback)`.
pub(crate) fn colour(name: &str) -> String {
    let [property, light, _] = COLOURS
        .iter()
        .find(|[property, ..]| property.ends_with(name))
        .unwrap_or(&COLOURS[1]);
    format!("var({property}, {light})")
}

fn series_colour(number: usize) -> String {
    colour(&format!("series-{}", 1 + number % SERIES))
}

/// The custom properties for light and for dark surroundings; print is light.
pub(crate) fn palette() -> String {
    let declare = |theme: usize| {
        COLOURS
            .map(|colour| format!("{}:{}", colour[0], colour[theme]))
            .join(";")
    };
    format!(
        ":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        declare(1),
        declare(2)
    )
}

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
pub(crate) struct Axis {
    pub(crate) title: String,
    logarithmic: bool,
    /// Ends, on the scale of the axis.
    ends: [f64; 2],
    pub(crate) ticks: Vec<(f64, String)>,
    /// Zero has a place of its own on a logarithmic axis: before all others.
    zero: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) points: Vec<Point>,
    pub(crate) mark: Mark,
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

impl Axis {
    /// Even from the smallest value to the largest, with a little room.
    pub(crate) fn linear(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let [mut low, mut high] = ends(values).unwrap_or([0.0, 1.0]);
        if low == high {
            let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            [low, high] = [low - room, high + room];
        }
        let room = 0.04 * (high - low);
        let (low, high) = (low - room, high + room);
        let step = round_step((high - low) / 4.0);
        let first = (low / step).ceil();
        let ticks = (0..8)
            .map(|tick| (first + f64::from(tick)) * step)
            .filter(|value| *value <= high);
        let digits = (2.0 + (low.abs().max(high.abs()) / step).log10().floor()) as i32;
        let label = |value: f64| {
            let value = if value.abs() < 1e-9 * step {
                0.0
            } else {
                value
            };
            (value, shortened(&significant(value, digits.clamp(1, 6))))
        };
        Self {
            title: title.to_owned(),
            logarithmic: false,
            ends: [low, high],
            ticks: ticks.map(label).collect(),
            zero: false,
        }
    }

    /// Even in the logarithms of the positive values; where there are zeros, they come before all others.
    pub(crate) fn logarithmic(title: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let zero = values.clone().any(|value| value == 0.0);
        let logarithms = values.filter(|value| *value > 0.0).map(f64::log10);
        let [mut low, mut high] = ends(logarithms).unwrap_or([-1.0, 0.0]);
        let room = (0.04 * (high - low)).max(0.05);
        (low, high) = (low - room, high + room);
        let decades = high - low;
        let every = (decades / 5.0).ceil().max(1.0) as i32;
        let mut ticks: Vec<(f64, String)> = (low.ceil() as i32..=high.floor() as i32)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .map(|exponent| (10f64.powi(exponent), plain_power(exponent)))
            .collect();
        if ticks.len() < 2 {
            let within = (low.floor() as i32..=high.ceil() as i32).flat_map(|exponent| {
                let steps: &[f64] = if decades > 0.7 {
                    &[1.0, 2.0, 5.0]
                } else {
                    &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
                };
                steps.iter().map(move |step| step * 10f64.powi(exponent))
            });
            let within = within.filter(|value| (low..=high).contains(&value.log10()));
            ticks = within
                .map(|value| (value, shortened(&significant(value, 2))))
                .collect();
        }
        if zero {
            low -= 0.15 * (high - low);
            ticks.insert(0, (0.0, "0".to_owned()));
        }
        Self {
            title: title.to_owned(),
            logarithmic: true,
            ends: [low, high],
            ticks,
            zero,
        }
    }

    /// Logarithmic for numbers that are not negative and span a decade.
    pub(crate) fn fitting(title: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.clone().filter(|value| *value > 0.0);
        let spans = ends(positive).is_some_and(|[low, high]| high >= 10.0 * low);
        if spans && values.clone().all(|value| value >= 0.0) {
            Self::logarithmic(title, values)
        } else {
            Self::linear(title, values)
        }
    }

    /// One place for each name, the first at the top.
    pub(crate) fn rows(names: &[String]) -> Self {
        let ticks = (0..)
            .zip(names)
            .map(|(row, name)| (-f64::from(row), name.clone()));
        Self {
            title: String::new(),
            logarithmic: false,
            ends: [0.5 - names.len() as f64, 0.5],
            ticks: ticks.collect(),
            zero: false,
        }
    }

    /// Exactly from the first to the last of these.
    pub(crate) fn end_at(&mut self, values: &[f64]) {
        if let [first, .., last] = values {
            self.ends = [*first, *last];
            self.ticks
                .retain(|(value, _)| (*first..=*last).contains(value));
        }
    }

    /// Share of the way from the low end to the high one; `None` off the axis.
    fn share(&self, value: f64) -> Option<f64> {
        let [low, high] = self.ends;
        let place = match (self.logarithmic, value) {
            (true, 0.0) if self.zero => low + 0.05 * (high - low),
            (true, value) => value.log10(),
            (false, value) => value,
        };
        let share = (place - low) / (high - low);
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(share)
    }
}

fn ends(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let finite = values.filter(|value| value.is_finite());
    finite.fold(None, |ends, value| match ends {
        None => Some([value, value]),
        Some([low, high]) => Some([f64::min(low, value), f64::max(high, value)]),
    })
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let unit = 10f64.powf(step.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * unit);
    steps
        .into_iter()
        .find(|&one| one >= step * 0.999)
        .unwrap_or(10.0 * unit)
}

/// Without zeros that say nothing.
fn shortened(number: &str) -> String {
    match number.split_once('×') {
        None if number.contains('.') => number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        None => number.to_owned(),
        Some((mantissa, power)) => format!("{}×{power}", shortened(mantissa)),
    }
}

fn plain_power(exponent: i32) -> String {
    if (-2..=3).contains(&exponent) {
        10f64.powi(exponent).to_string()
    } else {
        power_of_ten(exponent)
    }
}

/// An SVG that is being written.
#[derive(Debug, Default)]
pub(crate) struct Pen(String);

impl Pen {
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], anchor: &str, colour_name: &str, text: &str) {
        let weight = if colour_name == "ink" {
            " font-weight=\"600\""
        } else {
            ""
        };
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-family=\"system-ui, sans-serif\" font-size=\"{TEXT}\"{weight} fill=\"{}\">{}</text>",
            colour(colour_name),
            subscripts(text)
        );
    }

    fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], stroke: &str, width: f64) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>"
        );
    }

    fn polyline(&mut self, points: &[[f64; 2]], stroke: &str, dashed: bool) {
        let points: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{x:.1},{y:.1}"))
            .collect();
        let dashes = if dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let _ = writeln!(
            self.0,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.8\"{dashes}/>",
            points.join(" ")
        );
    }

    /// A marker, the shape of which is that of the series of this number.
    fn marker(&mut self, [x, y]: [f64; 2], number: usize, radius: f64, opacity: f64) {
        let fill = series_colour(number);
        let corners: &[[f64; 2]] = match number % SERIES {
            0 => &[],
            1 => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
            2 => &[[0.0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
            3 => &[[0.0, -1.3], [1.3, 0.0], [0.0, 1.3], [-1.3, 0.0]],
            4 => &[[0.0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
            _ => &[[-1.3, -0.5], [1.3, -0.5], [1.3, 0.5], [-1.3, 0.5]],
        };
        let _ = if corners.is_empty() {
            writeln!(
                self.0,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>"
            )
        } else {
            let corners = corners
                .iter()
                .map(|[a, b]| format!("{:.1},{:.1}", x + a * radius, y + b * radius));
            let corners: Vec<String> = corners.collect();
            writeln!(
                self.0,
                "<polygon points=\"{}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>",
                corners.join(" ")
            )
        };
    }

    pub(crate) fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str) {
        let _ = writeln!(
            self.0,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        );
    }

    /// The panel, of this height.
    pub(crate) fn panel(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\">\n{}</svg>",
            self.0
        )
    }
}

/// Escaped, with `_F`, `_max` and the like set low; HTML's own elements for that are unknown to SVG.
fn subscripts(text: &str) -> String {
    escape(text)
        .replace("<sub>", "<tspan dy=\"3\" font-size=\"9\">")
        .replace("</sub>", "</tspan><tspan dy=\"-3\">\u{200b}</tspan>")
}

/// Width of a text in CSS pixels, no less than it is drawn.
fn text_width(text: &str) -> f64 {
    0.6 * TEXT * text.chars().count() as f64
}

/// Lines of whole words that fit.
fn wrapped(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(word) + TEXT < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// As much of a text as fits.
fn fitted(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let letters = (width / (0.6 * TEXT)) as usize;
    text.chars()
        .take(letters.saturating_sub(1))
        .chain(['…'])
        .collect()
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
    pub(crate) fn shows_something(&self) -> bool {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        points.any(|point| self.x.share(point.x).is_some() && self.y.share(point.y).is_some())
    }

    pub(crate) fn draw(&self) -> String {
        let mut pen = Pen::default();
        let top = self.legend(&mut pen);
        let rows = self.series.iter().any(|series| series.mark == Mark::Rows);
        let height = if rows {
            16.0 + 30.0 * self.y.ticks.len() as f64
        } else {
            PLOT
        };
        let widest = self
            .y
            .ticks
            .iter()
            .map(|(_, label)| text_width(label))
            .fold(0.0, f64::max);
        let frame = Frame {
            left: if rows {
                (widest + 18.0).min(150.0)
            } else {
                LEFT
            },
            top,
            bottom: top + height,
        };
        self.axes(&mut pen, frame);
        let mut number = 0;
        for (place, series) in self.series.iter().enumerate() {
            let follows = matches!(series.mark, Mark::Dashed | Mark::Runs);
            if place > 0 && !follows {
                number += 1;
            }
            self.marks(&mut pen, frame, series, number);
        }
        pen.panel(frame.bottom + 44.0)
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
        let shown: Vec<&Series> = self
            .series
            .iter()
            .filter(|series| series.mark != Mark::Runs)
            .collect();
        let mut number = 0;
        for (place, series) in shown.iter().enumerate() {
            if place > 0 && series.mark != Mark::Dashed {
                number += 1;
            }
            if shown.len() < 2 || series.label.is_empty() {
                continue;
            }
            let label = fitted(&series.label, WIDTH - 60.0);
            let width = 26.0 + text_width(&label);
            if x + width > WIDTH - 8.0 && x > 14.0 {
                (x, y) = (14.0, y + 17.0);
            }
            let middle = y - 4.0;
            match series.mark {
                Mark::Rows | Mark::Runs => pen.marker([x + 8.0, middle], number, 4.0, 1.0),
                mark => {
                    pen.polyline(
                        &[[x, middle], [x + 16.0, middle]],
                        &series_colour(number),
                        mark == Mark::Dashed,
                    );
                    if mark == Mark::Line {
                        pen.marker([x + 8.0, middle], number, 3.5, 1.0);
                    }
                }
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
        for value in &self.guides[0] {
            if let Some(x) = frame.x(&self.x, *value) {
                pen.line([x, top], [x, bottom], &muted, 1.4);
            }
        }
        for value in &self.guides[1] {
            if let Some(y) = frame.y(&self.y, *value) {
                pen.line([left, y], [RIGHT, y], &muted, 1.4);
            }
        }
    }

    fn marks(&self, pen: &mut Pen, frame: Frame, series: &Series, number: usize) {
        let stroke = series_colour(number);
        let place = |x: f64, y: f64| Some([frame.x(&self.x, x)?, frame.y(&self.y, y)?]);
        let at = |point: &Point| place(point.x, point.y);
        let clamped = |value: f64, axis: &Axis| {
            let low = axis.ends[0];
            let least = if axis.logarithmic {
                10f64.powf(low)
            } else {
                low
            };
            value.max(least)
        };
        if series.mark == Mark::Band {
            // Up the upper ends and back along the lower ones, in pieces without a gap.
            for piece in series.points.split(|point| at(point).is_none()) {
                let end = |point: &Point, side: usize| {
                    let value = point.bar.map_or(point.y, |bar| bar[side]);
                    frame
                        .y(&self.y, clamped(value, &self.y))
                        .zip(frame.x(&self.x, point.x))
                        .map(|(y, x)| [x, y])
                };
                let lower = piece.iter().filter_map(|point| end(point, 0));
                let upper = piece.iter().rev().filter_map(|point| end(point, 1));
                let corners: Vec<String> = lower
                    .chain(upper)
                    .map(|[x, y]| format!("{x:.1},{y:.1}"))
                    .collect();
                if corners.len() > 2 {
                    let _ = writeln!(
                        pen.0,
                        "<polygon points=\"{}\" fill=\"{stroke}\" fill-opacity=\"0.2\"/>",
                        corners.join(" ")
                    );
                }
            }
        }
        if matches!(
            series.mark,
            Mark::Line | Mark::Bare | Mark::Dashed | Mark::Band
        ) {
            for piece in series.points.split(|point| at(point).is_none()) {
                let points: Vec<[f64; 2]> = piece.iter().filter_map(at).collect();
                match points.as_slice() {
                    [] => {}
                    // A line of one point is no line.
                    [one] if series.mark != Mark::Line => pen.marker(*one, number, 3.0, 1.0),
                    points => pen.polyline(points, &stroke, series.mark == Mark::Dashed),
                }
            }
        }
        for point in &series.points {
            let Some([x, y]) = at(point) else {
                continue;
            };
            match series.mark {
                Mark::Line => pen.marker([x, y], number, 3.5, 1.0),
                Mark::Runs => pen.marker([x, y], number, 2.4, 0.4),
                Mark::Stems => pen.line([x, frame.bottom], [x, y], &stroke, 1.4),
                Mark::Rows => {
                    if let Some(bar) = point.bar {
                        let ends = bar.map(|end| {
                            let [low, high] = self.x.ends.map(|end| {
                                if self.x.logarithmic {
                                    10f64.powf(end)
                                } else {
                                    end
                                }
                            });
                            frame.x(&self.x, end.clamp(low, high)).unwrap_or(x)
                        });
                        pen.line([ends[0], y], [ends[1], y], &stroke, 2.2);
                    }
                    pen.marker([x, y], number, 4.0, 1.0);
                }
                Mark::Bare | Mark::Dashed | Mark::Band => {}
            }
        }
    }
}

/// Panels side by side under a heading, as a file of its own.
pub(crate) fn arranged(title: &str, panels: &[String]) -> String {
    const HEADING: f64 = 34.0;
    let columns = match panels.len() {
        4 => 2,
        count => count.clamp(1, 3),
    };
    let heights = panels
        .chunks(columns)
        .map(|row| row.iter().map(|panel| height(panel)).fold(0.0, f64::max));
    let heights: Vec<f64> = heights.collect();
    let (width, total) = (
        columns as f64 * WIDTH,
        HEADING + heights.iter().sum::<f64>(),
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total}\" viewBox=\"0 0 {width} {total}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n\
         <text x=\"14\" y=\"24\" font-family=\"system-ui, sans-serif\" font-size=\"15\" font-weight=\"600\" fill=\"{}\">{title}</text>\n",
        palette(),
        colour("surface"),
        colour("ink"),
        title = escape(title),
    );
    let mut y = HEADING;
    for (row, height) in panels.chunks(columns).zip(heights) {
        for (column, panel) in row.iter().enumerate() {
            let x = column as f64 * WIDTH;
            let rest = panel
                .strip_prefix("<svg xmlns=\"http://www.w3.org/2000/svg\"")
                .unwrap_or(panel);
            let _ = writeln!(svg, "<svg x=\"{x}\" y=\"{y}\"{rest}");
        }
        y += height;
    }
    svg + "</svg>\n"
}

fn height(panel: &str) -> f64 {
    let rest = panel.split_once(" height=\"").map_or("", |(_, rest)| rest);
    rest.split_once('"')
        .and_then(|(height, _)| height.parse().ok())
        .unwrap_or(PLOT)
}
