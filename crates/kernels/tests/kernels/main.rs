//! Every kernel with the operands that fit, those that do not, and on another device.

mod table;

use std::rc::Rc;

use candle_core::{DType, Device, Result, Tensor};
use flatness_kernels::launch::{with_launcher, with_tf32};
use flatness_kernels::pool::{self, Pooling};
use flatness_kernels::{Activation, dot};
use flatness_testkit::{Recorder, as_cpp, compiled_by_nvrtc, cuda, gaussian, values};
use table::{Kernel, Sizes, kernels};

/// Both number types with what a device's results may differ by from those of the CPU path, whose own
/// oracles are the loops of the unit tests, relative to the largest of them. The two sum in different
/// orders, and the device's matrix products are blocked: this leaves a hundred times the rounding of
/// sums of up to a thousand products.
const NUMBER_TYPES: [(DType, f64); 2] = [(DType::F64, 1e-10), (DType::F32, 1e-4)];

/// Sizes that differ in every axis, and of more than one but for the vectors less one.
const SIZES: Sizes = Sizes {
    batch: 3,
    vectors: 2,
    inputs: 4,
    outputs: 5,
    image: (7, 6),
    kernel: 3,
    stride: 1,
    padding: 1,
};

impl Kernel {
    fn operands(&self, sizes: Sizes) -> Vec<Tensor> {
        let axes = self.operands.iter().zip(1..);
        axes.map(|(axes, seed)| gaussian(sizes.shape(axes), seed))
            .collect()
    }

    /// The results, those in place last.
    fn run(&self, operands: &[Tensor], sizes: Sizes) -> Result<Vec<Tensor>> {
        let (read, sums) = operands.split_at(operands.len() - self.sums);
        let sums = sums.iter().map(Tensor::copy).collect::<Result<Vec<_>>>()?;
        let mut results = (self.run)(&[read, &sums].concat(), sizes)?;
        results.extend(sums);
        Ok(results)
    }

    /// Whether every operand must be of one number type and contiguous. Without a tangent of the input
    /// nothing looks at the weight.
    fn is_product(&self) -> bool {
        let product = self.name.starts_with("affine") || self.name.starts_with("conv2d");
        product && !self.name.ends_with("of parameters")
    }

    /// Whether operand `place` may have any number of axes before the last, which no other operand has.
    fn takes_any_rank(&self, place: usize) -> bool {
        let alone = |name, own| self.name.starts_with(name) && place == own;
        alone("affine::forward", 0)
            || alone("affine::tangent of parameters", 0)
            || alone("affine::input_cotangent", 1)
    }
}

/// Runs `kernel` with operand `place` replaced by what `change` makes of it.
fn changed(kernel: &Kernel, place: usize, change: impl Fn(&Tensor) -> Result<Tensor>) -> bool {
    let mut operands = kernel.operands(SIZES);
    operands[place] = change(&operands[place]).unwrap();
    kernel.run(&operands, SIZES).is_ok()
}

#[test]
fn an_operand_that_does_not_fit_is_an_error() {
    for kernel in &kernels() {
        let (name, axes) = (kernel.name, &kernel.operands);
        kernel.run(&kernel.operands(SIZES), SIZES).expect(name);
        for (place, own) in axes.iter().enumerate() {
            for (axis, letter) in own.char_indices() {
                // Nothing holds the length of an axis that no other operand has, but for the window.
                let holders = axes.iter().filter(|axes| axes.contains(letter)).count();
                if holders == 1 && letter.is_uppercase() {
                    continue;
                }
                let fits = SIZES.shape(own);
                for length in [fits[axis] - 1, fits[axis] + 1] {
                    let mut shape = fits.clone();
                    shape[axis] = length;
                    let accepted = changed(kernel, place, |_| Ok(gaussian(shape.as_slice(), 1)));
                    assert!(!accepted, "{name}: operand {place} {shape:?}");
                }
            }
            if kernel.takes_any_rank(place) {
                continue;
            }
            let accepted = changed(kernel, place, |operand| operand.unsqueeze(0));
            assert!(!accepted, "{name}: operand {place} with another axis");
        }
    }
}

#[test]
fn an_operand_of_another_number_type_or_layout_is_an_error() {
    for kernel in &kernels() {
        let half = kernel.operands(SIZES);
        let half = half.iter().map(|operand| operand.to_dtype(DType::F16));
        let half = half.collect::<Result<Vec<_>>>().unwrap();
        assert!(kernel.run(&half, SIZES).is_err(), "{}", kernel.name);
        for place in 0..half.len() {
            let single = |operand: &Tensor| operand.to_dtype(DType::F32);
            let strided = |operand: &Tensor| {
                let pairs = Tensor::stack(&[operand, operand], operand.rank())?;
                pairs.narrow(operand.rank(), 0, 1)?.squeeze(operand.rank())
            };
            let accepted = changed(kernel, place, single) || changed(kernel, place, strided);
            assert!(
                !(kernel.is_product() && accepted),
                "{}: operand {place}",
                kernel.name
            );
        }
    }
}

