//! `flatness models`: the zoo.

use std::cmp::Reverse;

use anyhow::{Error, Result, anyhow};
use flatness_models::{Architecture, FORMS, ZOO};
use serde::Serialize;

use crate::arguments::ModelsOptions;
use crate::output::put;

/// One row; multiply-adds (of one forward pass) and activations are per example.
#[derive(Serialize)]
struct Row {
    name: String,
    summary: String,
    /// (channels, height, width)
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    /// Running statistics of batch-norm.
    buffers: usize,
    multiply_adds: u64,
    activations: usize,
}

impl Row {
    /// The network called `name`, for the data that it is made for.
    fn new(name: &str) -> Result<Self> {
        let architecture = Architecture::find(name).map_err(|error| known(error.into()))?;
        let (input, classes) = architecture.default_input();
        let network = architecture.network(&input, classes)?;
        Ok(Self {
            summary: architecture.summary(),
            input,
            classes,
            parameters: network.layout().dim(),
            buffers: network.buffers().dim(),
            multiply_adds: network.multiply_adds(),
            activations: network.activations(),
            name: architecture.name,
        })
    }

    /// Millions of floating-point operations, two per multiply-add.
    fn megaflops(&self) -> f64 {
        2e-6 * self.multiply_adds as f64
    }

    /// Activations in f32.
    fn mebibytes(&self) -> f64 {
        (4 * self.activations) as f64 / f64::from(1 << 20)
    }

    fn data(&self) -> String {
        let [channels, height, width] = self.input;
        format!("{channels}x{height}x{width} -> {}", self.classes)
    }
}

/// `error`; where it is of a network that there is not, with the nearest one and where all are listed.
pub(crate) fn known(error: Error) -> Error {
    match error.downcast_ref() {
        Some(flatness_models::Error::UnknownModel { got, .. }) => anyhow!(
            "there is no model `{got}`; the nearest is {}, and `flatness models` lists all",
            nearest(got)
        ),
        _ => error,
    }
}

/// The network of the zoo whose name begins most like `name`, and of several the one that the fewest changes make of it.
fn nearest(name: &str) -> &'static str {
    let alike = |known: &str| {
        let pairs = known.chars().zip(name.chars());
        pairs.take_while(|(one, other)| one == other).count()
    };
    let order = |known: &&&str| (Reverse(alike(known)), changes(known, name));
    ZOO.iter().min_by_key(order).copied().unwrap_or_default()
}

/// Characters to insert, to leave out and to replace that make one name of the other (Levenshtein 1966).
fn changes(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (done, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (place, of_other) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *of_other);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

pub(crate) fn models(options: &ModelsOptions) -> Result<()> {
    let asked: Vec<&str> = options.names.iter().map(String::as_str).collect();
    let names = if asked.is_empty() { ZOO } else { &asked };
    let rows: Vec<Row> = names
        .iter()
        .map(|name| Row::new(name))
        .collect::<Result<_>>()?;
    if options.json {
        put(&serde_json::to_string(&rows)?)
    } else {
        put(&table(&rows))
    }
}

fn table(rows: &[Row]) -> String {
    let heads = ["name", "parameters", "MFLOPs", "MiB", "input", "what"];
    let mut cells = vec![heads.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.name.clone(),
            row.parameters.to_string(),
            format!("{:.3}", row.megaflops()),
            format!("{:.3}", row.mebibytes()),
            row.data(),
            row.summary.clone(),
        ]
    }));
    format!(
        "{}\n\nMFLOPs of one forward pass (2 per multiply-add) and MiB of activations (f32), per example\n\
         Further sizes by name: {FORMS}",
        super::table(&cells)
    )
}

#[cfg(test)]
mod tests {
    use super::{changes, nearest};

    #[test]
    fn the_nearest_name_is_that_of_the_family_that_was_meant() {
        for (one, other, count) in [("", "cnn", 3), ("mpl", "mlp", 2), ("mlp-400", "mlp40", 2)] {
            assert_eq!(changes(one, other), count, "{one} {other}");
            assert_eq!(changes(other, one), count, "{other} {one}");
        }
        for (meant, name) in [
            ("lgistic", "logistic"),
            ("MLP", "mlp"),
            ("vgg16", "vgg-16"),
            ("preresent-56", "preresnet-56"),
            ("resnet-20", "preresnet-20"),
        ] {
            assert_eq!(nearest(meant), name, "{meant}");
        }
    }
}
