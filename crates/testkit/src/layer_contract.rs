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

use std::iter::once;

use candle_core::Tensor;
use flatness_layers::{Layer, SecondOrder, Tangent};

use crate::{assert_close, assert_small, finite_difference, values};
use case::{Case, EXAMPLES, VECTORS, concatenated, flat_cotangent, vector};

/// Step of the differences: the elements of a maximum's window are further apart. With functions of
/// order one truncation and rounding are below 1e-11.
const STEP: f64 = 1e-4;
/// Against differences: a hundred times their own error, for sums over some dozens of terms.
const DIFFERENCES: f64 = 1e-9;
/// Between exact rules: rounding of sums of some dozens of terms.
const ROUNDING: f64 = 1e-13;

/// Checks `layer` on inputs of `input_shape` (one example) at Gaussian parameters and inputs from
/// `seed`.
pub fn check_layer(layer: &dyn Layer, input_shape: &[usize], seed: u64) {
    if layer.batch_norm().is_none() {
        Case::new(layer, input_shape, seed).check_independence();
    }
    check_rules(layer, input_shape, seed);
}

/// As [`check_layer`], for a layer in which the place of an example in its batch matters.
pub fn check_rules(layer: &dyn Layer, input_shape: &[usize], seed: u64) {
    let case = Case::new(layer, input_shape, seed);
    case.check_shape();
    case.check_jvp();
    case.check_vjp();
    case.check_second_order();
    case.check_absent_tangent();
    case.check_block();
    case.check_accumulation();
    case.check_fresh();
}

