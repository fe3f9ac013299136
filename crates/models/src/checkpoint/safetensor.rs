//! Safetensors: the length of a header (8 bytes), the header in JSON, the elements.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use flatness_formats::Member;
use safetensors::SafeTensors;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::entry::{Entry, Storage, View, row_major};

/// Tensors, their storages, and the name of the architecture where the writer gave one.
pub(super) type Contents = (Vec<Entry>, Vec<Storage>, Option<String>);

/// Whether the header stands where it must; no other format has a brace there.
pub(super) fn recognizes(head: &[u8]) -> bool {
    head.get(8) == Some(&b'{')
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
