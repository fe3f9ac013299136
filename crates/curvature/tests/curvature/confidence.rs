//! Margins, and Tr A = 1 − Σ p² of softmax and C of the squared error, from the logits one by one.

use candle_core::{DType, Device};
use flatness_curvature::{Error, MeanLoss};
use flatness_layers::{Loss, Workers};
use flatness_testkit::{Activation, assert_close, dataset, network};

use crate::setup::settings;

const EXAMPLES: usize = 37;

#[test]
fn confidence_is_that_of_the_logits_one_by_one() {
    let network = network(&[1, 3, 4], &[12, 7, 5], Activation::Tanh);
    let data = dataset(EXAMPLES, [1, 3, 4], 5, 1);
    let theta = network.layout().initialize(2, DType::F64, &Device::Cpu);
    let theta = theta.unwrap();
    let batch = data.batch(0..EXAMPLES, DType::F64, &Device::Cpu).unwrap();
    let views = network.layout().views(&theta).unwrap();
    let logits = network.forward(&views, &batch.inputs).unwrap();
    let labels = batch.labels.to_vec1::<u32>().unwrap();
    let (mut smallest, mut trace) = (f64::INFINITY, 0.0);
    for (row, label) in logits.to_vec2::<f64>().unwrap().iter().zip(labels) {
        let mut others = row.clone();
        let own = others.remove(label as usize);
        let apart = others.iter().map(|other| own - other);
        smallest = apart.fold(smallest, f64::min);
        let sum: f64 = row.iter().map(|z| z.exp()).sum();
        trace += 1.0 - row.iter().map(|z| (z.exp() / sum).powi(2)).sum::<f64>();
    }
    let workers = Workers::new(2).unwrap();
    let trace = trace / EXAMPLES as f64;
    let smoothed = Loss::LabelSmoothing { smoothing: 0.2 };
    let losses = [
        (Loss::CrossEntropy, trace),
        (smoothed, trace),
        (Loss::SquaredError, 5.0),
    ];
    for (loss, trace) in losses {
        let double = [1, 5, EXAMPLES].map(|size| (size, DType::F64, 1e-13));
        for (batch_size, dtype, tolerance) in double.into_iter().chain([(5, DType::F32, 1e-5)]) {
            let settings = settings(dtype, batch_size);
            let mean_loss = MeanLoss::new(&network, &data, loss, &workers, settings).unwrap();
            let got = mean_loss.confidence(&theta.to_dtype(dtype).unwrap());
            let got = got.unwrap();
            assert_close("margin", &[got.smallest_margin], &[smallest], tolerance);
            assert_close("Tr A", &[got.mean_trace], &[trace], tolerance);
        }
    }
    let settings = settings(DType::F64, 5);
    let mean_loss = MeanLoss::new(&network, &data, losses[0].0, &workers, settings).unwrap();
    let error = mean_loss.confidence(&(theta * f64::INFINITY).unwrap());
    assert!(matches!(error, Err(Error::NonFinite { .. })), "{error:?}");
}
