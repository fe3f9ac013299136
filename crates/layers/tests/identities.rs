//! What must hold between J, G, H and A whatever their values: adjointness, symmetry, definiteness,
//! traces, ranks.

use candle_core::{Device, Tensor};
use flatness_layers::{
    Affine, Cotangent, Error, Graph, Layer, Loss, Network, Point, Product, SecondOrder,
    SecondOrderRule, Tangent, Tanh, Value, add_in_place,
};
use flatness_testkit::{
    Activation, Problem, assert_close, assert_matrices, assert_small, coupled_images, gaussian,
    independent_images, values,
};
use nalgebra::{DMatrix, DVector};

/// Sums of a few dozen products of order one.
const ROUNDING: f64 = 1e-13;
/// Eigenvalues below this fraction of the largest are rounding: dense symmetric solvers leave a few
/// ε.
const ZERO: f64 = 1e-13;

fn relu_networks() -> Vec<Problem> {
    [&[5, 4][..], &[4, 6, 3], &[3, 5, 4, 3]]
        .map(|widths| Problem::new(widths, Activation::Relu, Loss::CrossEntropy, 6, 3))
        .into()
}

fn problems(named: Vec<(String, Problem)>) -> impl Iterator<Item = Problem> {
    named.into_iter().map(|(_, problem)| problem)
}

/// Affine maps, convolutions, ReLU, pooling, skips and frozen batch-norm.
fn piecewise_linear_networks() -> Vec<Problem> {
    let images = problems(independent_images(4, 3));
    relu_networks().into_iter().chain(images).collect()
}

