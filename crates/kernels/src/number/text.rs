//! Formulas as the text of a kernel: each operation is a statement with a name of its own.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use super::Number;

/// The name of a number in the text, and the statements so far, which the numbers of a formula share.
#[derive(Clone)]
pub(crate) struct Text {
    statements: Rc<RefCell<String>>,
    name: Rc<str>,
}

impl Text {
    /// The element called `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            statements: Rc::default(),
            name: name.into(),
        }
    }

    /// All statements, and behind them those that give each of `results` its number.
    pub(crate) fn giving(results: &[(&str, &Self)]) -> String {
        let statements = results.first().map(|(_, text)| text.statements.borrow());
        let mut all = statements.map_or_else(String::new, |statements| statements.clone());
        for (name, text) in results {
            let _ = write!(all, "{name} = {};", text.name);
        }
        all
    }

    /// The number that an expression of C means.
    pub(crate) fn then(&self, expression: &str) -> Self {
        let mut statements = self.statements.borrow_mut();
        // Every statement ends in one.
        let number = statements.matches(';').count();
        let name: Rc<str> = format!("t{number}").into();
        let _ = write!(statements, "const T {name} = {expression}; ");
        Self {
            statements: self.statements.clone(),
            name,
        }
    }

    fn call(&self, function: &str) -> Self {
        self.then(&format!("{function}({})", self.name))
    }

    fn with(&self, operator: char, other: &Self) -> Self {
        self.then(&format!("{} {operator} {}", self.name, other.name))
    }
}

/// A constant of the number type, exactly: the shortest digits that mean it, since C knows no infinity.
fn literal(value: f64) -> String {
    if value.is_infinite() {
        return format!("T({}1.0 / 0.0)", if value < 0.0 { "-" } else { "" });
    }
    format!("T({value:e})")
}

impl Number for Text {
    fn affine(&self, a: f64, b: f64) -> Self {
        self.then(&format!("{} * {} + {}", literal(a), self.name, literal(b)))
    }
    fn constant(&self, value: f64) -> Self {
        Self {
            statements: self.statements.clone(),
            name: literal(value).into(),
        }
    }
    fn plus(&self, other: &Self) -> Self {
        self.with('+', other)
    }
    fn minus(&self, other: &Self) -> Self {
        self.with('-', other)
    }
    fn times(&self, other: &Self) -> Self {
        self.with('*', other)
    }
    fn over(&self, other: &Self) -> Self {
        self.with('/', other)
    }
    fn exp(&self) -> Self {
        self.call("exp")
    }
    fn exp_m1(&self) -> Self {
        self.call("expm1")
    }
    fn ln(&self) -> Self {
        self.call("log")
    }
    fn ln_1p(&self) -> Self {
        self.call("log1p")
    }
    fn tanh(&self) -> Self {
        self.call("tanh")
    }
    fn erf(&self) -> Self {
        self.call("erf")
    }
    fn sin(&self) -> Self {
        self.call("sin")
    }
    fn cos(&self) -> Self {
        self.call("cos")
    }
    fn sqrt(&self) -> Self {
        self.call("sqrt")
    }
    fn powf(&self, exponent: f64) -> Self {
        self.then(&format!("pow({}, {})", self.name, literal(exponent)))
    }
    fn choose(&self, bound: f64, above: &Self, otherwise: &Self) -> Self {
        let (x, bound) = (&self.name, literal(bound));
        self.then(&format!(
            "{x} > {bound} ? {} : {}",
            above.name, otherwise.name
        ))
    }
}
