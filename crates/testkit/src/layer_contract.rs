//! The contract of a layer, checked at a seeded point with B = 3 examples and V = 2 vectors.
//!
//! ```text
//! jvp            = d/dt f(x + t ẋ; θ + t θ̇)                    central differences of forward
//! vjp            ⟨ȳ, jvp(ẋ, θ̇)⟩ = ⟨x̄, ẋ⟩ + ⟨θ̄, θ̇⟩             adjoint identity
//! second order   = d/dt vjp(ȳ; x + t ẋ, θ + t θ̇)               central differences of the vjp
//! ```
//!
//! and: a block of vectors equals its vectors one by one, an absent input tangent equals a zero
//! one, sums are added to and not replaced, an input cotangent that is added to is nobody else's
//! memory, a batch equals its examples one by one (but where their place in the batch matters), and the
//! shape announced is the shape made.

mod case;

use candle_core::Tensor;
use flatness_layers::{Cotangent, Layer, SecondOrder, Tangent};

use crate::{assert_close, assert_small, finite_difference, values};
use case::{Case, EXAMPLES, VECTORS, concatenated, vector};

/// Step of the differences: the elements of a maximum's window are further apart. With functions of
/// order one truncation and rounding are below 1e-11.
const STEP: f64 = 1e-4;
/// Against differences: a hundred times their own error, for sums over some dozens of terms.
const DIFFERENCES: f64 = 1e-9;
/// Between exact rules: rounding of sums of some dozens of terms.
const ROUNDING: f64 = 1e-13;

/// Checks `layer` on inputs of `input_shapes` (one example of each) at Gaussian parameters and inputs from
/// `seed`.
pub fn check_layer(layer: &dyn Layer, input_shapes: &[&[usize]], seed: u64) {
    let case = Case::new(layer, input_shapes, seed);
    if layer.batch_norm().is_none() {
        case.check_independence();
    }
    case.check();
}

/// As [`check_layer`], at `inputs` of three examples each, (3, input shape): for a layer that not every number can be put
/// into.
pub fn check_layer_at(layer: &dyn Layer, inputs: &[Tensor], seed: u64) {
    let case = Case::at(layer, inputs.to_vec(), seed);
    case.check_independence();
    case.check();
}

/// As [`check_layer`], for a layer in which the place of an example in its batch matters.
pub fn check_rules(layer: &dyn Layer, input_shapes: &[&[usize]], seed: u64) {
    Case::new(layer, input_shapes, seed).check();
}

