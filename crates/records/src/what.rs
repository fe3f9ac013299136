//! The names of what can be measured, with their numbers: one language for specs and the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One thing to measure. Written `name`, `name=NUMBER` or, where it is a list, `name=NUMBER:NUMBER:...`.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// So many of the most positive eigenvalues.
    Top(usize),
    /// So many of the most negative eigenvalues.
    Bottom(usize),
    /// Sum of the eigenvalues.
    Trace,
    /// Frobenius norm.
    Frobenius,
    /// Spectral density, Ritz values with their weights.
    Density,
    /// Diagonal, from so many probes or until it is accurate enough.
    Diagonal(Option<usize>),
    /// Number of eigenvalues beyond this share of the largest magnitude.
    Rank(f64),
    /// Exponential of the entropy of the magnitudes of the eigenvalues.
    EffectiveRank,
    /// Sum of the magnitudes of the eigenvalues.
    NuclearNorm,
    /// ln det(A + s I) of this s.
    LogDeterminant(f64),
    /// Number of eigenvalues in an interval.
    Count {
        /// Least eigenvalue that counts.
        low: f64,
        /// Largest eigenvalue that counts.
        high: f64,
    },
    /// All eigenvalues, of a dense matrix in double precision.
    Spectrum,
    /// Norms of the parameters: whole, by layer, and of the scale-invariant ones.
    Norms,
    /// θᵀ G θ.
    FisherRao,
    /// Largest eigenvalue of |θ| A |θ|.
    Adaptive,
    /// Sum over pairs of neurons of ⟨w, w'⟩ times the trace of their block.
    RelativeFlatness,
    /// Mean over the examples of Tr(diag(p) − p pᵀ), and the smallest margin of a label.
    Confidence,
    /// Noise scale at which the expected loss rise reaches this.
    PacBayes(f64),
    /// Keskar's φ in boxes of these ε.
    Keskar(Vec<f64>),
    /// The same in balls of these radii ε, of the loss with the L2 term of the training.
    KeskarBall(Vec<f64>),
    /// Loss rises along the top eigenvector and random directions at these ‖d‖ / ‖θ‖, against ½ dᵀHd.
    Quadratic(Vec<f64>),
    /// Loss over the plane of the two leading eigenvectors.
    Landscape,
    /// Curvature with the weights of layer l multiplied by a and its biases by aˡ, for these a (claim C2).
    Scaling(Vec<f64>),
    /// Curvature with one layer multiplied by α and the next divided by it, for these α (claim C7).
    Rescaling(Vec<f64>),
}

/// Share of the largest eigenvalue below which an eigenvalue counts as zero.
const RANK_THRESHOLD: f64 = 1e-3;

/// Loss rise of Neyshabur et al. (2017) and Jiang et al. (2020).
const PAC_BAYES_RISE: f64 = 0.1;

/// The smaller ε of Keskar et al. (2017).
const KESKAR_EPSILON: f64 = 5e-4;

/// ‖d‖ / ‖θ‖ of loss rises, from where rounding is small to where curvature changes.
const RADII: [f64; 3] = [1e-3, 1e-2, 1e-1];

impl What {
    /// The names, for help and errors.
    pub const NAMES: &str = "top[=K], bottom[=K], trace, frobenius, density, diagonal[=PROBES], rank[=SHARE], \
        effective-rank, nuclear-norm, log-determinant=SHIFT, count=LOW:HIGH, spectrum, norms, fisher-rao, adaptive, \
        relative-flatness, confidence, pac-bayes[=RISE], keskar[=EPSILON:...], keskar-ball[=EPSILON:...], \
        quadratic[=RADIUS:...], landscape, scaling=A:..., rescaling=ALPHA:...";

