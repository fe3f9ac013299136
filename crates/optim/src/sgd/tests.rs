//! Both paths of SGD.

use super::{Momentum, Sgd};
use crate::paths::{EXCLUDED, check_paths_agree};
use crate::{CoupledL2, Decay, DecoupledDecay, Optimizer};

fn check(momentum: Momentum, decay: &impl Decay) {
    check_paths_agree(
        &format!("{momentum:?}, {decay:?}"),
        |theta| Sgd::new(momentum, decay.clone(), theta).unwrap(),
        |sgd, theta, gradient, rate| sgd.step(theta, gradient, rate).unwrap(),
        |sgd, theta, gradient, rate| {
            sgd.plain(theta, gradient, rate).unwrap();
            sgd.steps += 1;
        },
    );
}

#[test]
fn the_plain_path_takes_the_same_steps() {
    let momenta = [
        Momentum::HeavyBall(0.0),
        Momentum::HeavyBall(0.9),
        Momentum::Dampened {
            coefficient: 0.9,
            dampening: 0.3,
        },
        Momentum::Nesterov(0.9),
    ];
    for momentum in momenta {
        let (coupled, decoupled) = (CoupledL2::new(0.3), DecoupledDecay::new(0.3));
        let (coupled, decoupled) = (coupled.unwrap(), decoupled.unwrap());
        check(momentum, &coupled);
        check(momentum, &decoupled);
        check(momentum, &coupled.excluding(EXCLUDED).unwrap());
        check(momentum, &decoupled.excluding(EXCLUDED).unwrap());
    }
}
