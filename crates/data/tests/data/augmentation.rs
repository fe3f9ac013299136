//! Crops and flips against images padded, cut and mirrored pixel by pixel, and their distribution.

use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use flatness_data::{Augmentation, Augmented, Batch, Dataset, Examples, Flip, Normalization};
use flatness_kernels::launch::with_launcher;
use flatness_testkit::{Recorder, as_cpp, assert_close, cuda};

use crate::batches::chi_squared;
use crate::check::{labels, refused, values};

const CHANNELS: usize = 2;
/// A mean and a deviation that no byte maps to 0, so that black and the mean are told apart.
const MEAN: [f64; CHANNELS] = [0.4, 0.501];
const DEVIATION: [f64; CHANNELS] = [0.2, 0.25];

/// First row and column of the crop, and whether it is mirrored.
type Variation = (usize, usize, bool);

/// `n` images of `height` × `width` whose pixels are all above 0, those of an image all different.
fn dataset(n: usize, height: usize, width: usize) -> Dataset {
    let example = CHANNELS * height * width;
    assert!(example <= 255);
    let pixels = (0..n * example).map(|position| {
        let (index, pixel) = (position / example, position % example);
        ((pixel * 7 + index * 3) % 255 + 1) as u8
    });
    let normalization = Normalization::new(MEAN.to_vec(), DEVIATION.to_vec()).unwrap();
    let (shape, labels) = ([CHANNELS, height, width], (0..n as u8).collect());
    Dataset::from_bytes("images", shape, pixels.collect(), labels, n, normalization).unwrap()
}

/// An image of bytes, padded with black, cut and mirrored, then normalised.
fn reference(data: &Dataset, index: usize, pad: usize, variation: Variation) -> Vec<f64> {
    let images = data.images().to_dtype(DType::F64).unwrap();
    let image = images.get(index).unwrap().to_vec3::<f64>().unwrap();
    let (row, column, mirrored) = variation;
    let [_, height, width] = data.example_shape();
    let mut values = Vec::new();
    for (channel, plane) in image.iter().enumerate() {
        let mut padded = vec![vec![0.0; width + 2 * pad]; height + 2 * pad];
        for r in 0..height {
            for c in 0..width {
                padded[r + pad][c + pad] = plane[r][c];
            }
        }
        for r in 0..height {
            for c in 0..width {
                let c = if mirrored { width - 1 - c } else { c };
                let byte = padded[row + r][column + c];
                values.push((byte / 255.0 - MEAN[channel]) / DEVIATION[channel]);
            }
        }
    }
    values
}

fn variations(pad: usize) -> impl Iterator<Item = Variation> {
    let shifts = move || 0..=2 * pad;
    shifts()
        .flat_map(move |row| shifts().map(move |column| (row, column)))
        .flat_map(|(row, column)| [(row, column, false), (row, column, true)])
}

fn augmented(data: &Dataset, seed: u64, epoch: u64, flip: Flip, pad: usize) -> Augmented {
    Augmented::new(data, Augmentation { seed, flip, pad }, epoch).unwrap()
}

fn all(examples: &dyn Examples) -> Batch {
    (examples.batch(0..examples.len(), DType::F64, &Device::Cpu)).unwrap()
}

/// The one variation of example `index` that makes `image`.
fn variation_of(image: &Tensor, data: &Dataset, index: usize, pad: usize) -> Variation {
    let image = values(image);
    let matching: Vec<Variation> = variations(pad)
        .filter(|&variation| {
            // Values reach 3, so this is some ten roundings; different bytes are 0.01 apart.
            let expected = reference(data, index, pad, variation);
            let pairs = image.iter().zip(&expected);
            pairs.clone().count() == image.len()
                && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-14)
        })
        .collect();
    let [variation] = matching[..] else {
        panic!("example {index} is {matching:?}");
    };
    variation
}

#[test]
fn every_image_is_one_crop_and_flip_of_its_own() {
    for (height, width, pad) in [(4, 5, 1), (5, 4, 2), (6, 6, 4), (7, 3, 2)] {
        let data = dataset(40, height, width);
        for flip in [Flip::Never, Flip::Half] {
            let batch = all(&augmented(&data, 3, 1, flip, pad));
            assert_eq!(labels(&batch), (0..40).collect::<Vec<_>>());
            let mut mirrored = 0;
            for index in 0..data.len() {
                let image = batch.inputs.get(index).unwrap();
                mirrored += usize::from(variation_of(&image, &data, index, pad).2);
            }
            match flip {
                Flip::Never => assert_eq!(mirrored, 0),
                Flip::Half => assert!((5..35).contains(&mirrored), "{mirrored}"),
            }
        }
    }
}

