//! From a file to a decoded model, in memory bounded by the length of the file.
//!
//! Fields are counted before they are decoded: two bytes of an empty message would become some two hundred.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use flatness_formats::magic;
use prost::Message;

use crate::Error;
use crate::proto::{Graph, Model};

/// Most fields of a model; that of a network of a thousand layers has some ten thousand.
const MAX_FIELDS: usize = 1 << 20;

/// Oldest set of operators: since it, axes of `Squeeze` and `Unsqueeze` are inputs.
const OLDEST_OPSET: i64 = 13;

/// A graph with the version of its operators.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) graph: Graph,
    pub(crate) opset: i64,
}

/// The bytes of `path`, of which the first are looked at before the others are read.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(refused)?;
    let length = fs::metadata(path).map_err(refused)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(1 << 40));
    let head = file.by_ref().take(magic::HEAD as u64);
    let mut head = head;
    head.read_to_end(&mut bytes).map_err(refused)?;
    admit(&bytes, &path.display().to_string())?;
    file.read_to_end(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

/// Whether a file that begins with `head` can be a model.
fn admit(head: &[u8], origin: &str) -> Result<(), Error> {
    match magic::name(head) {
        Some("an ONNX file") | None => Ok(()),
        Some(what) => Err(Error::Foreign {
            origin: origin.to_owned(),
            what,
        }),
    }
}

/// The model in `bytes`.
pub(crate) fn decode(bytes: Vec<u8>, origin: &str) -> Result<Source, Error> {
    admit(&bytes[..bytes.len().min(magic::HEAD)], origin)?;
    let refused = |reason: String| Error::Format {
        origin: origin.to_owned(),
        reason,
    };
    let mut room = MAX_FIELDS;
    count(&bytes, MODEL, &mut room).map_err(|reason| refused(reason.to_owned()))?;
    let model = Model::decode(Bytes::from(bytes)).map_err(|error| refused(error.to_string()))?;
    let own = |domain: &str| matches!(domain, "" | "ai.onnx");
    let sets = &model.opset_import;
    let opset = sets.iter().find(|set| own(&set.domain));
    let (Some(graph), Some(opset)) = (model.graph, opset) else {
        return Err(refused("it holds no graph of ONNX operators".to_owned()));
    };
    if opset.version < OLDEST_OPSET {
        return Err(Error::Opset {
            origin: origin.to_owned(),
            got: opset.version,
        });
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(refused(
            "its initialisers are sparse, which is not read".to_owned(),
        ));
    }
    Ok(Source {
        graph,
        opset: opset.version,
    })
}

/// Fields of a message that are messages in turn.
struct Fields(&'static [(u64, &'static Fields)]);

const LEAF: &Fields = &Fields(&[]);
const TENSOR: &Fields = &Fields(&[(13, LEAF)]);
const ATTRIBUTE: &Fields = &Fields(&[(5, TENSOR)]);
const NODE: &Fields = &Fields(&[(5, ATTRIBUTE), (9, LEAF)]);
const SHAPE: &Fields = &Fields(&[(1, LEAF)]);
const TYPE: &Fields = &Fields(&[(1, &Fields(&[(2, SHAPE)]))]);
const INFO: &Fields = &Fields(&[(2, TYPE), (4, LEAF)]);
const GRAPH: &Fields = &Fields(&[(1, NODE), (5, TENSOR), (11, INFO), (12, INFO), (13, INFO)]);
const MODEL: &Fields = &Fields(&[(7, GRAPH), (8, LEAF)]);

/// Counts the fields of a message and of those in it down from `room`.
fn count(mut bytes: &[u8], message: &Fields, room: &mut usize) -> Result<(), &'static str> {
    const END: &str = "it ends within a field";
    while !bytes.is_empty() {
        *room = room
            .checked_sub(1)
            .ok_or("it has more than a million fields")?;
        let key = varint(&mut bytes).ok_or(END)?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes).ok_or(END)?;
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes).ok_or(END)?,
            5 => 4,
            _ => return Err("it has a field of an unknown kind"),
        };
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= bytes.len());
        let (field, rest) = bytes.split_at(length.ok_or(END)?);
        bytes = rest;
        let inner = message.0.iter().find(|(number, _)| *number == key >> 3);
        if let (2, Some((_, inner))) = (key & 7, inner) {
            count(field, inner, room)?;
        }
    }
    Ok(())
}

/// Takes a number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
