//! The settings of runs as TOML: what they share, and what each has of its own.

use std::collections::BTreeMap;

use crate::{Error, Summary};

/// Fields of a spec by dotted name.
pub(crate) type Fields = BTreeMap<String, String>;

/// Lines `name = value`.
pub(crate) fn block<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    fields
        .map(|(field, value)| format!("{field} = {value}\n"))
        .collect()
}

/// The fields that all have with the same value.
pub(crate) fn shared(specs: &[Fields]) -> Fields {
    let mut shared = specs.first().cloned().unwrap_or_default();
    shared.retain(|field, value| specs.iter().all(|spec| spec.get(field) == Some(value)));
    shared
}

/// The fields of one that are not shared.
pub(crate) fn own<'a>(
    spec: &'a Fields,
    shared: &'a Fields,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    spec.iter()
        .filter(|(field, _)| !shared.contains_key(*field))
}

/// The fields of a run's spec as TOML values, without the seed.
pub(crate) fn fields(record: &Summary) -> Result<Fields, Error> {
    let spec = toml::Value::try_from(&record.setting.spec).map_err(|error| Error::Settings {
        run: record.id.clone(),
        message: error.to_string(),
    })?;
    let mut fields = Fields::new();
    flatten("", &spec, &mut fields);
    fields.remove("seed");
    Ok(fields)
}

fn flatten(name: &str, value: &toml::Value, fields: &mut Fields) {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(&format!("{name}{dot}{key}"), value, fields);
            }
        }
        value => {
            fields.insert(name.to_owned(), value.to_string());
        }
    }
}
