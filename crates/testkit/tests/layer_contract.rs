//! The contract accepts a right layer and names the rule that a wrong one breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::Tensor;
use flatness_layers::{
    Cotangent, Error, Initializer, Layer, Parameter, Point, SecondOrder, SecondOrderRule, Tangent,
};
use flatness_testkit::check_layer;

/// What is wrong with the layer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    OutputShape,
    CoupledExamples,
    Jvp,
    AbsentTangent,
    InputCotangent,
    ParameterCotangent,
    ReplacedSums,
    SecondOrderOfInput,
    SecondOrderOfParameters,
    ForgottenSecondOrder,
    BlockMixed,
    FailingForward,
}

/// y = w ⊙ x² with one weight per element of an example: every rule has terms of both kinds.
#[derive(Debug)]
struct Parabola {
    width: usize,
    defect: Defect,
}

impl Parabola {
    fn factor(&self, defect: Defect) -> f64 {
        if self.defect == defect { 1.01 } else { 1.0 }
    }
}

/// `target` <- `value`, or `target` += `value`.
fn add(target: &Tensor, value: &Tensor, replace: bool) -> Result<(), Error> {
    let sum = if replace {
        value.clone()
    } else {
        (target + value)?
    };
    Ok(target.slice_set(&sum.contiguous()?, 0, 0)?)
}

impl Layer for Parabola {
    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter {
            name: "weight".to_owned(),
            shape: vec![self.width],
            initializer: Initializer::Uniform { bound: 1.0 },
        }]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let more = usize::from(self.defect == Defect::OutputShape);
        Ok(vec![inputs[0][0] + more])
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        if self.defect == Defect::FailingForward {
            return Err(candle_core::Error::msg("no forward").into());
        }
        let mut y = x.sqr()?.broadcast_mul(&parameters[0])?;
        if self.defect == Defect::CoupledExamples {
            y = y.broadcast_sub(&y.mean_keepdim(0)?)?;
        }
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (x, weight) = (&at.saved[0], &at.parameters[0]);
        let mut dy = x
            .sqr()?
            .unsqueeze(1)?
            .broadcast_mul(&tangent.parameters[0].unsqueeze(0)?)?;
        if let Some(dx) = tangent.input() {
            let slope = (x.broadcast_mul(weight)? * (2.0 * self.factor(Defect::Jvp)))?;
            let dx = match self.defect {
                Defect::BlockMixed => dx.flip(&[1])?,
                _ => dx.clone(),
            };
            dy = (dy + dx.broadcast_mul(&slope.unsqueeze(1)?)?)?;
        } else if self.defect == Defect::AbsentTangent {
            dy = (dy * 2.0)?;
        }
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let factor = 2.0 * self.factor(Defect::InputCotangent);
        let slope = (at.saved[0].broadcast_mul(&at.parameters[0])? * factor)?;
        Ok(Cotangent::Fresh(
            cotangent.broadcast_mul(&slope.unsqueeze(1)?)?,
        ))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let terms = cotangent.broadcast_mul(&at.saved[0].sqr()?.unsqueeze(1)?)?;
        let sum = (terms.sum(0)? * self.factor(Defect::ParameterCotangent))?;
        add(&sums[0], &sum, self.defect == Defect::ReplacedSums)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        if self.defect == Defect::ForgottenSecondOrder {
            return SecondOrder::Zero;
        }
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Parabola {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let (x, weight) = (&at.saved[0], &at.parameters[0]);
        let twice = (cotangent * 2.0)?;
        if let Some(dx) = tangent.input() {
            // θ̄: 2 ȳ x ẋ
            let bend = (&twice * x)?.unsqueeze(1)?;
            let factor = self.factor(Defect::SecondOrderOfParameters);
            add(
                &sums[0],
                &(dx.broadcast_mul(&bend)?.sum(0)? * factor)?,
                false,
            )?;
        }
        let Some(input_sum) = input_sums[0] else {
            return Ok(());
        };
        // x̄: 2 ȳ (w ẋ + x ẇ)
        let from_weight = x
            .unsqueeze(1)?
            .broadcast_mul(&tangent.parameters[0].unsqueeze(0)?)?;
        let from_input = match tangent.input() {
            Some(dx) => (dx.broadcast_mul(weight)? * self.factor(Defect::SecondOrderOfInput))?,
            None => from_weight.zeros_like()?,
        };
        let term = (from_weight + from_input)?.broadcast_mul(&twice.unsqueeze(1)?)?;
        add(input_sum, &term, false)
    }
}

fn verdict(layer: &dyn Layer, input_shape: &[usize]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check_layer(layer, &[input_shape], 1))).map_err(|payload| {
        payload
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_default()
    })
}

#[test]
fn a_right_layer_passes_and_each_defect_is_named() {
    let forgotten = "second order: said to be zero";
    let cases = [
        (Defect::OutputShape, "output_shape"),
        (Defect::CoupledExamples, "forward: a batch"),
        (Defect::Jvp, "jvp: differences"),
        (Defect::AbsentTangent, "jvp: absent"),
        (Defect::InputCotangent, "vjp: adjoint"),
        (Defect::ParameterCotangent, "vjp: adjoint"),
        (Defect::ReplacedSums, "vjp: sums"),
        (Defect::SecondOrderOfInput, "second order: differences"),
        (Defect::SecondOrderOfParameters, "second order: differences"),
        (Defect::ForgottenSecondOrder, forgotten),
        (Defect::BlockMixed, "jvp: differences"),
        (Defect::FailingForward, "no forward"),
    ];
    let parabola = |defect| Parabola { width: 4, defect };
    verdict(&parabola(Defect::None), &[4]).unwrap();
    for (defect, rule) in cases {
        let message = verdict(&parabola(defect), &[4]).expect_err("a defect");
        assert!(message.contains(rule), "{defect:?}: {message}");
    }
}

/// y = x, whose input cotangent is said to be fresh and may be the memory of the output's.
#[derive(Debug)]
struct Identity {
    is_shared: bool,
}

impl Layer for Identity {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok((inputs[0].clone(), Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent.input().cloned())
    }

    fn vjp_input(&self, _: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        if self.is_shared {
            return Ok(Cotangent::Fresh(cotangent.clone()));
        }
        Ok(Cotangent::Fresh(cotangent.copy()?))
    }

    fn vjp_parameters(&self, _: Point<'_>, _: &Tensor, _: &[Tensor]) -> Result<(), Error> {
        Ok(())
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Identity {
    fn add_terms(
        &self,
        _: Point<'_>,
        _: &Tensor,
        _: Tangent<'_>,
        _: &[Tensor],
        _: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn shared_memory_is_a_failure() {
    verdict(&Identity { is_shared: false }, &[2]).unwrap();
    let message = verdict(&Identity { is_shared: true }, &[2]).expect_err("a defect");
    assert!(message.contains("shares memory"), "{message}");
}
