//! Checkpoints of networks with batch norm: running statistics beside the parameters.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flatness_layers::Network;
use flatness_models::{Architecture, Error, checkpoint};
use flatness_testkit::{gaussian, values};

/// What the errors call the bytes.
const ORIGIN: &str = "memory";

/// With batch norm: 30 tensors of parameters and 16 of running statistics.
fn normalized() -> Network {
    let vgg = Architecture::find("vgg-11-bn@0.015625").unwrap();
    vgg.network(&[3, 32, 32], 2).unwrap()
}

/// Gaussian parameters of [`normalized`], and running statistics of one half to one.
fn state() -> (Tensor, Tensor) {
    let network = normalized();
    let statistics = gaussian(network.buffers().dim(), 2);
    let statistics = ((statistics.sin().unwrap() + 3.0).unwrap() / 4.0).unwrap();
    (gaussian(network.layout().dim(), 1), statistics)
}

/// The tensors of [`state`] by name.
fn named_state() -> HashMap<String, Tensor> {
    let (network, (theta, buffers)) = (normalized(), state());
    let mut named = HashMap::new();
    for (layout, flat) in [(network.layout(), &theta), (network.buffers(), &buffers)] {
        let parameters = layout.parameters().iter();
        let names = parameters.map(|parameter| parameter.name.clone());
        named.extend(names.zip(layout.views(flat).unwrap()));
    }
    named
}

/// Reads parameters and running statistics of [`normalized`] from `named`.
fn read_state(named: &HashMap<String, Tensor>) -> Result<(Tensor, Tensor), Error> {
    let bytes = safetensors::serialize(named, None).unwrap();
    let (network, checkpoint) = (normalized(), checkpoint::decode(&bytes, ORIGIN)?);
    let theta = checkpoint.parameters(&network, ORIGIN)?;
    Ok((theta, checkpoint.buffers(&network, ORIGIN)?))
}

#[test]
fn running_statistics_come_back_with_the_parameters() {
    let (network, (theta, buffers)) = (normalized(), state());
    assert_eq!(network.buffers().parameters().len(), 16);
    for dtype in [DType::F32, DType::F64] {
        let theta = theta.to_dtype(dtype).unwrap();
        // All in the number type of the parameters.
        let bytes = checkpoint::encode(&network, &theta, &buffers, "vgg").unwrap();
        let checkpoint = checkpoint::decode(&bytes, ORIGIN).unwrap();
        let loaded = checkpoint.parameters(&network, ORIGIN).unwrap();
        assert_eq!(values(&loaded), values(&theta));
        let loaded = checkpoint.buffers(&network, ORIGIN).unwrap();
        assert_eq!(loaded.dtype(), dtype);
        assert_eq!(values(&loaded), values(&buffers.to_dtype(dtype).unwrap()));
    }
}

#[test]
fn names_of_a_parallel_network_and_batch_counters_are_read_past() {
    let expected = read_state(&named_state()).unwrap();
    let one = Tensor::new(1i64, &Device::Cpu).unwrap();
    let mut counted = named_state();
    counted.insert("features.1.num_batches_tracked".to_owned(), one);
    let prefixed = counted.iter();
    let prefixed = prefixed.map(|(name, tensor)| (format!("module.{name}"), tensor.clone()));
    for named in [counted.clone(), prefixed.collect()] {
        let (theta, buffers) = read_state(&named).unwrap();
        assert_eq!(values(&theta), values(&expected.0));
        assert_eq!(values(&buffers), values(&expected.1));
    }
    // A prefix of some names is none of all.
    let mut some = named_state();
    let weight = some.remove("features.0.weight").unwrap();
    some.insert("module.features.0.weight".to_owned(), weight);
    let message = read_state(&some).unwrap_err().to_string();
    assert_eq!(
        message,
        "memory does not fit the network: 1 missing: features.0.weight [1, 3, 3, 3]; \
         1 unexpected: module.features.0.weight"
    );
}

#[test]
fn long_lists_are_cut_and_counted() {
    let named = named_state();
    let parameters = named
        .into_iter()
        .filter(|(name, _)| !name.contains("running"));
    let error = read_state(&parameters.collect()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory does not fit the network: 16 missing: features.1.running_mean [1], \
         features.1.running_var [1], features.5.running_mean [2], features.5.running_var [2], \
         features.9.running_mean [4], features.9.running_var [4], features.12.running_mean [4], \
         features.12.running_var [4] and 8 more"
    );
}

#[test]
fn running_statistics_of_no_use_are_errors_that_name_them() {
    let name = "features.9.running_var";
    for (value, reason) in [
        (-1e-3, "is a variance and has negative values"),
        (f64::NAN, "has values that are not finite"),
    ] {
        let mut named = named_state();
        let broken = Tensor::new(&[1.0, value, 1.0, 1.0], &Device::Cpu).unwrap();
        named.insert(name.to_owned(), broken);
        let expected = format!("memory: {name} {reason}; take an earlier checkpoint");
        assert_eq!(read_state(&named).unwrap_err().to_string(), expected);
    }
    // A variance of zero is that of a unit that is always off; a mean may be negative.
    let mut named = named_state();
    for (name, values) in [(name, &[0.0; 4][..]), ("features.1.running_mean", &[-1.0])] {
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        named.insert(name.to_owned(), values);
    }
    assert!(read_state(&named).is_ok());
}

#[test]
fn running_statistics_of_another_length_are_not_written() {
    let (theta, buffers) = state();
    let fewer = buffers.narrow(0, 1, buffers.dims()[0] - 1).unwrap();
    let error = checkpoint::encode(&normalized(), &theta, &fewer, "vgg");
    assert!(matches!(error, Err(Error::Network(_))));
}
