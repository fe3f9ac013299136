//! What `flatness measure --what` asks for: a list of names, some with a number.

use std::str::FromStr;

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// So many of the most positive eigenvalues.
    Top(usize),
    /// So many of the most negative eigenvalues.
    Bottom(usize),
    /// Sum of the eigenvalues.
    Trace,
    /// Frobenius norm.
    Frobenius,
    /// Spectral density, and Ritz values with their weights.
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
    Count { low: f64, high: f64 },
    /// Norms of the parameters, whole and by layer.
    Norms,
    /// θᵀ G θ.
    FisherRao,
    /// Largest eigenvalue of |θ| A |θ|.
    Adaptive,
    /// Sum over pairs of neurons of ⟨w, w'⟩ times the trace of their block.
    RelativeFlatness,
    /// Noise scale at which the expected loss rise reaches this.
    PacBayes(f64),
    /// Keskar's φ of this ε.
    Keskar(f64),
    /// Loss rises along eigenvectors and random directions, against their prediction.
    Quadratic,
    /// Loss over the plane of the two leading eigenvectors.
    Landscape,
}

/// Share of the largest eigenvalue below which an eigenvalue counts as zero.
const RANK_THRESHOLD: f64 = 1e-3;

/// Loss rise of Neyshabur et al. (2017) and Jiang et al. (2020).
const PAC_BAYES_RISE: f64 = 0.1;

/// The smaller ε of Keskar et al. (2017).
const KESKAR_EPSILON: f64 = 5e-4;

/// The names, for help and errors.
pub(crate) const NAMES: &str = "top[=K], bottom[=K], trace, frobenius, diagonal[=PROBES], density, \
    rank[=SHARE], effective-rank, nuclear-norm, log-determinant=SHIFT, count=LOW:HIGH, norms, fisher-rao, \
    adaptive, relative-flatness, pac-bayes[=RISE], keskar[=EPSILON], quadratic, landscape";

impl What {
    /// Whether it is a number of the matrix alone, of any of its diagonal blocks too.
    pub(crate) fn of_matrix(&self) -> bool {
        match self {
            Self::Top(_)
            | Self::Bottom(_)
            | Self::Trace
            | Self::Frobenius
            | Self::Diagonal(_)
            | Self::Density
            | Self::Rank(_)
            | Self::EffectiveRank
            | Self::NuclearNorm
            | Self::LogDeterminant(_)
            | Self::Count { .. } => true,
            Self::Norms
            | Self::FisherRao
            | Self::Adaptive
            | Self::RelativeFlatness
            | Self::PacBayes(_)
            | Self::Keskar(_)
            | Self::Quadratic
            | Self::Landscape => false,
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
        let count = || match value {
            None => Ok(1),
            Some(value) => value
                .parse()
                .ok()
                .filter(|&count| count > 0)
                .ok_or_else(|| format!("{name} takes a number of at least 1, got `{value}`")),
        };
        let positive = |default: Option<f64>| match (value, default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(format!("{name} needs a number: {name}=NUMBER")),
            (Some(value), _) => positive(value)
                .ok_or_else(|| format!("{name} takes a positive number, got `{value}`")),
        };
        let plain = |what: Self| match value {
            None => Ok(what),
            Some(value) => Err(format!("{name} takes no number, got `{value}`")),
        };
        match name {
            "top" => Ok(Self::Top(count()?)),
            "bottom" => Ok(Self::Bottom(count()?)),
            "trace" => plain(Self::Trace),
            "frobenius" => plain(Self::Frobenius),
            "diagonal" => value.map(probes).transpose().map(Self::Diagonal),
            "density" => plain(Self::Density),
            "rank" => Ok(Self::Rank(positive(Some(RANK_THRESHOLD))?)),
            "effective-rank" => plain(Self::EffectiveRank),
            "nuclear-norm" => plain(Self::NuclearNorm),
            "log-determinant" => Ok(Self::LogDeterminant(positive(None)?)),
            "count" => interval(value),
            "norms" => plain(Self::Norms),
            "fisher-rao" => plain(Self::FisherRao),
            "adaptive" => plain(Self::Adaptive),
            "relative-flatness" => plain(Self::RelativeFlatness),
            "pac-bayes" => Ok(Self::PacBayes(positive(Some(PAC_BAYES_RISE))?)),
            "keskar" => Ok(Self::Keskar(positive(Some(KESKAR_EPSILON))?)),
            "quadratic" => plain(Self::Quadratic),
            "landscape" => plain(Self::Landscape),
            _ => Err(format!("there is no `{name}`; choose from {NAMES}")),
        }
    }
}

fn positive(text: &str) -> Option<f64> {
    let number = text.parse().ok();
    number.filter(|number: &f64| number.is_finite() && *number > 0.0)
}

fn probes(value: &str) -> Result<usize, String> {
    let probes = value.parse().ok().filter(|&probes| probes > 1);
    probes.ok_or_else(|| format!("diagonal takes a number of at least 2, got `{value}`"))
}

fn interval(value: Option<&str>) -> Result<What, String> {
    let bounds = value.and_then(|value| {
        let (low, high) = value.split_once(':')?;
        Some((low.parse().ok()?, high.parse().ok()?))
    });
    match bounds {
        Some((low, high)) if low < high => Ok(What::Count { low, high }),
        _ => Err(format!(
            "count takes an interval LOW:HIGH with LOW below HIGH, got `{}`",
            value.unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::What;

    #[test]
    fn names_and_their_numbers_are_read() {
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
            ("keskar=1e-3", What::Keskar(1e-3)),
        ] {
            assert_eq!(text.parse(), Ok(what), "{text}");
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
