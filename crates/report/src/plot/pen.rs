//! Strokes, markers and labels in CSS pixels, on plotters' SVG backend.
//!
//! The backend rounds coordinates to integers, so everything is drawn [`UNIT`] times larger than shown.

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::theme::{Colour, SERIES};

/// Drawing units in a CSS pixel.
pub(super) const UNIT: i32 = 4;

const TEXT: i32 = 11;
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
/// Radius of a marker in drawing units.
const MARKER: i32 = 4 * UNIT;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) type Drawn<'a, T = ()> =
    Result<T, DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Title,
    Label,
    AxisTitle,
}

/// Rectangle of the data, in CSS pixels.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
}

impl Frame {
    pub(super) fn x(self, axis: &Axis, value: f64) -> Option<i32> {
        let place = axis.place(value)?;
        Some(
            ((f64::from(self.left) + place * f64::from(self.right - self.left)) * f64::from(UNIT))
                .round() as i32,
        )
    }

    pub(super) fn y(self, axis: &Axis, value: f64) -> Option<i32> {
        let place = axis.place(value)?;
        Some(
            ((f64::from(self.bottom) - place * f64::from(self.bottom - self.top)) * f64::from(UNIT))
                .round() as i32,
        )
    }
}

/// Two slanted strokes over a gap: the axis is interrupted here.
pub(super) fn axis_break<'a>(area: &Area<'a>, frame: Frame, place: f64) -> Drawn<'a> {
    let x = frame.left + (place * f64::from(frame.right - frame.left)) as i32;
    let y = frame.bottom;
    let surface = Colour::Surface.sentinel().stroke_width(3 * UNIT as u32);
    segment(area, (x, y), (x + 5, y), surface)?;
    let axis = Colour::Muted.sentinel().stroke_width(UNIT as u32);
    for start in [x - 2, x + 3] {
        segment(area, (start, y + 4), (start + 4, y - 4), axis)?;
    }
    Ok(())
}

/// A shape of its own for each of six series; `place` in drawing units.
pub(super) fn marker<'a>(area: &Area<'a>, place: (i32, i32), number: usize) -> Drawn<'a> {
    let style = Colour::Series(number).sentinel().filled();
    // Corners in sixteenths of the radius of the circle; areas look alike.
    let corners: &[(i32, i32)] = match number % SERIES {
        0 => return area.draw(&Circle::new(place, MARKER, style)),
        1 => &[(-14, -14), (14, -14), (14, 14), (-14, 14)],
        2 => &[(0, -19), (18, 13), (-18, 13)],
        3 => &[(0, -20), (20, 0), (0, 20), (-20, 0)],
        4 => &[(0, 19), (18, -13), (-18, -13)],
        _ => &[
            (-6, -18),
            (6, -18),
            (6, -6),
            (18, -6),
            (18, 6),
            (6, 6),
            (6, 18),
            (-6, 18),
            (-6, 6),
            (-18, 6),
            (-18, -6),
            (-6, -6),
        ],
    };
    let (x, y) = place;
    let corner = |&(right, down): &(i32, i32)| (x + right * MARKER / 16, y + down * MARKER / 16);
    area.draw(&Polygon::new(
        corners.iter().map(corner).collect::<Vec<_>>(),
        style,
    ))
}

pub(super) fn segment<'a>(
    area: &Area<'a>,
    from: (i32, i32),
    to: (i32, i32),
    style: ShapeStyle,
) -> Drawn<'a> {
    let ends = [from, to].map(|(x, y)| (UNIT * x, UNIT * y));
    area.draw(&PathElement::new(ends.to_vec(), style))
}

/// A dashed line through `places` in drawing units.
pub(super) fn dashes<'a>(area: &Area<'a>, places: &[(i32, i32)], style: ShapeStyle) -> Drawn<'a> {
    let (dash, gap) = (4 * UNIT, 2 * UNIT);
    let places = places.iter().copied();
    area.draw(&DashedPathElement::new(places, dash, gap, style))
}

pub(super) fn label<'a>(
    area: &Area<'a>,
    position: (i32, i32),
    text: &str,
    face: Face,
    horizontal: HPos,
) -> Drawn<'a> {
    let (size, weight, colour) = match face {
        Face::Title => (TEXT + 2, FontStyle::Bold, Colour::Ink),
        Face::Label => (TEXT, FontStyle::Normal, Colour::Ink),
        Face::AxisTitle => (TEXT, FontStyle::Normal, Colour::Muted),
    };
    // The backend divides sizes by 1.24.
    let font = (FONT, f64::from(size * UNIT) * 1.24, weight).into_font();
    let sentinel = colour.sentinel();
    let style = TextStyle::from(font)
        .color(&sentinel)
        .pos(Pos::new(horizontal, VPos::Center));
    let (x, y) = position;
    area.draw(&Text::new(text.to_owned(), (UNIT * x, UNIT * y), style))
}

/// Estimated width of a label in CSS pixels: no font is at hand, so 0.56 em a character.
pub(super) fn text_width(text: &str) -> i32 {
    let characters = text
        .replace("_max", "ma")
        .replace("_F", "F")
        .chars()
        .count() as i32;
    (characters * TEXT * 56 + 99) / 100
}

/// Sets the subscripts that Unicode lacks; a zero-width space carries the way back to the line.
pub(super) fn subscripts(svg: &str) -> String {
    ["F", "max"].into_iter().fold(svg.to_owned(), |svg, word| {
        let lowered = format!(
            "<tspan dy=\"0.25em\" font-size=\"75%\">{word}</tspan><tspan dy=\"-0.19em\">\u{200b}</tspan>"
        );
        svg.replace(&format!("_{word}"), &lowered)
    })
}
