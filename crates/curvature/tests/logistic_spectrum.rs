//! The whole Hessian spectrum of the 7,850-parameter logistic model on digits of the fixture,
//! against Lanczos.
//!
//! H = (1/N) Σ Aᵢ ⊗ xᵢ xᵢᵀ with x augmented by 1, and A = S Sᵀ with S = diag(√p) − p √pᵀ. So H = B
//! Bᵀ with the (7850, 10 N) matrix of blocks Sᵢ ⊗ xᵢ / √N, and its nonzero eigenvalues are those of
//!
//! ```text
//! Bᵀ B, blocks (i, j) = Sᵢᵀ Sⱼ (xᵢ · xⱼ) / N,     10 N × 10 N
//! ```
//!
//! which nalgebra decomposes; the other 7,850 − 9 N eigenvalues are zero. p comes from the model's
//! logits, by the textbook formula.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Selection, Settings};
use flatness_data::{Dataset, Divisible, EmbeddedMnist, Normalization, Set};
use flatness_layers::{Loss, Network, Workers};
use flatness_models::Architecture;
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Goal, MomentsSettings, Probe, Quadrature, QuadratureSettings, moments_until,
    quadrature_until,
};
use flatness_testkit::{assert_close, assert_small, gaussian, values};
use nalgebra::{DMatrix, DVector};

const CLASSES: usize = 10;
const PARAMETERS: usize = 7_850;

struct Model {
    network: Network,
    data: Dataset,
    workers: Workers,
    theta: Tensor,
}

impl Model {
    /// The first `examples` training digits, and θ after a few steps of gradient descent, so that p
    /// is neither uniform nor decided.
    fn trained(examples: usize) -> Self {
        let embedded = EmbeddedMnist {
            files: flatness_fixtures::MNIST,
            description: flatness_fixtures::DESCRIPTION,
        };
        let found = Set::Mnist.find(None, None, Some(embedded)).unwrap();
        let network = Architecture::find("logistic").unwrap();
        let network = network.network(&[1, 28, 28], CLASSES).unwrap();
        let theta = network.layout().initialize(0, DType::F64, &Device::Cpu);
        let mut model = Self {
            network,
            data: found
                .load(Normalization::mnist())
                .unwrap()
                .train
                .take(examples)
                .unwrap(),
            workers: Workers::new(2).unwrap(),
            theta: theta.unwrap(),
        };
        for _ in 0..10 {
            let gradient = model
                .mean_loss()
                .gradient(&model.theta, Selection::All)
                .unwrap()
                .1;
            model.theta = (&model.theta - (gradient * 0.01).unwrap()).unwrap();
        }
        model
    }

    fn mean_loss(&self) -> MeanLoss<'_> {
        let settings = Settings {
            dtype: DType::F64,
            device: Device::Cpu,
            batch_size: 64.min(self.data.len()),
        };
        let (network, data) = (&self.network, &self.data);
        MeanLoss::new(network, data, Loss::CrossEntropy, &self.workers, settings).unwrap()
    }

    /// Every eigenvalue that can differ from zero, 10 N of them, in descending order.
    fn dense_spectrum(&self) -> Vec<f64> {
        let n = self.data.len();
        let batch = self.data.batch(0..n, DType::F64, &Device::Cpu).unwrap();
        let views = self.network.layout().views(&self.theta).unwrap();
        let logits = self.network.forward(&views, &batch.inputs).unwrap();
        let factors: Vec<DMatrix<f64>> = (0..n)
            .map(|example| {
                let logits = DVector::from_vec(values(&logits.get(example).unwrap()));
                let p = logits.map(f64::exp);
                let p = &p / p.sum();
                let roots = p.map(f64::sqrt);
                DMatrix::from_diagonal(&roots) - p * roots.transpose()
            })
            .collect();
        let pixels = values(&batch.inputs);
        let x = DMatrix::from_row_slice(n, pixels.len() / n, &pixels).insert_column(784, 1.0);
        let inner = &x * x.transpose() / n as f64;
        let mut gram = DMatrix::zeros(CLASSES * n, CLASSES * n);
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let block = factors[i].tr_mul(&factors[j]) * inner[(i, j)];
            let place = (CLASSES * i, CLASSES * j);
            gram.view_mut(place, (CLASSES, CLASSES)).copy_from(&block);
        }
        let mut eigenvalues = gram.symmetric_eigenvalues().as_slice().to_vec();
        eigenvalues.sort_by(|a, b| b.total_cmp(a));
        eigenvalues
    }
}

/// Two Lanczos runs of at most so many steps.
fn lanczos(operator: &dyn LinearOperator, steps: usize, seed: u64) -> Quadrature {
    let settings = QuadratureSettings {
        probes: 2,
        steps,
        block: 2,
        bytes: None,
        probe: Probe::Gaussian,
        seed,
    };
    let (goal, budget) = (Goal::relative(0.1), Budget::UNLIMITED);
    let found = quadrature_until(operator, &settings, None, &[], &goal, &budget, &mut |_| ());
    found.unwrap().result
}

