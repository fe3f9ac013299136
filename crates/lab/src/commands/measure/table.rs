//! The result as a table for people.

use flatness_records::{MatrixRecord, Quantity, Split, Uncertainty};

use super::{Line, Report};
use crate::measurement::describe;

pub(super) fn table(report: &Report) -> String {
    let Report {
        model,
        parameters,
        batch_norm,
        data,
        examples,
        sampled_from,
        batch_size,
        loss,
        accuracy,
        gradient_norm,
        retention,
        matrix,
        rows,
        l2,
        products,
        lines,
        ..
    } = report;
    let split = data.curvature_split.map_or("", name_of_split);
    let chosen = sampled_from.map_or_else(String::new, |all| format!(", a sample of {all}"));
    let mut matrix = matrix.name().to_owned();
    if let Some(rows) = rows {
        matrix += &format!(", rows and columns of {rows} parameters");
    }
    if *l2 != 0.0 {
        matrix += &format!(", plus {l2:e} times the identity");
    }
    let batches = match batch_norm.as_str() {
        "batch" => format!(", batches of {batch_size} in order"),
        _ => String::new(),
    };
    let mut text = vec![
        format!("model      {model}, {parameters} parameters, batch-norm {batch_norm}{batches}"),
        format!(
            "data       {examples} {split} examples of {} ({}){chosen}",
            data.set, data.source
        ),
        format!(
            "loss       {loss:.6}, accuracy {:.2} %, gradient norm {gradient_norm:.3e}",
            100.0 * accuracy
        ),
        format!("matrix     {matrix}"),
        format!("activations {} between products", describe(*retention)),
        String::new(),
    ];
    let width = lines.0.iter().map(|line| line.name.len()).max();
    let width = width.unwrap_or(0).max("measure".len());
    text.push(format!(
        "{:<width$} {:>13} {:>10}  {:>8}  how",
        "measure", "value", "error", "products"
    ));
    text.extend(lines.0.iter().map(|line| row(line, width)));
    text.push(String::new());
    text.push(format!("{products} products in all"));
    text.join("\n")
}

fn row(line: &Line, width: usize) -> String {
    let Quantity {
        value, products, ..
    } = line.quantity;
    let mut how = match line.quantity.uncertainty {
        Uncertainty::Exact => "exact".to_owned(),
        Uncertainty::Stochastic { probes, .. } => {
            format!("standard error over {probes} probes")
        }
        Uncertainty::Iterative {
            steps, converged, ..
        } => {
            let state = if converged {
                "converged"
            } else {
                "not converged"
            };
            format!("residual after {steps} steps, {state}")
        }
    };
    if let Some(stop) = line.stop {
        how += &format!("; {stop}");
    }
    if let Some(error) = line.sampling_error {
        how += &format!("; sampling error {error:.2e}");
    }
    let products = match products {
        0 => String::new(),
        products => products.to_string(),
    };
    format!(
        "{:<width$} {value:>13.6e} {:>10.2e}  {products:>8}  {how}",
        line.name,
        line.quantity.error()
    )
}

/// One line of the most asked-for numbers of a matrix.
pub(crate) fn line(record: &MatrixRecord) -> String {
    let number =
        |quantity: &Quantity| format!("{:.4e} +- {:.1e}", quantity.value, quantity.error());
    format!(
        "{:<12} spectral norm {}, trace {}, Frobenius norm {}",
        record.matrix.name(),
        number(&record.spectral_norm),
        number(&record.trace),
        number(&record.frobenius)
    )
}

fn name_of_split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}
