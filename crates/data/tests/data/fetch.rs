//! Downloads from servers that answer, in whatever way, to disks that do not always take it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flatness_data::fetch::{Connection, Manifest, Progress, RemoteFile, fetch};
use flatness_data::{Error, Set};
use tempfile::tempdir;

use crate::check::refused;
use crate::server::{Reply, Server, Then, nobody};

const NAME: &str = "numbers.bin";

/// Golden: sha256sum of the bytes 0, 1, … 255, three times over, by coreutils.
fn remote_file() -> RemoteFile {
    RemoteFile {
        name: NAME.to_owned(),
        bytes: 768,
        sha256: "f3a25aa93aa2fbba28d79260535bbd6a5eb0fc1c24a8b0f04e12b484c1dfe363".to_owned(),
    }
}

fn content() -> Vec<u8> {
    (0..=255).cycle().take(768).collect()
}

fn good() -> Server {
    Server::start(|_| Reply::body(&content()))
}

/// Patient enough for a busy machine; the silences that tests provoke last until the client leaves.
fn connection() -> Connection {
    Connection {
        silence: Duration::from_secs(5),
        file_timeout: Duration::from_secs(10),
        proxy: None,
    }
}

/// The outcome, as a message, and what was reported, as words.
fn fetch_by(
    connection: &Connection,
    mirrors: &[String],
    directory: &Path,
) -> (Result<(), Error>, Vec<String>) {
    let manifest = Manifest {
        files: vec![remote_file()],
        mirrors: mirrors.to_vec(),
    };
    let mut events = Vec::new();
    let outcome = fetch(&manifest, directory, connection, &mut |file, progress| {
        events.push(match progress {
            Progress::Present => format!("present {}", file.name),
            Progress::Asking { url } => format!("asking {url}"),
            Progress::Received { bytes } => format!("received {bytes} of {}", file.bytes),
            Progress::Failed { attempt } => format!("failed {attempt}"),
            Progress::Stored => format!("stored {}", file.name),
        });
    });
    (outcome, events)
}

fn fetch_from(mirrors: &[String], directory: &Path) -> (Result<(), Error>, Vec<String>) {
    fetch_by(&connection(), mirrors, directory)
}

/// Sorted names of the files in a directory.
fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn check_stored(directory: &Path) {
    assert_eq!(entries(directory), [NAME]);
    assert_eq!(fs::read(directory.join(NAME)).unwrap(), content());
}

#[test]
fn a_file_arrives_whole_and_is_reported() {
    let directory = tempdir().unwrap();
    let server = Server::start(|path| match path {
        "/numbers.bin" => Reply::body(&content()),
        _ => Reply::new("404 Not Found", &[]),
    });
    let (outcome, events) = fetch_from(&[server.url()], directory.path());
    outcome.unwrap();
    check_stored(directory.path());
    assert_eq!(events[0], format!("asking {}numbers.bin", server.url()));
    assert_eq!(events[events.len() - 2], "received 768 of 768");
    assert_eq!(events[events.len() - 1], "stored numbers.bin");
}

#[test]
fn slow_unannounced_and_redirected_bodies_arrive_whole() {
    let slow = Server::slow(50, |_| Reply::body(&content()));
    let unannounced = Server::start(|_| Reply::new("200 OK", &content()));
    let target = slow.url();
    let redirects = Server::start(move |path| match path {
        "/numbers.bin" => Reply::redirect("/elsewhere"),
        _ => Reply::redirect(&format!("{target}numbers.bin")),
    });
    for server in [&slow, &unannounced, &redirects] {
        let directory = tempdir().unwrap();
        fetch_from(&[server.url()], directory.path()).0.unwrap();
        check_stored(directory.path());
    }
    assert_eq!(redirects.requests(), 2);
}

