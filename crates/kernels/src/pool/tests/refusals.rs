//! Poolings and tensors that are refused.

use candle_core::{DType, Tensor};

use super::super::{average, average_transposed, max_forward, max_gather, max_scatter};
use super::{Pooling, places};
use crate::seeded::uniform;

#[test]
fn what_does_not_fit_is_an_error() {
    let (kernel, stride) = (2, 2);
    let pooling = Pooling { kernel, stride };
    let x = uniform((2, 3, 4, 6), 1, DType::F64);
    let (_, argmax) = max_forward(&x, pooling).unwrap();
    for pooling in [
        Pooling { kernel: 5, stride },
        Pooling { kernel: 0, stride },
        Pooling { kernel, stride: 0 },
    ] {
        assert!(max_forward(&x, pooling).is_err(), "{pooling:?}");
        assert!(average(&x, pooling).is_err(), "{pooling:?}");
        assert!(
            average_transposed(&x, (4, 6), pooling).is_err(),
            "{pooling:?}"
        );
    }
    assert!(max_forward(&x.to_dtype(DType::F16).unwrap(), pooling).is_err());
    assert!(max_forward(&x.transpose(2, 3).unwrap(), pooling).is_err());
    assert!(max_forward(&x.unsqueeze(0).unwrap(), pooling).is_err());
    for shape in [
        [1, 1, 3, 4, 6],
        [2, 1, 2, 4, 6],
        [2, 1, 3, 3, 6],
        [2, 1, 3, 4, 5],
    ] {
        let block = uniform(&shape, 2, DType::F64);
        let fits = shape[..3] == [2, 1, 3] && argmax_fits(&argmax, shape[3] * shape[4]);
        assert_eq!(max_gather(&argmax, &block).is_ok(), fits, "{shape:?}");
    }
    for shape in [
        [1, 1, 3, 2, 3],
        [2, 1, 2, 2, 3],
        [2, 1, 3, 3, 3],
        [2, 1, 3, 2, 2],
    ] {
        let cotangent = uniform(&shape, 2, DType::F64);
        assert!(
            max_scatter(&argmax, &cotangent, (4, 6)).is_err(),
            "{shape:?}"
        );
    }
    let cotangent = uniform((2, 1, 3, 2, 3), 2, DType::F64);
    for input in [(0, 0), (1, 2), (2, 6)] {
        assert!(
            max_scatter(&argmax, &cotangent, input).is_err(),
            "{input:?}"
        );
    }
    assert!(max_scatter(&argmax.to_dtype(DType::I64).unwrap(), &cotangent, (4, 6)).is_err());
}

fn argmax_fits(argmax: &Tensor, area: usize) -> bool {
    places(argmax).into_iter().all(|place| place < area)
}
