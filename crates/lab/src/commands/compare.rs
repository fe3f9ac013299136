//! `flatness compare`: finished runs side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};
use flatness_records::{
    Cost, EpochEvaluation, Quantity, Record, Uncertainty, read_json, read_json_lines, write_atomic,
};
use flatness_report::{TrainedRun, curves_csv, curves_svg};
use serde_json::Value;

use crate::arguments::CompareOptions;
use crate::output::put;
use crate::run_directory::{METRICS, RECORD};

/// Numbers of one run by name.
type Column = BTreeMap<String, Quantity>;

/// How runs along training become a file.
type Form = fn(&[TrainedRun]) -> String;

pub(crate) fn compare(options: &CompareOptions) -> Result<()> {
    let form = options.out.as_deref().map(form).transpose()?;
    let records: Vec<Record> = options.runs.iter().map(read).collect::<Result<_>>()?;
    let mut heads = vec!["spec".to_owned()];
    heads.extend(records.iter().map(|record| record.id.clone()));
    let mut settings = vec![heads];
    let specs: Vec<_> = records.iter().map(fields).collect::<Result<_>>()?;
    let absent = || "-".to_owned();
    for name in names(&specs) {
        let values = specs
            .iter()
            .map(|spec| spec.get(&name).cloned().unwrap_or_else(absent));
        let values: Vec<String> = values.collect();
        if values.iter().any(|value| *value != values[0]) {
            settings.push([name].into_iter().chain(values).collect());
        }
    }
    if let (Some(form), Some(out)) = (form, &options.out) {
        let runs = options.runs.iter().zip(&records).enumerate();
        let runs = runs.map(|(place, (directory, record))| {
            Ok(TrainedRun {
                label: label(&settings, place + 1),
                record: record.clone(),
                metrics: read_json_lines(&directory.join(METRICS), "list of epochs")?,
            })
        });
        write_atomic(out, form(&runs.collect::<Result<Vec<_>>>()?).as_bytes())?;
    }
    let columns: Vec<Column> = records.iter().map(numbers).collect();
    let mut heads = vec!["number".to_owned()];
    for (place, record) in records.iter().enumerate() {
        heads.push(record.id.clone());
        heads.extend((place > 0).then(|| "/ first".to_owned()));
    }
    let mut rows = vec![heads];
    for name in names(&columns) {
        let first = columns[0].get(&name);
        let mut row = vec![name.clone()];
        for (place, column) in columns.iter().enumerate() {
            let number = column.get(&name);
            row.push(number.map_or_else(absent, with_error));
            if place > 0 {
                let both = number.zip(first);
                row.push(both.map_or_else(absent, |(number, first)| ratio(number, first)));
            }
        }
        rows.push(row);
    }
    let [settings, rows] = [settings, rows].map(|rows| super::table(&rows));
    put(&format!("{settings}\n\n{rows}"))
}

/// That which the ending of a file's name asks for.
fn form(out: &Path) -> Result<Form> {
    match out.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(curves_svg),
        Some("csv") => Ok(curves_csv),
        _ => bail!("--out {}: its name must end in .svg or .csv", out.display()),
    }
}

/// What tells a run from the others: up to three settings, or its name.
fn label(settings: &[Vec<String>], column: usize) -> String {
    let words = settings.iter().skip(1).map(|row| {
        let field = row[0].rsplit('.').next().unwrap_or_default();
        format!("{} {}", field.replace('_', " "), row[column])
    });
    let words: Vec<String> = words.collect();
    match words.len() {
        1..=3 => words.join(", "),
        _ => settings[0][column].clone(),
    }
}

fn read(path: impl AsRef<Path>) -> Result<Record> {
    let path = path.as_ref();
    let record = path.join(RECORD);
    if !record.exists() {
        bail!(
            "{} has no {RECORD}: it must be the directory of a finished run, as `flatness runs` lists them",
            path.display()
        );
    }
    Ok(read_json(&record, "record")?)
}

/// The names in any of the columns, in alphabetical order.
fn names<T>(columns: &[BTreeMap<String, T>]) -> Vec<String> {
    let names: BTreeSet<&String> = columns.iter().flat_map(BTreeMap::keys).collect();
    names.into_iter().cloned().collect()
}

