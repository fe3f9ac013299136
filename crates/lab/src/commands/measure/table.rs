//! The result as a table for people.

use flatness_records::{MatrixRecord, Quantity, Split, Uncertainty};
use flatness_spectrum::Stop;

use super::report::{Line, Measured, Report};
use super::{functions, spectral};
use crate::measurement::describe;

/// Mark of a number that is not as accurate as asked.
const INACCURATE: &str = "*";

/// What the error of too few Lanczos steps is called.
const STEP_ERROR: &str = "step error";

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
        l2,
        whole,
        groups,
        ..
    } = report;
    let split = data.curvature_split.map_or("", name_of_split);
    let chosen = sampled_from.map_or_else(String::new, |all| format!(", a sample of {all}"));
    let mut matrix = matrix.name().to_owned();
    if let Some(rows) = whole.as_ref().and_then(|whole| whole.rows) {
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
        format!("data       {examples} {split} examples of {data}{chosen}"),
        format!(
            "loss       {loss:.6}, accuracy {:.2} %, gradient norm {gradient_norm:.3e}",
            100.0 * accuracy
        ),
        format!("matrix     {matrix}"),
        format!("activations {} between products", describe(*retention)),
        String::new(),
    ];
    match whole {
        Some(whole) => text.extend(rows(whole)),
        None => text.extend(group_rows(groups)),
    }
    text.push(String::new());
    let all = whole.iter().chain(groups);
    let products: u64 = all.map(|measured| measured.products).sum();
    text.push(format!("{products} products in all"));
    text.join("\n")
}

/// A row for each number of one matrix.
fn rows(measured: &Measured) -> Vec<String> {
    let lines = &measured.lines.0;
    let width = lines.iter().map(|line| line.name.len()).max();
    let width = width.unwrap_or(0).max("measure".len());
    let (steps, step_width) = if lines.iter().any(|line| line.step_error.is_some()) {
        (STEP_ERROR, STEP_ERROR.len() + 2)
    } else {
        ("", 0)
    };
    let head = format!(
        "{:<width$} {:>13} {:>10}{steps:>step_width$}  {:>8}  how",
        "measure", "value", "error", "products"
    );
    let rows = lines.iter().map(|line| row(line, width, step_width));
    std::iter::once(head).chain(rows).collect()
}

/// A row for each group, and a column for each number; a star where it is not as accurate as asked.
fn group_rows(groups: &[Measured]) -> Vec<String> {
    let mut cells: Vec<Vec<String>> = vec![vec![
        "group".to_owned(),
        "rows".to_owned(),
        "products".to_owned(),
    ]];
    let named = groups.first().map(|group| &group.lines.0);
    for line in named.into_iter().flatten() {
        cells[0].push(line.name.clone());
    }
    for group in groups {
        let rows = group
            .rows
            .map_or_else(|| "all".to_owned(), |rows| rows.to_string());
        let name = group.name.clone().unwrap_or_default();
        let mut row = vec![name, rows, group.products.to_string()];
        row.extend(group.lines.0.iter().map(cell));
        cells.push(row);
    }
    let widths: Vec<usize> = (0..cells[0].len())
        .map(|column| {
            let lengths = cells
                .iter()
                .filter_map(|row| row.get(column))
                .map(String::len);
            lengths.max().unwrap_or(0)
        })
        .collect();
    let mut text: Vec<String> = cells
        .iter()
        .map(|row| {
            let padded = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect();
    let mut lines = groups.iter().flat_map(|group| &group.lines.0);
    if lines.any(|line| line.step_error.is_some()) {
        text.push(format!("value +- standard error +- {STEP_ERROR}"));
    }
    if text.iter().any(|row| row.contains(INACCURATE)) {
        text.push(format!("{INACCURATE} not as accurate as asked"));
    }
    text
}

/// A number with its error, or both of its errors.
fn cell(line: &Line) -> String {
    let ended = [Stop::Products, Stop::Interrupted, Stop::Memory].map(spectral::describe);
    let few = [Stop::Products, Stop::Interrupted, Stop::Converged].map(functions::too_few_steps);
    let mark = match line.stop {
        Some(stop) if ended.contains(&stop) || few.contains(&stop) => INACCURATE,
        _ => "",
    };
    let Quantity { value, .. } = line.quantity;
    let error = line.quantity.error();
    let steps = line.step_error;
    let steps = steps.map_or_else(String::new, |error| format!(" +- {error:.1e}"));
    format!("{value:.4e} +- {error:.1e}{steps}{mark:1}")
}

fn row(line: &Line, width: usize, step_width: usize) -> String {
    let Quantity {
        value, products, ..
    } = line.quantity;
    let at = line.at.as_ref();
    let at = at.map_or_else(String::new, |at| format!("at {at}, "));
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
    how.insert_str(0, &at);
    let mut steps = String::new();
    if let Some(error) = line.step_error {
        how += &format!(", {STEP_ERROR} from fewer steps");
        steps = format!("{error:.2e}");
    }
    if let Some(stop) = line.stop {
        how += &format!("; {stop}");
    }
    if let Some(error) = line.relative_error {
        how += &format!("; relative error {error:.2e}");
    }
    if let Some(error) = line.sampling_error {
        how += &format!("; sampling error {error:.2e}");
    }
    let products = match products {
        0 => String::new(),
        products => products.to_string(),
    };
    format!(
        "{:<width$} {value:>13.6e} {:>10.2e}{steps:>step_width$}  {products:>8}  {how}",
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