#[test]
fn empty_batches_and_blocks_are_no_panic() {
    for kernel in &kernels() {
        for (batch, vectors) in [(0, 3), (2, 0)] {
            let sizes = Sizes {
                batch,
                vectors,
                ..SIZES
            };
            let results = kernel.run(&kernel.operands(sizes), sizes);
            // A channel without entries has no moments, and candle changes nothing of (B, 0, ...) in
            // place.
            let moments = kernel.name == "batch_norm::moments" && batch == 0;
            let sums = &kernel.operands[kernel.operands.len() - kernel.sums..];
            let in_place = vectors == 0 && sums.iter().any(|axes| axes.starts_with("BV"));
            let fits = !moments && !in_place;
            assert_eq!(results.is_ok(), fits, "{}: {results:?}", kernel.name);
        }
    }
}

/// What differs first, where anything does.
fn difference(got: &[f64], expected: &[f64], tolerance: f64) -> Option<String> {
    if got.len() != expected.len() {
        let (got, expected) = (got.len(), expected.len());
        return Some(format!("{got} elements, expected {expected}"));
    }
    let scale = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let mut pairs = got.iter().zip(expected).enumerate();
    let (index, (got, expected)) = pairs.find(|(_, (got, expected))| {
        // Written so that NaN differs.
        let close = (*got - *expected).abs() <= tolerance * scale;
        !close
    })?;
    Some(format!(
        "element {index} is {got:e}, expected {expected:e} within {tolerance:e} of {scale:e}"
    ))
}

/// Every kernel in every form and number type, with the tolerance: (B, V) one of each, a batch and a block.
fn cases(kernels: &[Kernel]) -> Vec<(&Kernel, Sizes, DType, f64)> {
    let mut cases = Vec::new();
    for (batch, vectors) in [(1, 1), (3, 1), (4, 3)] {
        for kernel in kernels {
            for form in Sizes::forms(kernel.name) {
                let sizes = Sizes {
                    batch,
                    vectors,
                    ..form
                };
                let types = NUMBER_TYPES.into_iter();
                cases.extend(types.map(|(dtype, tolerance)| (kernel, sizes, dtype, tolerance)));
            }
        }
    }
    cases
}

/// The results of a kernel on a device.
fn results(
    (kernel, sizes, dtype, _): &(&Kernel, Sizes, DType, f64),
    device: &Device,
) -> Result<Vec<Vec<f64>>> {
    let operands = kernel.operands(*sizes).into_iter();
    let there = operands.map(|operand| operand.to_dtype(*dtype)?.to_device(device));
    let results = kernel.run(&there.collect::<Result<Vec<_>>>()?, *sizes)?;
    Ok(results.iter().map(values).collect())
}

