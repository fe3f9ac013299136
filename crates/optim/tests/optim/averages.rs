//! Identities of the averages.

use candle_core::{DType, Device, Tensor};
use flatness_optim::{Average, ExponentialAverage, TailAverage, UniformAverage};
use flatness_testkit::{assert_close, gaussian, values};

fn window(window: usize) -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(window).unwrap()
}

#[test]
fn the_average_of_constant_iterates_is_the_constant() {
    for dtype in [DType::F32, DType::F64] {
        let theta = gaussian(5, 1).to_dtype(dtype).unwrap();
        let mut averages: [Box<dyn Average>; 3] = [
            Box::new(UniformAverage::new(2, &theta).unwrap()),
            Box::new(ExponentialAverage::new(0.9, &theta).unwrap()),
            Box::new(TailAverage::new(window(3), &theta).unwrap()),
        ];
        for average in &mut averages {
            for _ in 0..10 {
                average.add(&theta).unwrap();
            }
            let got = average.average().unwrap();
            assert_eq!(got.dtype(), dtype);
            assert_eq!(values(&got), values(&theta), "{average:?}");
        }
    }
}

/// The mean of `iterates` by a loop.
fn mean(iterates: &[Tensor]) -> Vec<f64> {
    let mut sum = vec![0.0; iterates[0].elem_count()];
    for iterate in iterates {
        for (sum, value) in sum.iter_mut().zip(values(iterate)) {
            *sum += value;
        }
    }
    sum.iter().map(|sum| sum / iterates.len() as f64).collect()
}

#[test]
fn uniform_and_tail_averages_are_means() {
    let iterates: Vec<Tensor> = (0..20).map(|seed| gaussian(5, seed)).collect();
    let mut uniform = UniformAverage::new(6, &iterates[0]).unwrap();
    let mut tail = TailAverage::new(window(4), &iterates[0]).unwrap();
    for iterate in &iterates {
        uniform.add(iterate).unwrap();
        tail.add(iterate).unwrap();
    }
    assert_eq!((uniform.count(), tail.count()), (14, 4));
    let [uniform, tail] =
        [uniform.average(), tail.average()].map(|average| values(&average.unwrap()));
    // Twenty roundings of 1e-16 in sums of order one.
    assert_close("uniform", &uniform, &mean(&iterates[6..]), 1e-14);
    assert_close("tail", &tail, &mean(&iterates[16..]), 1e-14);
}

#[test]
fn an_exponential_average_weighs_iterates_by_powers_of_its_decay() {
    let iterates: Vec<Tensor> = (0..6).map(|seed| gaussian(5, seed)).collect();
    let mut average = ExponentialAverage::new(0.8, &iterates[0]).unwrap();
    let mut expected = vec![0.0; 5];
    for (index, iterate) in iterates.iter().enumerate() {
        average.add(iterate).unwrap();
        let first = if index == 0 { 1.0 } else { 0.2 };
        let weight = first * 0.8f64.powi(5 - index as i32);
        for (expected, value) in expected.iter_mut().zip(values(iterate)) {
            *expected += weight * value;
        }
    }
    assert_close(
        "exponential",
        &values(&average.average().unwrap()),
        &expected,
        1e-14,
    );
}

/// A window forgets what has left it, NaN too.
#[test]
fn a_window_forgets() {
    let mut tail = TailAverage::new(window(2), &gaussian(3, 1)).unwrap();
    let wrong = Tensor::full(f64::NAN, 3, &Device::Cpu).unwrap();
    for iterate in [wrong.contiguous().unwrap(), gaussian(3, 2), gaussian(3, 3)] {
        tail.add(&iterate).unwrap();
    }
    let expected = mean(&[gaussian(3, 2), gaussian(3, 3)]);
    assert_close("tail", &values(&tail.average().unwrap()), &expected, 1e-15);
}

/// 100,000 iterates near one: in single precision the mean would drift by 1e-4.
#[test]
fn long_averages_of_single_precision_do_not_drift() {
    let start = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let mut average = UniformAverage::new(0, &start).unwrap();
    let mut sum = [0.0; 2];
    for step in 0..100_000u32 {
        let iterate = [1.0 + 1e-3 * (step as f32).sin(), 1.0 / (1.0 + step as f32)];
        for (sum, value) in sum.iter_mut().zip(iterate) {
            *sum += f64::from(value);
        }
        average
            .add(&Tensor::new(&iterate, &Device::Cpu).unwrap())
            .unwrap();
    }
    let state = average.state().unwrap();
    assert_eq!(state.vectors["mean"].dtype(), DType::F64);
    let expected = sum.map(|sum| sum / 1e5);
    assert_close("mean", &values(&state.vectors["mean"]), &expected, 1e-11);
}

#[test]
fn an_average_is_a_copy() {
    let mut average = UniformAverage::new(0, &gaussian(3, 1)).unwrap();
    average.add(&gaussian(3, 1)).unwrap();
    let first = average.average().unwrap();
    average.add(&gaussian(3, 2)).unwrap();
    assert_eq!(values(&first), values(&gaussian(3, 1)));
}
