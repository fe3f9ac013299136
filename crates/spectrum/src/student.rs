//! Quantiles of Student's t distribution, by inverting its distribution function.
//!
//! With θ = arctan(t / √ν), P(|T| ≤ t) is a finite sum (Abramowitz and Stegun, Handbook of
//! Mathematical Functions, 26.7.3 and 26.7.4):
//!
//! ```text
//! ν odd:   (2/π) (θ + sin θ (cos θ + (2/3) cos³ θ + … + (2·4⋯(ν−3))/(3·5⋯(ν−2)) cos^(ν−2) θ))
//! ν even:  sin θ (1 + (1/2) cos² θ + … + (1·3⋯(ν−3))/(2·4⋯(ν−2)) cos^(ν−2) θ)
//! ```

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Beyond this many degrees of freedom the quantile changes by 0.13 % at 95 %, towards smaller.
const MOST: usize = 1000;

/// Halvings of the interval of θ, enough for every bit of a double.
const HALVINGS: usize = 64;

/// t with P(|T| ≤ t) = `confidence` for Student's t with `degrees` ≥ 1 degrees of freedom and a
/// confidence between 0 and 1. Above 1000 degrees of freedom that of 1000, larger by at most 0.13 %
/// at 95 %.
pub(crate) fn two_sided(degrees: usize, confidence: f64) -> f64 {
    let degrees = degrees.min(MOST);
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if central_probability(degrees, middle) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    (degrees as f64).sqrt() * (0.5 * (low + high)).tan()
}

/// P(|T| ≤ √ν tan θ)
fn central_probability(degrees: usize, angle: f64) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    // The power of the cosine in the term.
    let mut power = degrees % 2;
    while power + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if odd {
        FRAC_2_PI * (angle + sine * sum)
    } else {
        sine * sum
    }
}
