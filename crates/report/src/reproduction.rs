//! The records of a reproduction, grouped by experiment, and the verdicts on them.

use flatness_records::Outcome;
use serde::Serialize;

use crate::number::{counted, significant, with_error};
use crate::selection::ALL_MODELS;
use crate::verdict::LEVEL;
use crate::{
    Claim, Estimate, Judged, Predicate, Sample, Scope, Summary, Test, Threshold, Verdict, holm,
};

/// Everything that a report is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproduction {
    /// Name of the profile.
    pub profile: String,
    /// What the profile is for, in a sentence.
    pub description: String,
    /// Command that makes all of it again.
    pub command: String,
    /// Experiments in the order of the profile.
    pub experiments: Vec<Experiment>,
}

/// Runs that vary a few settings and share the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Name that predicates refer to.
    pub name: String,
    /// Claims it was made for, such as `C1`.
    pub claims: Vec<String>,
    /// Records in the order of the grid, diverged runs included.
    pub records: Vec<Summary>,
    /// Name of the model of each run that is not done.
    pub missing: Vec<String>,
}

/// The verdict on one claim for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimVerdict {
    /// The claim's short name.
    pub claim: String,
    /// Version of what is tested.
    pub version: u32,
    /// Model it was judged on, or `all models`.
    pub model: String,
    /// All predicates together; absent where all are reported only.
    pub verdict: Option<Verdict>,
    /// Command that makes the runs behind it.
    pub command: String,
    /// Runs behind it that are not done, before which nothing holds or fails.
    #[serde(skip_serializing_if = "is_none")]
    pub missing: usize,
    /// Gates in the order of the claim.
    pub gates: Vec<PredicateVerdict>,
    /// Predicates in the order of the claim.
    pub predicates: Vec<PredicateVerdict>,
}

/// The verdict on one predicate or gate for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredicateVerdict {
    /// Name that figures refer to.
    pub id: Option<String>,
    /// The predicate in plain words.
    pub text: String,
    /// What was computed, as a formula.
    pub formula: String,
    /// Whether the numbers are logarithms of factors.
    pub logarithmic: bool,
    /// The number of each seed.
    pub sample: Sample,
    /// Mean over seeds; absent when no seed has a value.
    pub estimate: Option<Estimate>,
    /// Where it must lie; absent where it is reported only.
    pub threshold: Option<Threshold>,
    /// What must lie there.
    pub judged: Judged,
    /// What decided; absent where nothing could.
    pub test: Option<Test>,
    /// Median over the seeds of measurement error / |value| of one reading.
    pub relative_measurement_error: Option<f64>,
    /// The decision; absent where it is reported only.
    pub verdict: Option<Verdict>,
}

impl Reproduction {
    /// Judges `claims`, each on every model that its predicates' experiments have run, and once on all models where a
    /// predicate asks for it; what was not tried is left out.
    #[must_use]
    pub fn judge(&self, claims: &[Claim]) -> Vec<ClaimVerdict> {
        let on_every_model = |claim| {
            let models = self.models_of(claim).into_iter();
            models.filter_map(move |model| self.judge_model(claim, &model))
        };
        claims.iter().flat_map(on_every_model).collect()
    }

