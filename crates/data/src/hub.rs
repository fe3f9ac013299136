//! Conversions to and from `candle_datasets::vision::Dataset`, as its loaders for directories and the Hugging
//! Face hub make them.
//!
//! There the images are f32 in 0 … 1, one byte divided by 255, of shape (N, C·H·W) or (N, C, H, W); here
//! they are the bytes. A conversion there and back changes nothing.

use candle_core::{DType, Device, Tensor};
use candle_datasets::vision;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::examples::class_labels;
use crate::normalization::Normalization;

/// Largest distance from a byte that 255 times a pixel may have: the rounding of float32 is below 1e-4.
const TOLERANCE: f64 = 1e-2;

/// Training and test split of a `vision::Dataset` whose examples have shape `example_shape` (C, H, W);
/// they are named `<name>-train` and `<name>-test`.
///
/// # Errors
/// When a pixel is not a byte divided by 255, or as [`Dataset::new`].
pub fn from_vision(
    name: &str,
    data: &vision::Dataset,
    example_shape: [usize; 3],
    normalization: &Normalization,
) -> Result<(Dataset, Dataset)> {
    let split = |part: &str, images: &Tensor, labels: &Tensor| -> Result<Dataset> {
        let name = format!("{name}-{part}");
        let pixels = to_bytes(&name, images)?;
        let labels = class_labels(&name, &labels.to_device(&Device::Cpu)?, data.labels)?;
        let labels = labels.to_dtype(DType::U8)?.to_vec1::<u8>()?;
        let (classes, normalization) = (data.labels, normalization.clone());
        Dataset::from_bytes(&name, example_shape, pixels, labels, classes, normalization)
    };
    Ok((
        split("train", &data.train_images, &data.train_labels)?,
        split("test", &data.test_images, &data.test_labels)?,
    ))
}

/// A `vision::Dataset` on the CPU with images (N, C·H·W), f32 in 0 … 1, and labels (N), u8.
///
/// # Errors
/// When the two splits differ in their number of classes or the shape of an example.
pub fn to_vision(train: &Dataset, test: &Dataset) -> Result<vision::Dataset> {
    if train.example_shape() != test.example_shape() {
        let expected = format!("{:?}, as in {}", train.example_shape(), train.name());
        let got = format!("{:?}", test.example_shape());
        return Err(test.field("shape of an example", expected, got));
    }
    if train.classes() != test.classes() {
        let expected = format!("{}, as in {}", train.classes(), train.name());
        return Err(test.field("classes", expected, test.classes()));
    }
    let floats = |data: &Dataset| -> Result<Tensor> {
        Ok((data.images().flatten_from(1)?.to_dtype(DType::F32)? / 255.0)?)
    };
    Ok(vision::Dataset {
        train_images: floats(train)?,
        train_labels: train.labels().clone(),
        test_images: floats(test)?,
        test_labels: test.labels().clone(),
        labels: train.classes(),
    })
}

fn to_bytes(name: &str, images: &Tensor) -> Result<Vec<u8>> {
    let images = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let values = images.flatten_all()?.to_vec1::<f32>()?.into_iter();
    values.map(|value| to_byte(name, value)).collect()
}

fn to_byte(name: &str, value: f32) -> Result<u8> {
    let scaled = f64::from(value) * 255.0;
    let byte = scaled.round();
    if (0.0..=255.0).contains(&byte) && (scaled - byte).abs() <= TOLERANCE {
        return Ok(byte as u8);
    }
    Err(Error::field(name, "pixel", "a byte divided by 255", value))
}
