//! The result as a table for people.

use flatness_records::{
    Curve, Density, LogDensity, MatrixRecord, Measured, Numbers, Quantity, Uncertainty,
};

use super::Report;
use crate::commands::aligned;

/// Mark of a number that is not as accurate as asked.
const INACCURATE: &str = "*";

/// What the error of too few Lanczos steps is called.
const STEP_ERROR: &str = "step error";

pub(super) fn table(report: &Report<'_>) -> String {
    let Report {
        model,
        data,
        request,
        accuracy,
        loss_function,
        measured,
        ..
    } = report;
    let chosen =
        (measured.sampled_from).map_or_else(String::new, |all| format!(", a sample of {all}"));
    let batches = match (model.batch_norm.as_str(), request.batch_size) {
        ("batch", Some(size)) => format!(", batches of {size} in order"),
        _ => String::new(),
    };
    let accuracy = accuracy.map(|share| format!(", accuracy {:.2} %", 100.0 * share));
    let accuracy = accuracy.unwrap_or_default();
    let mut text = vec![
        format!(
            "model      {}, {} parameters, batch-norm {}{batches}",
            model.name, model.parameters, model.batch_norm
        ),
        format!(
            "data       {} {} examples of {data}{chosen}",
            measured.examples,
            request.split.name()
        ),
        format!("loss       {:.6}, {loss_function}{accuracy}", measured.loss),
        format!(
            "activations {} between products",
            measured.retention.words()
        ),
    ];
    section(&mut text, "network", rows(&measured.numbers));
    let matrices = &measured.matrices;
    if matrices.iter().any(|matrix| matrix.group.is_some()) {
        section(&mut text, "groups", group_rows(matrices));
    } else {
        for matrix in matrices {
            let mut name = matrix.matrix.name().to_owned();
            if let Some(rows) = matrix.rows {
                name += &format!(", rows and columns of {rows} parameters");
            }
            if request.l2 != 0.0 {
                name += &format!(", plus {:e} times the identity", request.l2);
            }
            section(&mut text, &name, rows(&matrix.numbers));
            text.extend(matrix.density.as_ref().map(density_line));
            text.extend(matrix.log_density.as_ref().map(log_density_line));
        }
    }
    for curve in &measured.curves {
        section(&mut text, &curve.name, curve_rows(curve));
    }
    let of_matrices = matrices.iter().flat_map(|matrix| &matrix.undefined);
    let undefined = measured.undefined.iter().chain(of_matrices);
    let undefined = undefined.map(|(name, why)| format!("{name}: {why}"));
    section(&mut text, "not defined here", undefined.collect());
    text.extend([String::new(), spent(measured)]);
    text.join("\n")
}

fn section(text: &mut Vec<String>, name: &str, rows: Vec<String>) {
    if !rows.is_empty() {
        text.extend([String::new(), name.to_owned()]);
        text.extend(rows);
    }
}