impl Case<'_> {
    fn check_shape(&self) {
        let (y, _) = self.forward(&self.x, &self.parameters);
        let announced = self.primal.dims();
        assert_eq!(
            y.dims(),
            announced,
            "output_shape: not the shape of forward"
        );
    }

    fn check_independence(&self) {
        let (y, _) = self.forward(&self.x, &self.parameters);
        for example in 0..EXAMPLES {
            let alone = self.x.narrow(0, example, 1).expect("one example");
            let (alone, _) = self.forward(&alone, &self.parameters);
            let row = y.narrow(0, example, 1).expect("one example");
            let what = "forward: a batch and its examples";
            assert_close(what, &values(&row), &values(&alone), ROUNDING);
        }
    }

    fn check_jvp(&self) {
        let block = self
            .jvp(self.tangent())
            .expect("a tangent behind a tangent");
        assert_eq!(block.dims(), self.cotangent.dims(), "jvp: shape");
        for index in 0..VECTORS {
            let forward =
                |x: &Tensor, parameters: &[Tensor]| values(&self.forward(x, parameters).0);
            let expected = self.differences(forward, index);
            let got = values(&vector(&block, index, 1));
            assert_close("jvp: differences of forward", &got, &expected, DIFFERENCES);
        }
    }

    fn check_vjp(&self) {
        let forward = self
            .jvp(self.tangent())
            .expect("a tangent behind a tangent");
        let backward = self.vjp(&self.x, &self.parameters, &self.cotangent);
        let dims = backward[0].dims();
        assert_eq!(dims, self.dx.dims(), "vjp: shape of the input cotangent");
        for index in 0..VECTORS {
            let [cotangent, tangent] =
                [&self.cotangent, &forward].map(|block| values(&vector(block, index, 1)));
            let left = products(&cotangent, &tangent);
            let right = products(&flat_cotangent(&backward, index), &self.flat_tangent(index));
            // The sums may cancel, their terms do not.
            let magnitude: f64 = left.iter().chain(&right).map(|product| product.abs()).sum();
            let apart = left.iter().sum::<f64>() - right.iter().sum::<f64>();
            assert_small("vjp: adjoint of the jvp", &[apart], ROUNDING * magnitude);
        }
    }

    fn check_second_order(&self) {
        let block = self.second_order(self.tangent(), VECTORS);
        let primal = self.primal.unsqueeze(1).expect("a block of one");
        for index in 0..VECTORS {
            let vjp = |x: &Tensor, parameters: &[Tensor]| {
                flat_cotangent(&self.vjp(x, parameters, &primal), 0)
            };
            let expected = self.differences(vjp, index);
            let got = flat_cotangent(&block, index);
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
        function: impl Fn(&Tensor, &[Tensor]) -> Vec<f64>,
        index: usize,
    ) -> Vec<f64> {
        let at = |flat: &[f64]| {
            let (x, parameters) = self.unflatten(flat);
            function(&x, &parameters)
        };
        finite_difference::directional(at, &self.flat_point(), &self.flat_tangent(index), STEP)
    }

    fn check_absent_tangent(&self) {
        let zero = self.dx.zeros_like().expect("zeros");
        let with = |input| Tangent {
            input,
            parameters: &self.dparameters,
        };
        let expected = values(&self.jvp(with(Some(&zero))).expect("a tangent"));
        let what = "jvp: absent input tangent";
        match self.jvp(with(None)) {
            Some(absent) => assert_close(what, &values(&absent), &expected, ROUNDING),
            None => assert_small(what, &expected, 0.0),
        }
        let [absent, expected] =
            [None, Some(&zero)].map(|input| concatenated(&self.second_order(with(input), VECTORS)));
        let what = "second order: absent input tangent";
        assert_close(what, &absent, &expected, ROUNDING);
    }

    fn check_block(&self) {
        let forward = self.jvp(self.tangent()).expect("a tangent");
        let backward = self.vjp(&self.x, &self.parameters, &self.cotangent);
        let second = self.second_order(self.tangent(), VECTORS);
        for index in 0..VECTORS {
            let one = |block: &Tensor, axis| {
                let one = vector(block, index, axis).unsqueeze(axis);
                one.expect("a block of one")
            };
            let (dx, cotangent) = (one(&self.dx, 1), one(&self.cotangent, 1));
            let dparameters: Vec<Tensor> = self.dparameters.iter().map(|d| one(d, 0)).collect();
            let tangent = Tangent {
                input: Some(&dx),
                parameters: &dparameters,
            };
            let together = values(&vector(&forward, index, 1));
            let alone = values(&self.jvp(tangent).expect("a tangent"));
            assert_close("jvp: block and single", &together, &alone, ROUNDING);
            let alone = self.vjp(&self.x, &self.parameters, &cotangent);
            for (what, block, single) in [
                ("vjp: block and single", &backward, alone),
                (
                    "second order: block and single",
                    &second,
                    self.second_order(tangent, 1),
                ),
            ] {
                let (together, alone) = (flat_cotangent(block, index), flat_cotangent(&single, 0));
                assert_close(what, &together, &alone, ROUNDING);
            }
        }
    }

    /// Starts the sums at one instead of zero: everything must come out one larger.
    fn check_accumulation(&self) {
        let (_, saved) = self.forward(&self.x, &self.parameters);
        let at = self.point(&self.parameters, &saved);
        let ones = self.sums(VECTORS, 1.0);
        let added = self.layer.vjp_parameters(at, &self.cotangent, &ones);
        added.expect("vjp of the parameters");
        let from_zero = self.vjp(&self.x, &self.parameters, &self.cotangent);
        check_one_larger("vjp: sums are added to", &ones, &from_zero[1..]);
        if let SecondOrder::Terms(rule) = self.layer.second_order() {
            let from_zero = self.second_order(self.tangent(), VECTORS);
            let ones = self.sums(VECTORS, 1.0);
            let input = self.dx.ones_like().expect("ones");
            rule.add_terms(at, &self.primal, self.tangent(), &ones, Some(&input))
                .expect("second order");
            let all: Vec<Tensor> = once(input).chain(ones).collect();
            check_one_larger("second order: sums are added to", &all, &from_zero);
            // Whether the input's term is wanted must not change the parameters'.
            let alone = self.sums(VECTORS, 1.0);
            rule.add_terms(at, &self.primal, self.tangent(), &alone, None)
                .expect("second order");
            let what = "second order: without an input sum";
            check_one_larger(what, &alone, &from_zero[1..]);
        }
    }

    /// The backward sweep adds second-order terms to x̄ in place, which nothing else may see.
    fn check_fresh(&self) {
        if let SecondOrder::Terms(_) = self.layer.second_order() {
            let (_, saved) = self.forward(&self.x, &self.parameters);
            let at = self.point(&self.parameters, &saved);
            let vjp = || {
                let input = self.layer.vjp_input(at, &self.cotangent);
                input.expect("vjp of the input")
            };
            let (input, before) = (vjp(), values(&vjp()));
            let zeros = input.zeros_like().expect("zeros");
            input.slice_set(&zeros, 0, 0).expect("a tensor to change");
            let after = values(&vjp());
            assert_eq!(after, before, "vjp: the input cotangent shares memory");
        }
    }
}

fn check_one_larger(what: &str, larger: &[Tensor], smaller: &[Tensor]) {
    let expected: Vec<f64> = concatenated(smaller).iter().map(|x| x + 1.0).collect();
    assert_close(what, &concatenated(larger), &expected, ROUNDING);
}

fn products(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}
