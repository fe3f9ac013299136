//! Kernels of vectors of features: activations, affine maps, the loss at the logits.

use candle_core::{Device, Tensor};
use flatness_kernels::{Activation, add_in_place, affine, cross_entropy};
use flatness_testkit::{gaussian, labels};

use crate::comparison::Comparison;

pub(crate) fn activations(comparison: &mut Comparison, (b, v): (usize, usize)) {
    let x = gaussian((b, 3, 5), 1);
    let (block, cotangent) = (gaussian((b, v, 3, 5), 2), gaussian((b, 3, 5), 3));
    let operands = [x, cotangent, block.clone()];
    for activation in [Activation::Relu, Activation::Tanh, Activation::Softplus] {
        comparison.check(&format!("{activation:?}"), &operands, |t| {
            let (y, kept) = activation.evaluate(&t[0])?;
            let product = activation.slope_product(&kept, &t[2])?;
            let terms = activation.curvature_product(&kept, &t[1], &t[2])?;
            Ok([y, product].into_iter().chain(terms).collect())
        });
    }
    let addends = [gaussian((b, v, 3, 5), 4), block];
    comparison.check_sums("add_in_place", &addends, 1, |t| add_in_place(&t[1], &t[0]));
}

pub(crate) fn affine_maps(comparison: &mut Comparison, (b, v): (usize, usize)) {
    let (inputs, outputs) = (7, 5);
    let x = gaussian((b, inputs), 1);
    let (weight, bias) = (gaussian((outputs, inputs), 2), gaussian(outputs, 3));
    let dx = gaussian((b, v, inputs), 4);
    let dweight = gaussian((v, outputs, inputs), 5);
    let dbias = gaussian((v, outputs), 6);
    let (primal, cotangent) = (gaussian((b, outputs), 7), gaussian((b, v, outputs), 8));
    comparison.check("affine::forward", &[x.clone(), weight.clone(), bias], |t| {
        Ok(vec![affine::forward(&t[0], &t[1], &t[2])?])
    });
    let operands = [
        x.clone(),
        weight.clone(),
        dx.clone(),
        dweight.clone(),
        dbias.clone(),
    ];
    comparison.check("affine::tangent", &operands, |t| {
        Ok(vec![
            affine::tangent(&t[0], &t[1], Some(&t[2]), &t[3], &t[4])?,
            affine::tangent(&t[0], &t[1], None, &t[3], &t[4])?,
        ])
    });
    comparison.check(
        "affine::input_cotangent",
        &[weight, cotangent.clone()],
        |t| Ok(vec![affine::input_cotangent(&t[0], &t[1])?]),
    );
    comparison.check_sums(
        "affine::accumulate_cotangent",
        &[x, cotangent, dweight.clone(), dbias],
        2,
        |t| affine::accumulate_cotangent(&t[0], &t[1], &t[2], &t[3]),
    );
    comparison.check_sums(
        "affine::accumulate_second_order",
        &[primal.clone(), dx.clone(), dweight.clone()],
        1,
        |t| affine::accumulate_second_order(&t[0], &t[1], &t[2]),
    );
    comparison.check_sums("affine::add_second_order", &[primal, dweight, dx], 1, |t| {
        affine::add_second_order(&t[0], &t[1], &t[2])
    });
}

pub(crate) fn losses(comparison: &mut Comparison, (b, v): (usize, usize)) {
    let classes = 7;
    let logits = (gaussian((b, classes), 1) * 3.0).expect("a tensor");
    let operands = [logits, labels(b, 7, 2), gaussian((b, v, classes), 3)];
    comparison.check("cross_entropy::evaluate", &operands, |t| {
        let evaluation = cross_entropy::evaluate(&t[0], &t[1])?;
        let correct = cross_entropy::count_correct(&t[0], &t[1])?;
        let counts = [correct.first, correct.among_five].map(|count| count as f64);
        let numbers = [evaluation.loss_sum, counts[0], counts[1]];
        let numbers = Tensor::new(&numbers, &Device::Cpu)?;
        Ok(vec![numbers, evaluation.probabilities, evaluation.residual])
    });
    comparison.check("cross_entropy::hessian_product", &operands, |t| {
        let evaluation = cross_entropy::evaluate(&t[0], &t[1])?;
        let probabilities = &evaluation.probabilities;
        Ok(vec![cross_entropy::hessian_product(probabilities, &t[2])?])
    });
    comparison.check("cross_entropy::one_hot", &operands, |t| {
        Ok(vec![cross_entropy::one_hot(&t[1], classes, &t[0])?])
    });
}
