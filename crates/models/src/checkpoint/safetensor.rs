//! Safetensors: the length of a header (8 bytes), the header in JSON, the elements.
//!
//! What this program writes has a digest of all other bytes among its metadata, and is refused where they have another.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use flatness_formats::Member;
use safetensors::SafeTensors;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use super::entry::{Entry, Storage, View, row_major};

/// Tensors, their storages, and the name of the architecture where the writer gave one.
pub(super) type Contents = (Vec<Entry>, Vec<Storage>, Option<String>);

/// What stands before the digest: 16 hexadecimal digits and a quotation mark.
const DIGEST: &str = ",\"flatness.digest\":\"";
const DIGITS: usize = 16;

/// Whether the header stands where it must; no other format has a brace there.
pub(super) fn recognizes(head: &[u8]) -> bool {
    head.get(8) == Some(&b'{')
}

/// A whole file that has an entry of metadata, with its digest as one more; `None` where it is none.
pub(super) fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, elements) = parts(bytes)?;
    let at = header.find("\"}")? + 1;
    let digest = digest(header, "", elements);
    let mut header = format!("{}{DIGEST}{digest}\"{}", &header[..at], &header[at..]);
    while !header.len().is_multiple_of(size_of::<u64>()) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    Some([&length, header.as_bytes(), elements].concat())
}

/// Whether it has no digest, or that of its contents.
fn is_as_written(bytes: &[u8]) -> bool {
    let said = || {
        let (header, elements) = parts(bytes)?;
        let (before, rest) = header.split_once(DIGEST)?;
        let (said, after) = rest.split_at_checked(DIGITS)?;
        Some(said == digest(before, after.strip_prefix('"')?, elements))
    };
    said().unwrap_or(true)
}

/// The header without the blanks behind it, and the elements.
fn parts(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, elements) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?.trim_end(), elements))
}

/// First digits of the SHA-256 of the two parts of a header and the elements.
fn digest(before: &str, after: &str, elements: &[u8]) -> String {
    let digest = Sha256::new_with_prefix(before)
        .chain_update(after)
        .chain_update(elements)
        .finalize();
    let digits = digest[..DIGITS / 2].iter();
    digits.map(|byte| format!("{byte:02x}")).collect()
}

/// The tensors of a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
    let metadata = SafeTensors::read_metadata(bytes);
    let (header, metadata) = metadata.map_err(|error| error.to_string())?;
    // Holds the ranges to the length of the file.
    SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let start = header + size_of::<u64>();
    let header = bytes.get(size_of::<u64>()..start).unwrap_or_default();
    serde_json::from_slice::<Once>(header).map_err(|error| error.to_string())?;
    if !is_as_written(bytes) {
        return Err("its contents do not have the digest that they were written with".to_owned());
    }
    let (mut entries, mut storages) = (Vec::new(), Vec::new());
    for (name, info) in metadata.tensors() {
        let (from, to) = info.data_offsets;
        let range = start + from..start + to;
        storages.push(Storage {
            file: 0,
            member: Member::stored(name.clone(), range),
        });
        // As candle calls them: F8_E4M3 is f8e4m3.
        let kind = format!("{:?}", info.dtype).to_lowercase().replace('_', "");
        entries.push(Entry {
            name,
            shape: info.shape.clone(),
            kind: Cow::Owned(kind),
            view: View::Strided {
                storage: storages.len() - 1,
                offset: 0,
                strides: row_major(&info.shape),
            },
        });
    }
    let named = metadata.metadata().as_ref();
    let model = named.and_then(|entries| entries.get("model").cloned());
    // The names come from a hash map.
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((entries, storages, model))
}

/// A JSON object in which every key is there once; the reader of the header takes the last of several.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if let Some(twice) = keys.replace(key) {
                return Err(Error::custom(format!("{twice} is in it twice")));
            }
        }
        Ok(self)
    }
}
