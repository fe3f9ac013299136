//! What all processes that share the examples must have alike: compared once, before their first sum. Of the examples it is a
//! few, evenly spaced: a program that knows more of its data compares that.

use std::fmt::Debug;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};

use candle_core::{DType, Tensor};
use flatness_data::Batch;
use flatness_records::{Request, Streams};

use crate::{Error, Resources, Subject};

/// Examples that are compared.
const COMPARED: usize = 64;

/// Elements that are hashed at once.
const AT_ONCE: usize = 1 << 20;

/// Goes on if all processes are about to measure the same.
pub(crate) fn agree(
    subject: &Subject<'_>,
    request: &Request,
    streams: Streams,
    resources: &Resources<'_>,
) -> Result<(), Error> {
    let workers = resources.workers;
    if workers.ranks() == 1 {
        return Ok(());
    }
    let Subject {
        network,
        weights,
        initial,
        loss,
        weight_decay,
        ..
    } = *subject;
    let mut point = vec![&weights.theta, &weights.buffers];
    point.extend(initial);
    Ok(workers.agree(&[
        ("program", word(&env!("CARGO_PKG_VERSION"))),
        ("threads", word(&workers.threads())),
        ("request", word(&(request, weight_decay))),
        ("seed", word(&streams)),
        ("network", word(network)),
        ("loss", word(&loss)),
        ("data", examples(subject, resources)?),
        ("weights", elements(&point)?),
    ])?)
}

/// The hash of what debugging shows of a value.
fn word(value: &dyn Debug) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(format!("{value:?}"))
}

/// The hash of the bits of all elements.
fn elements(tensors: &[&Tensor]) -> Result<u64, Error> {
    let mut hasher = DefaultHasher::new();
    for tensor in tensors {
        tensor.dims().hash(&mut hasher);
        tensor.dtype().as_str().hash(&mut hasher);
        let flat = tensor.flatten_all()?;
        let length = flat.elem_count();
        for first in (0..length).step_by(AT_ONCE) {
            let part = flat.narrow(0, first, AT_ONCE.min(length - first))?;
            let part = part.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            part.iter()
                .for_each(|element| hasher.write_u64(element.to_bits()));
        }
    }
    Ok(hasher.finish())
}

/// The hash of the number of examples and of those that are compared.
fn examples(subject: &Subject<'_>, resources: &Resources<'_>) -> Result<u64, Error> {
    let examples = subject.examples;
    let (count, dtype) = (examples.len(), subject.weights.theta.dtype());
    let compared = count.min(COMPARED);
    if compared == 0 {
        return Ok(0);
    }
    // Examples are counted in 32 bits throughout.
    let places = (0..compared).map(|index| (index * count / compared) as u32);
    let places: Vec<u32> = places.collect();
    let Batch { inputs, labels } = examples.gather(&places, dtype, resources.device)?;
    let mut hasher = DefaultHasher::new();
    count.hash(&mut hasher);
    elements(&[&inputs, &labels])?.hash(&mut hasher);
    Ok(hasher.finish())
}
