//! `flatness measure` and `flatness product`.

use std::path::PathBuf;

use anyhow::{Error, Result, anyhow};
use clap::Args;
use clap::builder::TypedValueParser;
use flatness_records::{
    BatchNorm, DataSpec, Dtype, Matrix, Request, Retention, Split, SubsetSpec, What,
};

use super::{
    Computing, LossOptions, MOST_THREADS, NormalizationOptions, Output, from_one, help, named,
    number_type, signed, subset, whole,
};
use crate::source;

/// Which of the tensors of a file are whose.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NameOptions {
    /// Take the weights at or under this key of the checkpoint, `state_dict_ema` for one [default: the only ones that
    /// fit the network]
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// Read names of the checkpoint that are like OLD as NEW, where one `*` stands for any characters, such as
    /// `head.*=fc.*`; rules follow one another
    #[arg(long, value_name = "OLD=NEW,...", value_delimiter = ',', value_parser = rule)]
    pub(crate) rename: Vec<(String, String)>,
    /// Of an ONNX file, take these initialisers as constants and not as parameters: buffers of a floating type, which the file
    /// cannot tell apart
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) constants: Vec<String>,
}

impl NameOptions {
    /// `error`; where it is of a name that one of these options has, with that option.
    pub(crate) fn named(&self, error: Error) -> Error {
        let option = match error.downcast_ref() {
            Some(flatness_models::Error::Entry { got, .. }) => match &self.entry {
                Some(entry) if entry == got => "--entry",
                _ => "--rename",
            },
            Some(flatness_models::Error::Renamed { .. }) => "--rename",
            _ => return error,
        };
        anyhow!("{option}: {error}")
    }
}

/// An old name and a new one.
fn rule(text: &str) -> Result<(String, String), &'static str> {
    let (old, new) = text.split_once('=').ok_or("it must be OLD=NEW")?;
    Ok((old.to_owned(), new.to_owned()))
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true, arg = help(), mut_args = signed, after_help = format!(
    "What can be measured: {}\n\n\
     Of a run, whatever is not given is as in its spec. The page docs/MEASURES.md says which measure answers which \
     question, docs/SPEC.md has the fields of a spec, which are the same words.", What::NAMES))]
pub(crate) struct MeasureOptions {
    /// Parameters, a .safetensors or .pth file with PyTorch's names, the index of several such files, or the
    /// directory of a run or of a checkpoint; or an .onnx file, which has its network in itself
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: PathBuf,
    #[command(flatten)]
    pub(crate) names: NameOptions,
    /// Take nothing from the record of a run beside the checkpoint
    #[arg(long, help_heading = "Network")]
    pub(crate) ignore_run: bool,
    /// Network, one of those that `flatness models` lists, or an .onnx file [default: the one the checkpoint names]
    #[arg(long, help_heading = "Network", value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) data: MeasuredData,
    #[command(flatten)]
    pub(crate) loss: LossOptions,
    #[command(flatten)]
    pub(crate) request: RequestOptions,
    /// Number type of the arithmetic [default: the checkpoint's]
    #[arg(long, help_heading = "Matrix", value_parser = number_type())]
    pub(crate) dtype: Option<Dtype>,
    /// Begin no further product after so many seconds
    #[arg(long, help_heading = "Accuracy and cost", value_name = "SECONDS")]
    pub(crate) time_limit: Option<f64>,
    /// Memory for the vectors of eigenvalues, probes and diagonals, in MiB; what takes more is refused
    /// [default: half of the machine's]
    #[arg(long, help_heading = "Computing", value_name = "MIB", value_parser = whole::<u64>)]
    pub(crate) vector_memory: Option<u64>,
    /// Seed of start vectors and probes [default: that of the run, else 0]
    #[arg(long, help_heading = "Accuracy and cost", value_name = "SEED", value_parser = whole::<u64>)]
    pub(crate) seed: Option<u64>,
    /// File that keeps the products of eigenvalues, traces, diagonals and functions of the matrix, so that the same
    /// command after a kill goes on where it was; FILE.1, FILE.2 and so on where there are several matrices or groups
    #[arg(long, help_heading = "Output", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Directory for the pictures of density and landscape (SVG, PNG), their data (CSV) and the diagonal (safetensors)
    #[arg(long, help_heading = "Output", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) computing: Computing,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The data, in the words of a spec.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct MeasuredData {
    /// Data set [default: that of the run, else mnist]
    #[arg(long, value_name = "NAME")]
    pub(crate) data_set: Option<String>,
    /// Directory with the data set [default: the cache directory; mnist: else the embedded fixture]; or a .safetensors or
    /// .npz file with inputs `x` (N, ...) and labels `y`: classes (N), classes of positions (N, ...), -100 for none, or values
    #[arg(long, value_name = "DIR or FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) normalization: NormalizationOptions,
    /// The network was trained on N examples only, which are the split `train`
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub(crate) train_examples: Option<usize>,
    /// Which ones
    #[arg(long, value_parser = subset(), requires = "train_examples")]
    pub(crate) subset: Option<SubsetSpec>,
    /// The last N training examples were held out; they are the split `validation`
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub(crate) validation_examples: Option<usize>,
}

