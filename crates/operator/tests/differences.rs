//! Differences of the gradient of f = Σ aᵢ xᵢ⁴ / 4 + ½ xᵀ M x, whose Hessian is diag(3 a x²) + M.

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Error, GradientDifferences, LinearOperator};

const A: [f64; 3] = [0.3, -1.0, 2.0];
const M: [[f64; 3]; 3] = [[2.0, 0.5, 0.0], [0.5, -1.0, 0.25], [0.0, 0.25, 3.0]];
const X: [f64; 3] = [1.0, -2.0, 0.5];

fn gradient(x: &Tensor) -> candle_core::Result<Tensor> {
    let like = |values: Tensor| values.to_dtype(x.dtype());
    let quartic = (like(Tensor::new(&A, &Device::Cpu)?)? * x.powf(3.0)?)?;
    let quadratic = like(Tensor::new(&M, &Device::Cpu)?)?.matmul(&x.unsqueeze(1)?)?;
    quartic + quadratic.squeeze(1)?
}

fn exact(v: &[f64]) -> Vec<f64> {
    let row = |i: usize| {
        let linear: f64 = M[i].iter().zip(v).map(|(m, v)| m * v).sum();
        linear + 3.0 * A[i] * X[i] * X[i] * v[i]
    };
    (0..3).map(row).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn products_are_within_the_stated_errors() {
    let v = [0.6, -0.8, 0.0];
    for (dtype, steps) in [
        (DType::F64, [1e-5, 1e-2, 0.3]),
        (DType::F32, [1e-2, 0.1, 0.5]),
    ] {
        let theta = Tensor::new(&X, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let vector = Tensor::new(&v, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let own = GradientDifferences::new(&theta, gradient).unwrap();
        let others = steps.map(|step| own.clone().with_step(step));
        for hessian in [own].into_iter().chain(others) {
            let product = hessian
                .apply(&vector)
                .unwrap()
                .to_dtype(DType::F64)
                .unwrap();
            let wrong = distance(&product.to_vec1().unwrap(), &exact(&v));
            let error = hessian.error(&vector).unwrap();
            // The truncation of a quartic is h² and nothing more; that of rounding is an order of magnitude.
            let stated = 1.01 * error.truncation + 10.0 * error.rounding;
            assert!(
                wrong <= stated,
                "{dtype:?} {}: {wrong} beyond {error:?}",
                hessian.step()
            );
            assert!(error.rounding > 0.0 && error.rounding == epsilon(dtype) * hessian.scale());
        }
    }
}

fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F64 {
        f64::EPSILON
    } else {
        f64::from(f32::EPSILON)
    }
}

#[test]
fn the_step_of_its_own_gives_five_digits_and_more() {
    let theta = Tensor::new(&X, &Device::Cpu).unwrap();
    let hessian = GradientDifferences::new(&theta, gradient).unwrap();
    let block = Tensor::new(&[[3.0, 0.0, -4.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let rows = hessian
        .apply_block(&block)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    let expected = exact(&[3.0, 0.0, -4.0]);
    assert!(
        distance(&rows[0], &expected) < 1e-8 * distance(&expected, &[0.0; 3]),
        "{rows:?}"
    );
    assert_eq!(rows[1], [0.0; 3]);
}

#[test]
fn gradients_of_another_shape_are_errors() {
    let theta = Tensor::new(&X, &Device::Cpu).unwrap();
    let shorter = |x: &Tensor| x.narrow(0, 0, 2);
    let error = GradientDifferences::new(&theta, shorter).err().unwrap();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
}
