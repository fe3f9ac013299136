//! The fused path of an optimiser against its plain one, both on the CPU.

use candle_core::{DType, Tensor};
use flatness_testkit::{assert_close, gaussian, values};

/// Ranges without decay that leave a part at either end.
pub(crate) const EXCLUDED: [std::ops::Range<usize>; 2] = [3..7, 20..41];

/// Takes five steps by either path from the optimiser that `make` makes of θ, in both number types.
pub(crate) fn check_paths_agree<O>(
    what: &str,
    make: impl Fn(&Tensor) -> O,
    fused: impl Fn(&mut O, &Tensor, &Tensor, f64),
    plain: impl Fn(&mut O, &Tensor, &Tensor, f64),
) {
    // A few roundings a step; the moments divide by their roots, which amplifies them by less than ten.
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-4)] {
        let theta = gaussian(50, 1).to_dtype(dtype).unwrap();
        let take = |step: &dyn Fn(&mut O, &Tensor, &Tensor, f64)| {
            let theta = theta.copy().unwrap();
            let mut optimizer = make(&theta);
            for seed in 2..7 {
                let gradient = gaussian(50, seed).to_dtype(dtype).unwrap();
                step(&mut optimizer, &theta, &gradient, 0.1);
            }
            values(&theta)
        };
        let (fused, plain) = (take(&fused), take(&plain));
        assert_ne!(fused, values(&theta), "{what}: no step was taken");
        assert_close(&format!("{what}, {dtype:?}"), &plain, &fused, tolerance);
    }
}
