//! What `torch.save` writes: a pickle, and the elements of the storages that its tensors are views of.
//!
//! ```text
//! zip archive       <name>/data.pkl      the object
//!                   <name>/data/<key>    elements of a storage
//! before 1.6        pickles of a magic number, a version, the system, the object, a list of keys;
//!                   then for each key the number of elements (8 bytes) and the elements
//! ```
//!
//! Sources: `torch/serialization.py`, `_save`, `_legacy_save`. candle has a reader of the archives too; a
//! malformed pickle makes it panic, and what it cannot read it leaves out, so this crate has its own.

use std::borrow::Cow;
use std::collections::HashMap;

use flatness_formats::{Archive, Id, Member, Object, Pickle, magic};

use super::entry::{Entry, Storage};
use super::{arrays, walk};

/// Opcode and bytes of the magic number that files from before PyTorch 1.6 begin with.
const LEGACY: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Storage types of torch: name, number type, bytes of an element.
const STORAGES: [(&str, &str, usize); 16] = [
    ("FloatStorage", "f32", 4),
    ("DoubleStorage", "f64", 8),
    ("HalfStorage", "f16", 2),
    ("BFloat16Storage", "bf16", 2),
    ("LongStorage", "i64", 8),
    ("IntStorage", "i32", 4),
    ("ShortStorage", "i16", 2),
    ("CharStorage", "i8", 1),
    ("ByteStorage", "u8", 1),
    ("BoolStorage", "bool", 1),
    ("ComplexFloatStorage", "c64", 8),
    ("ComplexDoubleStorage", "c128", 16),
    ("QInt8Storage", "qint8", 1),
    ("QUInt8Storage", "quint8", 1),
    ("QInt32Storage", "qint32", 4),
    ("UntypedStorage", "bytes", 1),
];

/// Whether `bytes` are of `torch.save`, old or new.
pub(super) fn recognizes(bytes: &[u8]) -> bool {
    bytes.starts_with(magic::ZIP) || is_legacy(bytes)
}

fn is_legacy(bytes: &[u8]) -> bool {
    // In front of the number stand the protocol and, from 4 on, the length of a frame.
    let head = &bytes[..bytes.len().min(11 + LEGACY.len())];
    let number = head.windows(LEGACY.len()).any(|window| window == LEGACY);
    number && bytes[0] == 0x80
}

/// The tensors of a file and their storages.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Storage>), String> {
    match is_legacy(bytes) {
        true => legacy(bytes),
        false => archive(bytes),
    }
}

fn archive(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Storage>), String> {
    let mut archive = Archive::open(bytes).map_err(|error| error.to_string())?;
    let folder = archive
        .names()
        .find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()));
    let Some(folder) = folder else {
        let other = "it is a zip archive without data.pkl; if it holds a checkpoint, unpack it";
        return arrays::read(&mut archive, bytes).unwrap_or_else(|| Err(other.to_owned()));
    };
    let mut member = |name: &str| archive.member(&format!("{folder}{name}"));
    // Archives from before the entry existed are little-endian too.
    if let Ok(order) = member("byteorder")
        && *order.read(bytes).map_err(|error| error.to_string())? != *b"little"
    {
        return Err("it is not little-endian".to_owned());
    }
    let program = member("data.pkl").and_then(|member| member.read(bytes));
    let program = program.map_err(|error| error.to_string())?;
    let (pickle, _) = Pickle::parse(&program).map_err(|error| error.to_string())?;
    let mut storages = Vec::new();
    let mut numbers = HashMap::new();
    let entries = walk::entries(&pickle, &mut |key| {
        *numbers.entry(key.to_owned()).or_insert_with(|| {
            let member = member(&format!("data/{key}")).ok()?;
            storages.push(Storage { file: 0, member });
            Some(storages.len() - 1)
        })
    });
    Ok((entries, storages))
}

fn legacy(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Storage>), String> {
    let mut rest = bytes;
    let mut next = || {
        let (pickle, behind) = Pickle::parse(rest).map_err(|error| error.to_string())?;
        rest = behind;
        Ok::<Pickle, String>(pickle)
    };
    // Magic number, version, system.
    for _ in 0..3 {
        next()?;
    }
    let (pickle, keys) = (next()?, next()?);
    let widths = widths(&pickle);
    let ends = "it ends in the middle of its storages";
    let mut at = bytes.len() - rest.len();
    let (mut storages, mut numbers) = (Vec::new(), HashMap::new());
    for &key in keys.elements(keys.root()).unwrap_or_default() {
        let key = keys.text(key).ok_or("its list of storages is damaged")?;
        let width = widths
            .get(key)
            .ok_or("its list of storages is not that of its tensors")?;
        let count = bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(ends)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| ends)?;
        let start = at + size_of::<u64>();
        let end = count
            .checked_mul(*width)
            .and_then(|length| start.checked_add(length));
        at = end.filter(|&end| end <= bytes.len()).ok_or(ends)?;
        numbers.insert(key.to_owned(), storages.len());
        let member = Member::stored(format!("storage {key}"), start..at);
        storages.push(Storage { file: 0, member });
    }
    let entries = walk::entries(&pickle, &mut |key| numbers.get(key).copied());
    Ok((entries, storages))
}

/// Bytes of an element of each storage that the pickle names.
fn widths(pickle: &Pickle) -> HashMap<&str, usize> {
    let objects = pickle.objects().iter();
    let storages = objects.filter_map(|object| match *object {
        Object::Persistent(id) => Place::of(pickle, id),
        _ => None,
    });
    storages
        .filter_map(|place| Some((place.key, storage_type(place.class)?.1)))
        .collect()
}

/// Number type of a storage type, and bytes of an element.
pub(super) fn storage_type(class: &str) -> Option<(&'static str, usize)> {
    let found = STORAGES.iter().find(|(name, ..)| *name == class);
    found.map(|&(_, kind, width)| (kind, width))
}

/// Type and key of a storage.
pub(super) struct Place<'p> {
    pub(super) class: &'p str,
    pub(super) key: &'p str,
}

impl<'p> Place<'p> {
    /// From `('storage', type, key, device, elements)`, a tuple or, in protocol 0, its text.
    pub(super) fn of(pickle: &'p Pickle, id: Id) -> Option<Self> {
        if let Some(text) = pickle.text(id) {
            let mut quoted = text.split('\'').skip(1).step_by(2).skip(1);
            let class = quoted.next()?.rsplit('.').next()?;
            return Some(Self {
                class,
                key: quoted.next()?,
            });
        }
        let &[_, class, key, ..] = pickle.elements(id)? else {
            return None;
        };
        Some(Self {
            class: pickle.global(class)?.1,
            key: pickle.text(key)?,
        })
    }
}

/// Number type of a `torch.dtype` by its name.
pub(super) fn number_type(dtype: &str) -> Cow<'static, str> {
    match dtype {
        "float8_e4m3fn" => Cow::Borrowed("f8e4m3"),
        other => Cow::Owned(other.to_owned()),
    }
}