    /// Whether it is of the matrix alone, and so of any of its diagonal blocks too.
    #[must_use]
    pub fn of_matrix(&self) -> bool {
        matches!(
            self,
            Self::Top(_)
                | Self::Bottom(_)
                | Self::Trace
                | Self::Frobenius
                | Self::Density
                | Self::Diagonal(_)
                | Self::Rank(_)
                | Self::EffectiveRank
                | Self::NuclearNorm
                | Self::LogDeterminant(_)
                | Self::Count { .. }
                | Self::Spectrum
        )
    }
}

/// Those that take no number.
const PLAIN: [(&str, What); 12] = [
    ("trace", What::Trace),
    ("frobenius", What::Frobenius),
    ("density", What::Density),
    ("effective-rank", What::EffectiveRank),
    ("nuclear-norm", What::NuclearNorm),
    ("spectrum", What::Spectrum),
    ("norms", What::Norms),
    ("fisher-rao", What::FisherRao),
    ("adaptive", What::Adaptive),
    ("relative-flatness", What::RelativeFlatness),
    ("confidence", What::Confidence),
    ("landscape", What::Landscape),
];

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if let Some((_, what)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return match value {
                None => Ok(what.clone()),
                Some(value) => Err(format!("{name} takes no number, got `{value}`")),
            };
        }
        let given = Given { name, value };
        Ok(match name {
            "top" => Self::Top(given.count(1)?.unwrap_or(1)),
            "bottom" => Self::Bottom(given.count(1)?.unwrap_or(1)),
            "diagonal" => Self::Diagonal(given.count(2)?),
            "rank" => Self::Rank(given.number(Some(RANK_THRESHOLD))?),
            "log-determinant" => Self::LogDeterminant(given.number(None)?),
            "count" => given.interval()?,
            "pac-bayes" => Self::PacBayes(given.number(Some(PAC_BAYES_RISE))?),
            "keskar" => Self::Keskar(given.numbers(&[KESKAR_EPSILON])?),
            "keskar-ball" => Self::KeskarBall(given.numbers(&[KESKAR_EPSILON])?),
            "quadratic" => Self::Quadratic(given.numbers(&RADII)?),
            "scaling" => Self::Scaling(given.numbers(&[])?),
            "rescaling" => Self::Rescaling(given.numbers(&[])?),
            _ => return Err(format!("there is no `{name}`; choose from {}", Self::NAMES)),
        })
    }
}

/// A name with what stands behind its `=`.
struct Given<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl Given<'_> {
    fn count(&self, least: usize) -> Result<Option<usize>, String> {
        let Self {
            name,
            value: Some(value),
        } = self
        else {
            return Ok(None);
        };
        let count = value.parse().ok().filter(|&count| count >= least);
        let expected = || format!("{name} takes a number of at least {least}, got `{value}`");
        count.map(Some).ok_or_else(expected)
    }

    fn number(&self, default: Option<f64>) -> Result<f64, String> {
        match (self.value, default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(format!("{0} needs a number: {0}=NUMBER", self.name)),
            (Some(value), _) => self.positive(value),
        }
    }

    fn numbers(&self, default: &[f64]) -> Result<Vec<f64>, String> {
        match self.value {
            None if default.is_empty() => Err(format!(
                "{0} needs numbers: {0}=NUMBER:NUMBER:...",
                self.name
            )),
            None => Ok(default.to_vec()),
            Some(value) => value
                .split(':')
                .map(|number| self.positive(number))
                .collect(),
        }
    }

    fn positive(&self, text: &str) -> Result<f64, String> {
        let number = text.parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite() && *number > 0.0);
        number.ok_or_else(|| format!("{} takes a positive number, got `{text}`", self.name))
    }

    fn interval(&self) -> Result<What, String> {
        let bounds = self.value.and_then(|value| {
            let (low, high) = value.split_once(':')?;
            Some((low.parse().ok()?, high.parse().ok()?))
        });
        match bounds {
            Some((low, high)) if low < high => Ok(What::Count { low, high }),
            _ => Err(format!(
                "count takes an interval LOW:HIGH with LOW below HIGH, got `{}`",
                self.value.unwrap_or_default()
            )),
        }
    }
}

