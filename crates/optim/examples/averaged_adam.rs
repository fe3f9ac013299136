//! Gadam, which is AdamW with a uniform average of its iterates.

use std::error::Error;

use candle_core::{Device, Tensor};
use flatness_optim::{Adam, Average, Decay, MomentSettings, Optimizer, Schedule};

fn main() -> Result<(), Box<dyn Error>> {
    // Minimise ½ ‖θ‖²: the gradient is θ itself.
    let theta = Tensor::new(&[1f64, -2.0], &Device::Cpu)?;
    let mut adamw = Adam::new(MomentSettings::PUBLISHED, Decay::decoupled(0.25)?, &theta)?;
    let (epochs, start) = (300, 161);
    let mut average = Average::uniform(start, &theta)?;
    let schedule = Schedule::averaging(start as f64, 0.5)?;
    for epoch in 0..epochs {
        let gradient = theta.copy()?;
        let rate = 0.05 * schedule.factor(f64::from(epoch), f64::from(epochs));
        adamw.step(&theta, &gradient, rate)?;
        average.add(&theta)?;
    }
    assert_eq!(average.count(), 139);
    assert!(average.average()?.abs()?.max(0)?.to_scalar::<f64>()? < 1e-3);
    println!("average {}", average.average()?);
    Ok(())
}
