//! What a correlation is made of: extents, the kernel's taps and runs of images.

use candle_core::Result;

use super::Window;
use super::kernel::Store;
use super::transpose::transpose;
use crate::vectors::Vectors;

/// Extents of a correlation from images of `channels` planes to results of `outputs` planes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) channels: usize,
    pub(super) outputs: usize,
    /// (H, W)
    pub(super) image: (usize, usize),
    /// (kh, kw)
    pub(super) kernel: (usize, usize),
    /// (H', W')
    pub(super) output: (usize, usize),
    pub(super) window: Window,
}

impl Extents {
    pub(super) fn new(
        (channels, outputs): (usize, usize),
        image: (usize, usize),
        kernel: (usize, usize),
        window: Window,
    ) -> Result<Self> {
        Ok(Self {
            channels,
            outputs,
            image,
            kernel,
            output: window.outputs(image, kernel)?,
            window,
        })
    }

    /// Taps of a kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Pixels of an image plane.
    pub(super) fn image_pixels(&self) -> usize {
        self.image.0 * self.image.1
    }

    /// Pixels of an output plane.
    pub(super) fn output_pixels(&self) -> usize {
        self.output.0 * self.output.1
    }

    /// Whether every output pixel is a combination of the channels of the same input pixel.
    pub(super) fn is_pointwise(&self) -> bool {
        let Window { stride, padding } = self.window;
        self.kernel == (1, 1) && stride == 1 && padding == 0
    }

    /// Whether F(2 x 2, 3 x 3) applies, and pays: thinner maps spend their time in its transforms.
    pub(super) fn suits_winograd(&self) -> bool {
        let thin = self.channels.min(self.outputs) < 8;
        self.kernel == (3, 3) && self.window.stride == 1 && self.window.padding <= 2 && !thin
    }
}

/// The taps of a kernel from `channels` to `outputs`: those of output k and channel c start at
/// `(k / period) * outer + (k % period) * output + c * channel`.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a, T> {
    values: &'a [T],
    count: usize,
    period: usize,
    outer: usize,
    output: usize,
    channel: usize,
}

impl<'a, T> Taps<'a, T> {
    /// Of (O, I, kh, kw), with I channels: the kernel of a forward pass.
    pub(super) fn forward(values: &'a [T], inputs: usize, count: usize) -> Self {
        Self {
            values,
            count,
            period: usize::MAX,
            outer: 0,
            output: inputs * count,
            channel: count,
        }
    }

    /// Of (V, O, I, kh, kw), with O channels and V I outputs: the kernel of a backward pass.
    pub(super) fn backward(
        values: &'a [T],
        (outputs, inputs): (usize, usize),
        count: usize,
    ) -> Self {
        Self {
            values,
            count,
            period: inputs.max(1),
            outer: outputs * inputs * count,
            output: count,
            channel: inputs * count,
        }
    }

    /// The kh kw taps from `channel` to `output`, row by row.
    pub(super) fn of(&self, output: usize, channel: usize) -> &'a [T] {
        &self.values[self.start(output, channel)..][..self.count]
    }

    fn start(&self, output: usize, channel: usize) -> usize {
        output / self.period * self.outer
            + output % self.period * self.output
            + channel * self.channel
    }
}

impl<T: Vectors> Taps<'_, T> {
    /// Kernels of one tap as a matrix, (channel, output).
    #[inline(always)]
    pub(super) fn matrix(&self, channels: usize, target: &mut [T]) {
        let outputs = target.len() / channels.max(1);
        if self.output == 1 {
            for (channel, row) in target.chunks_exact_mut(outputs.max(1)).enumerate() {
                for (first, run) in row.chunks_mut(self.period).enumerate() {
                    let start = self.start(first * self.period, channel);
                    run.copy_from_slice(&self.values[start..start + run.len()]);
                }
            }
        } else {
            let size = (outputs, channels);
            transpose(
                size,
                self.values,
                self.output,
                target,
                outputs,
                Store::Write,
            );
        }
    }

    /// The taps of the channels from `channel` to the outputs from `first`, to (channel, tap, panel
    /// width); what stood behind the last output stays.
    #[inline(always)]
    pub(super) fn gather(
        &self,
        (first, lanes): (usize, usize),
        (channel, channels): (usize, usize),
        target: &mut [T],
    ) {
        // Outputs of one period are evenly spaced, and often their channels are neighbours too.
        if first / self.period != (first + lanes - 1) / self.period {
            for lane in 0..lanes {
                for index in 0..channels {
                    let taps = self.of(first + lane, channel + index);
                    let target = &mut target[index * self.count * T::WIDTH + lane..];
                    for (target, &tap) in target.iter_mut().step_by(T::WIDTH).zip(taps) {
                        *target = tap;
                    }
                }
            }
        } else if self.channel == self.count {
            let source = &self.values[self.start(first, channel)..];
            let size = (lanes, channels * self.count);
            transpose(size, source, self.output, target, T::WIDTH, Store::Write);
        } else {
            let targets = target.chunks_exact_mut(self.count * T::WIDTH);
            for (index, target) in targets.take(channels).enumerate() {
                let source = &self.values[self.start(first, channel + index)..];
                let size = (lanes, self.count);
                transpose(size, source, self.output, target, T::WIDTH, Store::Write);
            }
        }
    }
}

/// Images inside a tensor: image b at `first + b * pitch`.
#[derive(Clone, Copy)]
pub(super) struct Images<'a, T> {
    values: &'a [T],
    first: usize,
    pitch: usize,
    /// Elements of an image.
    length: usize,
}

impl<'a, T> Images<'a, T> {
    /// One behind the other.
    pub(super) fn packed(values: &'a [T], length: usize) -> Self {
        Self {
            values,
            first: 0,
            pitch: length,
            length,
        }
    }

    /// Those numbered `first`, `first` + `step`, and so on.
    pub(super) fn every(self, step: usize, first: usize) -> Self {
        Self {
            first: self.first + first * self.pitch,
            pitch: step * self.pitch,
            ..self
        }
    }

    pub(super) fn get(&self, index: usize) -> &'a [T] {
        &self.values[self.first + index * self.pitch..][..self.length]
    }
}
