//! One panel: a title, a legend and a pair of axes with series, laid out in CSS pixels.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::pen::{
    Area, Drawn, Face, Frame, UNIT, axis_break, dashes, label, marker, segment, subscripts,
    text_width,
};
use super::theme::{Colour, resolve};
use crate::Error;

/// Width of a panel in CSS pixels.
pub(super) const WIDTH: i32 = 340;
/// Usual height of a panel in CSS pixels.
pub(super) const HEIGHT: i32 = 296;

const LINE: i32 = 16;

/// A panel before it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// In CSS pixels.
    pub(super) height: i32,
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) guide: Guide,
}

/// What the values are to be compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Guide {
    None,
    /// A horizontal line at this y.
    Horizontal(f64),
    /// A vertical line at this x.
    Vertical(f64),
    /// A shaded range of y.
    Band(f64, f64),
}

/// Values of one kind, labelled in the legend.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) label: String,
    pub(super) points: Vec<Point>,
    pub(super) mark: Mark,
}

/// How the points of a series are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line without markers, for curves that are known everywhere.
    Line,
    /// A dashed line in the colour of the series before.
    Dashed,
    /// Markers joined by a line.
    LineAndMarkers,
    /// Markers alone.
    Markers,
    /// A line through the points with a marker at the last alone.
    Trail,
    /// A line in a band as wide as the bars.
    Banded,
    /// Upright lines from the bottom of the frame, each with a dot at its end.
    Stems,
}

/// A value with the range of its error bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) bar: Bar,
}

/// Error bar of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bar {
    None,
    /// From one x to another.
    Horizontal(f64, f64),
    /// From one y to another.
    Vertical(f64, f64),
    /// From one x to another, and from one y to another.
    Both([f64; 2], [f64; 2]),
}

/// A panel of this height as an SVG element: its title, and what `draw` adds to it.
pub(super) fn render(
    title: &str,
    height: i32,
    draw: impl for<'a> FnOnce(&Area<'a>) -> Drawn<'a>,
) -> Result<String, Error> {
    let mut svg = String::new();
    let size = ((WIDTH * UNIT) as u32, (height * UNIT) as u32);
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    draw_titled(&area, title, draw).map_err(|error| Error::Plot {
        figure: title.to_owned(),
        message: error.to_string(),
    })?;
    drop(area);
    let size = |size: i32| format!("\"{}\"", size * UNIT);
    let shown = svg
        .replacen(&size(WIDTH), &format!("\"{WIDTH}\""), 1)
        .replacen(&size(height), &format!("\"{height}\""), 1);
    Ok(subscripts(&resolve(&shown)))
}

fn draw_titled<'a>(
    area: &Area<'a>,
    title: &str,
    draw: impl FnOnce(&Area<'a>) -> Drawn<'a>,
) -> Drawn<'a> {
    area.fill(&Colour::Surface.sentinel())?;
    label(area, (14, 20), title, Face::Title, HPos::Left)?;
    draw(area)?;
    area.present()
}

impl Chart {
    /// The panel as an SVG element with colours as custom properties.
    pub(super) fn draw(&self) -> Result<String, Error> {
        render(&self.title, self.height, |area| self.draw_on(area))
    }

    /// Whether any series has a point.
    pub(super) fn shows_something(&self) -> bool {
        self.series.iter().any(|series| !series.points.is_empty())
    }

