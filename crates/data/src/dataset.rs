//! Labelled images kept as bytes; a batch turns them into floats.
//!
//! Shapes: images (N, C, H, W) u8, labels (N) u8, both on the CPU and read in place.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Storage, Tensor};
use sha2::{Digest, Sha256};

use crate::divisible::Divisible;
use crate::error::{Error, Result};
use crate::idx::check_labels;
use crate::normalization::Normalization;
use crate::resident::Resident;

/// Labelled images of one shape. Clones and splits share the pixels.
#[derive(Debug, Clone)]
pub struct Dataset {
    name: Arc<str>,
    /// (N, C, H, W), u8, CPU, row-major without gaps.
    images: Resident,
    /// (N), u8, CPU.
    labels: Tensor,
    len: usize,
    /// (C, H, W).
    example_shape: [usize; 3],
    classes: usize,
    normalization: Arc<Normalization>,
    /// Scale and offset of each channel, (2, C), f64, CPU.
    affine: Resident,
    digest: Arc<OnceLock<String>>,
}

impl Dataset {
    /// A data set over `images` (N, C, H, W) and `labels` (N), both u8 on the CPU, with labels below
    /// `classes` and one normalisation constant per channel; `name` names it in errors.
    ///
    /// # Errors
    /// When a shape, dtype, device, count or label does not fit.
    pub fn new(
        name: &str,
        images: &Tensor,
        labels: &Tensor,
        classes: usize,
        normalization: Normalization,
    ) -> Result<Self> {
        let field = |field, expected: &str, got: String| Error::field(name, field, expected, got);
        for (what, tensor) in [("images", images), ("labels", labels)] {
            if tensor.dtype() != DType::U8 || !tensor.device().is_cpu() {
                let got = format!("{:?} on {:?}", tensor.dtype(), tensor.device().location());
                return Err(field(what, "u8 on the CPU", got));
            }
        }
        let shape = || {
            let expected = "of shape (N, C, H, W) without a zero and with N a u32";
            field("images", expected, format!("{:?}", images.dims()))
        };
        let &[len, channels, height, width] = images.dims() else {
            return Err(shape());
        };
        if images.elem_count() == 0 || u32::try_from(len).is_err() {
            return Err(shape());
        }
        if labels.dims() != [len] {
            let expected = format!("of shape ({len})");
            return Err(field("labels", &expected, format!("{:?}", labels.dims())));
        }
        if !(1..=256).contains(&classes) {
            return Err(field("classes", "from 1 to 256", classes.to_string()));
        }
        if normalization.mean().len() != channels {
            let expected = format!("for {channels} channels");
            let got = normalization.mean().len().to_string();
            return Err(field("normalization", &expected, got));
        }
        let (scales, offsets): (Vec<f64>, Vec<f64>) = normalization.affine().unzip();
        let affine = Tensor::new(vec![scales, offsets], &Device::Cpu)?;
        let dataset = Self {
            name: name.into(),
            images: Resident::new(images.contiguous()?),
            labels: labels.contiguous()?,
            len,
            example_shape: [channels, height, width],
            classes,
            normalization: Arc::new(normalization),
            affine: Resident::new(affine),
            digest: Arc::default(),
        };
        dataset.with_labels(|labels| check_labels(name, labels, classes))??;
        Ok(dataset)
    }

    /// A data set from `pixels`, N·C·H·W bytes in row-major order for examples of `example_shape`
    /// (C, H, W), and one label per example.
    ///
    /// # Errors
    /// When the number of pixels is no multiple of an example, and as [`Dataset::new`].
    pub fn from_bytes(
        name: &str,
        example_shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
        classes: usize,
        normalization: Normalization,
    ) -> Result<Self> {
        let [channels, height, width] = example_shape;
        let mut sides = example_shape.into_iter();
        let size = sides.try_fold(1_usize, |size, side| size.checked_mul(side));
        let is_part = |&size: &usize| size > 0 && pixels.len().is_multiple_of(size);
        let Some(size) = size.filter(is_part) else {
            let expected = format!("a whole number of examples of shape {example_shape:?}");
            let got = format!("{} bytes", pixels.len());
            return Err(Error::field(name, "pixels", expected, got));
        };
        let len = pixels.len() / size;
        let images = Tensor::from_vec(pixels, (len, channels, height, width), &Device::Cpu)?;
        let n_labels = labels.len();
        let labels = Tensor::from_vec(labels, n_labels, &Device::Cpu)?;
        Self::new(name, &images, &labels, classes, normalization)
    }

