//! Downloads from servers that answer, in whatever way.

mod failures;

use std::fs;
use std::path::Path;
use std::time::Duration;

use flatness_data::Error;
use flatness_data::fetch::{Connection, Manifest, Progress, RemoteFile, fetch};
use tempfile::{TempDir, tempdir};

use crate::server::{Reply, Server};

/// Golden: md5sum and sha256sum of the bytes 0, 1, … 255, three times over, by coreutils.
pub(crate) fn remote_file() -> RemoteFile {
    RemoteFile {
        name: "numbers.bin".to_owned(),
        bytes: 768,
        md5: "e6899eaaf06fd702f3ed3f988eb19362".to_owned(),
        sha256: "f3a25aa93aa2fbba28d79260535bbd6a5eb0fc1c24a8b0f04e12b484c1dfe363".to_owned(),
    }
}

pub(crate) fn content() -> Vec<u8> {
    (0..=255).cycle().take(768).collect()
}

/// Patient enough for a busy machine; the silences that tests provoke last until the client leaves.
pub(crate) fn connection() -> Connection {
    Connection {
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        file_timeout: Duration::from_secs(10),
        redirects: 3,
        proxy: None,
    }
}

/// What was reported, as words.
pub(crate) fn fetch_from(
    mirrors: &[String],
    directory: &Path,
    connection: &Connection,
) -> (Result<(), Error>, Vec<String>) {
    let manifest = Manifest {
        files: vec![remote_file()],
        mirrors: mirrors.to_vec(),
    };
    let mut events = Vec::new();
    let outcome = fetch(&manifest, directory, connection, &mut |progress| {
        events.push(match progress {
            Progress::Present { file } => format!("present {}", file.name),
            Progress::Asking { url, .. } => format!("asking {url}"),
            Progress::Continuing { file, bytes } => format!("continuing {bytes} of {}", file.bytes),
            Progress::Received { file, bytes } => format!("received {bytes} of {}", file.bytes),
            Progress::Failed { attempt, .. } => format!("failed {}", attempt.reason),
            Progress::Stored { file } => format!("stored {}", file.name),
        });
    });
    (outcome, events)
}

/// Sorted names of the files in a directory but for the one that is there to be locked.
pub(crate) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".fetch.lock")
        .collect();
    names.sort();
    names
}

pub(crate) fn check_stored(directory: &TempDir) {
    assert_eq!(entries(directory.path()), ["numbers.bin"]);
    assert_eq!(
        fs::read(directory.path().join("numbers.bin")).unwrap(),
        content()
    );
}

#[test]
fn a_file_arrives_whole_and_is_reported() {
    let directory = tempdir().unwrap();
    let server = Server::start(|path| match path {
        "/numbers.bin" => Reply::Body(content()),
        _ => Reply::Status("404 Not Found"),
    });
    let (outcome, events) = fetch_from(&[server.url()], directory.path(), &connection());
    outcome.unwrap();
    check_stored(&directory);
    assert_eq!(events[0], format!("asking {}numbers.bin", server.url()));
    assert_eq!(events[events.len() - 2], "received 768 of 768");
    assert_eq!(events[events.len() - 1], "stored numbers.bin");
}

#[test]
fn slow_unannounced_and_redirected_bodies_arrive_whole() {
    let slow = Server::start(|_| Reply::Pieces(content(), 50));
    let unannounced = Server::start(|_| Reply::Unannounced(content()));
    let target = slow.url();
    let redirects = Server::start(move |path| match path {
        "/numbers.bin" => Reply::Redirect("/elsewhere".to_owned()),
        _ => Reply::Redirect(format!("{target}numbers.bin")),
    });
    for server in [&slow, &unannounced, &redirects] {
        let directory = tempdir().unwrap();
        fetch_from(&[server.url()], directory.path(), &connection())
            .0
            .unwrap();
        check_stored(&directory);
    }
    assert_eq!(redirects.requests(), 2);
}

#[test]
fn a_valid_file_is_kept_without_asking_and_any_other_is_replaced() {
    let server = Server::start(|_| Reply::Body(content()));
    let directory = tempdir().unwrap();
    let path = directory.path().join("numbers.bin");

    fs::write(&path, content()).unwrap();
    let (outcome, events) = fetch_from(&[server.url()], directory.path(), &connection());
    outcome.unwrap();
    assert_eq!(
        (events, server.requests()),
        (vec!["present numbers.bin".to_owned()], 0)
    );

    for stale in [vec![], vec![0; 768], vec![0; 769]] {
        fs::write(&path, stale).unwrap();
        fetch_from(&[server.url()], directory.path(), &connection())
            .0
            .unwrap();
        check_stored(&directory);
    }
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_directory_is_made_and_a_file_is_as_readable_as_the_umask_allows() {
    let server = Server::start(|_| Reply::Body(content()));
    let root = tempdir().unwrap();
    let directory = root.path().join("a/b");
    fetch_from(&[server.url()], &directory, &connection())
        .0
        .unwrap();
    let reference = root.path().join("reference");
    fs::write(&reference, b"").unwrap();
    let permissions = |path: &Path| fs::metadata(path).unwrap().permissions();
    assert_eq!(
        permissions(&directory.join("numbers.bin")),
        permissions(&reference)
    );
}
