//! What a statistic computes, as a formula for readers.

use flatness_records::Region;

use super::{Denominator, Direction, RankBound, Statistic};

impl Statistic {
    /// The number in a formula, such as `ln(λ₁ at 5e-4 / λ₁ at 0)`.
    #[must_use]
    pub fn formula(&self) -> String {
        match self {
            Self::PairedLogRatio {
                quantity,
                treatment,
                control,
            } => {
                let q = quantity.symbol();
                format!("ln({q} at {treatment:e} / {q} at {control})")
            }
            Self::PairedDifference {
                quantity,
                treatment,
                control,
            } => {
                let q = quantity.symbol();
                format!("{q} at {treatment:e} − at {control}")
            }
            Self::OptimizerLogRatio {
                quantity,
                treatment,
                control,
            } => {
                let q = quantity.symbol();
                format!("ln({q} of {treatment} / {q} of {control})")
            }
            Self::OptimizerDifference {
                quantity,
                treatment,
                control,
            } => {
                let q = quantity.symbol();
                format!("{q} of {treatment} − of {control}")
            }
            Self::RankCorrelation {
                x,
                y,
                weight_decay_up_to,
            } => {
                let range = weight_decay_up_to
                    .map_or_else(String::new, |limit| format!(", decay ≤ {limit:e}"));
                format!("τ({}, {}){range}", x.symbol(), y.symbol())
            }
            Self::PathRankCorrelation { x, y } => {
                format!("τ({}, {}) along training", x.symbol(), y.symbol())
            }
            Self::PathEndOverPeak { quantity } => {
                format!("{} at the end / its peak in training", quantity.symbol())
            }
            Self::ScalingEndOverPeak { quantity } => {
                format!("{} at the largest a / its peak over a", quantity.symbol())
            }
            Self::ScalingAccuracyRange {} => "largest − smallest accuracy over a".to_owned(),
            Self::PerturbationRatio {
                direction,
                denominator,
                relative_radius,
            } => {
                let denominator = match (denominator, direction) {
                    (Denominator::Quadratic, _) => "½dᵀHd",
                    (Denominator::Predicted, Direction::Random) => "Tr(H)‖d‖²/2P",
                    (Denominator::Predicted, Direction::TopEigenvector) => "λ₁‖d‖²/2",
                };
                format!("ΔL / {denominator}, ‖d‖ = {relative_radius:e} ‖θ‖")
            }
            Self::ExactRank { bound } => {
                let bound = match bound {
                    RankBound::Parameters => "P",
                    RankBound::NeuronsTimesClasses => "(neurons × classes)",
                    RankBound::ExamplesTimesOtherClasses => "N(C − 1)",
                };
                format!("rank H / {bound}")
            }
            Self::KeskarRatio { region, epsilon } => {
                let region = match region {
                    Region::Box => "box",
                    Region::Subspace => "box in a random subspace",
                    Region::Ball => "ball",
                };
                format!("φ(ε) / (λ₁ε²/2(1 + L)), {region}, ε = {epsilon:e}")
            }
            Self::RescalingRange { quantity } => {
                format!(
                    "ln(largest {q} / smallest {q} over α)",
                    q = quantity.symbol()
                )
            }
        }
    }
}
