//! Processes that were started together.

use crate::common::ended;

#[test]
#[cfg(not(feature = "mpi"))]
fn several_processes_of_a_program_without_mpi_are_refused() {
    for variables in [
        &["OMPI_COMM_WORLD_SIZE"][..],
        &["PMI_SIZE"],
        &["SLURM_STEP_NUM_TASKS"],
        &["PMIX_RANK", "SLURM_NTASKS"],
    ] {
        let run = |size| {
            let child = crate::common::program()
                .args(["models", "mlp"])
                .envs(variables.iter().map(|variable| (variable, size)))
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

/// It has the number of tasks, and is one process.
#[test]
fn a_batch_script_of_slurm_runs_the_program_as_it_is() {
    let child = crate::common::program()
        .args(["models", "mlp"])
        .envs([("SLURM_NTASKS", "3"), ("SLURM_PROCID", "0")])
        .spawn();
    assert_eq!(ended(child.expect("the binary starts")).0, 0);
}

/// Needs `mpirun`: `cargo xtask ci` runs these where there is one.
#[cfg(feature = "mpi")]
mod with_mpi {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use candle_core::{DType, Device, Tensor};
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

    /// The files that runs leave, if any, in the order of their names.
    fn files(place: &Path, runs: &str, file: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(place.join(runs)).into_iter().flatten();
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

    /// What they say where they fail, one line alone.
    #[track_caller]
    fn sentence(child: Child) -> String {
        let (code, output, error) = ended(child);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        let mut said = error.lines().filter(|line| line.contains("error: "));
        let sentence = said.next().unwrap_or_default().to_owned();
        assert_eq!(said.next(), None, "{error}");
        sentence
    }

    /// Images like those of MNIST and their labels in a file, `shift` added to a pixel in the middle.
    fn images(path: &Path, shift: f32) {
        let pixel = |index: usize| (index % 97) as f32 / 97.0 + shift * f32::from(index == 7000);
        let pixels: Vec<f32> = (0..20 * 784).map(pixel).collect();
        let labels: Vec<i64> = (0..20).map(|index| index % 10).collect();
        let tensor = |of: Result<Tensor, candle_core::Error>| of.expect("a tensor");
        let x = tensor(Tensor::from_vec(pixels, (20, 1, 28, 28), &Device::Cpu));
        let y = tensor(Tensor::from_vec(labels, 20, &Device::Cpu));
        let tensors = std::collections::HashMap::from([("x", x), ("y", y)]);
        candle_core::safetensors::save(&tensors, path).expect("writable");
    }

    #[test]
    fn ranks_with_other_data_weights_requests_or_threads_are_told_in_what_they_differ() {
        let (place, other) = (Place::new("mlp"), Place::new("mlp"));
        let weights = fs::read(other.checkpoint()).expect("a checkpoint");
        let moved = (&other.theta * 1.5).expect("a tensor").to_dtype(DType::F64);
        let moved = Place::with("mlp", other.network.clone(), moved.expect("a tensor"));
        assert_ne!(fs::read(moved.checkpoint()).expect("a checkpoint"), weights);
        let [one, another] =
            ["one.safetensors", "another.safetensors"].map(|name| place.path(name));
        images(&one, 0.0);
        images(&another, 0.5);
        let line = |place: &Place, data: &Path, rest: &str| {
            let (checkpoint, data) = (place.checkpoint(), data.display());
            let checkpoint = checkpoint.display();
            format!("measure {checkpoint} --data {data} --what trace --threads 1 --quiet {rest}")
        };
        let usual = line(&place, &one, "");
        for (differing, what) in [
            (line(&place, &another, ""), "data"),
            (line(&moved, &one, ""), "weights"),
            (line(&place, &one, "--relative-error 0.01"), "request"),
            (line(&place, &one, "--seed 7"), "seed"),
            (
                line(&place, &one, "--threads 2").replacen("--threads 1", "", 1),
                "threads",
            ),
        ] {
            let said = sentence(start_each(&[(1, &usual), (1, &differing)]));
            let expected = format!("rank 1 differs from rank 0 in {what}; start all ranks");
            assert!(said.contains(&expected), "{said}");
        }
        assert_eq!(ended(start(2, &usual)).0, 0);
    }

    #[test]
    fn what_one_rank_refuses_to_measure_ends_all_before_anything_is_trained() {
        let place = with_specs(&[("a", spec("mlp", 2))]);
        let line = run(place.path(), &["a"], "runs");
        let without_memory = format!("{line} --memory-budget 0");
        let metrics = || files(place.path(), "runs", "metrics.jsonl");
        for lines in [
            [(2, line.as_str()), (1, without_memory.as_str())],
            [(1, &without_memory), (2, &line)],
        ] {
            let said = sentence(start_each(&lines));
            assert!(said.contains("--memory-budget must be at least"), "{said}");
            assert!(metrics().iter().all(Vec::is_empty));
        }
        assert_eq!(ended(start(3, &line)).0, 0);
    }

    /// Waits until `is_there`.
    #[track_caller]
    fn wait(what: &str, mut is_there: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is_there() {
            assert!(started.elapsed() < Duration::from_secs(120), "no {what}");
            sleep(Duration::from_millis(2));
        }
    }

    fn send(signal: &str, process: u32) {
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, &process.to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// The one directory of a run in `runs`.
    fn directory(place: &Path, runs: &str) -> Option<PathBuf> {
        let mut entries = fs::read_dir(place.join(runs)).ok()?;
        Some(entries.next()?.ok()?.path())
    }

    #[test]
    fn a_run_that_mpirun_is_asked_to_end_saves_its_state_and_goes_on_to_the_same_bits() {
        // Long enough to be ended on its way.
        let long = spec("mlp", 120).replace("train_examples = 300", "train_examples = 9000");
        let place = with_specs(&[("a", long)]);
        let place = place.path();
        let whole = ended(start(3, &run(place, &["a"], "whole")));
        assert_eq!(whole.0, 0, "{}", whole.2);
        let line = run(place, &["a"], "ended");
        let child = start(3, &line);
        let metrics = || {
            let file = directory(place, "ended")?.join("metrics.jsonl");
            fs::metadata(file).ok().map(|metadata| metadata.len())
        };
        wait("epoch", || metrics().is_some_and(|bytes| bytes > 0));
        send("-TERM", child.id());
        let (code, _, error) = ended(child);
        assert_ne!(code, 0, "{error}");
        assert!(error.contains("the state is saved"), "{error}");
        let files_of = || fs::read_dir(directory(place, "ended").expect("a run")).expect("files");
        let is_state = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().expect("a name");
            name.starts_with("state-")
        };
        assert!(files_of().any(|entry| is_state(entry.expect("a file"))));
        let (code, _, error) = ended(start(3, &line));
        assert_eq!(code, 0, "{error}");
        for file in ["checkpoint.safetensors", "average.safetensors"] {
            let [whole, ended] = ["whole", "ended"].map(|runs| files(place, runs, file));
            assert_eq!((whole.len(), &whole), (1, &ended), "{file}");
        }
        let measured = |runs| {
            let records = files(place, runs, "record.json");
            let record: Value = serde_json::from_slice(&records[0]).expect("a record");
            let measured = record["measurements"].as_array().expect("measured");
            measured.iter().map(numbers_of).collect::<Vec<_>>()
        };
        assert_eq!(measured("whole"), measured("ended"));
    }

    /// The process that is the rank of that number below `mpirun`.
    fn rank(mpirun: u32, rank: usize) -> Option<u32> {
        let children = fs::read_to_string(format!("/proc/{mpirun}/task/{mpirun}/children")).ok()?;
        let is_it = |process: &&str| {
            let variables = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
            variables
                .split(|&byte| byte == 0)
                .any(|variable| variable == wanted.as_bytes())
        };
        children.split_whitespace().find(is_it)?.parse().ok()
    }

    #[test]
    fn a_measurement_with_a_killed_rank_goes_on_from_its_journal_to_the_same_numbers() {
        let place = Place::new("mlp");
        let options = format!(
            "measure {} --threads 1 --examples 3000 --what top=3,trace,frobenius --relative-error 0.02 --json --quiet",
            place.checkpoint().display()
        );
        let (code, whole, error) = ended(start(3, &options));
        assert_eq!(code, 0, "{error}");
        let journal = place.path("journal");
        let line = format!("{options} --journal {}", journal.display());
        let length = || fs::metadata(&journal).map_or(0, |file| file.len());
        for killed in [1, 0, 2] {
            let before = length();
            let child = start(3, &line);
            // A few products more, of 9,960 doubles each.
            wait("product", || length() > before + 3 * 79_680);
            send("-KILL", rank(child.id(), killed).expect("a rank"));
            let (code, output, error) = ended(child);
            assert_ne!(code, 0, "{error}");
            assert_eq!(output, "");
            assert!(length() > before);
        }
        let (code, output, error) = ended(start(3, &line));
        assert_eq!((code, error.as_str()), (0, ""));
        assert_eq!(output, whole);
        assert!(!journal.exists());
    }
}
