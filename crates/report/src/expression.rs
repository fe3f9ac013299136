//! What claims compute with: products of powers of named numbers, such as `trace * parameter_norm^2 / train.loss`.
//!
//! With v = Π xᵢ^pᵢ and errors σᵢ that are independent of each other, the error is to first order
//! σ² = Σ (∂v/∂xᵢ)² σᵢ², ∂v/∂xᵢ = pᵢ xᵢ^(pᵢ−1) Π_{j≠i} xⱼ^pⱼ.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::number::superscript;

/// A number with the size of its measurement error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The number.
    pub value: f64,
    /// Standard error or residual bound, in the unit of the number; 0 where it is exact.
    pub error: f64,
}

/// A product of powers of named numbers. A name is the field's or a record's, such as `weight_decay`, `train.loss`,
/// `gauss-newton.trace` or `norm(fc.weight)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    factor: f64,
    /// Every name once, with its exponent.
    powers: Vec<(String, f64)>,
}

/// Short mathematical labels; `_F` and `_max` are subscripts. What is not here is called by its name.
const SYMBOLS: [(&str, &str); 42] = [
    ("spectral_norm", "λ₁"),
    ("lambda_max", "λ_max"),
    ("lambda_min", "λ_min"),
    ("trace", "Tr H"),
    ("frobenius", "‖H‖_F"),
    ("gauss-newton.trace", "Tr G"),
    ("gauss_newton_trace", "Tr G"),
    ("gauss-newton.spectral_norm", "λ₁(G)"),
    ("gauss-newton.frobenius", "‖G‖_F"),
    ("residual.spectral_norm", "λ₁(R)"),
    ("residual.lambda_max", "λ_max(R)"),
    ("residual.frobenius", "‖R‖_F"),
    ("confidence_trace", "Tr A"),
    ("parameter_norm", "‖θ‖"),
    ("scale_invariant_norm", "‖θ_BN‖"),
    ("distance_from_initialization", "‖θ − θ₀‖"),
    ("gradient_norm", "‖∇L‖"),
    ("fisher_rao", "θᵀGθ"),
    ("adaptive_lambda_max", "λ_max(|θ|H|θ|)"),
    ("smallest_margin", "smallest margin"),
    ("loss", "L"),
    ("train.loss", "training loss"),
    ("train.accuracy", "training accuracy"),
    ("validation.loss", "validation loss"),
    ("validation.accuracy", "validation accuracy"),
    ("test.loss", "test loss"),
    ("test.accuracy", "test accuracy"),
    ("test.error", "test error"),
    ("gap", "test loss − training loss"),
    ("weight_decay", "weight decay"),
    ("learning_rate", "learning rate"),
    ("hidden_units", "hidden units"),
    ("parameters", "P"),
    ("examples", "N"),
    ("classes", "C"),
    ("other_classes", "(C − 1)"),
    ("phi", "φ"),
    ("predicted", "prediction"),
    ("quadratic", "½dᵀHd"),
    ("rise", "ΔL"),
    ("ratio", "ΔL / ½dᵀHd"),
    ("train_examples", "training images"),
];

impl Expression {
    /// Its value, where every name has one; `None` too where it is not finite.
    pub fn evaluate(&self, number: impl Fn(&str) -> Option<Reading>) -> Option<Reading> {
        let readings = self.powers.iter().map(|(name, _)| number(name));
        let readings: Vec<Reading> = readings.collect::<Option<_>>()?;
        let power = |place: usize| readings[place].value.powf(self.powers[place].1);
        let places = 0..readings.len();
        let value = self.factor * places.clone().map(power).product::<f64>();
        let derivative = |place: usize| {
            let others = places.clone().filter(|&other| other != place).map(power);
            let exponent = self.powers[place].1;
            let own = exponent * readings[place].value.powf(exponent - 1.0);
            self.factor * own * others.product::<f64>()
        };
        // An exact number adds nothing, however steep.
        let inexact = places.clone().filter(|&place| readings[place].error != 0.0);
        let squares = inexact.map(|place| (derivative(place) * readings[place].error).powi(2));
        let error = squares.sum::<f64>().sqrt();
        value.is_finite().then_some(Reading { value, error })
    }

    /// As a formula for readers, such as `Tr H ‖θ‖²`.
    #[must_use]
    pub fn symbol(&self) -> String {
        let product = |sign: f64| {
            let powers = self.powers.iter().filter(|(_, power)| power * sign > 0.0);
            let mut factors: Vec<String> = powers
                .map(|(name, power)| label(name, power.abs()))
                .collect();
            if sign > 0.0 && (self.factor != 1.0 || factors.is_empty()) {
                factors.insert(0, self.factor.to_string());
            }
            factors
        };
        let (above, below) = (product(1.0), product(-1.0));
        match below.as_slice() {
            [] => above.join(" "),
            [one] => format!("{} / {one}", above.join(" ")),
            _ => format!("{} / ({})", above.join(" "), below.join(" ")),
        }
    }
}

