//! State dicts written by `torch.save`: a zip archive of one pickle and one file per storage.
//!
//! ```text
//! <name>/data.pkl      {parameter: tensor of (storage, offset, size, stride)}
//! <name>/data/<key>    elements of a storage, uncompressed
//! ```
//!
//! Offset and strides count elements. candle has a reader of these files too; a malformed pickle
//! makes it panic, and what it cannot read it leaves out, so this crate has its own.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use candle_core::{DType, Device, Tensor};
use zip::ZipArchive;

use super::pickle::{Id, Object, Pickle};

/// Axes of the largest tensors: far more than any layer has.
const MAX_RANK: usize = 16;

/// First bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";

/// First bytes of `torch.save` before PyTorch 1.6: the pickle of a magic number. No safetensors file
/// starts so, for its first eight bytes would be an absurd length.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46";

/// Whether `bytes` are of `torch.save`, old or new.
pub(super) fn recognizes(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP) || bytes.starts_with(LEGACY)
}

/// The tensors of a state dict, on its own or under the key `state_dict`; says in a few words what
/// is wrong with the file.
pub(super) fn tensors(bytes: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    if bytes.starts_with(LEGACY) {
        return Err(
            "its format is that before PyTorch 1.6; load it and save it again with a current \
             torch.save"
                .to_owned(),
        );
    }
    let mut archive = Archive::open(bytes)?;
    let pickle = Pickle::parse(&archive.read("data.pkl")?)?;
    let mut tensors = HashMap::new();
    let mut room = bytes.len();
    for &(key, value) in state_dict(&pickle).unwrap_or_default() {
        let (Some(name), Some(rebuild)) = (pickle.text(key), rebuilt(&pickle, value)) else {
            continue;
        };
        let reason = |reason| format!("its tensor {name} {reason}");
        let tensor = archive.tensor(&pickle, rebuild).map_err(reason)?;
        // Storages can be shared, but whole networks are not made of one parameter.
        room = room
            .checked_sub(tensor.elem_count() * tensor.dtype().size_in_bytes())
            .ok_or("its tensors overlap")?;
        tensors.insert(name.to_owned(), tensor);
    }
    if tensors.is_empty() {
        return Err("it has no state dict; save `model.state_dict()`".to_owned());
    }
    Ok(tensors)
}

fn state_dict(pickle: &Pickle) -> Option<&[(Id, Id)]> {
    let root = pickle.dict(pickle.root())?;
    let inner = root
        .iter()
        .filter(|(key, _)| pickle.text(*key) == Some("state_dict"))
        .find_map(|(_, value)| pickle.dict(*value));
    Some(inner.unwrap_or(root))
}

/// Arguments of the call that makes a tensor; none for any other object.
fn rebuilt(pickle: &Pickle, id: Id) -> Option<&[Id]> {
    let call = |id: Id| match *pickle.get(id) {
        Object::Call(callable, arguments) => {
            Some((pickle.global(callable)?, pickle.tuple(arguments)?))
        }
        _ => None,
    };
    match call(id)? {
        (("torch._utils", "_rebuild_tensor_v2"), arguments) => Some(arguments),
        (("torch._utils", "_rebuild_parameter"), &[data, ..]) => match call(data)? {
            (("torch._utils", "_rebuild_tensor_v2"), arguments) => Some(arguments),
            _ => None,
        },
        _ => None,
    }
}

/// The open file.
struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    /// Folder of all entries, with its slash.
    folder: String,
    /// Length of the file, which no entry exceeds.
    length: u64,
}