#[test]
fn a_valid_file_is_kept_without_asking_and_any_other_is_replaced() {
    let server = good();
    let directory = tempdir().unwrap();
    let path = directory.path().join(NAME);

    fs::write(&path, content()).unwrap();
    let (outcome, events) = fetch_from(&[server.url()], directory.path());
    outcome.unwrap();
    assert_eq!(events, ["present numbers.bin"]);
    assert_eq!(server.requests(), 0);

    for stale in [vec![], vec![0; 768], vec![0; 769]] {
        fs::write(&path, &stale).unwrap();
        // It survives a download that fails.
        fetch_from(&[nobody()], directory.path()).0.unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), stale);
        fetch_from(&[server.url()], directory.path()).0.unwrap();
        check_stored(directory.path());
    }
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_directory_is_made_and_a_file_is_as_readable_as_the_umask_allows() {
    let root = tempdir().unwrap();
    let directory = root.path().join("a/b");
    fetch_from(&[good().url()], &directory).0.unwrap();
    let reference = root.path().join("reference");
    fs::write(&reference, b"").unwrap();
    let permissions = |path: &Path| fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(&directory.join(NAME)), permissions(&reference));
}

#[test]
fn a_mirror_that_fails_leaves_nothing_behind_and_the_next_one_is_asked() {
    let mut wrong = content();
    wrong[700] ^= 1;
    let longer = [content(), vec![0]].concat();
    let half = &content()[..400];
    let raw = |bytes: &[u8]| Reply {
        bytes: bytes.to_vec(),
        then: Then::Close,
    };
    let failed = |status| Reply::new(&format!("{status}|Content-Length: 0"), &[]);
    let endless = Reply::new("200 OK", &[0; 4096]).then(Then::Again);
    let cases = [
        (failed("404 Not Found"), "404"),
        (failed("500 Internal Server Error"), "500"),
        (Reply::body(&wrong), "sha256 expected"),
        (Reply::new("200 OK", &wrong), "sha256 expected"),
        (Reply::body(&longer), "size expected 768, got 769"),
        (Reply::new("200 OK", &longer), "size expected 768, got more"),
        (endless, "size expected 768, got more"),
        (Reply::body(half), "size expected 768, got 400"),
        (Reply::new("200 OK", half), "size expected 768, got 400"),
        (Reply::announced(768, half), "after 400 of 768 bytes"),
        (Reply::body(&[]), "size expected 768, got 0"),
        (Reply::redirect("/numbers.bin"), "too many redirects"),
        (Reply::redirect("gopher://127.0.0.1/"), "unknown scheme"),
        (Reply::redirect("file:///etc/passwd"), "redirects"),
        (raw(&[]), "disconnected"),
        (raw(b"\x16\x03\x01 no HTTP\r\n\r\n"), "protocol"),
    ];
    for (reply, reason) in cases {
        let bad = Server::start(move |_| reply.clone());
        let directory = tempdir().unwrap();
        let (outcome, events) = fetch_from(&[bad.url()], directory.path());
        let message = outcome.unwrap_err().to_string().to_lowercase();
        assert!(message.contains(reason), "{reason:?} is not in: {message}");
        assert!(events.last().unwrap().starts_with("failed "), "{events:?}");
        assert_eq!(entries(directory.path()), [""; 0], "{message}");

        let (outcome, events) = fetch_from(&[bad.url(), good().url()], directory.path());
        outcome.unwrap();
        check_stored(directory.path());
        let said = |event: &String| event.to_lowercase().contains(reason);
        assert!(events.iter().any(said), "{events:?}");
    }
}

#[test]
fn silence_and_a_trickle_run_into_their_timeouts() {
    let half = Reply::announced(768, &content()[..400]);
    let silent = Server::start(move |_| half.clone().then(Then::Silence));
    let trickle = Server::slow(1, |_| Reply::body(&content()));
    let short = Duration::from_millis(100);
    let impatient = Connection {
        silence: short,
        ..connection()
    };
    let hurried = Connection {
        file_timeout: short,
        ..connection()
    };
    for (server, connection) in [(silent, impatient), (trickle, hurried)] {
        let directory = tempdir().unwrap();
        let (outcome, _) = fetch_by(&connection, &[server.url()], directory.path());
        refused(outcome, "timeout");
        assert_eq!(entries(directory.path()), [""; 0]);
    }
}

