//! `flatness models`: the zoo.

use anyhow::Result;
use flatness_models::ZOO;
use serde::Serialize;

use crate::arguments::ModelsOptions;

/// One row; multiply-adds and activations are per example.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    summary: &'static str,
    parameters: usize,
    multiply_adds: u64,
    activations: usize,
}

pub(crate) fn models(options: &ModelsOptions) -> Result<()> {
    let rows = ZOO.iter().map(|architecture| {
        let network = architecture.network(&[1, 28, 28], 10)?;
        Ok(Row {
            name: architecture.name,
            summary: architecture.summary,
            parameters: network.layout().dim(),
            multiply_adds: network.multiply_adds(),
            activations: network.activations(),
        })
    });
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    if options.json {
        println!("{}", serde_json::to_string(&rows)?);
        return Ok(());
    }
    println!(
        "Networks for MNIST (1 x 28 x 28, 10 classes); multiply-adds and activations per example:\n"
    );
    println!(
        "{:<12} {:>10} {:>14} {:>12}  what",
        "name", "parameters", "multiply-adds", "activations"
    );
    for Row {
        name,
        summary,
        parameters,
        multiply_adds,
        activations,
    } in rows
    {
        println!("{name:<12} {parameters:>10} {multiply_adds:>14} {activations:>12}  {summary}");
    }
    Ok(())
}