fn spent(measured: &Measured) -> String {
    let cost = measured.cost;
    let parts = [
        (cost.products, "product", "products"),
        (cost.losses, "loss", "losses"),
        (cost.gradients, "gradient", "gradients"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    format!("{} in all", parts.join(", "))
}

/// A row for each number.
fn rows(numbers: &Numbers) -> Vec<String> {
    if numbers.is_empty() {
        return Vec::new();
    }
    let width = numbers.keys().map(String::len).max();
    let width = width.unwrap_or(0).max("measure".len());
    let stepped = numbers.values().any(|number| number.step_error.is_some());
    let (steps, step_width) = match stepped {
        true => (STEP_ERROR, STEP_ERROR.len() + 2),
        false => ("", 0),
    };
    let head = format!(
        "{:<width$} {:>13} {:>10}{steps:>step_width$}  {:>8}  how",
        "measure", "value", "error", "products"
    );
    let rows = numbers.iter();
    let rows = rows.map(|(name, number)| row(name, number, width, step_width));
    std::iter::once(head).chain(rows).collect()
}

fn row(name: &str, number: &Quantity, width: usize, step_width: usize) -> String {
    let iterated = |what: &str, steps: u64, converged: bool| {
        let not = if converged { "" } else { "not " };
        format!("{what} after {steps} steps, {not}converged")
    };
    let mut how = match number.uncertainty {
        Uncertainty::Computed { .. } => "computed, error of rounding".to_owned(),
        Uncertainty::Stochastic { probes, .. } => format!("standard error over {probes} probes"),
        Uncertainty::Iterative {
            steps, converged, ..
        } => iterated("residual", steps, converged),
        Uncertainty::LowerBound {
            steps, converged, ..
        } => iterated("a lower bound", steps, converged),
    };
    if let Some(at) = &number.at {
        how.insert_str(0, &format!("at {at}, "));
    }
    let mut steps = String::new();
    if let Some(error) = number.step_error {
        how += &format!(", {STEP_ERROR} from fewer steps");
        steps = format!("{error:.2e}");
    }
    if let Some(stop) = number.stop {
        how += &format!("; {}", stop.words());
    }
    let errors = [
        ("relative", number.relative_error),
        ("sampling", number.sampling_error),
    ];
    for (kind, error) in errors
        .into_iter()
        .filter_map(|(kind, error)| Some((kind, error?)))
    {
        how += &format!("; {kind} error {error:.2e}");
    }
    let products = Some(number.cost.products).filter(|products| *products > 0);
    let products = products.map_or_else(String::new, |products| products.to_string());
    format!(
        "{name:<width$} {:>13.6e} {:>10.2e}{steps:>step_width$}  {products:>8}  {how}",
        number.value,
        number.error()
    )
}

/// A row for each group, and a column for each number; a star where it is not as accurate as asked.
fn group_rows(groups: &[MatrixRecord]) -> Vec<String> {
    let several = groups
        .windows(2)
        .any(|pair| pair[0].matrix != pair[1].matrix);
    let names = names(groups.first().map(|group| &group.numbers));
    let mut cells = vec![head(&["group", "rows", "products"], &names)];
    for group in groups {
        let matrix = if several { group.matrix.name() } else { "" };
        let name = format!("{matrix} {}", group.group.as_deref().unwrap_or_default());
        let rows = group
            .rows
            .map_or_else(|| "all".to_owned(), |rows| rows.to_string());
        let row = [
            name.trim_start().to_owned(),
            rows,
            group.products.to_string(),
        ];
        cells.push(
            row.into_iter()
                .chain(cells_of(&group.numbers, &names))
                .collect(),
        );
    }
    let mut text = aligned(&cells);
    let mut numbers = groups.iter().flat_map(|group| group.numbers.values());
    if numbers.any(|number| number.step_error.is_some()) {
        text.push(format!("value +- standard error +- {STEP_ERROR}"));
    }
    if text.iter().any(|row| row.contains(INACCURATE)) {
        text.push(format!("{INACCURATE} not as accurate as asked"));
    }
    text
}

/// A row for each point of a curve.
fn curve_rows(curve: &Curve) -> Vec<String> {
    let names = names(curve.points.first().map(|point| &point.numbers));
    let mut cells = vec![head(&["at"], &names)];
    cells.extend(curve.points.iter().map(|point| {
        let place = std::iter::once(format!("{:e}", point.x));
        place.chain(cells_of(&point.numbers, &names)).collect()
    }));
    aligned(&cells)
}

fn names(numbers: Option<&Numbers>) -> Vec<&str> {
    numbers
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect()
}

fn head(first: &[&str], names: &[&str]) -> Vec<String> {
    first
        .iter()
        .chain(names)
        .map(|name| (*name).to_owned())
        .collect()
}

fn cells_of(numbers: &Numbers, names: &[&str]) -> impl Iterator<Item = String> {
    names.iter().map(|name| cell(numbers.get(*name)))
}

/// A number with its error, or both of its errors.
fn cell(number: Option<&Quantity>) -> String {
    let Some(number) = number else {
        return "-".to_owned();
    };
    let accurate = number.stop.is_none_or(|stop| stop.is_accurate());
    let mark = if accurate { "" } else { INACCURATE };
    let steps = number.step_error.map(|error| format!(" +- {error:.1e}"));
    let (value, error, steps) = (number.value, number.error(), steps.unwrap_or_default());
    format!("{value:.4e} +- {error:.1e}{steps}{mark:1}")
}

/// Where the density has its mass.
fn density_line(density: &Density) -> String {
    let step = |pair: &[f64]| pair[1] - pair[0];
    let pieces = || density.grid.windows(2).zip(&density.density);
    let total: f64 = pieces().map(|(pair, height)| step(pair) * height).sum();
    let mut sum = 0.0;
    let mut quantiles = [0.05, 0.5, 0.95].into_iter().peekable();
    let mut found = Vec::new();
    for (pair, height) in pieces() {
        sum += step(pair) * height;
        while quantiles
            .next_if(|quantile| sum >= quantile * total)
            .is_some()
        {
            found.push(format!("{:.2e}", pair[1]));
        }
    }
    format!(
        "density: 5, 50 and 95 % of the eigenvalues are below {} (broadened by {:.1e}); --json or --out has all of it",
        found.join(", "),
        density.sigma
    )
}

fn log_density_line(density: &LogDensity) -> String {
    format!(
        "density: a share of {} of the eigenvalues is below {:.1e}, what the steps can tell from zero",
        cell(Some(&density.unresolved)).trim_end(),
        density.resolution
    )
}