    /// Name, with the range of examples appended for each cut, such as `mnist-train[0..55000]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of examples N, at least 1.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: a data set without examples cannot be made.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// (C, H, W) of one example.
    pub fn example_shape(&self) -> [usize; 3] {
        self.example_shape
    }

    /// Number of classes; every label is below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Map from bytes to the numbers of a batch.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Raw images (N, C, H, W), u8 on the CPU.
    pub fn images(&self) -> &Tensor {
        self.images.host()
    }

    /// Labels (N), u8 on the CPU.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// Number of examples of each class; the length is [`Dataset::classes`], the sum is N.
    ///
    /// # Errors
    /// Only when candle cannot hand out the storage of the labels.
    pub fn class_counts(&self) -> Result<Vec<usize>> {
        self.with_labels(|labels| {
            let mut counts = vec![0; self.classes];
            for &label in labels {
                counts[usize::from(label)] += 1;
            }
            counts
        })
    }

    /// Name of the content: SHA-256 in hexadecimal of N, C, H, W as little-endian u64, then the N·C·H·W
    /// pixel bytes in row-major order, then the N label bytes. Compression, file names and normalisation
    /// do not enter. Computed on the first call; clones share it.
    ///
    /// # Errors
    /// Only when candle cannot hand out the storage of the data.
    pub fn digest(&self) -> Result<&str> {
        if let Some(digest) = self.digest.get() {
            return Ok(digest);
        }
        let [channels, height, width] = self.example_shape;
        let mut hasher = Sha256::new();
        for dimension in [self.len, channels, height, width] {
            hasher.update((dimension as u64).to_le_bytes());
        }
        self.with_pixels(|pixels| hasher.update(pixels))?;
        self.with_labels(|labels| hasher.update(labels))?;
        let digest = || format!("{:x}", hasher.finalize());
        Ok(self.digest.get_or_init(digest))
    }

    /// The images, and the scale and offset of each channel, for batches on `device`.
    pub(crate) fn near(&self, device: &Device) -> Result<[Tensor; 2]> {
        let images = self.images.nearest(device)?;
        let affine = self.affine.nearest(images.device())?;
        Ok([images, affine])
    }

    /// Run `work` on the N·C·H·W pixel bytes, without a copy.
    pub(crate) fn with_pixels<T>(&self, work: impl FnOnce(&[u8]) -> T) -> Result<T> {
        Ok(with_bytes(self.images(), work)?)
    }

    /// Run `work` on the N label bytes, without a copy.
    pub(crate) fn with_labels<T>(&self, work: impl FnOnce(&[u8]) -> T) -> Result<T> {
        Ok(with_bytes(&self.labels, work)?)
    }

    pub(crate) fn field(&self, field: &'static str, expected: String, got: impl ToString) -> Error {
        Error::field(&self.name, field, expected, got)
    }
}

impl Divisible for Dataset {
    fn range(&self, range: Range<usize>) -> Result<Self> {
        let Range { start, end } = range;
        Ok(Self {
            name: format!("{}[{start}..{end}]", self.name).into(),
            images: Resident::new(self.images().narrow(0, start, end - start)?),
            labels: self.labels.narrow(0, start, end - start)?,
            len: end - start,
            digest: Arc::default(),
            ..self.clone()
        })
    }

    fn at(&self, indices: &[u32], name: String) -> Result<Self> {
        let len = indices.len();
        let indices = Tensor::new(indices, &Device::Cpu)?;
        Ok(Self {
            name: name.into(),
            images: Resident::new(self.images().index_select(&indices, 0)?),
            labels: self.labels.index_select(&indices, 0)?,
            len,
            digest: Arc::default(),
            ..self.clone()
        })
    }
}

fn with_bytes<T>(tensor: &Tensor, work: impl FnOnce(&[u8]) -> T) -> candle_core::Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    let bytes = match &*storage {
        Storage::Cpu(storage) => storage.as_slice::<u8>()?,
        _ => candle_core::bail!("the bytes of a data set are not on the CPU"),
    };
    let own = layout
        .contiguous_offsets()
        .and_then(|(start, end)| bytes.get(start..end));
    let Some(own) = own else {
        candle_core::bail!("the bytes of a data set are not contiguous");
    };
    Ok(work(own))
}