/// Golden: printed by `golden_order.py`, which implements the generator in Python.
#[test]
fn variations_are_those_of_an_implementation_in_python() {
    let (pad, data) = (4, dataset(200, 5, 5));
    let (yes, no) = (true, false);
    for ((seed, epoch), expected) in [
        ((0, 0), [(5, 6, yes), (4, 7, yes), (0, 1, yes), (7, 3, yes)]),
        ((0, 1), [(7, 6, no), (5, 6, no), (8, 4, no), (0, 7, no)]),
        (
            (20_060_909, 161),
            [(4, 4, no), (5, 6, no), (4, 3, no), (7, 3, yes)],
        ),
    ] {
        let epoch = augmented(&data, seed, epoch, Flip::Half, pad);
        let batch = epoch.gather(&[0, 1, 2, 199], DType::F64, &Device::Cpu);
        let batch = batch.unwrap();
        for (position, index) in [0, 1, 2, 199].into_iter().enumerate() {
            let image = batch.inputs.get(position).unwrap();
            let variation = variation_of(&image, &data, index, pad);
            assert_eq!(variation, expected[position], "{seed} {index}");
        }
    }
}

#[test]
fn no_padding_and_no_flip_change_nothing() {
    let data = dataset(5, 3, 4);
    for dtype in [DType::F64, DType::F32, DType::F16] {
        let same = augmented(&data, 1, 2, Flip::Never, 0);
        let [plain, same] = [&data as &dyn Examples, &same]
            .map(|data| values(&data.batch(1..4, dtype, &Device::Cpu).unwrap().inputs));
        assert_eq!(plain, same);
    }
}

/// A batch is one kernel, whose bits as C++ are those of the CPU; on a device its images are sent once.
#[test]
fn a_device_makes_the_batches_of_the_cpu_where_the_images_are() {
    let data = dataset(9, 5, 4);
    let varied = augmented(&data, 3, 1, Flip::Half, 3);
    let of = |device: &Device, dtype| {
        [&data as &dyn Examples, &varied].map(|data| {
            let batch = data.gather(&[8, 0, 0, 5], dtype, device).unwrap();
            (values(&batch.inputs), labels(&batch))
        })
    };
    for dtype in [DType::F64, DType::F32] {
        let expected = of(&Device::Cpu, dtype);
        if let Some(got) = as_cpp(|| of(&Device::Cpu, dtype)) {
            assert_eq!(got, expected);
        }
        if let Some(device) = cuda() {
            for _ in 0..2 {
                for (got, expected) in of(&device, dtype).iter().zip(&expected) {
                    assert_close("images", &got.0, &expected.0, 1e-6);
                    assert_eq!(got.1, expected.1);
                }
            }
        }
        let recorder = Rc::new(Recorder::default());
        with_launcher(recorder.clone(), || of(&Device::Cpu, dtype));
        assert_eq!(recorder.take().launches.len(), 2);
    }
}

#[test]
fn neither_batches_nor_order_matter_but_seed_and_epoch_do() {
    let data = dataset(30, 5, 5);
    let images = |seed, epoch| values(&all(&augmented(&data, seed, epoch, Flip::Half, 2)).inputs);
    let whole = images(7, 0);
    let epoch = augmented(&data, 7, 0, Flip::Half, 2);
    let example = CHANNELS * 25;
    for indices in [&[29u32, 3, 3, 0][..], &[17]] {
        let batch = epoch.gather(indices, DType::F64, &Device::Cpu).unwrap();
        let expected = indices
            .iter()
            .flat_map(|&index| &whole[index as usize * example..][..example]);
        assert_eq!(values(&batch.inputs), expected.copied().collect::<Vec<_>>());
    }
    assert_eq!(images(7, 0), whole);
    assert_ne!(images(7, 1), whole);
    assert_ne!(images(8, 0), whole);
}

#[test]
fn all_shifts_and_flips_are_equally_likely() {
    let (pad, examples, epochs) = (2, 20, 250);
    let data = dataset(examples, 4, 4);
    let mut counts = BTreeMap::from_iter(variations(pad).map(|variation| (variation, 0_u32)));
    for epoch in 0..epochs {
        let images = all(&augmented(&data, 5, epoch, Flip::Half, pad)).inputs;
        for index in 0..examples {
            let variation = variation_of(&images.get(index).unwrap(), &data, index, pad);
            *counts.entry(variation).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 50);
    let chi_squared = chi_squared(counts.values());
    // 49 degrees of freedom: 98.4 is exceeded with probability 4e-5.
    assert!(chi_squared < 98.4, "{chi_squared}");
}

#[test]
fn padding_as_large_as_the_image_is_refused() {
    let data = dataset(2, 5, 3);
    let make = |pad| {
        let flip = Flip::Half;
        Augmented::new(&data, Augmentation { seed: 0, flip, pad }, 0)
    };
    assert!(make(2).is_ok());
    for pad in [3, 5, usize::MAX] {
        let expected = format!("images: padding of a crop must be below 3 pixels, got {pad}");
        refused(make(pad), &expected);
    }
}
