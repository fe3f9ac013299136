//! The plots of one measurement: what they show can be read off the SVG, and numbers that do not fit are refused.

use flatness_records::Ritz;
use flatness_report::{
    Curve, Error, Landscape, LossLine, density_svg, landscape_svg, loss_line_svg,
    signed_density_svg, stems_svg,
};

const NAME: &str = "mlp <&\"'>, Hessian";
const STEPS: [f64; 5] = [-0.2, -0.1, 0.0, 0.1, 0.2];

fn curve<'a>(y: &'a [f64], standard_error: &'a [f64]) -> Curve<'a> {
    let x = &STEPS;
    Curve {
        x,
        y,
        standard_error,
    }
}

fn landscape(losses: &[f64]) -> Landscape<'_> {
    Landscape {
        x_direction: "first eigenvector",
        y_direction: "second eigenvector",
        x: &STEPS,
        y: &STEPS[..2],
        losses,
    }
}

fn ritz() -> Vec<Ritz> {
    let weights = [(-0.5, 0.3), (0.01, 0.6999), (4.0, 1e-4), (9.0, 0.0)];
    let ritz = weights.map(|(value, weight)| Ritz {
        value,
        weight,
        residual: 0.0,
    });
    ritz.to_vec()
}

fn line<'a>(losses: &'a [f64], quadratic: &'a [f64]) -> LossLine<'a> {
    LossLine {
        direction: "top eigenvector",
        steps: &STEPS,
        losses,
        quadratic,
    }
}

/// Elements of this name with this attribute equal to `value`.
fn count(svg: &str, name: &str, attribute: &str, value: &str) -> usize {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let elements = document.descendants();
    elements
        .filter(|node| node.has_tag_name(name) && node.attribute(attribute) == Some(value))
        .count()
}

fn texts(svg: &str) -> String {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let texts = document.descendants().filter(|node| node.is_text());
    texts.filter_map(|node| node.text()).collect()
}

const FIRST: &str = "var(--plot-series-1, #0a6bb0)";
const SECOND: &str = "var(--plot-series-2, #c14a05)";

#[test]
fn a_density_has_a_line_and_a_band_only_with_its_error() {
    let density = [1e-3, 0.5, 1.0, 0.25, 1e-3];
    let error = [1e-3, 0.1, 0.2, 0.3, 1e-3];
    for (error, bands, label) in [(&error[..], 1, "density ± s.e."), (&[], 0, "density")] {
        let svg = density_svg(NAME, &curve(&density, error)).unwrap();
        assert_eq!(count(&svg, "polygon", "fill", FIRST), bands);
        // The line and its sample in the legend.
        assert_eq!(count(&svg, "polyline", "stroke", FIRST), 2);
        let texts = texts(&svg);
        assert!(
            texts.contains(label) && texts.contains(NAME),
            "{label}: {texts}"
        );
    }
}

#[test]
fn both_signs_share_their_axes_and_a_line_breaks_where_there_is_nothing() {
    let magnitudes = [1e-4, 1e-3, 1e-2, 0.1, 1.0];
    let of_sign = |y| Curve {
        x: &magnitudes,
        y,
        standard_error: &[],
    };
    let positive = of_sign(&[0.1, 0.2, 1e-15, 1e-3, 2e-3]);
    let negative = of_sign(&[0.1, 0.2, 0.3, 0.0, 0.0]);
    let svg = signed_density_svg(NAME, &positive, &negative).unwrap();
    // In two parts, and in one; a sample each in the legend.
    assert_eq!(count(&svg, "polyline", "stroke", FIRST), 3);
    assert_eq!(count(&svg, "polyline", "stroke", SECOND), 2);
    assert!(texts(&svg).contains("λ < 0"));
}

#[test]
fn every_ritz_value_with_a_weight_is_a_stem() {
    let svg = stems_svg(NAME, &ritz()).unwrap();
    assert_eq!(count(&svg, "polyline", "stroke", FIRST), 3);
    // A dot each, and one in the legend.
    assert_eq!(count(&svg, "circle", "fill", FIRST), 4);
    assert!(texts(&svg).contains("3 Ritz values"));
}

#[test]
fn a_line_of_losses_stands_beside_its_prediction() {
    let losses = [0.5, 0.3, 0.2, 0.35, 0.6];
    let quadratic = losses.map(|loss| 1.1 * loss);
    let svg = loss_line_svg(NAME, &line(&losses, &quadratic)).unwrap();
    assert_eq!(count(&svg, "circle", "fill", FIRST), STEPS.len() + 1);
    assert_eq!(count(&svg, "polyline", "stroke", SECOND), 2);
    assert!(texts(&svg).contains("step along the top eigenvector / ‖θ‖"));
}

#[test]
fn a_landscape_has_the_colours_of_its_losses() {
    // The loss rises to the right by the same everywhere: every level is as wide as every other.
    let losses: Vec<f64> = [STEPS, STEPS].concat();
    let svg = landscape_svg(NAME, &landscape(&losses)).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let levels = document.descendants().filter_map(|node| {
        let fill = node.attribute("fill")?.strip_prefix("var(--plot-level-")?;
        fill.split_once(',').map(|(number, _)| number.to_owned())
    });
    let levels: Vec<String> = levels.collect();
    let (legend, map) = levels.split_at(16);
    let numbers: Vec<String> = (1..=16).map(|number| number.to_string()).collect();
    assert_eq!(legend, numbers);
    assert!(!map.is_empty() && map.chunks(16).all(|row| row == numbers));
    let texts = texts(&svg);
    for expected in [
        "loss −0.200",
        "0.200",
        "step along the first eigenvector / ‖θ‖",
    ] {
        assert!(texts.contains(expected), "{texts} lacks {expected}");
    }
}

#[test]
fn a_loss_that_is_not_finite_and_a_flat_landscape_are_drawn() {
    let mut losses = vec![0.2; 10];
    let flat = landscape_svg(NAME, &landscape(&losses)).unwrap();
    assert_eq!(
        count(&flat, "rect", "fill", "var(--plot-level-16, #fde725)"),
        1
    );
    losses[9] = f64::INFINITY;
    assert!(landscape_svg(NAME, &landscape(&losses)).is_ok());
    losses.fill(f64::NAN);
    assert!(landscape_svg(NAME, &landscape(&losses)).is_ok());
}

#[test]
fn numbers_that_do_not_belong_together_are_refused() {
    let (five, four) = ([0.1; 5], [0.1; 4]);
    let thin = Landscape {
        y: &STEPS[..1],
        ..landscape(&five)
    };
    for (result, expected) in [
        (
            density_svg(NAME, &curve(&four, &[])),
            "plot of a density: y must have 5 numbers, got 4",
        ),
        (
            signed_density_svg(NAME, &curve(&five, &five), &curve(&five, &four)),
            "plot of a density: standard_error must have 5 numbers, got 4",
        ),
        (
            loss_line_svg(NAME, &line(&four, &five)),
            "plot of the loss along a line: losses must have 5 numbers, got 4",
        ),
        (
            loss_line_svg(NAME, &line(&five, &four)),
            "plot of the loss along a line: quadratic must have 5 numbers, got 4",
        ),
        (
            landscape_svg(NAME, &landscape(&five)),
            "plot of a landscape: losses must have 10 numbers, got 5",
        ),
        (
            landscape_svg(NAME, &thin),
            "plot of a landscape: y must have 2 numbers, got 1",
        ),
    ] {
        let error: Error = result.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