/// 20 digits: the Krylov space of a random vector closes after one step per distinct eigenvalue, so
/// Lanczos sees all of them.
#[test]
fn lanczos_run_to_its_end_finds_the_whole_spectrum_and_its_rank() {
    let model = Model::trained(20);
    let mean_loss = model.mean_loss();
    let curvature = mean_loss
        .curvature(&model.theta, Retention::Retain)
        .unwrap();
    let hessian = curvature.hessian();
    assert_eq!(hessian.dim(), PARAMETERS);
    let dense = model.dense_spectrum();
    let nonzero = dense
        .iter()
        .filter(|&&value| value > 1e-12 * dense[0])
        .count();
    assert_eq!(nonzero, (CLASSES - 1) * 20, "rank (C − 1) rank(X)");

    for rule in lanczos(&hessian, 300, 1).rules {
        assert!(rule.tridiagonal.is_none());
        // The nonzero ones, all distinct, and zero once; a few more where rounding passes for a new
        // direction.
        let steps = rule.nodes.len();
        assert!((nonzero + 1..nonzero + 10).contains(&steps), "{steps}");
        let (found, zeros) = rule.nodes.split_at(nonzero);
        assert_close("spectrum", found, &dense[..nonzero], 1e-12);
        assert_small("zeros", zeros, 1e-12 * dense[0]);
        assert!(rule.residuals.iter().all(|&one| one <= 1e-10 * dense[0]));
    }
}

/// 200 digits, rank 1,800: fewer steps than eigenvalues, so the largest ones converge and every
/// Ritz value keeps its bound.
#[test]
fn lanczos_cut_short_finds_the_largest_eigenvalues_within_its_bounds() {
    let model = Model::trained(200);
    let mean_loss = model.mean_loss();
    let curvature = mean_loss
        .curvature(&model.theta, Retention::Retain)
        .unwrap();
    let hessian = curvature.hessian();
    let dense = model.dense_spectrum();
    let nonzero = dense
        .iter()
        .filter(|&&value| value > 1e-12 * dense[0])
        .count();
    assert_eq!(nonzero, (CLASSES - 1) * 200, "rank (C − 1) rank(X)");

    let found = lanczos(&hessian, 80, 2);
    for rule in found.rules {
        assert!(rule.tridiagonal.is_some());
        let small = |residual: &&f64| **residual <= 1e-10 * rule.nodes[0];
        let converged = rule.residuals.iter().take_while(small).count();
        assert!(converged >= 10, "{converged}");
        let values = &rule.nodes[..converged];
        assert_close("largest", values, &dense[..converged], 1e-10);
        for (node, residual) in rule.nodes.iter().zip(&rule.residuals) {
            let distance = |value: f64| (node - value).abs();
            let nearest = dense
                .iter()
                .fold(distance(0.0), |d: f64, &value| d.min(distance(value)));
            // The dense eigenvalues are rounded too: in the reverse order of digits they are others by up to 1.3e-13.
            let bound = residual * (1.0 + 1e-6) + found.asymmetry + 2.3e-15 * dense[0];
            assert!(nearest <= bound, "{node}, {nearest:e}");
        }
    }

    let settings = MomentsSettings {
        probes: 64,
        block: 16,
        seed: 3,
    };
    let (goal, budget) = (Goal::relative(1e-9), Budget::of_products(64));
    let moments = moments_until(&hessian, &settings, None, &goal, &budget, &mut |_| ());
    let moments = moments.unwrap().result;
    let trace: f64 = dense.iter().sum();
    let squares: f64 = dense.iter().map(|value| value * value).sum();
    for (estimate, exact) in [(moments.trace, trace), (moments.frobenius_squared, squares)] {
        let error = (estimate.value - exact).abs();
        assert!(
            error <= 4.0 * estimate.standard_error,
            "{estimate:?}, {exact}"
        );
        assert!(
            estimate.standard_error <= 0.2 * exact,
            "{estimate:?}, {exact}"
        );
    }
}

/// Logits that are affine in θ have no curvature of their own.
#[test]
fn hessian_and_gauss_newton_of_logistic_regression_are_one() {
    let model = Model::trained(20);
    let mean_loss = model.mean_loss();
    let curvature = mean_loss
        .curvature(&model.theta, Retention::Retain)
        .unwrap();
    let vectors = gaussian((2, PARAMETERS), 4);
    let hessian = curvature.hessian().apply_block(&vectors).unwrap();
    let gauss_newton = curvature.gauss_newton().apply_block(&vectors).unwrap();
    assert_close("H = G", &values(&hessian), &values(&gauss_newton), 1e-14);
}
