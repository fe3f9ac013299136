//! Processes that were started together.

use crate::common::ended;

#[test]
#[cfg(not(feature = "mpi"))]
fn several_processes_of_a_program_without_mpi_are_refused() {
    for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let run = |size| {
            let child = crate::common::program()
                .args(["models", "mlp"])
                .env(variable, size)
                .spawn();
            ended(child.expect("the binary starts"))
        };
        let (code, output, error) = run("3");
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        assert!(
            error.starts_with("error: 3 processes were started together, but this"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(run("1").0, 0);
    }
}

/// Needs `mpirun`: `cargo xtask ci` runs these where there is one.
#[cfg(feature = "mpi")]
mod with_mpi {
    use std::process::{Child, Command};

    use serde_json::Value;

    use super::ended;
    use crate::common::{command, flatness};
    use crate::program::Place;

    fn start(ranks: u32, line: &str) -> Child {
        let mut mpirun: Command = command("mpirun");
        mpirun.args([
            "--allow-run-as-root",
            "--oversubscribe",
            "-n",
            &ranks.to_string(),
        ]);
        let flatness = mpirun.arg(env!("CARGO_BIN_EXE_flatness"));
        flatness
            .args(line.split_whitespace())
            .spawn()
            .expect("mpirun starts")
    }

    fn numbers(output: &str) -> Vec<f64> {
        let found: Value = serde_json::from_str(output).expect("one JSON object");
        let names = ["lambda_max", "trace", "frobenius"];
        let value = |name| found["matrices"][0]["numbers"][name]["value"].as_f64();
        names
            .into_iter()
            .map(|name| value(name).expect(name))
            .collect()
    }

    #[test]
    fn ranks_measure_what_one_process_does_and_one_of_them_speaks() {
        let place = Place::new("mlp");
        let line = format!(
            "measure {} --threads 1 --examples 500 --what top,trace,frobenius --json --quiet",
            place.checkpoint().display()
        );
        let (code, alone, error) = flatness(&line);
        assert_eq!(code, 0, "{error}");
        for ranks in [2, 3, 4] {
            let (code, output, error) = ended(start(ranks, &line));
            assert_eq!((code, error.as_str()), (0, ""));
            assert_eq!(
                ended(start(ranks, &line)).1,
                output,
                "the bits do not repeat"
            );
            for (got, expected) in numbers(&output).into_iter().zip(numbers(&alone)) {
                let close = (got - expected).abs() <= 1e-12 * expected.abs();
                assert!(close, "{ranks} ranks: {got:e}, alone {expected:e}");
            }
        }
    }

    #[test]
    fn what_one_rank_cannot_do_ends_all_with_its_sentence() {
        let mlp = Place::new("mlp");
        let checkpoint = mlp.checkpoint();
        let place = checkpoint.display();
        for (line, expected) in [
            (
                "measure nowhere".to_owned(),
                "cannot read the checkpoint nowhere",
            ),
            // The first alone opens it.
            (
                format!("measure {place} --journal no/journal"),
                "cannot open the journal no/journal",
            ),
            (
                "models".to_owned(),
                "only `flatness measure` shares its work",
            ),
        ] {
            let (code, output, error) = ended(start(3, &line));
            assert_eq!((code, output.as_str()), (2, ""), "{error}");
            let said: Vec<&str> = error
                .lines()
                .filter(|line| line.contains("error: "))
                .collect();
            assert!(said.len() == 1 && said[0].contains(expected), "{error}");
        }
    }
}
