//! Fifty steps in float64 against `torch.optim`, and against the published equations of Padam, SAM
//! and SGD with decoupled decay.

use candle_core::{DType, Tensor};
use flatness_kernels::with_candle_path;
use flatness_optim::{Error, SharpnessAware, clip_by_norm};
use flatness_testkit::{assert_close, values};

use crate::golden::{Golden, Run, golden};

/// Both do the same operations in float64; a few hundred roundings, amplified at most tenfold by
/// the curvature of the objectives.
const TOLERANCE: f64 = 1e-12;

/// Calls `see` with the number of every step and θ after it.
fn walk(golden: &Golden, run: &Run, mut see: impl FnMut(usize, &Tensor)) {
    let theta = run.start();
    let mut optimizer = run.optimizer(&theta);
    for step in 1..=50 {
        let rate = golden.rate(run, step);
        match run.radius {
            Some(radius) => {
                let gradient = |at: &Tensor| Ok::<_, Error>(golden.gradient(&run.objective, at));
                SharpnessAware::new(radius)
                    .and_then(|sam| sam.step(&mut *optimizer, &theta, rate, gradient))
                    .unwrap();
            }
            None => {
                let gradient = golden.gradient(&run.objective, &theta);
                if let Some(clip) = run.clip {
                    clip_by_norm(&gradient, clip).unwrap();
                }
                optimizer.step(&theta, &gradient, rate).unwrap();
            }
        }
        see(step, &theta);
    }
}

/// Calls `check` on the fused path and on that of candle's operations.
fn on_both_paths(check: impl Fn()) {
    check();
    with_candle_path(check);
}

#[test]
fn every_trajectory_is_that_of_torch_or_of_the_equations() {
    let golden = golden();
    assert_eq!(golden.runs.len(), 121);
    on_both_paths(|| {
        for run in &golden.runs {
            let mut kept = run.trajectory.iter();
            walk(&golden, run, |step, theta| {
                if golden.steps.contains(&step) {
                    let what = format!("{}, step {step}", run.describe());
                    assert_close(&what, &values(theta), kept.next().unwrap(), TOLERANCE);
                }
            });
            assert!(kept.next().is_none());
        }
    });
}

/// SWA, Gadam and GadamX are an optimiser and an average.
#[test]
fn averages_of_a_trajectory_are_those_of_torch() {
    on_both_paths(|| {
        let golden = golden();
        for average_run in &golden.average_runs {
            let run = &average_run.run;
            let start = run.start();
            let kinds = average_run.averages.iter();
            let mut averages: Vec<_> = kinds.map(|of| of.kind.make(&start)).collect();
            walk(&golden, run, |_, theta| {
                for average in &mut averages {
                    average.add(theta).unwrap();
                }
            });
            for (average, of) in averages.iter().zip(&average_run.averages) {
                let what = format!("{:?} of {}", of.kind, run.describe());
                let average = values(&average.average().unwrap());
                assert_close(&what, &average, &of.average, TOLERANCE);
            }
        }
    });
}

#[test]
fn single_precision_follows_double_precision() {
    on_both_paths(|| {
        let golden = golden();
        let tenth = golden.steps.iter().position(|&step| step == 10).unwrap();
        for run in golden.runs.iter().filter(|run| {
            run.objective == "quadratic" && run.radius.is_none() && run.clip.is_none()
        }) {
            let theta = run.start().to_dtype(DType::F32).unwrap();
            let mut optimizer = run.optimizer(&theta);
            for step in 1..=10 {
                let gradient = golden.gradient(&run.objective, &theta);
                let gradient = gradient.to_dtype(DType::F32).unwrap();
                let rate = golden.rate(run, step);
                optimizer.step(&theta, &gradient, rate).unwrap();
            }
            // Ten steps of a few roundings of 6e-8.
            let expected = &run.trajectory[tenth];
            assert_close(&run.describe(), &values(&theta), expected, 1e-5);
        }
    });
}
