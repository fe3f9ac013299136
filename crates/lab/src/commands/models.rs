//! `flatness models`: the zoo.

use anyhow::Result;
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
        let architecture = Architecture::find(name)?;
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
    let mut lines = vec![format!(
        "{:<14} {:>10} {:>10} {:>8}  {:<14}  what",
        "name", "parameters", "MFLOPs", "MiB", "input"
    )];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:<14} {:>10} {:>10.3} {:>8.3}  {:<14}  {}",
            row.name,
            row.parameters,
            row.megaflops(),
            row.mebibytes(),
            row.data(),
            row.summary
        )
    }));
    lines.push(String::new());
    lines.push(
        "MFLOPs of one forward pass (2 per multiply-add) and MiB of activations (f32), per example"
            .to_owned(),
    );
    lines.push(format!("Further sizes by name: {FORMS}"));
    lines.join("\n")
}