impl MeasuredData {
    /// The data of `run`, or MNIST, with what is given instead. A file has nothing of a run over a data set.
    pub(crate) fn spec(&self, run: Option<&DataSpec>) -> Result<DataSpec> {
        let named = source::named(self.data_set.as_deref(), self.data.as_deref())?;
        let is_like = |run: &&DataSpec| match &named {
            None => true,
            Some(named) => source::is_tensors(named) == source::is_tensors(&run.set),
        };
        let mut spec = run.filter(is_like).cloned().unwrap_or_else(|| DataSpec {
            set: "mnist".to_owned(),
            train_examples: None,
            subset: SubsetSpec::First,
            validation_examples: 0,
            mean: None,
            deviation: None,
        });
        replace(&mut spec.set, named);
        replace(&mut spec.subset, self.subset);
        replace(&mut spec.validation_examples, self.validation_examples);
        for (field, given) in [
            (&mut spec.mean, &self.normalization.mean),
            (&mut spec.deviation, &self.normalization.deviation),
        ] {
            if given.is_some() {
                field.clone_from(given);
            }
        }
        spec.train_examples = self.train_examples.or(spec.train_examples);
        Ok(spec)
    }

    /// Whether the data are those that `run` names, wherever they lie now.
    pub(crate) fn are_of(&self, run: &DataSpec) -> bool {
        let is_file = self.data.as_deref().is_some_and(source::has_tensors);
        self.data_set.is_none() && (!is_file || source::is_tensors(&run.set))
    }
}

/// What is measured and how well, in the words of a spec.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accuracy and cost")]
pub(crate) struct RequestOptions {
    /// What to measure, a list of the names below [default: top,bottom,trace,frobenius]
    #[arg(
        long,
        help_heading = "Measures",
        value_name = "LIST",
        value_delimiter = ','
    )]
    what: Option<Vec<What>>,
    /// Matrices to measure it of [default: hessian]
    #[arg(
        long,
        visible_alias = "matrix",
        help_heading = "Matrix",
        value_name = "LIST",
        value_delimiter = ',',
        value_parser = matrix()
    )]
    matrices: Option<Vec<Matrix>>,
    /// Add the L2 term of this coefficient to the matrix [default: 0]
    #[arg(long, help_heading = "Matrix", value_name = "COEFFICIENT")]
    l2: Option<f64>,
    /// Take the rows and columns of the parameters whose names match, such as `fc1.*`; `*` is any text
    #[arg(
        long,
        help_heading = "Matrix",
        value_name = "PATTERNS",
        value_delimiter = ','
    )]
    parameters: Option<Vec<String>>,
    /// Measure the matrix of each of these groups of parameters by itself: `layer`, every layer, or PATTERNS
    /// such as `block1.*,block2.*`, a group each
    #[arg(
        long,
        help_heading = "Matrix",
        value_name = "PATTERNS",
        value_delimiter = ',',
        conflicts_with = "parameters"
    )]
    each: Option<Vec<String>>,
    /// Split whose mean loss is measured [default: train]
    #[arg(long, help_heading = "Data", value_name = "SPLIT", value_parser = named::<Split>(&["train", "validation", "test"]))]
    split: Option<Split>,
    /// Take the first N examples of the split only
    #[arg(long, help_heading = "Data", value_name = "N", value_parser = whole::<usize>)]
    examples: Option<usize>,
    /// Take N random examples of the split, and say how far all of it may be from them
    #[arg(
        long,
        help_heading = "Data",
        value_name = "N",
        conflicts_with = "examples",
        value_parser = whole::<usize>
    )]
    sample: Option<usize>,
    /// Statistics that batch-norm takes: the running ones of the checkpoint, or those of each batch [default: frozen]
    #[arg(long, help_heading = "Matrix", value_name = "STATISTICS", value_parser = batch_norm())]
    batch_norm: Option<BatchNorm>,
    /// Most examples per sweep [default: 1000 or all]; with batch statistics, the size of the batches
    #[arg(long, help_heading = "Matrix", value_name = "N", value_parser = whole::<usize>)]
    batch_size: Option<usize>,
    /// Half-width of 95 % confidence, relative to the value, at which an estimate is good enough [default: 0.05]
    #[arg(long, value_name = "FRACTION")]
    relative_error: Option<f64>,
    /// Residual, relative to the largest |eigenvalue|, at which an eigenvalue is good enough [default: 0.001]
    #[arg(long, value_name = "FRACTION")]
    tolerance: Option<f64>,
    /// Most matrix-vector products for each matrix or group [default: 1000]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    budget: Option<usize>,
    /// Products of the search for the eigenvectors that random probes need not find [default: 48]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    search: Option<usize>,
    /// Lanczos steps per probe of the density and of functions of the matrix [default: 30]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    steps: Option<usize>,
    /// Vectors per product in the search for eigenvalues; finds as many copies of a repeated one [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    block: Option<usize>,
    /// Vectors held in the search for eigenvalues [default: 40 more than needed, or what fits the memory]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    basis: Option<usize>,
}

