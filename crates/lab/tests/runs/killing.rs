//! A run killed at any moment, and started again, ends with the same bits.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::program::{BATCH_NORM, Finished, MLP, Place, assert_says, kill, lives, mlp};

/// Moments at which a run of each spec is killed.
const KILLS: u32 = 10;

/// Kills the run of `place` at moments spread over it by a fixed linear congruential sequence, with a state
/// saved after every step and with one now and then; `kept` are the names of what it leaves behind.
pub(crate) fn check_kills(place: &Place, kept: &[&str]) {
    let started = Instant::now();
    let (code, error) = place.run("whole", &["--quiet", "--save-every", "0"]);
    assert_eq!(code, 0, "{error}");
    let whole = started.elapsed();
    let mut kills = 0;
    let mut random: u64 = 12_345;
    for attempt in 0..KILLS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let save_every = if attempt % 4 == 3 { "1" } else { "0" };
        let mut child = place.start("killed", &["--quiet", "--save-every", save_every]);
        // A third of the run on average, since every start costs time without progress.
        let share = (random >> 33) as f64 / f64::from(1u32 << 31);
        sleep(whole.mul_f64(0.6 * share) + Duration::from_millis(1));
        kills += u32::from(lives(&mut child));
        kill(child);
    }
    assert!(kills > 0, "the run was too short to be killed");
    let killed = place.finish("killed");
    assert_eq!(killed, Finished::read(&place.run_directory("whole")));
    assert_eq!(killed.names, kept);
}

#[test]
fn a_killed_run_ends_with_the_same_bits() {
    let kept = [
        "checkpoint.safetensors",
        "lock",
        "metrics.jsonl",
        "record.json",
        "spec.toml",
    ];
    check_kills(&Place::new(MLP), &kept);
}

#[test]
fn a_killed_run_with_batch_norm_and_an_average_ends_with_the_same_bits() {
    let kept = [
        "average.safetensors",
        "checkpoint-2.safetensors",
        "checkpoint-4.safetensors",
        "checkpoint.safetensors",
        "lock",
        "metrics.jsonl",
        "record.json",
        "spec.toml",
    ];
    check_kills(&Place::new(BATCH_NORM), &kept);
}

#[test]
fn a_killed_run_diverges_as_the_whole_one() {
    // Every step multiplies the weights by about -1e12, so that they overflow in the second epoch.
    let spec = mlp(24)
        .replace("name = \"mlp\"", "name = \"logistic\"")
        .replace("learning_rate = 0.02", "learning_rate = 1.0")
        .replace("weight_decay = 1e-4", "weight_decay = 1e12")
        .replace(
            "momentum = 0.9, nesterov = true",
            "momentum = 0.0, nesterov = false",
        );
    let place = Place::new(&spec);
    let ended = place.run("whole", &["--quiet"]);
    let whole = Finished::read(&place.run_directory("whole"));
    let outcome = &whole.record["outcome"];
    assert_eq!(outcome["kind"], "diverged");
    let epoch = outcome["epoch"].as_u64().expect("a number");
    let step = outcome["step"].as_u64().expect("a number");
    assert!(epoch > 1, "{outcome}");
    assert_eq!(step.div_ceil(10), epoch, "{outcome}");
    let when = [format!("epoch {epoch}"), format!("step {step}")];
    assert_says(ended, 2, &[&when[0], &when[1], "loss", "parameter norm"]);

    // The kill may come after the end of so short a run: then another is begun.
    for attempt in 0.. {
        let runs = format!("killed-{attempt}");
        let mut child = place.start(&runs, &["--quiet", "--save-every", "0"]);
        // In the second epoch: the parameters to return to are not those of the state.
        place.wait_for_step(&mut child, &runs, 11);
        let midway = lives(&mut child);
        kill(child);
        let (code, _) = place.run(&runs, &["--quiet"]);
        assert_eq!(code, 2);
        assert_eq!(Finished::read(&place.run_directory(&runs)), whole);
        if midway {
            break;
        }
    }
}