#[test]
fn being_offline_is_one_sentence_that_names_file_mirrors_and_remedy() {
    let directory = tempdir().unwrap();
    let mirrors = [nobody(), "http://name.invalid/".to_owned()];
    let (to, mirror) = (directory.path().display(), mirrors.join("|"));
    let parts = format!("{NAME}|{mirror}|check the network connection|{to}");
    refused(fetch_from(&mirrors, directory.path()).0, &parts);
    refused(fetch_from(&[], directory.path()).0, "names no mirror");
}

#[test]
fn files_stored_before_a_failure_stay() {
    let directory = tempdir().unwrap();
    let server = Server::start(|path| match path {
        "/numbers.bin" => Reply::body(&content()),
        _ => Reply::new("503 Service Unavailable|Content-Length: 0", &[]),
    });
    let second = RemoteFile {
        name: "second.bin".to_owned(),
        ..remote_file()
    };
    let manifest = Manifest {
        files: vec![remote_file(), second],
        mirrors: vec![server.url()],
    };
    let outcome = fetch(&manifest, directory.path(), &connection(), &mut |_, _| ());
    assert!(matches!(outcome, Err(Error::Download { file, .. }) if file == "second.bin"));
    check_stored(directory.path());
}

#[test]
fn what_the_disk_refuses_is_not_blamed_on_a_mirror() {
    let server = good();
    let root = tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    // A file where the directory should be, and a directory where the file should be.
    let blocked = root.path().join("blocked");
    fs::create_dir_all(blocked.join(NAME)).unwrap();
    for directory in [&file, &blocked] {
        refused(
            fetch_from(&[server.url(), server.url()], directory).0,
            "cannot write ",
        );
    }
    assert_eq!(server.requests(), 1, "the second mirror is not asked");
    assert_eq!(entries(&blocked), [NAME]);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
    let root = tempdir().unwrap();
    let (directory, victim) = (root.path().join("shared"), root.path().join("victim"));
    fs::create_dir(&directory).unwrap();
    fs::write(&victim, b"precious").unwrap();
    std::os::unix::fs::symlink(&victim, directory.join(NAME)).unwrap();
    fetch_from(&[good().url()], &directory).0.unwrap();
    assert!(!directory.join(NAME).is_symlink());
    check_stored(&directory);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_before_anything_is_asked() {
    for (address, got) in [
        ("::::", "\"::::\""),
        ("socks5h://127.0.0.1:1", "\"socks5h://127.0.0.1:1\""),
        (
            "socks5://user:secret@127.0.0.1:1",
            "\"socks5://127.0.0.1:1\"",
        ),
        ("socks4://host", "\"socks4://host\""),
        ("\u{1}nonsense", "\"\\u{1}nonsense\""),
    ] {
        let directory = tempdir().unwrap();
        let connection = Connection {
            proxy: Some(address.to_owned()),
            ..connection()
        };
        let (outcome, events) = fetch_by(&connection, &[nobody()], directory.path());
        refused(outcome, &format!("the proxy {got} cannot be used"));
        assert_eq!(events, [""; 0]);
    }
}

#[test]
fn the_manifests_name_the_canonical_files() {
    let four = [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ];
    let four = four.map(|name| format!("{name}-ubyte.gz"));
    for set in Set::ALL {
        let Some(Manifest { files, mirrors }) = set.manifest() else {
            assert_eq!(set, Set::Idx);
            continue;
        };
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        match set {
            Set::Mnist | Set::FashionMnist | Set::Kmnist => assert_eq!(names, four),
            Set::Cifar10 => assert_eq!(names, ["cifar-10-binary.tar.gz"]),
            Set::Cifar100 => assert_eq!(names, ["cifar-100-binary.tar.gz"]),
            _ => assert_eq!(names, ["gzip.zip"]),
        }
        for RemoteFile { sha256, bytes, .. } in &files {
            let is_hex = sha256
                .bytes()
                .all(|byte| b"0123456789abcdef".contains(&byte));
            assert!(sha256.len() == 64 && is_hex && *bytes > 0, "{sha256}");
        }
        assert!(mirrors.iter().all(|mirror| mirror.ends_with('/')) && !mirrors.is_empty());
    }
}
