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
        match self {
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
            | Self::Spectrum => true,
            Self::Norms
            | Self::FisherRao
            | Self::Adaptive
            | Self::RelativeFlatness
            | Self::Confidence
            | Self::PacBayes(_)
            | Self::Keskar(_)
            | Self::KeskarBall(_)
            | Self::Quadratic(_)
            | Self::Landscape
            | Self::Scaling(_)
            | Self::Rescaling(_) => false,
        }
    }
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let given = Given { name, value };
        Ok(match name {
            "top" => Self::Top(given.count(1)?.unwrap_or(1)),
            "bottom" => Self::Bottom(given.count(1)?.unwrap_or(1)),
            "trace" => given.plain(Self::Trace)?,
            "frobenius" => given.plain(Self::Frobenius)?,
            "density" => given.plain(Self::Density)?,
            "diagonal" => Self::Diagonal(given.count(2)?),
            "rank" => Self::Rank(given.number(Some(RANK_THRESHOLD))?),
            "effective-rank" => given.plain(Self::EffectiveRank)?,
            "nuclear-norm" => given.plain(Self::NuclearNorm)?,
            "log-determinant" => Self::LogDeterminant(given.number(None)?),
            "count" => given.interval()?,
            "spectrum" => given.plain(Self::Spectrum)?,
            "norms" => given.plain(Self::Norms)?,
            "fisher-rao" => given.plain(Self::FisherRao)?,
            "adaptive" => given.plain(Self::Adaptive)?,
            "relative-flatness" => given.plain(Self::RelativeFlatness)?,
            "confidence" => given.plain(Self::Confidence)?,
            "pac-bayes" => Self::PacBayes(given.number(Some(PAC_BAYES_RISE))?),
            "keskar" => Self::Keskar(given.numbers(&[KESKAR_EPSILON])?),
            "keskar-ball" => Self::KeskarBall(given.numbers(&[KESKAR_EPSILON])?),
            "quadratic" => Self::Quadratic(given.numbers(&RADII)?),
            "landscape" => given.plain(Self::Landscape)?,
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
    fn plain(&self, what: What) -> Result<What, String> {
        match self.value {
            None => Ok(what),
            Some(value) => Err(format!("{} takes no number, got `{value}`", self.name)),
        }
    }

    fn count(&self, least: usize) -> Result<Option<usize>, String> {
        let count = |value: &str| {
            let count = value.parse().ok().filter(|&count| count >= least);
            count.ok_or_else(|| {
                format!(
                    "{} takes a number of at least {least}, got `{value}`",
                    self.name
                )
            })
        };
        self.value.map(count).transpose()
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
        let number = text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number > 0.0);
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
            numbers
                .iter()
                .map(|number| format!("{number:e}"))
                .collect::<Vec<_>>()
                .join(":")
        };
        match self {
            Self::Top(count) => write!(f, "top={count}"),
            Self::Bottom(count) => write!(f, "bottom={count}"),
            Self::Trace => f.write_str("trace"),
            Self::Frobenius => f.write_str("frobenius"),
            Self::Density => f.write_str("density"),
            Self::Diagonal(None) => f.write_str("diagonal"),
            Self::Diagonal(Some(probes)) => write!(f, "diagonal={probes}"),
            Self::Rank(share) => write!(f, "rank={share:e}"),
            Self::EffectiveRank => f.write_str("effective-rank"),
            Self::NuclearNorm => f.write_str("nuclear-norm"),
            Self::LogDeterminant(shift) => write!(f, "log-determinant={shift:e}"),
            Self::Count { low, high } => write!(f, "count={low:e}:{high:e}"),
            Self::Spectrum => f.write_str("spectrum"),
            Self::Norms => f.write_str("norms"),
            Self::FisherRao => f.write_str("fisher-rao"),
            Self::Adaptive => f.write_str("adaptive"),
            Self::RelativeFlatness => f.write_str("relative-flatness"),
            Self::Confidence => f.write_str("confidence"),
            Self::PacBayes(rise) => write!(f, "pac-bayes={rise:e}"),
            Self::Keskar(epsilons) => write!(f, "keskar={}", list(epsilons)),
            Self::KeskarBall(epsilons) => write!(f, "keskar-ball={}", list(epsilons)),
            Self::Quadratic(radii) => write!(f, "quadratic={}", list(radii)),
            Self::Landscape => f.write_str("landscape"),
            Self::Scaling(factors) => write!(f, "scaling={}", list(factors)),
            Self::Rescaling(factors) => write!(f, "rescaling={}", list(factors)),
        }
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
        for (text, expected) in [
            ("top=0", "top takes a number of at least 1, got `0`"),
            (
                "diagonal=1",
                "diagonal takes a number of at least 2, got `1`",
            ),
            ("trace=3", "trace takes no number, got `3`"),
            ("rank=-1", "rank takes a positive number, got `-1`"),
            (
                "log-determinant",
                "log-determinant needs a number: log-determinant=NUMBER",
            ),
            (
                "scaling",
                "scaling needs numbers: scaling=NUMBER:NUMBER:...",
            ),
            (
                "scaling=1:nan",
                "scaling takes a positive number, got `nan`",
            ),
            (
                "count=2:1",
                "count takes an interval LOW:HIGH with LOW below HIGH, got `2:1`",
            ),
            ("sharpness", "there is no `sharpness`; choose from top[=K]"),
        ] {
            let message = text.parse::<What>().unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
