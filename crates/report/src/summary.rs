//! What a report takes from a record: the numbers with their errors, and once what many runs share. It is a third of the text, so that
//! a hundred thousand runs fit in a gigabyte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use flatness_records::{
    DataRecord, EpochEvaluation, Hits, Iterate, Matrix, ModelRecord, Outcome, Segment, Spec,
    Training,
};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{Reading, optimizer_name};

/// A record as far as a report needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Hash of the spec.
    pub id: String,
    pub(crate) seed: u64,
    pub(crate) setting: Arc<Setting>,
    pub(crate) outcome: Outcome,
    pub(crate) training: Training,
    pub(crate) measurements: Box<[Measurement]>,
    pub(crate) test_correct: Option<Hits>,
    /// Of the first completed run of a setting that has some.
    pub(crate) spectra: Option<Box<Spectra>>,
}

/// What runs share that differ in the seed only.
#[derive(Debug, PartialEq)]
pub(crate) struct Setting {
    /// That of one of them.
    pub(crate) spec: Spec,
    /// The same as JSON.
    pub(crate) fields: Value,
    pub(crate) optimizer: String,
    pub(crate) data: DataRecord,
    pub(crate) model: ModelRecord,
    /// Without the times of their starts.
    pub(crate) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) epoch: u32,
    #[serde(default)]
    pub(crate) weights: Iterate,
    pub(crate) evaluation: EpochEvaluation,
    pub(crate) examples: usize,
    pub(crate) loss: f64,
    pub(crate) numbers: Numbers,
    pub(crate) matrices: Box<[MatrixNumbers]>,
    #[serde(default)]
    pub(crate) curves: Box<[Curve]>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct MatrixNumbers {
    pub(crate) matrix: Matrix,
    pub(crate) group: Option<String>,
    pub(crate) numbers: Numbers,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Box<[CurvePoint]>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct CurvePoint {
    pub(crate) x: f64,
    pub(crate) numbers: Numbers,
}

/// Numbers by name, in the order of the record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    /// One behind the other.
    names: Box<str>,
    /// Each with the end of its name.
    numbers: Box<[(usize, Number)]>,
}

/// A quantity with its error: one of four, by its method.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Number {
    pub(crate) value: f64,
    #[serde(
        alias = "rounding",
        alias = "standard_error",
        alias = "residual",
        alias = "gap"
    )]
    pub(crate) error: f64,
    /// That of too few Lanczos steps, on top of it.
    #[serde(default)]
    step_error: f64,
}

/// Spectra of the last measurement, each of the first matrix that has one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spectra {
    /// Eigenvalues, and the density there.
    pub(crate) density: Vec<[f64; 2]>,
    /// In descending order.
    pub(crate) eigenvalues: Vec<f64>,
}

/// Reads records: what many of them share is held once.
#[derive(Default)]
pub struct Reader {
    /// By their specs; and whether spectra were taken.
    settings: HashMap<String, Vec<(Arc<Setting>, bool)>>,
}

impl Reader {
    /// The summary of the record with this text, and the text without white space, Ritz values, densities and spectra: a line
    /// for [`results_json`](crate::results_json).
    ///
    /// # Errors
    /// What is wrong with the JSON of a record.
    pub fn read(&mut self, json: &str) -> serde_json::Result<(Summary, String)> {
        #[derive(Deserialize)]
        struct Text {
            id: String,
            spec: Spec,
            outcome: Outcome,
            provenance: Provenance,
            data: DataRecord,
            model: ModelRecord,
            training: Training,
            measurements: Box<[Measurement]>,
            test_correct: Option<Hits>,
        }
        #[derive(Deserialize)]
        struct Provenance {
            segments: Vec<Segment>,
        }
        let (line, is_whole) = essentials(json);
        // An error is of a place in the file.
        let mut text: Text = serde_json::from_str(&line).or_else(|_| serde_json::from_str(json))?;
        let seed = std::mem::take(&mut text.spec.seed);
        for segment in &mut text.provenance.segments {
            segment.started.clear();
        }
        let (spec, data, model) = (text.spec, text.data, text.model);
        let segments = text.provenance.segments;
        let of_spec = self.settings.entry(serde_json::to_string(&spec)?);
        let of_spec = of_spec.or_default();
        let known = of_spec.iter().position(|(known, _)| {
            known.data == data && known.model == model && known.segments == segments
        });
        let known = match known {
            Some(known) => known,
            None => {
                let setting = Setting {
                    fields: serde_json::to_value(&spec)?,
                    optimizer: optimizer_name(&spec.train),
                    spec,
                    data,
                    model,
                    segments,
                };
                of_spec.push((Arc::new(setting), false));
                of_spec.len() - 1
            }
        };
        let (setting, has_spectra) = &mut of_spec[known];
        let mut spectra = None;
        if !is_whole && !*has_spectra && text.outcome == Outcome::Completed {
            spectra = Spectra::read(json)?.map(Box::new);
            *has_spectra = spectra.is_some();
        }
        let summary = Summary {
            id: text.id,
            seed,
            setting: setting.clone(),
            outcome: text.outcome,
            training: text.training,
            measurements: text.measurements,
            test_correct: text.test_correct,
            spectra,
        };
        Ok((summary, line))
    }
}

