//! PNG: the size and the colours of the SVG, text from the font that comes along.
#![cfg(feature = "png")]

use flatness_report::{Error, png};
use resvg::tiny_skia::Pixmap;

fn svg(content: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 40 20\">\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--plot-surface, #ffffff)\"/>{content}</svg>"
    )
}

fn pixels(content: &str) -> Pixmap {
    Pixmap::decode_png(&png(&svg(content)).expect("an SVG")).expect("a PNG")
}

/// Pixels that are not white.
fn inked(content: &str) -> usize {
    let pixels = pixels(content);
    let white = |pixel: &&_| {
        **pixel
            != resvg::tiny_skia::PremultipliedColorU8::from_rgba(255, 255, 255, 255).expect("white")
    };
    pixels.pixels().iter().filter(white).count()
}

#[test]
fn a_unit_is_two_pixels_and_a_property_its_light_colour() {
    let picture = pixels(
        "<rect x=\"10\" y=\"5\" width=\"10\" height=\"10\" fill=\"var(--plot-series-1, #0a6bb0)\"/>",
    );
    assert_eq!((picture.width(), picture.height()), (80, 40));
    for (x, y, expected) in [(25, 15, [0x0a, 0x6b, 0xb0]), (70, 15, [255; 3])] {
        let pixel = picture.pixel(x, y).expect("inside");
        assert_eq!([pixel.red(), pixel.green(), pixel.blue()], expected);
    }
}

#[test]
fn every_sign_of_the_figures_has_a_glyph() {
    let sign = |sign: &str| {
        let text = format!(
            "<text x=\"10\" y=\"15\" font-family=\"system-ui, sans-serif\" font-size=\"14\">{sign}</text>"
        );
        pixels(&text).data().to_vec()
    };
    // A private character has none, and is drawn as the same box as every other that has none.
    let missing = sign("\u{e123}");
    let blank = sign("");
    for character in "AaλθφεατρΣ‖|½√∇ᵀ±×·−–≤≥²⁰¹³⁴⁵⁶⁷⁸⁹⁻₀₁ᵢ’“”".chars()
    {
        let drawn = sign(&character.to_string());
        assert!(drawn != missing && drawn != blank, "{character}");
    }
}

#[test]
fn bold_is_bolder() {
    let word = |weight: &str| {
        inked(&format!(
            "<text x=\"2\" y=\"15\" font-family=\"sans-serif\" font-weight=\"{weight}\" font-size=\"14\">loss</text>"
        ))
    };
    assert!(word("bold") > word("normal") && word("normal") > 0);
}

#[test]
fn what_is_no_svg_is_refused() {
    let error = png("loss").unwrap_err();
    assert!(matches!(error, Error::Picture { .. }), "{error}");
}