    fn judge_model(&self, claim: &Claim, model: &str) -> Option<ClaimVerdict> {
        let judged = |tests: &[Predicate], gates: bool| -> Vec<PredicateVerdict> {
            let tests = tests.iter();
            tests
                .filter_map(|test| self.judge_predicate(test, model, gates))
                .collect()
        };
        let gates = judged(&claim.gates, true);
        let mut predicates = judged(&claim.predicates, false);
        let missing = self.missing(claim, model);
        if missing > 0 {
            for predicate in &mut predicates {
                predicate.test = None;
                predicate.verdict = predicate.verdict.map(|_| Verdict::Undecided);
            }
        }
        // Those that are judged, with their p that they are where they must be.
        let fails = |(place, predicate): (usize, &PredicateVerdict)| {
            predicate.threshold?;
            Some((place, predicate.test.map_or(1.0, |test| test.p_fails)))
        };
        let tested = predicates.iter().enumerate().filter_map(fails);
        let (tested, p): (Vec<usize>, Vec<f64>) = tested.unzip();
        for (&place, rejected) in tested.iter().zip(holm(&p)) {
            if rejected {
                predicates[place].verdict = Some(Verdict::Fails);
            }
        }
        let met = match missing {
            0 => gates.iter().all(PredicateVerdict::holds),
            _ => !(gates.iter()).any(|gate| gate.verdict == Some(Verdict::Fails)),
        };
        let verdict = match met {
            true => Verdict::all(predicates.iter().filter_map(|predicate| predicate.verdict)),
            false => Verdict::NotTested,
        };
        (!predicates.is_empty()).then(|| ClaimVerdict {
            claim: claim.id.clone(),
            version: claim.version,
            model: model.to_owned(),
            verdict: (!tested.is_empty()).then_some(verdict),
            command: format!("{} --only {}", self.command, claim.id),
            missing,
            gates,
            predicates,
        })
    }

    /// `None` when it does not speak of the model or its experiment has no run of it. What fails is for Holm's procedure to
    /// say.
    fn judge_predicate(
        &self,
        predicate: &Predicate,
        model: &str,
        gate: bool,
    ) -> Option<PredicateVerdict> {
        let together = predicate.scope == Scope::Together;
        let records: Vec<&Summary> = self.records_of(&predicate.experiment).collect();
        let of_model = |record: &&Summary| together || record.setting.model.name == model;
        if together != (model == ALL_MODELS)
            || !records.iter().any(of_model)
            || !(together || predicate.admits(model))
            || !predicate.statistic.speaks_of(&records, model)
        {
            return None;
        }
        let sample = predicate.statistic.evaluate(&records, model);
        let logarithmic = predicate.statistic.is_logarithmic();
        let judged = if gate {
            Judged::Every
        } else {
            predicate.judged
        };
        let threshold = predicate.threshold;
        // To judge the others where a seed has no number would be a selection by the outcome.
        let seeds = distinct(
            records
                .iter()
                .filter(|one| of_model(one))
                .map(|run| run.seed),
        )
        .len();
        let test = threshold
            .filter(|_| judged == Judged::Every || sample.seeds.len() == seeds)
            .and_then(|one| Test::of(&sample, one, judged, logarithmic));
        let verdict = threshold.map(|_| match test {
            Some(test) if test.p_holds <= LEVEL => Verdict::Holds,
            // A gate is of no family of tests.
            Some(test) if gate && test.p_fails <= LEVEL => Verdict::Fails,
            _ => Verdict::Undecided,
        });
        Some(PredicateVerdict {
            id: predicate.id.clone(),
            text: predicate.text.clone(),
            formula: predicate.statistic.formula(),
            logarithmic,
            estimate: Estimate::of(&sample),
            threshold,
            judged,
            test,
            relative_measurement_error: median(sample.seeds.iter().map(|seed| seed.relative_error)),
            sample,
            verdict,
        })
    }

    /// Runs that are not done of the experiments that decide a claim on a model.
    fn missing(&self, claim: &Claim, model: &str) -> usize {
        let decides = |one: &&Experiment| claim.experiments().any(|name| name == one.name);
        let missing = self.experiments.iter().filter(decides);
        let missing = missing.flat_map(|one| &one.missing);
        let of_model = |name: &&String| model == ALL_MODELS || *name == model;
        missing.filter(of_model).count()
    }

    fn models_of(&self, claim: &Claim) -> Vec<String> {
        let records = |scope| {
            let of_scope = claim
                .predicates
                .iter()
                .filter(move |one| one.scope == scope);
            of_scope.flat_map(|one| self.records_of(&one.experiment))
        };
        let together = records(Scope::Together)
            .next()
            .map(|_| ALL_MODELS.to_owned());
        let models = models(records(Scope::Model)).into_iter();
        models.chain(together).collect()
    }

