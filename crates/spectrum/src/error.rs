//! What can go wrong when a spectrum is measured.

use candle_core::DType;

/// Every failure of this crate.
///
/// Every method refuses an operator by [`UnsupportedDType`](Self::UnsupportedDType) and its products by
/// [`ProductMismatch`](Self::ProductMismatch) and [`NonFiniteProduct`](Self::NonFiniteProduct); one of Lanczos also
/// ends with [`NotSymmetric`](Self::NotSymmetric) or [`TridiagonalNotConverged`](Self::TridiagonalNotConverged).
/// The operator's own failures pass through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number that has to be positive is zero.
    #[error("{field} is 0; set it to at least 1")]
    Zero {
        /// The setting at fault.
        field: &'static str,
    },
    /// A standard error needs two probes or more.
    #[error("probes is {got}, but a standard error needs at least 2; ask for more probes")]
    TooFewProbes {
        /// Probes asked for.
        got: usize,
    },
    /// More vectors are asked for than the space has dimensions.
    #[error("{field} is {got}, but the operator has dimension {dim}; ask for at most {dim}")]
    BeyondDimension {
        /// The setting at fault.
        field: &'static str,
        /// The number asked for.
        got: usize,
        /// Dimension of the operator.
        dim: usize,
    },
    /// The basis cannot hold the eigenvectors asked for and room to improve them.
    #[error(
        "the basis holds {basis} vectors, but {wanted} eigenpairs in blocks of {block} need room for at least {needed}"
    )]
    BasisTooSmall {
        /// Vectors the basis may hold.
        basis: usize,
        /// Eigenpairs asked for.
        wanted: usize,
        /// Vectors per block.
        block: usize,
        /// The least number that works.
        needed: usize,
    },
    /// The vectors to be held take more memory than is allowed.
    #[error("{count} {vectors} take {needed} bytes, but {allowed} are allowed; {fits} would fit")]
    TooLarge {
        /// Vectors to be held.
        count: usize,
        /// What they are.
        vectors: &'static str,
        /// Bytes they would take, with the vectors at work.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
        /// The largest number within the bytes allowed; 0 if the vectors at work alone do not fit.
        fits: usize,
    },
    /// The budget ends before the first number.
    #[error("the budget is {products} products, but the first result takes {needed}; raise it")]
    BudgetTooSmall {
        /// Products allowed.
        products: usize,
        /// Products the first result takes.
        needed: usize,
    },
    /// The caller interrupted before the first number.
    #[error("interrupted after {products} products, before there was a result; allow it more time")]
    Interrupted {
        /// Products made.
        products: usize,
    },
    /// The same product came out differently the second time.
    #[error(
        "the operator is not deterministic: the same product of {rows} vectors twice differs by up to {difference:e} \
         (entry {entry}), against a largest entry of {largest:e}; look for dropout, data augmentation, fresh random \
         numbers or sums whose order depends on threads"
    )]
    NotDeterministic {
        /// Vectors in the block.
        rows: usize,
        /// The largest difference.
        difference: f64,
        /// Where it is, in the block read row by row.
        entry: usize,
        /// The largest absolute entry of the product.
        largest: f64,
    },
    /// A row of a block product depends on the other rows.
    #[error(
        "the operator's products depend on the block: A v alone and in a block of two differ by {difference:e}, \
         against a norm of {norm:e}; multiply one vector at a time, or correct `apply_block`"
    )]
    BlockDependent {
        /// ‖difference‖.
        difference: f64,
        /// ‖A v‖.
        norm: f64,
    },
    /// uᵀ A v and vᵀ A u differ by more than rounding explains.
    #[error(
        "the operator is not symmetric: uᵀ A v = {left:e} and vᵀ A u = {right:e} differ by more than {tolerance:e}; \
         check that its forward and backward rules match"
    )]
    Asymmetric {
        /// uᵀ A v
        left: f64,
        /// vᵀ A u
        right: f64,
        /// The largest difference that would have passed as rounding.
        tolerance: f64,
    },
    /// A real-valued setting is outside its range.
    #[error("{field} is {got}; set it to a finite number {expected}")]
    OutOfRange {
        /// The setting at fault.
        field: &'static str,
        /// The range in words.
        expected: &'static str,
        /// The value found.
        got: f64,
    },
    /// The operator's element type has no machine epsilon to measure errors against.
    #[error(
        "the operator works in {got:?}, but a spectrum needs F32 or F64; convert the operator first"
    )]
    UnsupportedDType {
        /// The operator's element type.
        got: DType,
    },
    /// The operator returned a product of another shape or element type than the block it was
    /// given.
    #[error(
        "the operator returned a product of shape {got:?} and dtype {got_dtype:?} for a block of shape {expected:?} \
         and dtype {expected_dtype:?}; correct its `apply_block`"
    )]
    ProductMismatch {
        /// Shape of the block multiplied.
        expected: Vec<usize>,
        /// Element type of the block multiplied.
        expected_dtype: DType,
        /// Shape of the product.
        got: Vec<usize>,
        /// Element type of the product.
        got_dtype: DType,
    },
    /// A product holds an infinity or a NaN, or is too large to square.
    #[error(
        "the product number {product} (from 0) of probe {probe} is not finite; look for infinities or NaN in the \
         operator's parameters and data"
    )]
    NonFiniteProduct {
        /// Index of the probe, unit vector or row of the block, from 0.
        probe: usize,
        /// Index of the product among those of that probe, from 0: the Lanczos step.
        product: usize,
    },
    /// The operator is not symmetric beyond anything rounding could do.
    #[error(
        "the operator is not symmetric: symmetry makes entries of Qᵀ A Q vanish whose Frobenius norm is \
         {asymmetry:e}, against a norm of {norm:e} for the rest; check that its products use no fresh random numbers \
         and that its forward and backward rules match"
    )]
    NotSymmetric {
        /// Frobenius norm of the entries that should vanish.
        asymmetry: f64,
        /// Spectral norm of the tridiagonal matrix.
        norm: f64,
    },
    /// The eigenvalue iteration of the tridiagonal or projected matrix used up its bound.
    #[error(
        "the eigenvalues of the {size} x {size} projected matrix did not converge within {iterations} iterations; \
         use another seed or fewer steps"
    )]
    TridiagonalNotConverged {
        /// Rows of the matrix.
        size: usize,
        /// The bound on iterations.
        iterations: usize,
    },
    /// The function to integrate over the spectrum has no finite value at a node.
    #[error(
        "the integrand is {got} at the node {node:e}; use a function that is finite on the whole spectrum"
    )]
    NonFiniteIntegrand {
        /// The node, a Ritz value.
        node: f64,
        /// The value of the function there.
        got: f64,
    },
    /// Something is asked for that is relative to the range of the eigenvalues, which is zero.
    #[error(
        "every eigenvalue is zero up to rounding, so that nothing relative to them is defined; check the operator"
    )]
    ZeroOperator,
    /// The square root of a negative estimate is asked for.
    #[error(
        "the estimate is {value:e}, but only one that is not negative has a square root; use more probes"
    )]
    NegativeEstimate {
        /// The estimate.
        value: f64,
    },
    /// The operator failed.
    #[error(transparent)]
    Operator(#[from] flatness_operator::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Refuses a count of zero.
pub(crate) fn check_positive(field: &'static str, value: usize) -> Result<(), Error> {
    if value == 0 {
        return Err(Error::Zero { field });
    }
    Ok(())
}

/// Refuses a tolerance or width that is not a positive number.
pub(crate) fn check_positive_real(field: &'static str, got: f64) -> Result<(), Error> {
    check_real(field, "above 0", got, got.is_finite() && got > 0.0)
}

/// Refuses a number that is not as `expected`.
pub(crate) fn check_real(
    field: &'static str,
    expected: &'static str,
    got: f64,
    fits: bool,
) -> Result<(), Error> {
    if fits {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field,
        expected,
        got,
    })
}

/// Refuses none, and more vectors than the space has dimensions.
pub(crate) fn check_dimension(field: &'static str, got: usize, dim: usize) -> Result<(), Error> {
    check_positive(field, got)?;
    if got > dim {
        return Err(Error::BeyondDimension { field, got, dim });
    }
    Ok(())
}

/// Checks the number of probes and of vectors per block product.
pub(crate) fn check_probes(probes: usize, block: usize) -> Result<(), Error> {
    if probes < 2 {
        return Err(Error::TooFewProbes { got: probes });
    }
    check_positive("block", block)
}
