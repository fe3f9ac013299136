//! The embedded part of MNIST, split, in the batches of one epoch.

use std::error::Error;

use candle_core::{DType, Device};
use flatness_data::{Divisible, EmbeddedMnist, Normalization, Order, Set};

fn main() -> Result<(), Box<dyn Error>> {
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let data = Set::Mnist
        .find(None, None, Some(embedded))?
        .load(Normalization::mnist())?;
    let (train, validation) = data.train.split_tail(1_000)?;
    assert_eq!(
        (train.len(), validation.len(), data.test.len()),
        (9_000, 1_000, 10_000)
    );

    let order = Order::Shuffled { seed: 0, epoch: 3 };
    for indices in order.indices(9_000).chunks(128).take(2) {
        let batch = train.gather(indices, DType::F32, &Device::Cpu)?;
        assert_eq!(batch.inputs.dims(), [128, 1, 28, 28]);
    }
    println!(
        "{} validation examples, digest {}",
        validation.len(),
        data.digest()?
    );
    Ok(())
}
