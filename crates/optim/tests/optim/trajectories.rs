//! Fifty steps in float64 against `torch.optim`, and against the published equations of Padam, SAM
//! and SGD with decoupled decay, on every path.

use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::launch::with_launcher;
use flatness_kernels::{scale_in_place, with_candle_path};
use flatness_optim::{Average, Decay, Error, SharpnessAware, clip_by_norm};
use flatness_testkit::{Recorder, as_cpp, assert_close, compiled_by_nvrtc, values};

use crate::golden::{AverageRun, Golden, Run, golden};
use crate::optimizers;

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

/// What `work` gives on the CPU path, on that of candle's operations and as kernels, where there is a C++ compiler.
fn on_every_path<T>(work: impl Fn() -> T) -> Vec<T> {
    let mut results = vec![work(), with_candle_path(&work)];
    results.extend(as_cpp(|| {
        // Whether a gradient is clipped depends on numbers that are not there while kernels are collected.
        let any = Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap();
        scale_in_place(&any, 1.0).unwrap();
        work()
    }));
    results
}

#[test]
fn every_trajectory_is_that_of_torch_or_of_the_equations() {
    let golden = golden();
    assert_eq!(golden.runs.len(), 121);
    let kept = |run: &Run| {
        let mut kept = Vec::new();
        walk(&golden, run, |step, theta| {
            if golden.steps.contains(&step) {
                kept.push(values(theta));
            }
        });
        kept
    };
    for reached in on_every_path(|| golden.runs.iter().map(kept).collect::<Vec<_>>()) {
        for (run, reached) in golden.runs.iter().zip(reached) {
            assert_eq!(reached.len(), run.trajectory.len());
            let pairs = reached.iter().zip(&run.trajectory);
            for ((theta, expected), step) in pairs.zip(&golden.steps) {
                let what = format!("{}, step {step}", run.describe());
                assert_close(&what, theta, expected, TOLERANCE);
            }
        }
    }
}

/// SWA, Gadam and GadamX are an optimiser and an average.
#[test]
fn averages_of_a_trajectory_are_those_of_torch() {
    let golden = golden();
    let reached = |average_run: &AverageRun| {
        let run = &average_run.run;
        let start = run.start();
        let kinds = average_run.averages.iter();
        let mut averages: Vec<_> = kinds.map(|of| of.kind.make(&start)).collect();
        walk(&golden, run, |_, theta| {
            for average in &mut averages {
                average.add(theta).unwrap();
            }
        });
        let averages = averages.iter();
        let averages = averages.map(|average| values(&average.average().unwrap()));
        averages.collect::<Vec<_>>()
    };
    let all = || golden.average_runs.iter().map(reached).collect::<Vec<_>>();
    for reached in on_every_path(all) {
        for (average_run, reached) in golden.average_runs.iter().zip(reached) {
            for (average, of) in reached.iter().zip(&average_run.averages) {
                let what = format!("{:?} of {}", of.kind, average_run.run.describe());
                assert_close(&what, average, &of.average, TOLERANCE);
            }
        }
    }
}

#[test]
fn single_precision_follows_double_precision() {
    let golden = golden();
    let tenth = golden.steps.iter().position(|&step| step == 10).unwrap();
    let runs = golden.runs.iter();
    let runs = runs
        .filter(|run| run.objective == "quadratic" && run.radius.is_none() && run.clip.is_none());
    let runs: Vec<&Run> = runs.collect();
    let tenth_of = |run: &&Run| {
        let theta = run.start().to_dtype(DType::F32).unwrap();
        let mut optimizer = run.optimizer(&theta);
        for step in 1..=10 {
            let gradient = golden.gradient(&run.objective, &theta);
            let gradient = gradient.to_dtype(DType::F32).unwrap();
            let rate = golden.rate(run, step);
            optimizer.step(&theta, &gradient, rate).unwrap();
        }
        values(&theta)
    };
    for reached in on_every_path(|| runs.iter().map(tenth_of).collect::<Vec<_>>()) {
        for (run, theta) in runs.iter().zip(reached) {
            // Ten steps of a few roundings of 6e-8.
            assert_close(&run.describe(), &theta, &run.trajectory[tenth], 1e-5);
        }
    }
}

/// Whatever is left out of the decay, and whatever the rate is: else each step would be compiled anew.
#[test]
fn a_step_is_one_launch_of_a_kernel_of_its_own() {
    let recorder = Rc::new(Recorder::default());
    with_launcher(recorder.clone(), || {
        let theta = Tensor::zeros(9, DType::F32, &Device::Cpu).unwrap();
        let gradient = theta.ones_like().unwrap();
        let everywhere = Decay::coupled(0.1).unwrap();
        let somewhere = everywhere.clone().excluding([2..3, 5..9]).unwrap();
        for decay in [everywhere, somewhere] {
            for mut optimizer in optimizers(&decay, &theta) {
                for step in 1..=3 {
                    let rate = 0.1 / f64::from(step);
                    optimizer.step(&theta, &gradient, rate).unwrap();
                    assert_eq!(recorder.take().launches.len(), 1, "{optimizer:?}");
                }
            }
        }
        let mut average = Average::uniform(0, &theta).unwrap();
        average.add(&theta).unwrap();
        assert_eq!(recorder.take().launches.len(), 1);
    });
    let sources = recorder.sources();
    assert_eq!(sources.len(), 11);
    if let Some(version) = compiled_by_nvrtc(&sources) {
        eprintln!("{} kernels compiled by {version}", sources.len());
    }
}
