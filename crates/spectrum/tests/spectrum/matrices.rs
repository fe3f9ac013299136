//! Matrices with a chosen spectrum, A = U Λ Uᵀ with a random orthogonal U, and the same matrices as
//! operators. All of it is nalgebra in float64; nothing here uses the crate under test.

use candle_core::{DType, Device, Tensor};
use flatness_operator::{LinearOperator, from_fn};
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub(crate) struct Matrix {
    pub(crate) name: &'static str,
    /// The eigenvalues chosen, in descending order.
    pub(crate) eigenvalues: Vec<f64>,
    /// Column i is the eigenvector of eigenvalue i.
    pub(crate) eigenvectors: DMatrix<f64>,
    pub(crate) entries: DMatrix<f64>,
}

impl Matrix {
    pub(crate) fn new(name: &'static str, mut eigenvalues: Vec<f64>) -> Self {
        eigenvalues.sort_by(|left, right| right.total_cmp(left));
        let dim = eigenvalues.len();
        let mut rng = ChaCha8Rng::seed_from_u64(2020);
        let gaussian: DMatrix<f64> = DMatrix::from_fn(dim, dim, |_, _| rng.sample(StandardNormal));
        let eigenvectors = gaussian.qr().q();
        let scaled = DMatrix::from_fn(dim, dim, |row, column| {
            eigenvectors[(row, column)] * eigenvalues[column]
        });
        let product: DMatrix<f64> = scaled * eigenvectors.transpose();
        let entries = 0.5 * (&product + product.transpose());
        Self {
            name,
            eigenvalues,
            eigenvectors,
            entries,
        }
    }

    /// Of the eigenvalues `formula(0)`, `formula(1)`, …
    pub(crate) fn by(name: &'static str, dim: u32, formula: impl Fn(f64) -> f64) -> Self {
        Self::new(name, (0..dim).map(|i| formula(f64::from(i))).collect())
    }

    pub(crate) fn dim(&self) -> usize {
        self.eigenvalues.len()
    }

    pub(crate) fn norm(&self) -> f64 {
        largest(&self.eigenvalues)
    }

    pub(crate) fn sum(&self, function: impl Fn(f64) -> f64) -> f64 {
        self.eigenvalues.iter().map(|&value| function(value)).sum()
    }

    /// Σ λ and Σ λ².
    pub(crate) fn moments(&self) -> [f64; 2] {
        [self.sum(|value| value), self.sum(|value| value * value)]
    }

    /// How far the nearest eigenvalue is.
    pub(crate) fn distance(&self, value: f64) -> f64 {
        let distances = self.eigenvalues.iter().map(|one| (one - value).abs());
        distances.fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn operator(&self, dtype: DType) -> impl LinearOperator + use<> {
        dense(&tensor(&self.entries).to_dtype(dtype).unwrap())
    }

    /// The entries as they are in `dtype`.
    pub(crate) fn rounded(&self, dtype: DType) -> DMatrix<f64> {
        matrix(&tensor(&self.entries).to_dtype(dtype).unwrap())
    }

    /// The matrix with `defect` added to an entry and taken off its mirror image: the entries, and the products.
    pub(crate) fn skewed(&self, defect: f64) -> (DMatrix<f64>, impl LinearOperator + use<>) {
        let mut entries = self.entries.clone();
        entries[(3, 17)] += defect;
        entries[(17, 3)] -= defect;
        let operator = dense(&tensor(&entries));
        (entries, operator)
    }

    /// f(A) by the eigenvectors the matrix was built from.
    pub(crate) fn function(&self, function: impl Fn(f64) -> f64) -> DMatrix<f64> {
        let scaled = DMatrix::from_fn(self.dim(), self.dim(), |row, column| {
            self.eigenvectors[(row, column)] * function(self.eigenvalues[column])
        });
        scaled * self.eigenvectors.transpose()
    }
}

/// The largest |value|.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()))
}