impl Case<'_> {
    fn check(&self) {
        self.check_shape();
        self.check_jvp();
        self.check_vjp();
        self.check_second_order();
        self.check_absent_tangent();
        self.check_block();
        self.check_accumulation();
        self.check_fresh();
    }

    fn check_shape(&self) {
        let (y, _) = self.forward(&self.inputs, &self.parameters);
        let announced = self.primal.dims();
        assert_eq!(
            y.dims(),
            announced,
            "output_shape: not the shape of forward"
        );
    }

    fn check_independence(&self) {
        let (y, _) = self.forward(&self.inputs, &self.parameters);
        for example in 0..EXAMPLES {
            let alone = self.inputs.iter();
            let alone = alone.map(|x| x.narrow(0, example, 1).expect("one example"));
            let (alone, _) = self.forward(&alone.collect::<Vec<_>>(), &self.parameters);
            let row = y.narrow(0, example, 1).expect("one example");
            let what = "forward: a batch and its examples";
            assert_close(what, &values(&row), &values(&alone), ROUNDING);
        }
    }

    fn check_jvp(&self) {
        let block = self.tangent().expect("a tangent behind a tangent");
        assert_eq!(block.dims(), self.cotangent.dims(), "jvp: shape");
        for index in 0..VECTORS {
            let forward = |inputs: &[Tensor], parameters: &[Tensor]| {
                values(&self.forward(inputs, parameters).0)
            };
            let expected = self.differences(forward, index);
            let got = values(&vector(&block, index, 1));
            assert_close("jvp: differences of forward", &got, &expected, DIFFERENCES);
        }
    }

    fn check_vjp(&self) {
        let forward = self.tangent().expect("a tangent behind a tangent");
        let backward = self.vjp(&self.inputs, &self.parameters, &self.cotangent);
        for (cotangent, dx) in backward.iter().zip(&self.dinputs) {
            let what = "vjp: shape of the input cotangent";
            assert_eq!(cotangent.dims(), dx.dims(), "{what}");
        }
        for index in 0..VECTORS {
            let [cotangent, tangent] =
                [&self.cotangent, &forward].map(|block| values(&vector(block, index, 1)));
            let left = products(&cotangent, &tangent);
            let right = products(
                &self.flat_cotangent(&backward, index),
                &self.flat_tangent(index),
            );
            // The sums may cancel, their terms do not.
            let magnitude: f64 = left.iter().chain(&right).map(|product| product.abs()).sum();
            let apart = left.iter().sum::<f64>() - right.iter().sum::<f64>();
            assert_small("vjp: adjoint of the jvp", &[apart], ROUNDING * magnitude);
        }
    }

    fn check_second_order(&self) {
        let all = present(&self.dinputs);
        let block = self.second_order(self.with(&all), VECTORS);
        let primal = self.primal.unsqueeze(1).expect("a block of one");
        for index in 0..VECTORS {
            let vjp = |inputs: &[Tensor], parameters: &[Tensor]| {
                self.flat_cotangent(&self.vjp(inputs, parameters, &primal), 0)
            };
            let expected = self.differences(vjp, index);
            let got = self.flat_cotangent(&block, index);
            let [zero, terms] = ["said to be zero, differences", "differences"]
                .map(|what| format!("second order: {what} of the vjp"));
            match self.layer.second_order() {
                SecondOrder::Zero => assert_small(&zero, &expected, DIFFERENCES),
                SecondOrder::Terms(_) => assert_close(&terms, &got, &expected, DIFFERENCES),
            }
        }
    }

    /// Of `function` of (x, θ) along tangent `index`.
    fn differences(
        &self,
        function: impl Fn(&[Tensor], &[Tensor]) -> Vec<f64>,
        index: usize,
    ) -> Vec<f64> {
        let at = |flat: &[f64]| {
            let (inputs, parameters) = self.unflatten(flat);
            function(&inputs, &parameters)
        };
        finite_difference::directional(at, &self.flat_point(), &self.flat_tangent(index), STEP)
    }

    /// For every choice of inputs that have none.
    fn check_absent_tangent(&self) {
        let count = self.dinputs.len();
        for choice in 1..1 << count {
            let is_absent = |input: usize| choice & (1 << input) != 0;
            let zeros = self.dinputs.iter().enumerate().map(|(input, dx)| {
                let zero = dx.zeros_like().expect("zeros");
                if is_absent(input) { zero } else { dx.clone() }
            });
            let zeros: Vec<Tensor> = zeros.collect();
            let absent: Vec<Option<&Tensor>> = (0..count)
                .map(|input| (!is_absent(input)).then_some(&self.dinputs[input]))
                .collect();
            let zeros = present(&zeros);
            let expected = values(&self.jvp(self.with(&zeros)).expect("a tangent"));
            let what = "jvp: absent input tangent";
            match self.jvp(self.with(&absent)) {
                Some(absent) => assert_close(what, &values(&absent), &expected, ROUNDING),
                None => assert_small(what, &expected, 0.0),
            }
            let [absent, expected] = [&absent, &zeros]
                .map(|inputs| concatenated(&self.second_order(self.with(inputs), VECTORS)));
            let what = "second order: absent input tangent";
            assert_close(what, &absent, &expected, ROUNDING);
        }
    }

    /// With all its own tangents of parameters.
    fn with<'a>(&'a self, inputs: &'a [Option<&'a Tensor>]) -> Tangent<'a> {
        Tangent {
            inputs,
            parameters: &self.dparameters,
        }
    }

    /// ẏ of the whole block.
    fn tangent(&self) -> Option<Tensor> {
        self.jvp(self.with(&present(&self.dinputs)))
    }

    fn check_block(&self) {
        let all = present(&self.dinputs);
        let forward = self.tangent().expect("a tangent");
        let backward = self.vjp(&self.inputs, &self.parameters, &self.cotangent);
        let second = self.second_order(self.with(&all), VECTORS);
        for index in 0..VECTORS {
            let one = |block: &Tensor, axis| {
                let one = vector(block, index, axis).unsqueeze(axis);
                one.expect("a block of one")
            };
            let cotangent = one(&self.cotangent, 1);
            let dinputs: Vec<Tensor> = self.dinputs.iter().map(|d| one(d, 1)).collect();
            let dparameters: Vec<Tensor> = self.dparameters.iter().map(|d| one(d, 0)).collect();
            let tangent = Tangent {
                inputs: &present(&dinputs),
                parameters: &dparameters,
            };
            let together = values(&vector(&forward, index, 1));
            let alone = values(&self.jvp(tangent).expect("a tangent"));
            assert_close("jvp: block and single", &together, &alone, ROUNDING);
            let alone = self.vjp(&self.inputs, &self.parameters, &cotangent);
            for (what, block, single) in [
                ("vjp: block and single", &backward, alone),
                (
                    "second order: block and single",
                    &second,
                    self.second_order(tangent, 1),
                ),
            ] {
                let together = self.flat_cotangent(block, index);
                let alone = self.flat_cotangent(&single, 0);
                assert_close(what, &together, &alone, ROUNDING);
            }
        }
    }

    /// Starts the sums at one instead of zero: everything must come out one larger.
    fn check_accumulation(&self) {
        let (_, saved) = self.forward(&self.inputs, &self.parameters);
        let at = self.point(&self.parameters, &saved);
        let ones = self.sums(VECTORS, 1.0);
        let added = self.layer.vjp_parameters(at, &self.cotangent, &ones);
        added.expect("vjp of the parameters");
        let from_zero = self.vjp(&self.inputs, &self.parameters, &self.cotangent);
        let (count, all) = (self.inputs.len(), present(&self.dinputs));
        check_one_larger("vjp: sums are added to", &ones, &from_zero[count..]);
        let SecondOrder::Terms(rule) = self.layer.second_order() else {
            return;
        };
        let from_zero = self.second_order(self.with(&all), VECTORS);
        // Which of the inputs' terms are wanted must not change the others.
        for choice in 0..1 << count {
            let (inputs, sums) = (self.input_sums(VECTORS, 1.0), self.sums(VECTORS, 1.0));
            let is_wanted = |input: &usize| choice & (1 << input) != 0;
            let wanted = (0..count).map(|input| is_wanted(&input).then_some(&inputs[input]));
            let wanted: Vec<Option<&Tensor>> = wanted.collect();
            rule.add_terms(at, &self.primal, self.with(&all), &sums, &wanted)
                .expect("second order");
            let what = "second order: sums are added to";
            check_one_larger(what, &sums, &from_zero[count..]);
            for input in (0..count).filter(is_wanted) {
                check_one_larger(what, &inputs[input..=input], &from_zero[input..=input]);
            }
        }
    }

    /// The backward sweep adds to a fresh x̄ in place, which nothing else may see.
    fn check_fresh(&self) {
        let (_, saved) = self.forward(&self.inputs, &self.parameters);
        let at = self.point(&self.parameters, &saved);
        for input in 0..self.inputs.len() {
            let vjp = || {
                let rule = self.layer.vjp_input(at, input, &self.cotangent);
                rule.expect("vjp of the input")
            };
            let before = values(&vjp().into_tensor());
            if let Cotangent::Fresh(tensor) = vjp() {
                let zeros = tensor.zeros_like().expect("zeros");
                tensor.slice_set(&zeros, 0, 0).expect("a tensor to change");
            }
            let after = values(&vjp().into_tensor());
            assert_eq!(after, before, "vjp: the input cotangent shares memory");
        }
    }
}

/// All of them there.
fn present(tensors: &[Tensor]) -> Vec<Option<&Tensor>> {
    tensors.iter().map(Some).collect()
}

fn check_one_larger(what: &str, larger: &[Tensor], smaller: &[Tensor]) {
    let expected: Vec<f64> = concatenated(smaller).iter().map(|x| x + 1.0).collect();
    assert_close(what, &concatenated(larger), &expected, ROUNDING);
}

fn products(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}
