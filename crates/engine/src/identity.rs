//! What products on record belong to: the operator, down to every bit of the parameters, and behind the first line what makes
//! them, a line each.

use std::path::Path;

use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use flatness_records::{BatchNorm, Request, Streams};
use sha2::{Digest, Sha256};

use crate::context::Place;
use crate::journal::Journal;
use crate::operators::Block;
use crate::{Error, JournalFile, Resources, Subject};

/// Everything that the bits of a product depend on, but which matrix it is of; nothing without a journal. The caller's lines
/// behind its first stand with those of the maker.
pub(crate) fn identity_of(
    subject: &Subject<'_>,
    request: &Request,
    streams: Streams,
    resources: &Resources<'_>,
    mean_loss: &MeanLoss<'_>,
) -> Result<String, Error> {
    let Some(JournalFile { identity: data, .. }) = resources.journal else {
        return Ok(String::new());
    };
    let Request {
        examples,
        sample,
        batch_norm,
        l2,
        ..
    } = request;
    let mut hash = Sha256::new();
    let mut add = |tensor: &Tensor| -> Result<(), Error> {
        let values = tensor.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        values
            .into_iter()
            .for_each(|value| hash.update(value.to_le_bytes()));
        Ok(())
    };
    add(&subject.weights.theta)?;
    if *batch_norm == BatchNorm::Frozen {
        add(&subject.weights.buffers)?;
    }
    let (data, maker) = data.split_once('\n').unwrap_or((data, ""));
    let settings = mean_loss.settings();
    let shapes: Vec<_> = subject.network.layout().parameters().iter().collect();
    let (ranks, threads) = (resources.workers.ranks(), resources.workers.threads());
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "{:x} {shapes:?} {data} {examples:?} {sample:?} {streams:?} {batch_norm:?} {l2} {:?} {:?} {} {:?}\n\
         by another version: {version}\nwith another number of processes: {ranks}\n\
         with another number of threads: {threads}\n{maker}",
        hash.finalize(),
        subject.loss,
        settings.dtype,
        settings.batch_size,
        settings.device.location(),
    ))
}

/// The journal of a block at `path`, with its `number` behind where there are several.
pub(crate) fn begin_journal(
    operator: &Block<'_>,
    place: &Place,
    path: &Path,
    number: Option<usize>,
    identity: &str,
) -> Result<Journal, Error> {
    let mut path = path.as_os_str().to_owned();
    if let Some(number) = number {
        path.push(format!(".{number}"));
    }
    let (identity, maker) = identity.split_once('\n').unwrap_or((identity, ""));
    let identity = format!("{identity} {} {:?}", place.matrix.name(), place.ranges);
    Ok(Journal::open(operator, path.as_ref(), [&identity, maker])?)
}
