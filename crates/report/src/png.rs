//! PNG from the very SVG that a figure is: in light colours, with a font that comes along.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::Error;

/// Pixels for each unit of the SVG, so that lines of one unit stay sharp on paper and on dense screens.
const SCALE: f32 = 2.0;

/// DejaVu Sans: it has every letter, superscript and sign that the figures use.
const FAMILY: &str = "DejaVu Sans";

/// Fonts are read once: they are a megabyte.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in [
        dejavu::sans_condensed::regular(),
        dejavu::sans_condensed::bold(),
    ] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// The picture of `svg` in light colours, twice as many pixels as the SVG has units in each direction.
///
/// # Errors
/// [`Error::Picture`] for text that is no SVG, and for one too large to be drawn.
pub fn png(svg: &str) -> Result<Vec<u8>, Error> {
    let error = |message: String| Error::Picture { message };
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: FAMILY.to_owned(),
        ..Options::default()
    };
    let tree = Tree::from_str(&light(svg), &options).map_err(|e| error(e.to_string()))?;
    let size = tree.size();
    let [width, height] =
        [size.width(), size.height()].map(|length| (SCALE * length).ceil() as u32);
    let pixmap = Pixmap::new(width, height);
    let mut pixmap = pixmap.ok_or_else(|| error(format!("{width} × {height} pixels")))?;
    let scale = Transform::from_scale(SCALE, SCALE);
    resvg::render(&tree, scale, &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|e| error(e.to_string()))
}

/// Every `var(--property, fallback)` as its fallback, which is the light colour.
fn light(svg: &str) -> String {
    let mut parts = svg.split("var(");
    let mut resolved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((variable, rest)) => {
                let fallback = variable.split_once(',').map_or("none", |(_, value)| value);
                resolved += fallback.trim();
                resolved += rest;
            }
            None => resolved += part,
        }
    }
    resolved
}
