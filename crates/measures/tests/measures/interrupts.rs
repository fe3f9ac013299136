//! Every measure, interrupted after each number of sweeps: it makes no more, and has a result or says that it has none.

use flatness_measures::{
    AscentSettings, Cost, Draws, Error, KeskarSettings, Noise, RelativeFlatnessSettings,
    SigmaSettings, Stop, Watch, ball_rise, keskar_sharpness, loss_line, loss_plane, loss_rises,
    pac_bayes_sigma, relative_flatness, unit,
};
use flatness_testkit::{Activation, gaussian};

use crate::toy::{Toy, classifier, counted};

const ASCENT: AscentSettings = AscentSettings {
    random_starts: 2,
    max_iterations: 4,
    tolerance: 1e-9,
    seed: 5,
};

type Measure<'m> = dyn Fn(Watch<'_>) -> Result<(Stop, Cost), Error> + 'm;

#[test]
fn no_sweep_is_made_after_an_interruption() {
    let problem = classifier(&[4, 5, 3], Activation::Tanh, 7, 91);
    let toy = Toy::new(problem);
    let theta = toy.theta();
    let units = [1, 2].map(|seed| unit(&gaussian(toy.problem.dim(), seed)).unwrap());
    let rises = |watch: Watch<'_>| {
        let found = toy.on(|loss| loss_rises(loss, &theta, &units, &[0.1, 0.2], watch))?;
        Ok((found.stop, found.cost))
    };
    let line = |watch: Watch<'_>| {
        let found = toy.on(|loss| loss_line(loss, &theta, &units[0], &[0.1, 0.2, 0.3], watch))?;
        assert_eq!(found.losses.len() as u64, found.cost.losses);
        Ok((found.stop, found.cost))
    };
    let plane = |watch: Watch<'_>| {
        let offsets: [&[f64]; 2] = [&[0.1, 0.2], &[0.3, 0.4, 0.5]];
        let [first, second] = &units;
        let found = toy.on(|loss| loss_plane(loss, &theta, [first, second], offsets, watch))?;
        Ok((found.stop, found.cost))
    };
    let ball = |watch: Watch<'_>| {
        let found = toy.on(|loss| ball_rise(loss, &theta, 0.5, &units[..1], &ASCENT, watch))?;
        Ok((found.stop, found.cost))
    };
    let keskar = |watch: Watch<'_>| {
        let settings = KeskarSettings {
            epsilons: &[0.1],
            directions: &units[..1],
            ascent: ASCENT,
        };
        let found = toy.on(|loss| keskar_sharpness(loss, &theta, &settings, watch))?;
        Ok((found[0].ascent.stop, found[0].ascent.cost))
    };
    let sigma = |watch: Watch<'_>| {
        let settings = SigmaSettings {
            target: 0.1,
            initial: 0.2,
            tolerance: 0.1,
            max_iterations: 10,
            draws: Draws {
                noise: Noise::Plain,
                pairs: 3,
                seed: 6,
            },
        };
        let found = toy.on(|loss| pac_bayes_sigma(loss, &theta, &settings, watch))?;
        assert!(found.bracket.0 < found.sigma.value && found.sigma.value < found.bracket.1);
        assert!(found.sigma.error().is_finite() && found.sigma.error() > 0.0);
        Ok((found.stop, found.cost))
    };
    let flatness = |watch: Watch<'_>| {
        let settings = RelativeFlatnessSettings {
            probes: 6,
            seed: 7,
            block: 1,
        };
        let (layout, weight) = (toy.problem.network.layout(), "fc1.weight");
        let found = toy.curved(&theta, |curvature| {
            let hessian = curvature.hessian();
            relative_flatness(&hessian, layout, &theta, weight, &settings, watch)
        })?;
        Ok((found.stop, found.cost))
    };
    // With the sweeps of the first result.
    let cases: [(&str, &Measure<'_>, u64); 7] = [
        ("rises", &rises, 5),
        ("line", &line, 1),
        ("plane", &plane, 1),
        ("ball", &ball, 2),
        ("box", &keskar, 2),
        ("sigma", &sigma, 13),
        ("flatness", &flatness, 2),
    ];
    for (name, measure, first) in cases {
        let (whole, needed) = counted(u64::MAX, measure);
        let (stop, cost) = whole.unwrap();
        assert_ne!(stop, Stop::Interrupted, "{name}");
        let total = |cost: Cost| cost.losses + cost.gradients + cost.products;
        assert_eq!(total(cost), needed, "{name}");
        for most in 0..needed {
            let (found, swept) = counted(most, measure);
            assert_eq!(swept, most, "{name}");
            match found {
                Ok((stop, cost)) => {
                    assert!(most >= first, "{name} after {most}");
                    assert_eq!((stop, total(cost)), (Stop::Interrupted, most), "{name}");
                }
                Err(error) => {
                    assert!(most < first, "{name} after {most}");
                    assert!(matches!(error, Error::Interrupted), "{name}: {error}");
                }
            }
        }
        let (found, swept) = counted(needed, measure);
        assert_eq!((found.unwrap().0, swept), (stop, needed), "{name}");
    }
}

#[test]
fn an_interruption_between_two_boxes_leaves_the_first() {
    let problem = classifier(&[4, 5, 3], Activation::Tanh, 7, 92);
    let toy = Toy::new(problem);
    let measure = |epsilons: &[f64], most: u64| {
        let settings = KeskarSettings {
            epsilons,
            directions: &[],
            ascent: ASCENT,
        };
        counted(most, |watch| {
            toy.on(|loss| keskar_sharpness(loss, &toy.theta(), &settings, watch))
        })
    };
    let (alone, needed) = measure(&[0.1], u64::MAX);
    let (first, _) = measure(&[0.1, 0.2], needed);
    assert_eq!(first.unwrap(), alone.unwrap());
}
