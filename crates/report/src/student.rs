//! Student's t distribution with ν degrees of freedom.
//!
//! With θ = arctan(t / √ν), P(|T| ≤ t) is a finite sum (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and
//! 26.7.4):
//!
//! ```text
//! ν odd:   (2/π) (θ + sin θ (cos θ + (2/3) cos³ θ + … + (2·4⋯(ν−3))/(3·5⋯(ν−2)) cos^(ν−2) θ))
//! ν even:  sin θ (1 + (1/2) cos² θ + … + (1·3⋯(ν−3))/(2·4⋯(ν−2)) cos^(ν−2) θ)
//! ```

use std::f64::consts::FRAC_2_PI;

/// P(T > t); 1/2 for no degrees of freedom, where nothing is known.
#[must_use]
pub fn student_tail(t: f64, degrees: usize) -> f64 {
    if degrees == 0 {
        return 0.5;
    }
    let angle = (t / (degrees as f64).sqrt()).atan();
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
    let central = if odd {
        FRAC_2_PI * (angle + sine * sum)
    } else {
        sine * sum
    };
    (0.5 * (1.0 - central)).clamp(0.0, 1.0)
}

/// t with P(T > t) = `tail` for 0 < `tail` < 1/2 and at least one degree of freedom.
#[must_use]
pub fn student_quantile(tail: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_tail(high, degrees) > tail && high < f64::MAX / 4.0 {
        high *= 2.0;
    }
    // Every bit of a double.
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if student_tail(middle, degrees) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
