//! A run on several processes: the first trains and writes, all measure.

use anyhow::{Result, bail};
use candle_core::Device;
use flatness_engine::Weights;
use flatness_models::checkpoint;
use flatness_records::{Measured, Run, Spec};

use crate::arguments::RunOptions;
use crate::measuring::{Instrument, Point};
use crate::progress::Progress;
use crate::ranks;
use crate::setting::{Machine, Model, Task};

/// Where its messages are from, for errors.
const ORIGIN: &str = "the first process";

/// What the first process asks of the others.
enum Order<'a> {
    /// To make a run ready, whose spec this is, and to see whether it can be measured.
    Check(&'a str),
    /// To measure these weights of it, a checkpoint.
    Measure(Point, &'a [u8]),
}

impl<'a> Order<'a> {
    /// A letter, and what belongs to it.
    fn encode(&self) -> Vec<u8> {
        let (letter, rest) = match self {
            Self::Check(spec) => (b'c', spec.as_bytes()),
            Self::Measure(Point::Along, weights) => (b'a', *weights),
            Self::Measure(Point::End, weights) => (b'e', *weights),
        };
        [&[letter], rest].concat()
    }

    fn decode(message: &'a [u8]) -> Result<Self> {
        Ok(match message {
            [b'c', spec @ ..] => Self::Check(std::str::from_utf8(spec)?),
            [b'a', weights @ ..] => Self::Measure(Point::Along, weights),
            [b'e', weights @ ..] => Self::Measure(Point::End, weights),
            _ => bail!("{ORIGIN} is another program; start all with the same"),
        })
    }
}

/// Refuses what cannot be measured, here and by those that follow.
pub(super) fn check(instrument: &Instrument<'_>) -> Result<()> {
    let message = || Ok(Order::Check(&instrument.run.spec().to_toml()?).encode());
    ranks::lead(message, || ready(instrument))
}

/// Refuses what cannot be measured here, or is not of the same data on all.
fn ready(instrument: &Instrument<'_>) -> Result<()> {
    let Instrument {
        machine,
        model,
        splits,
        ..
    } = instrument;
    ranks::agree(&machine.workers, model, &splits.identity)?;
    instrument.check()
}

/// Measures with those that follow.
pub(super) fn measure(
    instrument: &Instrument<'_>,
    point: Point,
    weights: &Weights,
) -> Result<Measured> {
    let message = || {
        let spec = &instrument.run.spec().model;
        Ok(Order::Measure(point, &instrument.model.encode(weights, spec)?).encode())
    };
    ranks::lead(message, || instrument.measure(point, weights))
}

/// A run that the first process has, made ready here.
struct Followed {
    run: Run,
    task: Task,
    initial: Weights,
}

impl Followed {
    fn new(spec: &str, options: &RunOptions, device: &Device) -> Result<Self> {
        let run = Spec::from_toml(spec, ORIGIN)?.validate(ORIGIN)?;
        let task = Task::of(run.spec(), options.places.data.as_deref())?;
        Ok(Self {
            initial: task.model.initial(run.streams().seed("init"), device)?,
            task,
            run,
        })
    }

    fn instrument<'a>(&'a self, machine: &'a Machine) -> Option<Instrument<'a>> {
        let Task { model, splits, .. } = &self.task;
        let initial = &self.initial;
        Instrument::of(&self.run, model, splits, machine, initial, Progress::Quiet)
    }
}

/// Measures what the first process trains, with it.
pub(super) fn follow(options: &RunOptions) -> Result<()> {
    let machine = Machine::new(&options.computing, None)?.shared();
    let mut followed: Option<Followed> = None;
    ranks::follow(|message| {
        let order = Order::decode(message)?;
        if let Order::Check(spec) = order {
            followed = Some(Followed::new(spec, options, &machine.device)?);
        }
        let instrument = followed.as_ref().and_then(|run| run.instrument(&machine));
        let Some(instrument) = instrument else {
            bail!("{ORIGIN} asks for measurements of a run that has none");
        };
        // What all of them fail in, the first says.
        let _ = match order {
            Order::Check(_) => ranks::together(|| ready(&instrument))?,
            Order::Measure(point, bytes) => {
                let weights = weights(bytes, instrument.model, &machine)?;
                ranks::together(|| instrument.measure(point, &weights).map(drop))?
            }
        };
        Ok(())
    })
}

fn weights(bytes: &[u8], model: &Model, machine: &Machine) -> Result<Weights> {
    let stored = checkpoint::decode(bytes, ORIGIN)?;
    let weights = Weights {
        theta: stored.parameters(&model.network, ORIGIN)?,
        buffers: stored.buffers(&model.network, ORIGIN)?,
    };
    Ok(weights.to(model.dtype(), &machine.device)?)
}