    fn draw_on<'a>(&self, area: &Area<'a>) -> Drawn<'a> {
        let legend_lines = self.legend(area)?;
        let frame = self.frame(legend_lines);
        self.axes(area, frame)?;
        for (number, series) in self.numbered() {
            self.series(area, frame, number, series)?;
        }
        Ok(())
    }

    /// Where the data go below so many lines of legend.
    pub(super) fn frame(&self, legend_lines: i32) -> Frame {
        let labels = self.y.ticks.iter().map(|(_, text)| text_width(text));
        Frame {
            left: 14 + labels.max().unwrap_or(0) + 8,
            right: WIDTH - 14,
            top: 50 + LINE * (legend_lines + 1),
            bottom: self.height - 46,
        }
    }

    /// The series with the numbers of their colours.
    fn numbered(&self) -> impl Iterator<Item = (usize, &Series)> {
        self.series.iter().scan(0_usize, |next, series| {
            *next += usize::from(series.mark != Mark::Dashed);
            Some((next.saturating_sub(1), series))
        })
    }

    /// Draws the legend, wrapped to the width of the panel, and returns its number of lines.
    fn legend<'a>(&self, area: &Area<'a>) -> Drawn<'a, i32> {
        let (mut x, mut line) = (14, 0);
        for (number, series) in self.numbered() {
            let width = 22 + text_width(&series.label) + 14;
            if x > 14 && x + width - 14 > WIDTH - 10 {
                (x, line) = (14, line + 1);
            }
            let y = 42 + LINE * line;
            let colour = Colour::Series(number).sentinel();
            let stroke = colour.stroke_width(2 * UNIT as u32);
            let ends = [x, x + 16].map(|x| (UNIT * x, UNIT * y));
            match series.mark {
                Mark::Line | Mark::LineAndMarkers | Mark::Banded => {
                    area.draw(&PathElement::new(ends, stroke))?;
                }
                Mark::Dashed => dashes(area, &ends, stroke)?,
                Mark::Markers | Mark::Trail | Mark::Stems => {}
            }
            if matches!(
                series.mark,
                Mark::LineAndMarkers | Mark::Markers | Mark::Trail | Mark::Stems
            ) {
                marker(area, (UNIT * (x + 8), UNIT * y), number)?;
            }
            label(area, (x + 22, y), &series.label, Face::Label, HPos::Left)?;
            x += width;
        }
        Ok(line + 1)
    }

    /// Grid, ticks and titles of both axes, and the guide.
    pub(super) fn axes<'a>(&self, area: &Area<'a>, frame: Frame) -> Drawn<'a> {
        label(
            area,
            (14, frame.top - 16),
            &self.y.title,
            Face::AxisTitle,
            HPos::Left,
        )?;
        let grid = Colour::Grid.sentinel().stroke_width(UNIT as u32);
        let axis = Colour::Muted.sentinel().stroke_width(UNIT as u32);
        if let Guide::Band(low, high) = self.guide
            && let (Some(low), Some(high)) = (frame.y(&self.y, low), frame.y(&self.y, high))
        {
            let corners = [(UNIT * frame.left, low), (UNIT * frame.right, high)];
            area.draw(&Rectangle::new(corners, Colour::Band.sentinel().filled()))?;
        }
        for (value, text) in &self.y.ticks {
            let Some(y) = frame.y(&self.y, *value) else {
                continue;
            };
            let (left, right) = (UNIT * frame.left, UNIT * frame.right);
            area.draw(&PathElement::new(vec![(left, y), (right, y)], grid))?;
            label(
                area,
                (frame.left - 7, y / UNIT),
                text,
                Face::Label,
                HPos::Right,
            )?;
        }
        let mut free_from = 0;
        for (value, text) in &self.x.ticks {
            let Some(x) = frame.x(&self.x, *value) else {
                continue;
            };
            let bottom = UNIT * frame.bottom;
            area.draw(&PathElement::new(
                vec![(x, bottom), (x, bottom + 4 * UNIT)],
                axis,
            ))?;
            let half = text_width(text) / 2;
            if x / UNIT - half >= free_from {
                let position = (x / UNIT, frame.bottom + 13);
                label(area, position, text, Face::Label, HPos::Center)?;
                free_from = x / UNIT + half + 6;
            }
        }
        segment(
            area,
            (frame.left, frame.bottom),
            (frame.right, frame.bottom),
            axis,
        )?;
        if let Some(place) = self.x.break_place() {
            axis_break(area, frame, place)?;
        }
        let middle = ((frame.left + frame.right) / 2, frame.bottom + 32);
        label(area, middle, &self.x.title, Face::AxisTitle, HPos::Center)?;
        let guide = match self.guide {
            Guide::Horizontal(y) => frame
                .y(&self.y, y)
                .map(|y| [(UNIT * frame.left, y), (UNIT * frame.right, y)]),
            Guide::Vertical(x) => frame
                .x(&self.x, x)
                .map(|x| [(x, UNIT * frame.top), (x, UNIT * frame.bottom)]),
            Guide::None | Guide::Band(..) => None,
        };
        guide.map_or(Ok(()), |ends| {
            area.draw(&PathElement::new(ends.to_vec(), axis))
        })
    }
}