impl<'b> Archive<'b> {
    fn open(bytes: &'b [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let folder = (0..zip.len())
            .filter_map(|index| zip.name_for_index(index))
            .find_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_owned()))
            .ok_or("it is a zip archive without data.pkl")?;
        let mut archive = Self {
            zip,
            folder,
            length: bytes.len() as u64,
        };
        // Archives from before the entry existed are little-endian too.
        match archive.read("byteorder") {
            Ok(order) if order != b"little" => Err("it is not little-endian".to_owned()),
            _ => Ok(archive),
        }
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot read its {name}: {error}");
        let path = format!("{}{name}", self.folder);
        let entry = self.zip.by_name(&path).map_err(|error| failed(&error))?;
        let mut contents = Vec::new();
        entry
            .take(self.length)
            .read_to_end(&mut contents)
            .map_err(|error| failed(&error))?;
        Ok(contents)
    }

    fn tensor(&mut self, pickle: &Pickle, arguments: &[Id]) -> Result<Tensor, String> {
        let Description {
            class,
            key,
            offset,
            axes,
        } = Description::of(pickle, arguments).ok_or("is not described as torch.save does")?;
        let dtype = match class {
            ("torch", "FloatStorage") => DType::F32,
            ("torch", "DoubleStorage") => DType::F64,
            ("torch", "HalfStorage") => DType::F16,
            ("torch", "BFloat16Storage") => DType::BF16,
            ("torch", "LongStorage") => DType::I64,
            (module, name) => return Err(format!("has the storage type {module}.{name}")),
        };
        let storage = self.read(&format!("data/{key}"))?;
        let elements = gather(&storage, dtype.size_in_bytes(), offset, &axes)
            .ok_or("is larger than its storage")?;
        let shape: Vec<usize> = axes.iter().map(|&(size, _)| size).collect();
        Tensor::from_raw_buffer(&elements, dtype, &shape, &Device::Cpu)
            .map_err(|error| error.to_string())
    }
}

/// Where the elements of a tensor are.
struct Description<'p> {
    /// Module and name of the type of the storage.
    class: (&'p str, &'p str),
    /// Name of the storage.
    key: &'p str,
    /// The first element.
    offset: usize,
    /// (size, stride) of every axis.
    axes: Vec<(usize, usize)>,
}

impl<'p> Description<'p> {
    /// From the arguments (storage, offset, size, stride, ...) of `_rebuild_tensor_v2`.
    fn of(pickle: &'p Pickle, arguments: &[Id]) -> Option<Self> {
        let &[storage, offset, size, stride, ..] = arguments else {
            return None;
        };
        let &Object::Persistent(storage) = pickle.get(storage) else {
            return None;
        };
        let &[_, class, key, ..] = pickle.tuple(storage)? else {
            return None;
        };
        let sizes = |id| {
            let sizes = pickle.tuple(id)?.iter().map(|&id| pickle.size(id));
            sizes.collect::<Option<Vec<usize>>>()
        };
        let (size, stride) = (sizes(size)?, sizes(stride)?);
        if size.len() != stride.len() || size.len() > MAX_RANK {
            return None;
        }
        Some(Self {
            class: pickle.global(class)?,
            key: pickle.text(key)?,
            offset: pickle.size(offset)?,
            axes: size.into_iter().zip(stride).collect(),
        })
    }
}

/// The elements of `width` bytes in row-major order; none where they are not in the storage or more
/// than it has.
fn gather(storage: &[u8], width: usize, offset: usize, axes: &[(usize, usize)]) -> Option<Vec<u8>> {
    let elements = axes
        .iter()
        .try_fold(1usize, |product, &(size, _)| product.checked_mul(size))?;
    let bytes = elements
        .checked_mul(width)
        .filter(|&bytes| bytes <= storage.len())?;
    let mut gathered = Vec::with_capacity(bytes);
    if elements > 0 {
        let last = axes.iter().try_fold(offset, |last, &(size, stride)| {
            last.checked_add(stride.checked_mul(size - 1)?)
        })?;
        if last >= storage.len() / width {
            return None;
        }
        append(&mut gathered, storage, width, offset, axes);
    }
    Some(gathered)
}

fn append(
    gathered: &mut Vec<u8>,
    storage: &[u8],
    width: usize,
    offset: usize,
    axes: &[(usize, usize)],
) {
    match axes {
        [] => gathered.extend_from_slice(&storage[offset * width..][..width]),
        // A run of neighbours.
        &[(size, 1)] => {
            gathered.extend_from_slice(&storage[offset * width..][..size * width]);
        }
        [(size, stride), rest @ ..] => {
            for index in 0..*size {
                append(gathered, storage, width, offset + index * stride, rest);
            }
        }
    }
}