impl RequestOptions {
    /// The request of `run`, or the defaults, with what is given instead.
    pub(crate) fn request(&self, run: Option<Request>) -> Request {
        let mut request = run.unwrap_or_default();
        request.epochs.clear();
        request.along.clear();
        replace(&mut request.what, self.what.clone());
        replace(&mut request.matrices, self.matrices.clone());
        replace(&mut request.l2, self.l2);
        // One choice of rows or of examples replaces the other.
        if self.parameters.is_some() || self.each.is_some() {
            request.parameters = self.parameters.clone().unwrap_or_default();
            request.each = self.each.clone().unwrap_or_default();
        }
        if self.examples.is_some() || self.sample.is_some() {
            (request.examples, request.sample) = (self.examples, self.sample);
        }
        replace(&mut request.split, self.split);
        replace(&mut request.batch_norm, self.batch_norm);
        replace(&mut request.relative_error, self.relative_error);
        replace(&mut request.tolerance, self.tolerance);
        replace(&mut request.budget, self.budget);
        replace(&mut request.search, self.search);
        replace(&mut request.steps, self.steps);
        replace(&mut request.block, self.block);
        request.batch_size = self.batch_size.or(request.batch_size);
        request.basis = self.basis.or(request.basis);
        request
    }
}

fn replace<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

fn matrix() -> impl TypedValueParser<Value = Matrix> {
    named(&[
        "hessian",
        "gauss-newton",
        "residual",
        "empirical-fisher",
        "gradient-covariance",
    ])
}

fn batch_norm() -> impl TypedValueParser<Value = BatchNorm> {
    named(&["frozen", "batch"])
}

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Product",
    disable_help_flag = true,
    arg = help(),
    mut_args = signed,
    after_help = "The data file holds `x` (N, ...), `y`, classes (N) or what else `flatness measure --data` takes, and \
    `v.<parameter>`, the vector.\n\n\
    Prints one JSON line: loss, gradient norm, v'Av, |Av|, the seconds they take and the most memory, in MiB."
)]
pub(crate) struct ProductOptions {
    /// Network, one of those that `flatness models` lists [default: the one the weights name]
    #[arg(long, help_heading = "Network", value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Parameters, a .safetensors or .pth file with PyTorch's names, or an .onnx file, which has its network in itself
    #[arg(long, help_heading = "Network", value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// Inputs, labels and vector, a safetensors file
    #[arg(long, help_heading = "Data", value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Use the first N examples only
    #[arg(long, help_heading = "Data", value_name = "N", value_parser = whole::<usize>)]
    pub(crate) n: Option<usize>,
    /// Classes of the network [default: 10 for the MNIST networks, 100 for the others]
    #[arg(long, help_heading = "Data", value_name = "N", value_parser = whole::<usize>)]
    pub(crate) classes: Option<usize>,
    /// Matrix
    #[arg(long, value_name = "MATRIX", default_value = "hessian", value_parser = matrix())]
    pub(crate) matrix: Matrix,
    /// Statistics that batch-norm takes: the running ones of the weights file, or those of each batch
    #[arg(long, value_name = "STATISTICS", default_value = "frozen", value_parser = batch_norm())]
    pub(crate) batch_norm: BatchNorm,
    /// Vectors per product: the given one and seeded +-1 vectors
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = from_one(u16::MAX))]
    pub(crate) vectors: u16,
    /// Most examples per sweep [default: 1000 or all]; with batch statistics, the size of the batches
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub(crate) batch: Option<usize>,
    /// Number type of the arithmetic
    #[arg(long, value_parser = number_type(), default_value = "f32")]
    pub(crate) dtype: Dtype,
    /// Keep the activations between products, or compute them anew inside the timed product
    #[arg(long, value_parser = named::<Retention>(&["retain: Kept", "recompute: Computed anew"]), default_value = "retain")]
    pub(crate) retention: Retention,
    /// Timed products, after one that is not timed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = from_one(u16::MAX))]
    pub(crate) repeat: u16,
    /// Device: cpu, cuda, cuda:N or auto
    #[arg(
        long,
        help_heading = "Computing",
        value_name = "DEVICE",
        default_value = "cpu"
    )]
    pub(crate) device: String,
    /// Worker threads, 1024 at most [default: all cores]
    #[arg(long, help_heading = "Computing", value_name = "N", value_parser = from_one(MOST_THREADS))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) names: NameOptions,
    #[command(flatten)]
    pub(crate) loss: LossOptions,
}