impl Spectra {
    /// Those of a record, if there are any.
    fn read(json: &str) -> serde_json::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Text {
            measurements: Vec<Matrices>,
        }
        #[derive(Deserialize)]
        struct Matrices {
            matrices: Vec<OfMatrix>,
        }
        #[derive(Deserialize)]
        struct OfMatrix {
            density: Option<Density>,
            #[serde(default)]
            eigenvalues: Vec<f64>,
        }
        #[derive(Deserialize)]
        struct Density {
            grid: Vec<f64>,
            density: Vec<f64>,
        }
        let mut text: Text = serde_json::from_str(json)?;
        let last = text.measurements.pop();
        let (mut density, mut eigenvalues) = (Vec::new(), Vec::new());
        for matrix in last.into_iter().flat_map(|last| last.matrices) {
            if let Some(found) = matrix.density.filter(|_| density.is_empty()) {
                let pairs = found.grid.into_iter().zip(found.density);
                density = pairs.map(|(x, y)| [x, y]).collect();
            }
            if eigenvalues.is_empty() {
                eigenvalues = matrix.eigenvalues;
            }
        }
        let is_some = !(density.is_empty() && eigenvalues.is_empty());
        Ok(is_some.then_some(Self {
            density,
            eigenvalues,
        }))
    }
}

impl Measurement {
    /// The number of this name: of the network, or of the whole of a matrix as `gauss-newton.trace`; a name without a
    /// matrix is the Hessian's.
    pub(crate) fn number(&self, name: &str) -> Option<Number> {
        if let Some(number) = self.numbers.get(name) {
            return Some(number);
        }
        let (matrix, name) = name
            .split_once('.')
            .unwrap_or((Matrix::Hessian.name(), name));
        let mut matrices = self.matrices.iter();
        let whole = matrices.find(|one| one.matrix.name() == matrix && one.group.is_none())?;
        whole.numbers.get(name)
    }
}

impl Numbers {
    pub(crate) fn get(&self, name: &str) -> Option<Number> {
        let mut numbers = self.iter();
        numbers.find_map(|(known, number)| (known == name).then_some(number))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Number)> {
        let mut start = 0;
        self.numbers.iter().map(move |&(end, number)| {
            let name = &self.names[start..end];
            start = end;
            (name, number)
        })
    }
}

impl From<Number> for Reading {
    fn from(number: Number) -> Self {
        Self {
            value: number.value,
            error: number.error.hypot(number.step_error),
        }
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Numbers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table of numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Numbers, A::Error> {
                let (mut names, mut numbers) = (String::new(), Vec::new());
                while let Some((Name(name), number)) = table.next_entry()? {
                    names += &name;
                    numbers.push((names.len(), number));
                }
                Ok(Numbers {
                    names: names.into(),
                    numbers: numbers.into(),
                })
            }
        }

        deserializer.deserialize_map(Table)
    }
}

/// Members of a matrix that are nine tenths of a record.
const SPECTRA: [&str; 4] = ["stems", "density", "log_density", "eigenvalues"];

/// Depth of a matrix in a record: below the record, its measurements, one of them, and its matrices.
const DEPTH: i32 = 5;

/// The text of a record without white space and spectra, and whether it has none.
fn essentials(json: &str) -> (String, bool) {
    let bytes = json.as_bytes();
    let mut kept = String::with_capacity(json.len());
    // What is before `from` is kept or left out.
    let (mut from, mut at, mut depth) = (0, 0, 0);
    // The latest string in a matrix, in `json` and in `kept`; and a member that is to be left out.
    let (mut string, mut member, mut is_whole) = ((0, 0), None, true);
    while let Some(&first) = bytes.get(at) {
        if depth == DEPTH {
            match first {
                b'"' => {
                    kept.push_str(&json[from..at]);
                    from = at;
                    string = (at, kept.len());
                }
                b':' => {
                    let name = json[string.0..at].trim_ascii_end().trim_matches('"');
                    member = SPECTRA.contains(&name).then_some(string.1);
                }
                b',' | b'}' => {
                    if let Some(start) = member.take() {
                        is_whole = false;
                        kept.truncate(start);
                        // One comma goes with it.
                        from = at + usize::from(first == b',');
                        if first == b'}' && kept.ends_with(',') {
                            kept.pop();
                        }
                    }
                }
                _ => {}
            }
        }
        at += match first {
            b'"' => length_of_string(&json[at..]),
            b'{' | b'[' => {
                depth += 1;
                1
            }
            b'}' | b']' => {
                depth -= 1;
                1
            }
            space if space.is_ascii_whitespace() => {
                kept.push_str(&json[from..at]);
                from = json.len() - json[at..].trim_ascii_start().len();
                from - at
            }
            _ => 1,
        };
    }
    kept.push_str(&json[from..]);
    (kept, is_whole)
}

/// Bytes of the string that `json` begins with.
fn length_of_string(json: &str) -> usize {
    let mut end = 1;
    while let Some(quote) = json[end..].find('"') {
        end += quote;
        let before = json[..end].trim_end_matches('\\').len();
        end += 1;
        if (end - before) % 2 == 1 {
            return end;
        }
    }
    json.len()
}
