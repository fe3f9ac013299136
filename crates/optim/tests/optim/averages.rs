//! Identities of the averages.

use candle_core::{DType, Device, Tensor};
use flatness_optim::Average;
use flatness_testkit::{assert_close, gaussian, values};

fn tail(window: usize, like: &Tensor) -> Average {
    let window = std::num::NonZeroUsize::new(window).unwrap();
    Average::tail(window, like).unwrap()
}

/// The average of all `iterates`.
fn averaged(mut average: Average, iterates: &[Tensor]) -> Vec<f64> {
    for iterate in iterates {
        average.add(iterate).unwrap();
    }
    values(&average.average().unwrap())
}

#[test]
fn the_average_of_constant_iterates_is_the_constant() {
    for dtype in [DType::F32, DType::F64] {
        let theta = gaussian(5, 1).to_dtype(dtype).unwrap();
        for mut average in [
            Average::uniform(2, &theta).unwrap(),
            Average::exponential(0.9, &theta).unwrap(),
            tail(3, &theta),
        ] {
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

/// A window forgets what has left it, NaN too.
#[test]
fn a_window_forgets() {
    let wrong = Tensor::new(&[f64::NAN; 3], &Device::Cpu).unwrap();
    let iterates = [wrong, gaussian(3, 2), gaussian(3, 3)];
    let average = averaged(tail(2, &iterates[0]), &iterates);
    assert_close("tail", &average, &mean(&iterates[1..]), 1e-15);
}

/// 100,000 iterates near one: in single precision the mean would drift by 1e-4.
#[test]
fn long_averages_of_single_precision_do_not_drift() {
    let start = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let mut average = Average::uniform(0, &start).unwrap();
    let mut sum = [0.0; 2];
    for step in 0..100_000u32 {
        let iterate = [1.0 + 1e-3 * (step as f32).sin(), 1.0 / (1.0 + step as f32)];
        for (sum, value) in sum.iter_mut().zip(iterate) {
            *sum += f64::from(value);
        }
        let iterate = Tensor::new(&iterate, &Device::Cpu).unwrap();
        average.add(&iterate).unwrap();
    }
    let state = average.state().unwrap();
    assert_eq!(state.vectors["mean"].dtype(), DType::F64);
    let expected = sum.map(|sum| sum / 1e5);
    assert_close("mean", &values(&state.vectors["mean"]), &expected, 1e-11);
}

#[test]
fn an_average_is_a_copy() {
    let mut average = Average::uniform(0, &gaussian(3, 1)).unwrap();
    average.add(&gaussian(3, 1)).unwrap();
    let first = average.average().unwrap();
    average.add(&gaussian(3, 2)).unwrap();
    assert_eq!(values(&first), values(&gaussian(3, 1)));
}
