//! A spec read, validated and named.

use std::error::Error;

use flatness_records::Spec;

fn main() -> Result<(), Box<dyn Error>> {
    let spec = Spec::from_toml(
        r#"
        seed = 0
        [data]
        set = "mnist"
        [model]
        name = "logistic"
        dtype = "f32"
        [train]
        epochs = 10
        batch_size = 128
        optimizer = { kind = "sgd", learning_rate = 0.01, momentum = 0.9, nesterov = false, weight_decay = 5e-4 }
        schedule = { kind = "constant" }
        "#,
        "example.toml",
    )?;
    let run = spec.validate("example.toml")?;
    assert_eq!(run.id().len(), 16);
    assert_ne!(run.streams().seed("shuffle"), run.streams().seed("init"));
    println!(
        "run {}, shuffled by seed {}",
        run.id(),
        run.streams().seed("shuffle")
    );
    Ok(())
}