    /// Records of the experiment of this name.
    pub fn records_of<'a>(&'a self, experiment: &'a str) -> impl Iterator<Item = &'a Summary> {
        let experiments = self.experiments.iter();
        let named = experiments.filter(move |one| one.name == experiment);
        named.flat_map(|one| &one.records)
    }

    /// Those of them that did not diverge.
    pub(crate) fn completed<'a>(
        &'a self,
        experiment: &'a str,
    ) -> impl Iterator<Item = &'a Summary> {
        let records = self.records_of(experiment);
        records.filter(|record| record.outcome == Outcome::Completed)
    }

    /// Every record with the name of its experiment.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Summary)> {
        self.experiments.iter().flat_map(|experiment| {
            let name = experiment.name.as_str();
            experiment.records.iter().map(move |record| (name, record))
        })
    }

    /// The runs that diverged, with the name of their experiment.
    pub fn diverged(&self) -> impl Iterator<Item = (&str, &Summary)> {
        self.records()
            .filter(|(_, record)| matches!(record.outcome, Outcome::Diverged { .. }))
    }
}

impl ClaimVerdict {
    /// How many of the judged predicates hold, such as `4 of 5 hold`, or which gates are not met and by how much.
    #[must_use]
    pub fn summary(&self) -> String {
        let missed = self.gates.iter().filter(|gate| !gate.holds());
        let missed: Vec<String> = missed.map(PredicateVerdict::missed).collect();
        if !missed.is_empty() && self.verdict == Some(Verdict::NotTested) {
            return missed.join("; ");
        }
        if self.missing > 0 {
            return format!("waits for {}", counted(self.missing, "run"));
        }
        let judged = || self.predicates.iter().filter(|one| one.verdict.is_some());
        let holding = judged().filter(|one| one.holds()).count();
        format!("{holding} of {} hold", judged().count())
    }
}

impl PredicateVerdict {
    fn holds(&self) -> bool {
        self.verdict == Some(Verdict::Holds)
    }

    /// By how much a gate is not met, in the seed in which that is most.
    fn missed(&self) -> String {
        let Some(threshold) = self.threshold else {
            return String::new();
        };
        let [low, high] = threshold.bounds(self.logarithmic);
        let beyond = |value: f64| f64::max(low - value, value - high);
        let outside = |value: f64| !threshold.admits(value, self.logarithmic);
        let seeds = self.sample.seeds.iter().map(|seed| seed.value);
        let missing = seeds.clone().filter(|value| outside(*value)).count();
        let worst = seeds.max_by(|one, other| f64::total_cmp(&beyond(*one), &beyond(*other)));
        let Some(worst) = worst else {
            return format!("it must be that {}, which was not measured", self.text);
        };
        let shown = match self.logarithmic {
            true => significant(worst.exp(), 2) + " times",
            false => significant(worst, 2),
        };
        let needed = threshold.words(self.logarithmic);
        format!(
            "it must be that {}: {shown} where {needed} is needed ({missing} of {} seeds)",
            self.text,
            self.sample.seeds.len()
        )
    }

    /// Mean with its error; a factor with its interval.
    #[must_use]
    pub fn shown(&self) -> String {
        let Some(estimate) = self.estimate else {
            return crate::number::MISSING.to_owned();
        };
        if !self.logarithmic {
            return with_error(estimate.mean, estimate.standard_error);
        }
        let factor = |logarithm: f64| significant(logarithm.exp(), 3);
        let interval = estimate.interval.map(|ends| ends.map(factor));
        let interval = interval.map(|[low, high]| format!(" ({low} to {high})"));
        factor(estimate.mean) + &interval.unwrap_or_default()
    }
}

/// Names of the models in the order of their first record.
pub(crate) fn models<'a>(records: impl IntoIterator<Item = &'a Summary>) -> Vec<String> {
    distinct(
        records
            .into_iter()
            .map(|record| record.setting.model.name.clone()),
    )
}

pub(crate) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen: Vec<T> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// What serde leaves out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Median, the mean of the middle two for an even number; `None` for an empty list.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}
