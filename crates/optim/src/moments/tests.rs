//! Both paths of the optimisers with moments.

use super::{Correction, Exponent, MomentSettings, Moments};
use crate::paths::{EXCLUDED, check_paths_agree};
use crate::{CoupledL2, Decay, DecoupledDecay};

/// Whether the largest second moment divides.
#[derive(Debug, Clone, Copy)]
enum Divisor {
    Second,
    Largest,
}

fn check(divisor: Divisor, correction: Correction, exponent: Exponent, decay: &impl Decay) {
    check_paths_agree(
        &format!("{divisor:?}, {correction:?}, {exponent:?}, {decay:?}"),
        |theta| {
            let moments = Moments::new(MomentSettings::PUBLISHED, decay.clone(), theta).unwrap();
            let moments = match divisor {
                Divisor::Second => moments,
                Divisor::Largest => moments.with_largest().unwrap(),
            };
            moments.with_form(correction, exponent)
        },
        |moments, theta, gradient, rate| moments.step(theta, gradient, rate).unwrap(),
        |moments, theta, gradient, rate| {
            moments.plain(theta, gradient, rate).unwrap();
            moments.steps += 1;
        },
    );
}

#[test]
fn the_plain_path_takes_the_same_steps() {
    let forms = [
        (Divisor::Second, Correction::Moments, Exponent::One),
        (Divisor::Largest, Correction::Moments, Exponent::One),
        (Divisor::Largest, Correction::StepSize, Exponent::One),
        (Divisor::Largest, Correction::StepSize, Exponent::Half),
        (Divisor::Largest, Correction::StepSize, Exponent::Quarter),
        (Divisor::Largest, Correction::StepSize, Exponent::Other(0.3)),
    ];
    for (divisor, correction, exponent) in forms {
        let (coupled, decoupled) = (CoupledL2::new(0.3), DecoupledDecay::new(0.3));
        let (coupled, decoupled) = (coupled.unwrap(), decoupled.unwrap());
        check(divisor, correction, exponent, &coupled);
        check(divisor, correction, exponent, &decoupled);
        check(
            divisor,
            correction,
            exponent,
            &coupled.excluding(EXCLUDED).unwrap(),
        );
        check(
            divisor,
            correction,
            exponent,
            &decoupled.excluding(EXCLUDED).unwrap(),
        );
    }
}
