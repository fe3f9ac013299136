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
