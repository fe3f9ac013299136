//! Elements of SVG, and panels arranged in one file. Colours are custom properties with a light fallback.
//!
//! A panel is as wide as a narrow telephone, so that its text keeps its size there; wider surroundings show several. The
//! series colours are variations of the Okabe-Ito palette, which readers with any common colour-vision deficiency can tell apart;
//! every series has a marker of its own besides.

use crate::table::escape;

/// Width of a panel in CSS pixels.
pub(crate) const WIDTH: f64 = 340.0;

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
    let mut colours = COLOURS.iter();
    let known = colours.find(|[property, ..]| property.ends_with(name));
    let [property, light, _] = known.unwrap_or(&COLOURS[1]);
    format!("var({property}, {light})")
}

/// The seventh marker has the shape of the first in the colour of the second.
pub(crate) fn series_colour(number: usize) -> String {
    colour(&format!(
        "series-{}",
        1 + (number + number / SERIES) % SERIES
    ))
}

/// The custom properties for light and for dark surroundings; print is light.
pub(crate) fn palette() -> String {
    let [light, dark] = [1, 2].map(|theme| {
        let declared = COLOURS.map(|colour| format!("{}:{}", colour[0], colour[theme]));
        declared.join(";")
    });
    format!(":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}

/// An SVG that is being written.
#[derive(Debug, Default)]
pub(crate) struct Pen(String);

/// Corners of an element.
fn coordinates(points: impl IntoIterator<Item = [f64; 2]>) -> String {
    let points = points.into_iter().map(|[x, y]| format!("{x:.1},{y:.1}"));
    points.collect::<Vec<_>>().join(" ")
}

impl Pen {
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], anchor: &str, colour_name: &str, text: &str) {
        let weight = if colour_name == "ink" {
            " font-weight=\"600\""
        } else {
            ""
        };
        let (fill, text) = (colour(colour_name), subscripts(text));
        self.0 += &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-family=\"system-ui, sans-serif\" \
             font-size=\"{TEXT}\"{weight} fill=\"{fill}\">{text}</text>\n"
        );
    }

    pub(crate) fn line(
        &mut self,
        [x1, y1]: [f64; 2],
        [x2, y2]: [f64; 2],
        stroke: &str,
        width: f64,
    ) {
        self.0 += &format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>\n"
        );
    }

    pub(crate) fn polyline(&mut self, points: &[[f64; 2]], stroke: &str, dashed: bool) {
        let dashes = if dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let points = coordinates(points.iter().copied());
        self.0 += &format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.8\"{dashes}/>\n"
        );
    }

    pub(crate) fn polygon(&mut self, corners: &[[f64; 2]], fill: &str, opacity: f64) {
        let points = coordinates(corners.iter().copied());
        self.0 +=
            &format!("<polygon points=\"{points}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n");
    }

    /// A marker, the shape of which is that of the series of this number.
    pub(crate) fn marker(&mut self, [x, y]: [f64; 2], number: usize, radius: f64, opacity: f64) {
        let fill = series_colour(number);
        let corners: &[[f64; 2]] = match number % SERIES {
            0 => {
                self.0 += &format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n"
                );
                return;
            }
            1 => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
            2 => &[[0.0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
            3 => &[[0.0, -1.3], [1.3, 0.0], [0.0, 1.3], [-1.3, 0.0]],
            4 => &[[0.0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
            _ => &[[-1.3, -0.5], [1.3, -0.5], [1.3, 0.5], [-1.3, 0.5]],
        };
        let corners = corners
            .iter()
            .map(|[a, b]| [x + a * radius, y + b * radius]);
        self.polygon(&corners.collect::<Vec<_>>(), &fill, opacity);
    }

    pub(crate) fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str) {
        self.0 += &format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>\n"
        );
    }

    /// The panel, of this height.
    pub(crate) fn panel(self, height: f64) -> String {
        format!(
            "{PANEL} viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\">\n{}</svg>",
            self.0
        )
    }
}

/// How every panel begins.
const PANEL: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"";

/// Escaped, with `_F`, `_max` and the like set low; HTML's own elements for that are unknown to SVG.
fn subscripts(text: &str) -> String {
    escape(text)
        .replace("<sub>", "<tspan dy=\"3\" font-size=\"9\">")
        .replace("</sub>", "</tspan><tspan dy=\"-3\">\u{200b}</tspan>")
}

/// Width of a text in CSS pixels, no less than it is drawn.
pub(crate) fn text_width(text: &str) -> f64 {
    0.6 * TEXT * text.chars().count() as f64
}

/// Lines of whole words that fit.
pub(crate) fn wrapped(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(word) + TEXT < width => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// As much of a text as fits.
pub(crate) fn fitted(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let letters = (width / (0.6 * TEXT)) as usize;
    let kept = text.chars().take(letters.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Panels side by side under a heading, as a file of its own.
pub(crate) fn arranged(title: &str, panels: &[String]) -> String {
    const HEADING: f64 = 34.0;
    let columns = match panels.len() {
        4 => 2,
        count => count.clamp(1, 3),
    };
    let (mut y, mut body) = (HEADING, String::new());
    for row in panels.chunks(columns) {
        for (column, panel) in row.iter().enumerate() {
            let rest = panel.strip_prefix(PANEL).unwrap_or(panel);
            body += &format!("<svg x=\"{}\" y=\"{y}\"{rest}\n", column as f64 * WIDTH);
        }
        y += row
            .iter()
            .filter_map(|panel| height(panel))
            .fold(0.0, f64::max);
    }
    format!(
        "{PANEL} width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n\
         <text x=\"14\" y=\"24\" font-family=\"system-ui, sans-serif\" font-size=\"15\" font-weight=\"600\" fill=\"{}\">{title}</text>\n\
         {body}</svg>\n",
        palette(),
        colour("surface"),
        colour("ink"),
        width = columns as f64 * WIDTH,
        title = escape(title),
    )
}

fn height(panel: &str) -> Option<f64> {
    let (_, rest) = panel.split_once(" height=\"")?;
    rest.split_once('"')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn twice_as_many_series_as_colours_have_markers_of_their_own() {
        let marker = |number| {
            let mut pen = Pen::default();
            pen.marker([0.0, 0.0], number, 1.0, 1.0);
            pen.0
        };
        let markers: BTreeSet<String> = (0..2 * SERIES).map(marker).collect();
        assert_eq!(markers.len(), 2 * SERIES);
    }
}
