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
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command};

    use serde_json::Value;

    use super::ended;
    use crate::common::{command, flatness};
    use crate::program::Place;

    /// So many ranks of each line.
    fn start_each(lines: &[(u32, &str)]) -> Child {
        let mut mpirun: Command = command("mpirun");
        mpirun.args(["--allow-run-as-root", "--oversubscribe"]);
        for (number, (ranks, line)) in lines.iter().enumerate() {
            mpirun.args((number > 0).then_some(":"));
            mpirun.args(["-n", &ranks.to_string(), env!("CARGO_BIN_EXE_flatness")]);
            mpirun.args(line.split_whitespace());
        }
        mpirun.spawn().expect("mpirun starts")
    }

    fn start(ranks: u32, line: &str) -> Child {
        start_each(&[(ranks, line)])
    }

    fn numbers(output: &str) -> Vec<f64> {
        numbers_of(&serde_json::from_str(output).expect("one JSON object"))
    }

    fn numbers_of(found: &Value) -> Vec<f64> {
        let names = ["lambda_max", "trace", "frobenius"];
        let value = |name| found["matrices"][0]["numbers"][name]["value"].as_f64();
        names
            .into_iter()
            .map(|name| value(name).expect(name))
            .collect()
    }

    #[track_caller]
    fn assert_close(ranks: u32, got: Vec<f64>, expected: Vec<f64>) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.into_iter().zip(expected) {
            let close = (got - expected).abs() <= 1e-12 * expected.abs();
            assert!(close, "{ranks} ranks: {got:e}, alone {expected:e}");
        }
    }

    /// An MLP with an average, measured on its way.
    fn spec(model: &str, epochs: u32) -> String {
        format!(
            r#"
            seed = 3
            data = {{ set = "mnist", train_examples = 300 }}
            model = {{ name = "{model}", dtype = "f64" }}
            [train]
            epochs = {epochs}
            batch_size = 50
            optimizer = {{ kind = "sgd", learning_rate = 0.02, momentum = 0.9, nesterov = true, weight_decay = 1e-4 }}
            schedule = {{ kind = "paper", ratio = 0.01 }}
            average = {{ kind = "uniform", from_epoch = 0, every = "epoch" }}
            [measure]
            epochs = [0]
            along = ["top", "trace", "frobenius"]
            what = ["top", "trace", "frobenius"]
            batch_size = 100
            "#
        )
    }

    /// A directory with these specs, by their names.
    fn with_specs(specs: &[(&str, String)]) -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a temporary directory");
        for (name, spec) in specs {
            fs::write(place.path().join(name), spec).expect("writable");
        }
        place
    }

    /// The line that does these runs into the directory `runs`.
    fn run(place: &Path, specs: &[&str], runs: &str) -> String {
        let specs: Vec<String> = (specs.iter())
            .map(|spec| place.join(spec).display().to_string())
            .collect();
        let runs = place.join(runs);
        format!(
            "run {} --threads 1 --quiet --runs {}",
            specs.join(" "),
            runs.display()
        )
    }

    /// The files that runs leave, in the order of their names.
    fn files(place: &Path, runs: &str, file: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(place.join(runs)).expect("runs");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("one").path()).collect();
        paths.sort();
        let read = |path: &std::path::PathBuf| fs::read(path.join(file)).ok();
        paths.iter().filter_map(read).collect()
    }

    #[test]
    fn ranks_measure_a_run_that_one_of_them_trains() {
        let place = with_specs(&[("a", spec("mlp", 2)), ("b", spec("logistic", 1))]);
        let place = place.path();
        let specs = ["a", "b"];
        let (code, _, error) = flatness(&run(place, &specs, "alone"));
        assert_eq!(code, 0, "{error}");
        let (code, output, error) = ended(start(3, &run(place, &specs, "ranks")));
        assert_eq!((code, output.as_str(), error.as_str()), (0, "", ""));
        for file in ["checkpoint.safetensors", "average.safetensors"] {
            let [got, alone] = ["ranks", "alone"].map(|runs| files(place, runs, file));
            assert_eq!((got.len(), &got), (2, &alone), "{file}");
        }
        let records = |runs| files(place, runs, "record.json");
        assert_eq!(records("ranks").len(), 2);
        for (got, alone) in records("ranks").iter().zip(records("alone")) {
            let [got, alone] = [got, &alone].map(|bytes| {
                let record: Value = serde_json::from_slice(bytes).expect("a record");
                record
            });
            let segment = &got["provenance"]["segments"][0];
            assert_eq!(
                (&segment["ranks"], &segment["threads"]),
                (&3.into(), &1.into())
            );
            assert_eq!(alone["provenance"]["segments"][0].get("ranks"), None);
            let command = got["provenance"]["command"].as_str();
            assert!(command.is_some_and(|line| line.starts_with("mpirun -n 3 flatness run ")));
            let [got, alone] = [&got, &alone].map(|record| record["measurements"].as_array());
            let (got, alone) = (got.expect("measured"), alone.expect("measured"));
            assert_eq!(got.len(), alone.len());
            for (got, alone) in got.iter().zip(alone) {
                assert_close(3, numbers_of(got), numbers_of(alone));
            }
        }
        let again = ended(start(3, &run(place, &specs, "ranks")));
        assert_eq!(again, (0, String::new(), String::new()));
    }

    #[test]
    fn runs_that_fail_or_are_done_leave_the_others_to_the_ranks() {
        // A dense matrix of 15,685 parameters.
        let spectrum = "what = [\"spectrum\"";
        let wide = spec("mlp-deep", 1).replace("what = [\"top\"", spectrum);
        let place = with_specs(&[
            ("bad", "seed = 'x'".to_owned()),
            ("refused", wide),
            ("done", spec("logistic", 1)),
            ("good", spec("logistic", 2)),
        ]);
        let place = place.path();
        let (code, _, error) = flatness(&run(place, &["done"], "runs"));
        assert_eq!(code, 0, "{error}");
        let specs = ["bad", "refused", "done", "good"];
        let (code, output, error) = ended(start(3, &run(place, &specs, "runs")));
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        let said: Vec<&str> = (error.lines())
            .filter(|line| line.contains("error: "))
            .collect();
        assert_eq!(said.len(), 3, "{error}");
        assert!(said[2].contains("2 of 4 runs failed"), "{error}");
        assert_eq!(files(place, "runs", "record.json").len(), 2);
    }

    #[test]
    fn a_rank_without_the_data_ends_all_before_anything_is_trained() {
        let place = with_specs(&[("a", spec("mlp", 2))]);
        let line = run(place.path(), &["a"], "runs");
        let nowhere = format!("{line} --data nowhere");
        let (code, _, error) = ended(start_each(&[(1, &line), (2, &nowhere)]));
        assert_eq!(code, 2, "{error}");
        let said: Vec<&str> = (error.lines())
            .filter(|line| line.contains("error: "))
            .collect();
        assert!(said.len() == 1 && said[0].contains("nowhere"), "{error}");
        assert!(
            files(place.path(), "runs", "metrics.jsonl")
                .iter()
                .all(Vec::is_empty)
        );
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
            assert_close(ranks, numbers(&output), numbers(&alone));
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
                "only `flatness measure` and `flatness run` share their work",
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