/// Fails with all that differs between results and those of the CPU path: one run tells of every kernel.
fn assert_of_the_cpu(cases: &[(&Kernel, Sizes, DType, f64)], got: Vec<Result<Vec<Vec<f64>>>>) {
    let mut differences = Vec::new();
    for (case, got) in cases.iter().zip(got) {
        let (kernel, sizes, dtype, tolerance) = case;
        let expected = results(case, &Device::Cpu).expect("operands that fit");
        let what = format!("{} {sizes:?} {dtype:?}", kernel.name);
        match got {
            Ok(got) if got.len() == expected.len() => {
                let pairs = got.iter().zip(&expected);
                let apart = pairs.filter_map(|(a, b)| difference(a, b, *tolerance));
                differences.extend(apart.map(|apart| format!("{what}: {apart}")));
            }
            other => differences.push(format!("{what}: {other:?}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_kernel_gives_the_numbers_of_its_cpu_path_on_a_device() {
    let Some(device) = cuda() else {
        return;
    };
    let kernels = kernels();
    let cases = cases(&kernels);
    let got = cases.iter().map(|case| results(case, &device)).collect();
    assert_of_the_cpu(&cases, got);
}

#[test]
fn every_kernel_gives_the_numbers_of_its_cpu_path_as_cpp() {
    let kernels = kernels();
    let cases = cases(&kernels);
    let all = || {
        cases
            .iter()
            .map(|case| results(case, &Device::Cpu))
            .collect()
    };
    if let Some(got) = as_cpp(all) {
        assert_of_the_cpu(&cases, got);
    }
}

#[test]
fn ties_and_what_is_not_a_number_are_taken_as_on_the_cpu_as_cpp() {
    let plane = [1.0, 1.0, f64::NAN, 0.0, 1.0, 0.0, 2.0, f64::NAN];
    let x = Tensor::new(&plane, &Device::Cpu).unwrap();
    let results = || {
        let (y, _) = Activation::Relu.evaluate(&x).unwrap();
        let window = Pooling {
            kernel: 2,
            stride: 2,
        };
        let images = x.reshape((1, 1, 2, 4)).unwrap();
        let (largest, argmax) = pool::max_forward(&images, window).unwrap();
        // As text, in which what is not a number is itself.
        format!("{:?}", [y, largest, argmax].map(|tensor| values(&tensor)))
    };
    if let Some(got) = as_cpp(results) {
        assert_eq!(got, results());
    }
}

/// The sum of the parts of so many threads as a block adds them: the back half to the front half, and so on.
fn in_pairs(parts: &[f64], threads: usize) -> f64 {
    let mut parts = parts.to_vec();
    parts.resize(threads, 0.0);
    while parts.len() > 1 {
        let back = parts.split_off(parts.len() / 2);
        let pairs = parts.iter_mut().zip(back);
        pairs.for_each(|(part, back)| *part += back);
    }
    parts[0]
}

#[test]
fn long_vectors_are_summed_by_several_blocks_in_one_order_as_cpp() {
    // Twelve times the least that a block of 1024 threads takes, and a few more.
    const BLOCKS: usize = 12;
    let [x, y] = [1, 2].map(|seed| gaussian(BLOCKS * 4096 + 5, seed));
    let Some(sum) = as_cpp(|| dot(&x, &y).unwrap()) else {
        return;
    };
    let products = values(&x).into_iter().zip(values(&y)).map(|(x, y)| x * y);
    let mut threads = vec![0.0; BLOCKS * 1024];
    let places = products.enumerate();
    places.for_each(|(index, product)| threads[index % (BLOCKS * 1024)] += product);
    let blocks: Vec<f64> = threads
        .chunks(1024)
        .map(|parts| in_pairs(parts, 1024))
        .collect();
    let expected = in_pairs(&blocks, 1024);
    assert_eq!(sum.to_bits(), expected.to_bits(), "{sum:e} {expected:e}");
}

#[test]
fn short_sums_have_a_thread_for_each_addend_and_the_bits_of_a_whole_block_as_cpp() {
    let lengths = [1, 2, 3, 100, 128, 513, 1000, 1024, 1025, 5000];
    let vectors = lengths.map(|length| [1, 2].map(|seed| gaussian(length, seed)));
    let recorder = Rc::new(Recorder::default());
    let dots = || vectors.each_ref().map(|[x, y]| dot(x, y).unwrap());
    with_launcher(recorder.clone(), dots);
    let asked = recorder.take().launches;
    let threads = asked.iter().map(|work| work.threads);
    let expected = [1, 2, 4, 128, 128, 1024, 1024, 1024, 1024, 1024];
    assert!(threads.eq(expected.map(Some)));
    // The text is the same, so that nothing is compiled for a length.
    assert_eq!(recorder.sources().len(), 1);
    let Some(got) = as_cpp(dots) else {
        return;
    };
    for ([x, y], got) in vectors.iter().zip(got) {
        let products = values(x).into_iter().zip(values(y)).map(|(x, y)| x * y);
        let mut parts = vec![0.0; 1024];
        let places = products.enumerate();
        places.for_each(|(index, product)| parts[index % 1024] += product);
        assert_eq!(got.to_bits(), in_pairs(&parts, 1024).to_bits());
    }
}

#[test]
fn tf32_is_for_products_and_convolutions_asked_for_inside_its_scope() {
    let recorder = Rc::new(Recorder::default());
    let kernels = kernels();
    // Of their launches those that are asked for in TF32, and all but kernels of our own.
    let asked = |name: &str| {
        let kernel = kernels.iter().find(|kernel| kernel.name == name);
        let kernel = kernel.expect("one of the table");
        let _ = with_launcher(recorder.clone(), || {
            kernel.run(&kernel.operands(SIZES), SIZES)
        });
        recorder.take().in_tf32
    };
    let all = || ["affine::tangent", "conv2d::tangent", "softmax"].map(asked);
    assert_eq!(all(), [0; 3]);
    assert_eq!(with_tf32(all), [2, 2, 0]);
    assert_eq!(with_tf32(|| with_tf32(all)), [2, 2, 0]);
    assert_eq!(all(), [0; 3]);
}

#[test]
fn every_kernel_is_compiled_for_two_generations_of_cards() {
    let recorder = Rc::new(Recorder::default());
    let kernels = kernels();
    for case in &cases(&kernels) {
        with_launcher(recorder.clone(), || results(case, &Device::Cpu)).expect("operands that fit");
    }
    let sources = recorder.sources();
    assert!(sources.len() > 100, "{}", sources.len());
    if let Some(version) = compiled_by_nvrtc(&sources) {
        eprintln!("{} kernels compiled by {version}", sources.len());
    }
}