/// The fields of a spec with their values, such as `train.optimizer.kind`.
fn fields(record: &Record) -> Result<BTreeMap<String, String>> {
    fn add(name: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
        let Value::Object(inner) = value else {
            fields.insert(name.to_owned(), value.to_string().replace('"', ""));
            return;
        };
        for (field, value) in inner {
            let dot = if name.is_empty() { "" } else { "." };
            add(&format!("{name}{dot}{field}"), value, fields);
        }
    }
    let mut fields = BTreeMap::new();
    add("", &serde_json::to_value(&record.spec)?, &mut fields);
    Ok(fields)
}

/// Loss, accuracy, dose, and all numbers of the last measurement.
fn numbers(record: &Record) -> Column {
    let known = |value: f64| {
        let rounding = f64::EPSILON * value.abs();
        Quantity::new(value, Uncertainty::Computed { rounding }, Cost::default())
    };
    let mut column = BTreeMap::from([("dose".to_owned(), known(record.training.dose))]);
    for (of, evaluation) in [
        ("", Some(record.evaluation)),
        ("average.", record.average_evaluation),
    ] {
        let Some(EpochEvaluation { train, test, .. }) = evaluation else {
            continue;
        };
        for (split, values) in [("train", Some(train)), ("test", test)] {
            let loss = values.map(|values| values.loss);
            let accuracy = values.and_then(|values| values.accuracy);
            for (name, value) in [("loss", loss), ("accuracy", accuracy)] {
                column.extend(value.map(|value| (format!("{of}{split}_{name}"), known(value))));
            }
        }
    }
    let Some(last) = record.measurements.last() else {
        return column;
    };
    let measured = &last.measured;
    column.extend(measured.numbers.clone());
    for matrix in &measured.matrices {
        let group = matrix.group.as_ref().map(|group| format!("[{group}]"));
        let prefix = format!("{}{}", matrix.matrix.name(), group.unwrap_or_default());
        let numbers = matrix.numbers.iter();
        column.extend(numbers.map(|(name, number)| (format!("{prefix}.{name}"), number.clone())));
    }
    column
}

/// `1.234 ± 0.005`; an error of rounding alone is left out.
pub(super) fn with_error(number: &Quantity) -> String {
    let value = format!("{:.5}", number.value);
    let value = match number.value.abs() {
        size if size == 0.0 || (1e-2..1e5).contains(&size) => value,
        _ => format!("{:.4e}", number.value),
    };
    match number.uncertainty {
        Uncertainty::Computed { .. } => value,
        _ => format!("{value} ± {:.1e}", number.error()),
    }
}

/// `number` over `first`, with an error to first order; of one run's probes and another's, which are independent. Nothing is a
/// ratio to zero.
fn ratio(number: &Quantity, first: &Quantity) -> String {
    if first.value == 0.0 {
        return "-".to_owned();
    }
    let ratio = number.value / first.value;
    let error = (number.error() / first.value).hypot(ratio * first.error() / first.value);
    let of_rounding =
        |number: &Quantity| matches!(number.uncertainty, Uncertainty::Computed { .. });
    if of_rounding(number) && of_rounding(first) {
        return format!("{ratio:.4}");
    }
    format!("{ratio:.4} ± {error:.1e}")
}

#[cfg(test)]
mod tests {
    use super::{Cost, Quantity, Uncertainty, ratio};

    #[test]
    fn a_ratio_to_zero_is_none_and_one_of_zero_has_an_error() {
        let number = |value: f64, residual: f64| {
            let uncertainty = Uncertainty::Iterative {
                residual,
                steps: 3,
                converged: true,
            };
            Quantity::new(value, uncertainty, Cost::default())
        };
        let (zero, two) = (number(0.0, 0.1), number(2.0, 0.0));
        assert_eq!(ratio(&zero, &zero), "-");
        assert_eq!(ratio(&two, &zero), "-");
        assert_eq!(ratio(&zero, &two), "0.0000 ± 5.0e-2");
        assert_eq!(ratio(&number(3.0, 0.3), &two), "1.5000 ± 1.5e-1");
    }
}