/// The density of a normal distribution of deviation `sigma` at `t`.
pub(crate) fn gaussian_kernel(t: f64, sigma: f64) -> f64 {
    (-0.5 * (t / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt())
}

/// 1 or −1 where every third number is negative.
pub(crate) fn third_negative(index: usize) -> f64 {
    if index % 3 == 1 { -1.0 } else { 1.0 }
}

/// Spectra of the kinds that break eigensolvers, plus one of a Hessian's shape.
pub(crate) fn cases() -> Vec<Matrix> {
    let ramp = |count: usize, low: f64, high: f64| {
        (0..count).map(move |i| low + (high - low) * i as f64 / (count - 1) as f64)
    };
    vec![
        Matrix::new("well separated", ramp(40, 1.0, 40.0).collect()),
        Matrix::new("indefinite", ramp(60, -3.0, 5.0).collect()),
        Matrix::new(
            "clustered",
            ramp(30, 1.0, 1.0 + 1e-7)
                .chain(ramp(30, 5.0, 5.0 + 1e-7))
                .collect(),
        ),
        Matrix::by("condition 1e12", 60, |i| 10.0_f64.powf(-12.0 * i / 59.0)),
        Matrix::new(
            "outliers over a bulk",
            [100.0, 60.0, 30.0, -10.0]
                .into_iter()
                .chain(ramp(96, -0.1, 0.5))
                .collect(),
        ),
        Matrix::new("tiny", ramp(30, -1e-30, 3e-30).collect()),
        Matrix::new("large", ramp(30, -1e30, 3e30).collect()),
    ]
}

/// The case of that name.
pub(crate) fn case(name: &str) -> Matrix {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

/// A spectrum of three repeated eigenvalues, whose Krylov spaces end after three steps.
pub(crate) fn repeated() -> Matrix {
    Matrix::new(
        "repeated",
        [[5.0; 10].as_slice(), &[1.0; 13], &[-3.0; 7]].concat(),
    )
}

/// Matrices whose Krylov spaces end early, with the number of steps after which they do.
pub(crate) fn ending() -> [(Matrix, usize); 6] {
    let mut low_rank = vec![0.0; 60];
    low_rank[..5].copy_from_slice(&[9.0, 4.0, 1.0, -1.0, -6.0]);
    [
        (repeated(), 3),
        (Matrix::new("rank 5", low_rank), 6),
        (Matrix::new("identity", vec![1.0; 20]), 1),
        (Matrix::new("zero", vec![0.0; 20]), 1),
        (Matrix::new("two by two", vec![3.0, -4.0]), 2),
        (Matrix::new("one by one", vec![-7.0]), 1),
    ]
}

pub(crate) fn tensor(matrix: &DMatrix<f64>) -> Tensor {
    let transposed = matrix.transpose();
    let shape = (matrix.nrows(), matrix.ncols());
    Tensor::from_slice(transposed.as_slice(), shape, &Device::Cpu).unwrap()
}

pub(crate) fn matrix(tensor: &Tensor) -> DMatrix<f64> {
    let (rows, columns) = tensor.dims2().unwrap();
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    let entries = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    DMatrix::from_row_slice(rows, columns, &entries)
}

/// The operator of a matrix (dim, dim).
pub(crate) fn dense(matrix: &Tensor) -> impl LinearOperator + use<> {
    let transposed = matrix.t().unwrap().contiguous().unwrap();
    let apply = move |block: &Tensor| block.matmul(&transposed);
    custom(matrix.dims()[0], matrix.dtype(), apply)
}

/// A diagonal operator: its products are exact to rounding in any block, and a large one is cheap.
pub(crate) fn diagonal(entries: &[f64], dtype: DType) -> impl LinearOperator + use<> {
    let (dim, entries) = (entries.len(), vector(entries, dtype));
    custom(dim, dtype, move |block: &Tensor| {
        block.broadcast_mul(&entries)
    })
}

pub(crate) fn vector(entries: &[f64], dtype: DType) -> Tensor {
    let tensor = Tensor::new(entries, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

/// The identity, where only the space it acts on matters.
pub(crate) fn identity(dim: usize, dtype: DType) -> impl LinearOperator + use<> {
    diagonal(&vec![1.0; dim], dtype)
}

/// Any function of a block as an operator of dimension `dim`, to break the promises with.
pub(crate) fn custom(
    dim: usize,
    dtype: DType,
    apply: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> impl LinearOperator {
    from_fn(dim, dtype, &Device::Cpu, apply)
}
