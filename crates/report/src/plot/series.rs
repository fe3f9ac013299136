//! How one series is drawn: its bars, its line and its markers.

use plotters::prelude::*;

use super::chart::{Bar, Chart, Mark, Point, Series};
use super::pen::{Area, Drawn, Frame, UNIT, dashes, marker};
use super::theme::Colour;

impl Chart {
    pub(super) fn series<'a>(
        &self,
        area: &Area<'a>,
        frame: Frame,
        number: usize,
        series: &Series,
    ) -> Drawn<'a> {
        let colour = Colour::Series(number).sentinel();
        let at = |x, y| Some((frame.x(&self.x, x)?, frame.y(&self.y, y)?));
        let places: Vec<Option<(i32, i32)>> = series
            .points
            .iter()
            .map(|point| at(point.x, point.y))
            .collect();
        match series.mark {
            Mark::Banded => return self.banded(area, frame, colour, series, &places),
            Mark::Stems => return stems(area, frame, colour, &places),
            _ => {}
        }
        for point in &series.points {
            let horizontal = |low, high| at(low, point.y).zip(at(high, point.y));
            // What has no place on a logarithmic axis lies below its end.
            let vertical = |low, high| {
                let to = at(point.x, high)?;
                let end = (to.0, UNIT * frame.bottom);
                Some((at(point.x, low).unwrap_or(end), to))
            };
            let bars = match point.bar {
                Bar::None => [None, None],
                Bar::Horizontal(low, high) => [horizontal(low, high), None],
                Bar::Vertical(low, high) => [vertical(low, high), None],
                Bar::Both([left, right], [low, high]) => {
                    [horizontal(left, right), vertical(low, high)]
                }
            };
            for (from, to) in bars.into_iter().flatten() {
                let style = colour.stroke_width(3 * UNIT as u32 / 2);
                area.draw(&PathElement::new(vec![from, to], style))?;
            }
        }
        if series.mark != Mark::Markers {
            let style = colour.stroke_width(2 * UNIT as u32);
            // A point without a place interrupts the line.
            for stretch in places.split(Option::is_none) {
                let stretch: Vec<(i32, i32)> = stretch.iter().copied().flatten().collect();
                match (series.mark, stretch.as_slice()) {
                    // One point alone makes no line.
                    (Mark::Line | Mark::Dashed, &[alone]) => marker(area, alone, number)?,
                    (Mark::Dashed, stretch) => dashes(area, stretch, style)?,
                    _ => area.draw(&PathElement::new(stretch, style))?,
                }
            }
        }
        let marked = match series.mark {
            Mark::Line | Mark::Dashed | Mark::Banded | Mark::Stems => &[],
            Mark::LineAndMarkers | Mark::Markers => places.as_slice(),
            Mark::Trail => &places[places.len().saturating_sub(1)..],
        };
        for place in marked.iter().copied().flatten() {
            marker(area, place, number)?;
        }
        Ok(())
    }

    /// The band first, lest it cover the line.
    fn banded<'a>(
        &self,
        area: &Area<'a>,
        frame: Frame,
        colour: RGBColor,
        series: &Series,
        places: &[Option<(i32, i32)>],
    ) -> Drawn<'a> {
        let points: Vec<(&Point, &Option<(i32, i32)>)> = series.points.iter().zip(places).collect();
        let y = |value| {
            // What has no place on a logarithmic axis lies below its end.
            let place = frame.y(&self.y, value);
            place.unwrap_or(UNIT * frame.bottom)
        };
        for stretch in points.split(|(_, place)| place.is_none()) {
            let ends = stretch.iter().filter_map(|(point, place)| match point.bar {
                Bar::Vertical(low, high) => Some((place.map(|(x, _)| x)?, [y(low), y(high)])),
                _ => None,
            });
            let ends: Vec<(i32, [i32; 2])> = ends.collect();
            let lower = ends.iter().map(|&(x, [low, _])| (x, low));
            let upper = ends.iter().map(|&(x, [_, high])| (x, high));
            let outline: Vec<(i32, i32)> = lower.chain(upper.rev()).collect();
            if outline.len() > 2 {
                area.draw(&Polygon::new(outline, colour.mix(0.25).filled()))?;
            }
        }
        for stretch in places.split(Option::is_none) {
            let line: Vec<(i32, i32)> = stretch.iter().copied().flatten().collect();
            if line.len() > 1 {
                area.draw(&PathElement::new(
                    line,
                    colour.stroke_width(2 * UNIT as u32),
                ))?;
            }
        }
        Ok(())
    }
}

/// Radius of the dot on a stem in drawing units.
const DOT: i32 = 5 * UNIT / 2;

fn stems<'a>(
    area: &Area<'a>,
    frame: Frame,
    colour: RGBColor,
    places: &[Option<(i32, i32)>],
) -> Drawn<'a> {
    for &(x, y) in places.iter().flatten() {
        let stem = vec![(x, UNIT * frame.bottom), (x, y)];
        area.draw(&PathElement::new(stem, colour.stroke_width(UNIT as u32)))?;
        area.draw(&Circle::new((x, y), DOT, colour.filled()))?;
    }
    Ok(())
}
