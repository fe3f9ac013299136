//! Colours as roles: drawn with sentinel values, delivered as CSS custom properties with a fallback.
//!
//! The series colours are variations of the Okabe-Ito palette, which readers with any common
//! colour-vision deficiency can tell apart; every series has a marker of its own besides. Maps have
//! viridis, whose lightness rises evenly.

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
    /// Range of values of a map by number, of [`LEVELS`].
    Level(usize),
}

/// Number of series that colours and markers tell apart.
pub(super) const SERIES: usize = 6;

/// Number of colours of a map.
pub(super) const LEVELS: usize = 16;

struct Role {
    sentinel: RGBColor,
    property: &'static str,
    light: &'static str,
    dark: &'static str,
}

const ROLES: [Role; 5 + SERIES + LEVELS] = [
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
    level(11, "--plot-level-1", "#440154"),
    level(12, "--plot-level-2", "#481a6c"),
    level(13, "--plot-level-3", "#472f7d"),
    level(14, "--plot-level-4", "#414487"),
    level(15, "--plot-level-5", "#39568c"),
    level(16, "--plot-level-6", "#31688e"),
    level(17, "--plot-level-7", "#2a788e"),
    level(18, "--plot-level-8", "#23888e"),
    level(19, "--plot-level-9", "#1f988b"),
    level(20, "--plot-level-10", "#22a884"),
    level(21, "--plot-level-11", "#35b779"),
    level(22, "--plot-level-12", "#54c568"),
    level(23, "--plot-level-13", "#7ad151"),
    level(24, "--plot-level-14", "#a5db36"),
    level(25, "--plot-level-15", "#d2e21b"),
    level(26, "--plot-level-16", "#fde725"),
];

/// The colours of a map are those of viridis, which is read in light and dark alike.
const fn level(number: u8, property: &'static str, colour: &'static str) -> Role {
    role(number, property, colour, colour)
}

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
            Self::Level(number) => 5 + SERIES + number.min(LEVELS - 1),
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
        // A colour that never changes needs no property: its fallback is enough.
        let changing = ROLES.iter().filter(|role| role.light != role.dark);
        let declarations = changing.map(|role| format!("{}:{}", role.property, value(role)));
        declarations.collect::<Vec<_>>().join(";")
    };
    let (light, dark) = (declare(|role| role.light), declare(|role| role.dark));
    format!("{selector}{{{light}}}\n@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}\n")
}
