//! A verdict over three seeds.

use std::error::Error;

use flatness_report::{Claim, Judged, Sample, SeedValue, Test, Threshold};

fn main() -> Result<(), Box<dyn Error>> {
    let claims = Claim::embedded()?;
    assert_eq!(claims[0].id, "C1");

    // Three seeds in which weight decay has raised ln λ₁ by about a half: by more than 1.2 times.
    let seeds = [0.52, 0.47, 0.55].into_iter().enumerate();
    let seeds = seeds.map(|(seed, value)| SeedValue {
        seed: seed as u64,
        value,
        chance: 0.5,
        ..SeedValue::default()
    });
    let sample = Sample {
        seeds: seeds.collect(),
        ..Sample::default()
    };
    let test =
        Test::of(&sample, Threshold::Above(1.2), Judged::Mean, true).expect("more than one seed");
    assert!(test.p_holds < 0.05);
    println!(
        "p = {:.4} that the effect is below the threshold",
        test.p_holds
    );
    Ok(())
}
