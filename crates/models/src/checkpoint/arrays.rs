//! Archives of weights without a pickle: NumPy's `.npz`, and the programs of `torch.export`.
//!
//! ```text
//! .npz     <name>.npy                                     header and elements
//! .pt2     <folder>/data/weights/<file>                   elements
//!          <folder>/data/weights/…weights_config.json     of each name its file, number type, sizes, strides, offset
//! ```
//!
//! Sources: `numpy/lib/format.py`; `torch/export/pt2_archive`, and `torch/_export/serde/schema.py` for the number types.

use std::borrow::Cow;

use flatness_formats::{Archive, npy};
use serde_json::Value;

use super::entry::{Entry, Storage, View, row_major};

/// End of the name of the list of weights of a program.
const WEIGHTS: &str = "weights_config.json";

/// Number types of NumPy: its name and ours, and bytes of an element.
pub(super) const OF_NUMPY: [(&str, &str, usize); 8] = [
    ("f2", "f16", 2),
    ("f4", "f32", 4),
    ("f8", "f64", 8),
    ("i4", "i32", 4),
    ("i8", "i64", 8),
    ("i1", "i8", 1),
    ("u1", "u8", 1),
    ("b1", "bool", 1),
];

/// Number types of `torch.export`'s schema.
const OF_EXPORT: [(u64, &str); 6] = [
    (4, "i32"),
    (5, "i64"),
    (6, "f16"),
    (7, "f32"),
    (8, "f64"),
    (13, "bf16"),
];

type Contents = (Vec<Entry>, Vec<Storage>);

/// The weights of an archive that is one of these; none for any other.
pub(super) fn read(archive: &mut Archive<'_>, bytes: &[u8]) -> Option<Result<Contents, String>> {
    let names: Vec<String> = archive.names().map(Cow::into_owned).collect();
    if let Some(list) = names.iter().find(|name| name.ends_with(WEIGHTS)) {
        return Some(exported(archive, bytes, list));
    }
    let arrays: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".npy"))
        .collect();
    (!arrays.is_empty()).then(|| of_numpy(archive, bytes, &arrays))
}

fn of_numpy(archive: &mut Archive<'_>, bytes: &[u8], names: &[&str]) -> Result<Contents, String> {
    let (mut entries, mut storages) = (Vec::new(), Vec::new());
    for name in names {
        let member = archive.member(&format!("{name}.npy"));
        let member = member.map_err(|error| error.to_string())?;
        let content = member.read(bytes).map_err(|error| error.to_string())?;
        let array = npy::parse(&content).map_err(|error| format!("of {name}, {error}"))?;
        let kind = OF_NUMPY.iter().find(|(numpy, ..)| *numpy == array.elements);
        // The header is padded to a multiple of 64 bytes.
        let header = content.len() - array.bytes.len();
        let strides = row_major(&array.shape);
        let (kind, view) = match kind {
            Some(&(_, kind, width)) if header.is_multiple_of(width) => {
                storages.push(Storage { file: 0, member });
                let (storage, offset) = (storages.len() - 1, header / width);
                (
                    kind,
                    View::Strided {
                        storage,
                        offset,
                        strides,
                    },
                )
            }
            _ => ("unknown", View::Refused("is of a type that is not read")),
        };
        entries.push(Entry {
            name: (*name).to_owned(),
            shape: array.shape,
            kind: Cow::Borrowed(kind),
            view,
        });
    }
    Ok((entries, storages))
}

fn exported(archive: &mut Archive<'_>, bytes: &[u8], list: &str) -> Result<Contents, String> {
    let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
    let member = archive.member(list).map_err(|error| error.to_string())?;
    let content = member.read(bytes).map_err(|error| error.to_string())?;
    let weights: Value = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
    let (mut entries, mut storages) = (Vec::new(), Vec::new());
    let size = |value: &Value| usize::try_from(value["as_int"].as_u64()?).ok();
    for (name, weight) in weights["config"].as_object().into_iter().flatten() {
        let meta = &weight["tensor_meta"];
        let sizes = |key: &str| {
            let sizes = meta[key].as_array()?.iter().map(size);
            sizes.collect::<Option<Vec<usize>>>()
        };
        let kind = OF_EXPORT
            .iter()
            .find(|(number, _)| meta["dtype"] == *number);
        let file = weight["path_name"].as_str().unwrap_or_default();
        let member = archive.member(&format!("{folder}/{file}"));
        let is_plain = weight["use_pickle"] == false;
        let described = (
            sizes("sizes"),
            sizes("strides"),
            size(&meta["storage_offset"]),
        );
        let (shape, view) = match (described, member) {
            ((Some(shape), Some(strides), Some(offset)), Ok(member))
                if is_plain && shape.len() == strides.len() =>
            {
                storages.push(Storage { file: 0, member });
                let storage = storages.len() - 1;
                (
                    shape,
                    View::Strided {
                        storage,
                        offset,
                        strides,
                    },
                )
            }
            _ => (
                Vec::new(),
                View::Refused("is not described as torch.export does"),
            ),
        };
        entries.push(Entry {
            name: name.clone(),
            shape,
            kind: Cow::Borrowed(kind.map_or("unknown", |(_, kind)| kind)),
            view,
        });
    }
    Ok((entries, storages))
}
