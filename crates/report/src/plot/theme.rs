//! Colours as roles: drawn with sentinel values, delivered as CSS custom properties with a fallback.
//!
//! The series colours are variations of the Okabe-Ito palette, which readers with any common
//! colour-vision deficiency can tell apart; every series has a marker of its own besides.

use plotters::style::RGBColor;

/// Role of a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Behind the drawing.
    Surface,
    /// Titles and labels.
    Ink,
    /// Axes and their titles.
    Muted,
    /// Grid lines.
    Grid,
    /// A region that marks agreement.
    Band,
    /// Series by number; the seventh has the first colour again.
    Series(usize),
}

/// Number of series that colours and markers tell apart.
pub(super) const SERIES: usize = 6;

struct Role {
    sentinel: RGBColor,
    property: &'static str,
    light: &'static str,
    dark: &'static str,
}

const ROLES: [Role; 5 + SERIES] = [
    role(0, "--plot-surface", "#ffffff", "#1b1c1e"),
    role(1, "--plot-ink", "#1d1e20", "#eceae6"),
    role(2, "--plot-muted", "#62656a", "#a5a8ad"),
    role(3, "--plot-grid", "#e6e6e3", "#33353a"),
    role(4, "--plot-band", "#e3f1ea", "#1f3a30"),
    role(5, "--plot-series-1", "#0a6bb0", "#5db2f0"),
    role(6, "--plot-series-2", "#c14a05", "#f2935a"),
    role(7, "--plot-series-3", "#0a7f5b", "#45c79f"),
    role(8, "--plot-series-4", "#97498f", "#d698d0"),
    role(9, "--plot-series-5", "#8a6a00", "#e0bc45"),
    role(10, "--plot-series-6", "#55606b", "#aab6c2"),
];

const fn role(number: u8, property: &'static str, light: &'static str, dark: &'static str) -> Role {
    Role {
        sentinel: RGBColor(1, 0, number),
        property,
        light,
        dark,
    }
}

impl Colour {
    /// The colour to draw with; [`resolve`] replaces it.
    pub(super) fn sentinel(self) -> RGBColor {
        let number = match self {
            Self::Surface => 0,
            Self::Ink => 1,
            Self::Muted => 2,
            Self::Grid => 3,
            Self::Band => 4,
            Self::Series(number) => 5 + number % SERIES,
        };
        ROLES[number].sentinel
    }
}

/// Replaces every sentinel by `var(--property, #fallback)`.
pub(super) fn resolve(svg: &str) -> String {
    ROLES.iter().fold(svg.to_owned(), |svg, role| {
        let RGBColor(red, green, blue) = role.sentinel;
        // The quotes keep text untouched: the drawing library escapes them there.
        let sentinel = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        svg.replace(
            &sentinel,
            &format!("\"var({}, {})\"", role.property, role.light),
        )
    })
}

/// The custom properties for light and for dark surroundings, on the elements that `selector` names.
#[must_use]
pub(crate) fn palette(selector: &str) -> String {
    let declare = |value: fn(&Role) -> &'static str| {
        let declarations = ROLES
            .iter()
            .map(|role| format!("{}:{}", role.property, value(role)));
        declarations.collect::<Vec<_>>().join(";")
    };
    let (light, dark) = (declare(|role| role.light), declare(|role| role.dark));
    format!("{selector}{{{light}}}\n@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}\n")
}