fn all_networks() -> Vec<Problem> {
    let relu = Activation::Relu;
    let mut networks = piecewise_linear_networks();
    networks.push(Problem::new(&[4, 6, 3], relu, Loss::SquaredError, 6, 3));
    for loss in [Loss::CrossEntropy, Loss::SquaredError] {
        networks.push(Problem::new(&[3, 5, 4, 3], Activation::Tanh, loss, 6, 3));
    }
    networks.extend(problems(coupled_images(4, 3)));
    networks
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn rank(matrix: &DMatrix<f64>) -> usize {
    let eigenvalues = matrix.clone().symmetric_eigenvalues();
    let largest = eigenvalues.amax();
    let is_nonzero = |value: &&f64| value.abs() > ZERO * largest;
    eigenvalues.iter().filter(is_nonzero).count()
}

/// diag(p) − p pᵀ, or 1 for squared error.
fn loss_hessian(loss: Loss, p: &DVector<f64>) -> DMatrix<f64> {
    match loss {
        Loss::CrossEntropy | Loss::LabelSmoothing { .. } => {
            DMatrix::from_diagonal(p) - p * p.transpose()
        }
        Loss::SquaredError => DMatrix::identity(p.len(), p.len()),
        Loss::BinaryCrossEntropy | Loss::ClassWeights { .. } => {
            unreachable!("no network of these tests has it")
        }
    }
}

#[test]
fn the_transposed_jacobian_is_the_adjoint_of_the_jacobian() {
    for problem in all_networks() {
        let v = gaussian((1, problem.dim()), 31);
        let u = gaussian((problem.examples(), 1, problem.classes()), 32);
        let point = problem.linearize(&problem.theta);
        let forward = point.jacobian_product(&problem.split(&v)).unwrap();
        let sums = problem.zeros(1);
        point.add_transposed_jacobian_product(&u, &sums).unwrap();
        let left = dot(&values(&u), &values(&forward));
        let right = dot(&problem.joined(&sums), &values(&v));
        assert_close("⟨u, J v⟩ = ⟨Jᵀ u, v⟩", &[right], &[left], ROUNDING);
    }
}

#[test]
fn hessian_and_gauss_newton_are_symmetric_and_gauss_newton_is_positive_semidefinite() {
    for problem in all_networks() {
        for matrix in [problem.hessian(), problem.gauss_newton()] {
            assert_matrices("symmetry", &matrix, &matrix.transpose(), ROUNDING);
        }
        let eigenvalues = problem.gauss_newton().symmetric_eigenvalues();
        assert!(eigenvalues.min() >= -ZERO * eigenvalues.max());
        let vectors = gaussian((5, problem.dim()), 33);
        let products = problem.gauss_newton_product(&vectors);
        let vectors = values(&vectors);
        let rows = vectors.chunks(problem.dim());
        for (v, g) in rows.zip(products.chunks(problem.dim())) {
            assert!(dot(v, g) > 0.0, "a random vector is not in the kernel");
        }
    }
}

#[test]
fn gauss_newton_is_the_sum_of_jt_a_j() {
    for problem in all_networks() {
        let mut expected = DMatrix::zeros(problem.dim(), problem.dim());
        for (jacobian, p) in problem.jacobians().iter().zip(problem.probabilities()) {
            expected += jacobian.transpose() * loss_hessian(problem.loss, &p) * jacobian;
        }
        assert_matrices("G = Σ Jᵀ A J", &problem.gauss_newton(), &expected, ROUNDING);
    }
}

/// The logits are affine in each layer's own parameters, so R = H − G has zero diagonal blocks:
/// every path from the input passes a layer once, skips or not.
#[test]
fn piecewise_linear_networks_have_equal_traces_and_no_residual_inside_a_layer() {
    for problem in piecewise_linear_networks() {
        let (hessian, gauss_newton) = (problem.hessian(), problem.gauss_newton());
        let traces = [&hessian, &gauss_newton].map(|matrix| [matrix.trace()]);
        assert_close("Tr H = Tr G", &traces[0], &traces[1], ROUNDING);
        let residual = hessian - &gauss_newton;
        let bound = ROUNDING * gauss_newton.amax();
        assert_small("diagonal of R", residual.diagonal().as_slice(), bound);
        let layers = problem.layers();
        for (name, range) in &layers {
            let (start, size) = (range.start, range.len());
            let block = residual.view((start, start), (size, size)).into_owned();
            assert_small(name, block.as_slice(), bound);
        }
        // One layer: R = 0. More: it is there, outside the blocks.
        let deep = layers.len() > 1;
        assert_eq!(residual.amax() > 1e-3 * gauss_newton.amax(), deep);
    }
}

#[test]
fn tanh_networks_have_a_residual_on_the_diagonal() {
    let problem = Problem::new(&[4, 6, 3], Activation::Tanh, Loss::CrossEntropy, 6, 3);
    let (hessian, gauss_newton) = (problem.hessian(), problem.gauss_newton());
    let apart = (hessian.trace() - gauss_newton.trace()).abs();
    assert!(apart > 1e-3 * gauss_newton.trace(), "{apart}");
}

#[test]
fn a_block_of_vectors_equals_its_vectors_one_by_one() {
    for problem in all_networks() {
        let vectors = gaussian((3, problem.dim()), 34);
        for product in [Problem::hessian_product, Problem::gauss_newton_product] {
            let single = |row| product(&problem, &vectors.narrow(0, row, 1).unwrap());
            let single: Vec<f64> = (0..3).flat_map(single).collect();
            // The order of a sum may depend on the number of columns: rounding.
            assert_close("block", &product(&problem, &vectors), &single, 1e-14);
        }
    }
}

#[test]
fn products_and_gradients_are_added_to_the_sums() {
    let problem = &all_networks()[1];
    let sums = problem.zeros(1);
    let v = gaussian((1, problem.dim()), 35);
    let (vector, point) = (problem.split(&v), problem.linearize(&problem.theta));
    point.add_gradient(&sums).unwrap();
    point.add_gauss_newton_product(&vector, &sums).unwrap();
    let curved = point.with_cotangents().unwrap();
    curved.add_hessian_product(&vector, &sums).unwrap();
    let parts = [
        problem.gradient(&problem.theta),
        problem.hessian_product(&v),
        problem.gauss_newton_product(&v),
    ];
    let expected: Vec<f64> = (0..problem.dim())
        .map(|i| parts.iter().map(|part| part[i]).sum())
        .collect();
    assert_close("sum", &problem.joined(&sums), &expected, ROUNDING);
}

/// Softmax regression with inputs of its own.
fn regression(inputs: &DMatrix<f64>, classes: usize, seed: u64) -> Problem {
    let (examples, features) = inputs.shape();
    let (widths, loss) = ([features, classes], Loss::CrossEntropy);
    let problem = Problem::new(&widths, Activation::Relu, loss, examples, seed);
    let row_major = inputs.transpose();
    let inputs = Tensor::from_slice(row_major.as_slice(), (examples, features), &Device::Cpu);
    Problem {
        inputs: inputs.unwrap(),
        ..problem
    }
}

fn random_matrix(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    DMatrix::from_vec(rows, columns, values(&gaussian((rows, columns), seed)))
}

fn augmented(inputs: &DMatrix<f64>) -> DMatrix<f64> {
    inputs.clone().insert_column(inputs.ncols(), 1.0)
}

/// H = Σ Aᵢ ⊗ xᵢ xᵢᵀ with x augmented by 1; entry ((c, k), (d, l)) is A_cd x_k x_l. The flat vector
/// holds the weights (C, D) first and then the biases (C).
#[test]
fn the_hessian_of_softmax_regression_is_its_closed_form() {
    for (examples, features, classes) in [(6, 4, 3), (3, 5, 2), (9, 1, 4)] {
        let inputs = random_matrix(examples, features, 41);
        let problem = regression(&inputs, classes, 42);
        let position = |class: usize, feature: usize| {
            if feature < features {
                class * features + feature
            } else {
                classes * features + class
            }
        };
        let rows = augmented(&inputs);
        let mut expected = DMatrix::zeros(problem.dim(), problem.dim());
        for (example, p) in problem.probabilities().iter().enumerate() {
            let (a, x) = (loss_hessian(Loss::CrossEntropy, p), rows.row(example));
            let blocks = a.kronecker(&(x.transpose() * x));
            let width = features + 1;
            let place = |i: usize| position(i / width, i % width);
            for i in 0..classes * width {
                for j in 0..classes * width {
                    expected[(place(i), place(j))] += blocks[(i, j)];
                }
            }
        }
        for got in [problem.hessian(), problem.gauss_newton()] {
            assert_matrices("closed form", &got, &expected, ROUNDING);
        }
    }
}

#[test]
fn the_hessian_of_softmax_regression_has_rank_classes_less_one_times_rank_of_the_inputs() {
    let tall = random_matrix(12, 4, 51);
    let wide = random_matrix(3, 6, 52);
    // A repeated feature, a constant one (the bias has it already), and every example twice.
    let repeated = tall.clone().insert_columns(4, 1, 0.0);
    let mut repeated = repeated.insert_columns(5, 1, 2.5);
    let copy = repeated.column(1).into_owned();
    repeated.set_column(4, &copy);
    let twice = DMatrix::from_fn(6, 6, |row, column| wide[(row / 2, column)]);
    for (inputs, input_rank) in [(tall, 5), (wide, 3), (repeated, 5), (twice, 3)] {
        assert_eq!(augmented(&inputs).rank(1e-10), input_rank);
        for classes in [2, 3, 5] {
            let problem = regression(&inputs, classes, 53);
            assert_eq!(rank(&problem.hessian()), (classes - 1) * input_rank);
        }
    }
}

#[test]
fn the_rank_of_gauss_newton_is_at_most_examples_times_classes_less_one() {
    // 83 parameters: far more than examples · (classes − 1), so that the bound is what limits the
    // rank.
    for examples in [1, 2, 4] {
        let widths = [5, 10, 3];
        let problem = Problem::new(&widths, Activation::Tanh, Loss::CrossEntropy, examples, 61);
        assert_eq!(rank(&problem.gauss_newton()), 2 * examples);
    }
}

/// Three affine maps of vectors of three elements, `names` those of their parameters, with tanh between them.
fn three_maps(names: [&str; 3]) -> Network {
    let mut graph = Graph::new(&[3]);
    let mut x = graph.input();
    for (place, name) in ["first", "second", "third"].into_iter().zip(names) {
        let [weight, bias] = ["weight", "bias"].map(|local| format!("{name}.{local}"));
        let map = Affine::new(3, 3);
        x = graph.tied(place, map, &[x], &[&weight, &bias]).unwrap();
        x = graph.layer("tanh", Tanh, x).unwrap();
    }
    graph.finish(x).unwrap()
}

/// A network with tied weights is one with separate weights at E θ: its gradient is Eᵀ g, its Hessian Eᵀ H E.
#[test]
fn tied_weights_are_separate_weights_that_move_together() {
    let tied = three_maps(["a", "b", "a"]);
    let tied = Problem::of(tied, Loss::CrossEntropy, 5, 71);
    let mut apart = Problem::of(three_maps(["a", "b", "c"]), Loss::CrossEntropy, 5, 71);
    let half = tied.dim() / 2;
    let expansion = DMatrix::from_fn(apart.dim(), tied.dim(), |row, column| {
        f64::from(u8::from(row % (2 * half) == column))
    });
    apart.theta = (&expansion * DVector::from_column_slice(&tied.theta))
        .as_slice()
        .to_vec();
    let gradient = DVector::from_vec(apart.gradient(&apart.theta));
    let expected = expansion.transpose() * gradient;
    let gradient = tied.gradient(&tied.theta);
    assert_close("gradient", &gradient, expected.as_slice(), ROUNDING);
    for [together, separate] in [
        [tied.hessian(), apart.hessian()],
        [tied.gauss_newton(), apart.gauss_newton()],
    ] {
        let expected = expansion.transpose() * separate * &expansion;
        assert_matrices("EᵀHE", &together, &expected, ROUNDING);
    }
}

/// y = a + b ⊙ b: its cotangent in a is ȳ itself, though it has second-order terms.
#[derive(Debug)]
struct PlusSquare;

impl Layer for PlusSquare {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = (inputs[0] + inputs[1].sqr()?)?;
        Ok((y, vec![inputs[1].clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (Some(da), Some(db)) = (tangent.inputs[0], tangent.inputs[1]) else {
            panic!("parameters stand before both");
        };
        let slope = (&at.saved[0] * 2.0)?.unsqueeze(1)?;
        Ok(Some((da + db.broadcast_mul(&slope)?)?))
    }

    fn vjp_input(&self, at: Point<'_>, input: usize, y: &Tensor) -> Result<Cotangent, Error> {
        if input == 0 {
            return Ok(Cotangent::Shared(y.clone()));
        }
        let slope = (&at.saved[0] * 2.0)?.unsqueeze(1)?;
        Ok(Cotangent::Fresh(y.broadcast_mul(&slope)?))
    }

    fn vjp_parameters(&self, _: Point<'_>, _: &Tensor, _: &[Tensor]) -> Result<(), Error> {
        Ok(())
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for PlusSquare {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let (Some(db), Some(sum)) = (tangent.inputs[1], input_sums[1]) {
            let bend = (cotangent * 2.0)?.unsqueeze(1)?;
            add_in_place(sum, &db.broadcast_mul(&bend)?)?;
        }
        Ok(())
    }
}

/// A cotangent that is shared stays what it is for whoever else holds it, though more is added for one of its holders.
#[test]
fn shared_cotangents_are_copied_before_they_are_added_to() {
    let network = |join: &dyn Fn(&mut Graph, Value, Value) -> Value| {
        let mut graph = Graph::new(&[3]);
        let x = graph.input();
        let beside = graph.layer("beside", Affine::new(3, 3), x).unwrap();
        let a = graph.layer("fc", Affine::new(3, 3), x).unwrap();
        // Adds to the cotangent of a after that of the sum was handed to both of its sides.
        let b = graph.layer("tanh", Tanh, a).unwrap();
        let joined = join(&mut graph, a, b);
        let sum = graph.add("sum", beside, joined).unwrap();
        let head = graph.layer("head", Affine::new(3, 3), sum).unwrap();
        graph.finish(head).unwrap()
    };
    let whole = network(&|graph, a, b| graph.join("join", PlusSquare, &[a, b]).unwrap());
    let parts = network(&|graph, a, b| {
        let square = graph.join("square", Product, &[b, b]).unwrap();
        graph.add("join", a, square).unwrap()
    });
    let [whole, parts] =
        [whole, parts].map(|network| Problem::of(network, Loss::CrossEntropy, 5, 81));
    assert_matrices("H", &whole.hessian(), &parts.hessian(), ROUNDING);
}
