//! Sums between the devices of the processes, by NCCL.

use std::cell::OnceCell;
use std::sync::atomic::Ordering;

use anyhow::anyhow;
use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda::cudarc::nccl::result::NcclError;
use candle_core::cuda::cudarc::nccl::safe::NcclType;
use candle_core::cuda::cudarc::nccl::{Comm, Id, group_end, group_start};
use candle_core::cuda::{CudaDType, CudaStorage};
use candle_core::{CpuStorage, DType, Device, Error, InplaceOp2, Layout, Tensor, bail};

use super::slices::{self, Links};
use super::{SILENT, world};
use crate::output::{say, sentence};

thread_local! {
    /// What the devices send by, once asked for; none where a process has no device of its own.
    static DEVICES: OnceCell<Option<Devices>> = const { OnceCell::new() };
}

/// The sum of `values` over the ranks; none where they add on their hosts.
pub(super) fn sum(values: &Tensor) -> Result<Option<Tensor>, flatness_layers::Error> {
    DEVICES.with(|devices| {
        if let Some(None) = devices.get() {
            return Ok(None);
        }
        world::agree(values.elem_count() as u64)?;
        let devices = devices.get_or_init(|| join(values.device()));
        let sum = |devices| slices::sum(values, devices).unwrap_or_else(|error| end(&error));
        Ok(devices.as_ref().map(sum))
    })
}

/// Ends all: the other devices wait for this one, and nothing else would tell them.
fn end(error: &Error) -> ! {
    SILENT.store(false, Ordering::Relaxed);
    say(&format!("error: {}", sentence(&anyhow!("{error}"))));
    world::abort()
}

/// Joins the devices, if each rank has one.
fn join(device: &Device) -> Option<Devices> {
    let all = |word: bool| !world::said(u64::from(word)).contains(&0);
    if !all(device.is_cuda()) {
        return None;
    }
    let joined = Devices::join(device);
    let refused = joined.as_ref().err().map(ToString::to_string);
    if all(joined.is_ok()) {
        return joined.ok();
    }
    if let Some(refused) = refused {
        say(&format!("sums go by way of the host: {refused}"));
    }
    None
}

struct Devices {
    link: Comm,
}

impl Devices {
    /// Links this rank's device with those of the others, all of which call this.
    fn join(device: &Device) -> Result<Self, Error> {
        // What the first rank draws, all link by; nothing where it could not.
        let own = (world::rank() == 0).then(Id::new).transpose();
        let bytes = |id: &Id| id.internal().map(|byte| byte as u8).to_vec();
        let mut drawn = own
            .as_ref()
            .map_or(vec![], |own| own.as_ref().map_or(vec![], bytes));
        world::hand_round(&mut drawn);
        own.map_err(failed)?;
        let Ok(drawn) = <[u8; 128]>::try_from(drawn) else {
            bail!("the first rank has no NCCL");
        };
        let stream = device.as_cuda_device()?.cuda_stream();
        stream.context().bind_to_thread().map_err(Error::wrap)?;
        let id = Id::uninit(drawn.map(|byte| byte as _));
        let link = Comm::from_rank(stream, world::rank(), world::size(), id).map_err(failed)?;
        Ok(Self { link })
    }

    fn pass(&self, way: Way, from: &Tensor, to: Tensor) -> Result<Tensor, Error> {
        to.inplace_op2(
            from,
            &Pass {
                way,
                link: &self.link,
            },
        )?;
        Ok(to)
    }
}

impl Links for Devices {
    fn ranks(&self) -> usize {
        self.link.world_size()
    }

    fn exchange(&self, rows: &Tensor) -> Result<Tensor, Error> {
        self.pass(Way::Exchange, rows, rows.zeros_like()?)
    }

    fn gather(&self, row: &Tensor) -> Result<Tensor, Error> {
        let shape = (self.ranks(), row.elem_count());
        let to = Tensor::zeros(shape, row.dtype(), row.device())?;
        self.pass(Way::Gather, row, to)
    }
}

#[derive(Clone, Copy)]
enum Way {
    /// As many rows as ranks, one for each.
    Exchange,
    /// All of it for each rank.
    Gather,
}

/// What goes from device to device, as candle's operation on where it goes to and comes from.
struct Pass<'a> {
    way: Way,
    link: &'a Comm,
}

impl Pass<'_> {
    fn pass<T: CudaDType + DeviceRepr + NcclType>(
        &self,
        to: &mut CudaStorage,
        from: &CudaStorage,
        layout: &Layout,
    ) -> Result<(), Error> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("what is sent must be contiguous");
        };
        let from = from.as_cuda_slice::<T>()?.slice(start..end);
        let to = to.as_cuda_slice_mut::<T>()?;
        match self.way {
            Way::Exchange => self.exchange(&from, to),
            Way::Gather => self.link.all_gather(&from, to).map(drop),
        }
        .map_err(failed)
    }

    fn exchange<T: DeviceRepr + NcclType>(
        &self,
        from: &CudaView<T>,
        to: &mut CudaSlice<T>,
    ) -> Result<(), NcclError> {
        let width = from.len() / self.link.world_size();
        group_start()?;
        for rank in 0..self.link.world_size() {
            let row = rank * width..(rank + 1) * width;
            self.link.send(&from.slice(row.clone()), rank as i32)?;
            self.link.recv(&mut to.slice_mut(row), rank as i32)?;
        }
        group_end().map(drop)
    }
}

impl InplaceOp2 for Pass<'_> {
    fn name(&self) -> &'static str {
        "pass between devices"
    }

    fn cpu_fwd(
        &self,
        _: &mut CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(), Error> {
        bail!("NCCL has no part in what lies on the CPU");
    }

    fn cuda_fwd(
        &self,
        to: &mut CudaStorage,
        _: &Layout,
        from: &CudaStorage,
        layout: &Layout,
    ) -> Result<(), Error> {
        match from.dtype() {
            DType::F32 => self.pass::<f32>(to, from, layout),
            DType::F64 => self.pass::<f64>(to, from, layout),
            other => bail!("sums are of f32 or f64, got {}", other.as_str()),
        }
    }
}

fn failed(error: NcclError) -> Error {
    // NCCL's own word for it; with NCCL_DEBUG=WARN it says more.
    Error::msg(format!("NCCL: {:?}", error.0))
}
