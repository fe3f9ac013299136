//! Which runs a statistic takes: conditions on the fields of their specs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reading::{Place, Point, read_at};
use crate::{Expression, Summary};

/// Conditions that a run must meet, by field: `weight_decay`, `learning_rate`, `optimizer` (as `SGD` or `Gadam`), `model`, or a
/// dotted path into the spec such as `train.batch_size`. `highest` takes, of the runs of a seed that meet the others, the
/// one in which a quantity is largest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selection(BTreeMap<String, Condition>);

/// What the field of a run must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Condition {
    /// This number.
    Number(f64),
    /// This text; `{model}` stands for the model that is judged.
    Text(String),
    /// A number in a range.
    Range {
        /// Larger than this.
        above: Option<f64>,
        /// Not larger than this.
        up_to: Option<f64>,
    },
    /// One of these.
    Any(Vec<Condition>),
}

const HIGHEST: &str = "highest";

/// Stands for the model that is judged.
const MODEL: &str = "{model}";

/// The model of runs whose experiment is looked at as a whole.
pub(crate) const ALL_MODELS: &str = "all models";

impl Selection {
    /// What it chooses by, where it does.
    pub(crate) fn highest(&self) -> Option<Result<Expression, String>> {
        match self.0.get(HIGHEST)? {
            Condition::Text(text) => Some(text.parse()),
            other => Some(Err(format!("highest must be a quantity, got {other:?}"))),
        }
    }

    /// The runs that meet it, of the model `model` where it does not name one itself.
    pub(crate) fn of<'a>(&self, runs: &[&'a Summary], model: &str) -> Vec<&'a Summary> {
        let named = self.0.contains_key("model") || model == ALL_MODELS;
        let meets = |record: &Summary| {
            let conditions = self.0.iter().filter(|(name, _)| *name != HIGHEST);
            (named || record.setting.model.name == model)
                && conditions
                    .into_iter()
                    .all(|(name, one)| one.met(record, name, model))
        };
        let runs = runs.iter().copied().filter(|record| meets(record));
        let Some(Ok(quantity)) = self.highest() else {
            return runs.collect();
        };
        let value = |record: &Summary| Some(Point::end(record)?.read(&quantity)?.value);
        let valued = runs.filter_map(|record| Some((record, value(record)?)));
        let best = valued.max_by(|(_, left), (_, right)| f64::total_cmp(left, right));
        best.map(|(record, _)| record).into_iter().collect()
    }

    /// The one run of a seed that meets it; `None` where there are none or several.
    pub(crate) fn one<'a>(&self, runs: &[&'a Summary], model: &str) -> Option<&'a Summary> {
        match self.of(runs, model).as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// In words, such as `weight decay 5e-4`.
    pub(crate) fn words(&self) -> String {
        let words = self.0.iter().map(|(name, condition)| {
            let shown = condition.words();
            match name.as_str() {
                "optimizer" | "model" => shown,
                HIGHEST => match self.highest() {
                    Some(Ok(quantity)) => format!("highest {}", quantity.symbol()),
                    _ => shown,
                },
                "weight_decay" => format!("decay {shown}"),
                name => {
                    let name = name.rsplit('.').next().unwrap_or(name);
                    format!("{} {shown}", name.replace('_', " "))
                }
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Condition {
    fn met(&self, record: &Summary, name: &str, model: &str) -> bool {
        let field = Field::of(record, name);
        match self {
            Self::Any(conditions) => conditions.iter().any(|one| one.met(record, name, model)),
            Self::Text(text) if text.contains(MODEL) => {
                field == Some(Field::Text(text.replace(MODEL, model).into()))
            }
            Self::Text(text) => field == Some(Field::Text(text.into())),
            Self::Number(number) => field == Some(Field::Number(*number)),
            Self::Range { above, up_to } => match field {
                Some(Field::Number(number)) => {
                    above.is_none_or(|bound| number > bound)
                        && up_to.is_none_or(|bound| number <= bound)
                }
                _ => false,
            },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Number(number) => decimal(*number),
            Self::Text(text) => text.clone(),
            Self::Range { above, up_to } => {
                let above = above.map(|bound| format!("above {}", decimal(bound)));
                let up_to = up_to.map(|bound| format!("up to {}", decimal(bound)));
                above.into_iter().chain(up_to).collect::<Vec<_>>().join(" ")
            }
            Self::Any(conditions) => {
                let words = conditions.iter().map(Self::words);
                words.collect::<Vec<_>>().join(" or ")
            }
        }
    }
}

/// The records of each seed.
pub(crate) fn by_seed<'a>(records: &[&'a Summary]) -> BTreeMap<u64, Vec<&'a Summary>> {
    let mut seeds: BTreeMap<u64, Vec<&Summary>> = BTreeMap::new();
    for record in records {
        seeds.entry(record.seed).or_default().push(record);
    }
    seeds
}

/// A quantity of a run, over that of the run of its seed that `control` selects of `records`.
pub(crate) fn relative(
    run: &Summary,
    quantity: &Expression,
    at: Option<&Place>,
    control: Option<&Selection>,
    records: &BTreeMap<u64, Vec<&Summary>>,
    model: &str,
) -> Option<f64> {
    let value = read_at(run, quantity, at)?.value;
    let Some(control) = control else {
        return Some(value);
    };
    let control = control.one(records.get(&run.seed)?, model)?;
    Some(value / read_at(control, quantity, at)?.value)
}

/// The value of a field of a run in words; nothing where it has none.
pub(crate) fn word(record: &Summary, name: &str) -> String {
    match Field::of(record, name) {
        Some(Field::Number(number)) => decimal(number),
        Some(Field::Text(text)) => text.into_owned(),
        None => String::new(),
    }
}

/// A number as a spec has it: `0`, `0.1`, `5e-4`.
pub(crate) fn decimal(number: f64) -> String {
    if number != 0.0 && number.abs() < 0.01 {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// The value of a field of a run.
#[derive(Debug, Clone, PartialEq)]
enum Field<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Field<'a> {
    fn of(record: &'a Summary, name: &str) -> Option<Self> {
        let optimizer = &record.setting.spec.train.optimizer;
        match name {
            "weight_decay" => Some(Self::Number(optimizer.weight_decay().0)),
            "learning_rate" => Some(Self::Number(optimizer.learning_rate())),
            "optimizer" => Some(Self::Text((&record.setting.optimizer).into())),
            "seed" => Some(Self::Number(record.seed as f64)),
            "model" => Some(Self::Text((&record.setting.model.name).into())),
            path => {
                let fields = &record.setting.fields;
                match path
                    .split('.')
                    .try_fold(fields, |value, key| value.get(key))?
                {
                    serde_json::Value::Number(number) => Some(Self::Number(number.as_f64()?)),
                    serde_json::Value::String(text) => Some(Self::Text(text.into())),
                    other => Some(Self::Text(other.to_string().into())),
                }
            }
        }
    }
}