fn label(name: &str, power: f64) -> String {
    let known = SYMBOLS.iter().find(|(known, _)| *known == name);
    let symbol = known.map_or(name, |(_, symbol)| symbol);
    if power == 1.0 {
        symbol.to_owned()
    } else if power.fract() == 0.0 {
        format!("{symbol}{}", superscript(power as i32))
    } else {
        format!("{symbol}^{power}")
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut expression = Self {
            text: text.to_owned(),
            factor: 1.0,
            powers: Vec::new(),
        };
        let mut sign = 1.0;
        for (place, word) in spaced(text).split_whitespace().enumerate() {
            match (place % 2, word) {
                (1, "*") => sign = 1.0,
                (1, "/") => sign = -1.0,
                (0, word) if !matches!(word, "*" | "/") => expression.multiply(word, sign)?,
                _ => return Err(expected(text)),
            }
        }
        if expression.powers.is_empty() || text.trim_end().ends_with(['*', '/']) {
            return Err(expected(text));
        }
        Ok(expression)
    }
}

impl Expression {
    fn multiply(&mut self, word: &str, sign: f64) -> Result<(), String> {
        let (base, power) = match word.split_once('^') {
            Some((base, power)) => (base, power.parse().map_err(|_| expected(word))?),
            None => (word, 1.0),
        };
        let power: f64 = sign * power;
        if let Ok(number) = base.parse::<f64>() {
            self.factor *= number.powf(power);
            return Ok(());
        }
        let admitted =
            |character: char| character.is_ascii_alphanumeric() || "_-.()".contains(character);
        if !base.starts_with(|first: char| first.is_ascii_lowercase())
            || !base.chars().all(admitted)
        {
            return Err(expected(word));
        }
        match self.powers.iter_mut().find(|(name, _)| name == base) {
            Some((_, known)) => *known += power,
            None => self.powers.push((base.to_owned(), power)),
        }
        Ok(())
    }
}

/// Operators as words of their own.
fn spaced(text: &str) -> String {
    text.replace('*', " * ").replace('/', " / ")
}

fn expected(got: &str) -> String {
    format!(
        "a quantity is a product of powers of names, such as `trace * parameter_norm^2 / train.loss`, got `{got}`"
    )
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str) -> Option<Reading> {
        let (value, error) = match name {
            "trace" => (8.0, 0.8),
            "parameter_norm" => (3.0, 0.0),
            "train.loss" => (0.5, 0.05),
            "nothing" => (0.0, 0.1),
            _ => return None,
        };
        Some(Reading { value, error })
    }

    #[test]
    fn products_of_powers_have_the_errors_of_the_delta_method() {
        for (text, value, error) in [
            ("trace", 8.0, 0.8),
            ("trace * parameter_norm^2", 72.0, 7.2),
            // Relative errors 0.1 and 0.1: root of 0.02 of 16.
            ("trace/train.loss", 16.0, 16.0 * 0.02f64.sqrt()),
            // The same name twice is a square, whose relative error is twice that of the name.
            ("trace * trace", 64.0, 12.8),
            ("2 * trace^0.5", 2.0 * 8f64.sqrt(), 0.1 * 8f64.sqrt()),
            ("nothing * parameter_norm", 0.0, 0.3),
        ] {
            let reading = text
                .parse::<Expression>()
                .unwrap()
                .evaluate(number)
                .unwrap();
            assert!((reading.value - value).abs() < 1e-12, "{text}");
            assert!(
                (reading.error - error).abs() < 1e-12,
                "{text}: {}",
                reading.error
            );
        }
        for absent in ["unknown", "trace / nothing"] {
            assert_eq!(absent.parse::<Expression>().unwrap().evaluate(number), None);
        }
    }

    #[test]
    fn formulas_are_for_readers() {
        for (text, symbol) in [
            ("spectral_norm", "λ₁"),
            ("trace * parameter_norm^2", "Tr H ‖θ‖²"),
            ("spectral_norm / train.loss", "λ₁ / training loss"),
            ("rank(1e-3) / examples", "rank(1e-3) / N"),
            ("trace / examples / classes", "Tr H / (N C)"),
            ("0.5 * frobenius^0.5", "0.5 ‖H‖_F^0.5"),
        ] {
            assert_eq!(text.parse::<Expression>().unwrap().symbol(), symbol);
        }
    }

    #[test]
    fn what_is_no_product_is_refused() {
        let wrong = "|2|trace +|trace * * loss|trace loss|trace *|Trace|trace^x|* trace";
        for wrong in wrong.split('|') {
            assert!(wrong.parse::<Expression>().is_err(), "{wrong}");
        }
    }
}