/// As it is read.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| {
            let numbers = numbers.iter().map(|number| format!("{number:e}"));
            numbers.collect::<Vec<_>>().join(":")
        };
        let (name, value) = match self {
            Self::Top(count) => ("top", count.to_string()),
            Self::Bottom(count) => ("bottom", count.to_string()),
            Self::Diagonal(None) => return f.write_str("diagonal"),
            Self::Diagonal(Some(probes)) => ("diagonal", probes.to_string()),
            Self::Rank(share) => ("rank", list(&[*share])),
            Self::LogDeterminant(shift) => ("log-determinant", list(&[*shift])),
            Self::Count { low, high } => ("count", list(&[*low, *high])),
            Self::PacBayes(rise) => ("pac-bayes", list(&[*rise])),
            Self::Keskar(epsilons) => ("keskar", list(epsilons)),
            Self::KeskarBall(epsilons) => ("keskar-ball", list(epsilons)),
            Self::Quadratic(radii) => ("quadratic", list(radii)),
            Self::Scaling(factors) => ("scaling", list(factors)),
            Self::Rescaling(factors) => ("rescaling", list(factors)),
            plain => {
                let known = PLAIN.iter().find(|(_, what)| what == plain);
                return f.write_str(known.map_or("", |(name, _)| name));
            }
        };
        write!(f, "{name}={value}")
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::What;

    #[test]
    fn names_and_their_numbers_are_read_and_written() {
        for (text, what) in [
            ("top", What::Top(1)),
            ("top=5", What::Top(5)),
            ("bottom=2", What::Bottom(2)),
            ("diagonal", What::Diagonal(None)),
            ("diagonal=8", What::Diagonal(Some(8))),
            ("rank", What::Rank(1e-3)),
            ("rank=0.01", What::Rank(0.01)),
            ("log-determinant=2", What::LogDeterminant(2.0)),
            (
                "count=-1:0.5",
                What::Count {
                    low: -1.0,
                    high: 0.5,
                },
            ),
            ("keskar=1e-3", What::Keskar(vec![1e-3])),
            ("quadratic=1e-3:0.3", What::Quadratic(vec![1e-3, 0.3])),
            ("scaling=0.5:1:2", What::Scaling(vec![0.5, 1.0, 2.0])),
        ] {
            assert_eq!(text.parse().as_ref(), Ok(&what), "{text}");
            assert_eq!(what.to_string().parse(), Ok(what), "{text}");
        }
    }

    #[test]
    fn every_name_is_read_back_as_it_is_written() {
        for name in What::NAMES.split(", ") {
            let (name, value) = name.split_once('=').unwrap_or((name, ""));
            let text = match value {
                "SHIFT" => format!("{name}=1"),
                "LOW:HIGH" => format!("{name}=1:2"),
                "A:..." | "ALPHA:..." => format!("{name}=1:2"),
                _ => name.trim_end_matches('[').to_owned(),
            };
            let what: What = text.parse().expect(&text);
            assert_eq!(what.to_string().parse(), Ok(what), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_in_a_sentence() {
        for row in REFUSED.trim().lines().map(str::trim) {
            let (text, expected) = row.split_once(": ").unwrap();
            let message = text.parse::<What>().unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    const REFUSED: &str = "
        top=0: top takes a number of at least 1, got `0`
        diagonal=1: diagonal takes a number of at least 2, got `1`
        trace=3: trace takes no number, got `3`
        rank=-1: rank takes a positive number, got `-1`
        log-determinant: log-determinant needs a number: log-determinant=NUMBER
        scaling: scaling needs numbers: scaling=NUMBER:NUMBER:...
        scaling=1:nan: scaling takes a positive number, got `nan`
        count=2:1: count takes an interval LOW:HIGH with LOW below HIGH, got `2:1`
        sharpness: there is no `sharpness`; choose from top[=K]";
}
