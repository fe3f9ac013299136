//! Mirrors, networks and disks that fail.

use std::fs;
use std::time::Duration;

use flatness_data::Error;
use flatness_data::fetch::{Connection, Manifest, RemoteFile, fetch};
use tempfile::tempdir;

use super::{check_stored, connection, content, entries, fetch_from, remote_file};
use crate::server::{Reply, Server, nobody};

#[test]
fn a_mirror_that_fails_leaves_nothing_behind_and_the_next_one_is_asked() {
    let wrong = {
        let mut wrong = content();
        wrong[700] ^= 1;
        wrong
    };
    let longer = [content(), vec![0]].concat();
    let half = content()[..400].to_vec();
    let cases: Vec<(Reply, &str)> = vec![
        (Reply::Status("404 Not Found"), "404"),
        (Reply::Status("500 Internal Server Error"), "500"),
        (Reply::Body(wrong.clone()), "md5 expected"),
        (Reply::Unannounced(wrong), "md5 expected"),
        (Reply::Body(longer.clone()), "size expected 768, got 769"),
        (Reply::Unannounced(longer), "size expected 768, got more"),
        (Reply::Body(half.clone()), "size expected 768, got 400"),
        (Reply::Unannounced(half), "size expected 768, got 400"),
        (Reply::Body(vec![]), "size expected 768, got 0"),
        (Reply::Endless, "size expected 768, got more"),
        (
            Reply::Redirect("/numbers.bin".to_owned()),
            "too many redirects",
        ),
        (
            Reply::Redirect("gopher://127.0.0.1/".to_owned()),
            "unknown scheme",
        ),
        (Reply::Nothing, "disconnected"),
        (Reply::Garbage, "protocol"),
    ];
    for (reply, reason) in cases {
        let bad = Server::start(move |_| reply.clone());
        let good = Server::start(|_| Reply::Body(content()));

        let directory = tempdir().unwrap();
        let (outcome, events) = fetch_from(&[bad.url()], directory.path(), &connection());
        let message = outcome.unwrap_err().to_string();
        assert!(
            message.to_lowercase().contains(reason),
            "{reason:?} is missing in: {message}"
        );
        assert!(events.last().unwrap().starts_with("failed "), "{events:?}");
        assert_eq!(entries(directory.path()), [""; 0], "{message}");

        let mirrors = [bad.url(), good.url()];
        let (outcome, events) = fetch_from(&mirrors, directory.path(), &connection());
        outcome.unwrap();
        check_stored(&directory);
        assert!(
            events
                .iter()
                .any(|event| event.to_lowercase().contains(reason)),
            "{events:?}"
        );
    }
}

#[test]
fn each_digest_is_verified_on_its_own() {
    let server = Server::start(|_| Reply::Body(content()));
    let wrong = |digest: &str| digest.replace(['0', '1'], "2");
    let RemoteFile { md5, sha256, .. } = remote_file();
    for (digest, file) in [
        (
            "md5",
            RemoteFile {
                md5: wrong(&md5),
                ..remote_file()
            },
        ),
        (
            "sha256",
            RemoteFile {
                sha256: wrong(&sha256),
                ..remote_file()
            },
        ),
    ] {
        let directory = tempdir().unwrap();
        let manifest = Manifest {
            files: vec![file],
            mirrors: vec![server.url()],
        };
        let error = fetch(&manifest, directory.path(), &connection(), &mut |_| ()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("{digest} expected")),
            "{error}"
        );
    }
}

#[test]
fn silence_and_a_trickle_run_into_their_timeouts() {
    let silent = Server::start(|_| Reply::Stall(768, content()[..400].to_vec()));
    let impatient = Connection {
        read_timeout: Duration::from_millis(100),
        ..connection()
    };
    let trickle = Server::start(|_| Reply::Pieces(content(), 1));
    let hurried = Connection {
        file_timeout: Duration::from_millis(100),
        ..connection()
    };
    for (server, connection) in [(silent, impatient), (trickle, hurried)] {
        let directory = tempdir().unwrap();
        let (outcome, _) = fetch_from(&[server.url()], directory.path(), &connection);
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("timeout"), "{message}");
        assert!(!directory.path().join("numbers.bin").exists());
    }
}

#[test]
fn being_offline_is_one_sentence_that_names_file_mirrors_and_remedy() {
    let directory = tempdir().unwrap();
    let mirrors = [nobody(), "http://name.invalid/".to_owned()];
    let message = fetch_from(&mirrors, directory.path(), &connection())
        .0
        .unwrap_err()
        .to_string();
    let where_to = directory.path().display().to_string();
    for part in [
        "numbers.bin",
        &mirrors[0],
        &mirrors[1],
        "check the network connection",
        &where_to,
    ] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert!(!message.contains('\n'), "{message}");

    let (outcome, _) = fetch_from(&[], directory.path(), &connection());
    assert!(outcome.unwrap_err().to_string().contains("names no mirror"));
}

#[test]
fn a_stale_file_survives_a_download_that_fails() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("numbers.bin");
    fs::write(&path, b"stale").unwrap();
    fetch_from(&[nobody()], directory.path(), &connection())
        .0
        .unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"stale");
}

#[test]
fn files_stored_before_a_failure_stay_so_that_asking_again_continues() {
    let directory = tempdir().unwrap();
    let server = Server::start(|path| match path {
        "/numbers.bin" => Reply::Body(content()),
        _ => Reply::Status("503 Service Unavailable"),
    });
    let second = RemoteFile {
        name: "second.bin".to_owned(),
        ..remote_file()
    };
    let manifest = Manifest {
        files: vec![remote_file(), second],
        mirrors: vec![server.url()],
    };
    let error = fetch(&manifest, directory.path(), &connection(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::Download { file, .. } if file == "second.bin"));
    check_stored(&directory);
}

#[test]
fn what_the_disk_refuses_is_not_blamed_on_a_mirror() {
    let server = Server::start(|_| Reply::Body(content()));
    let root = tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"").unwrap();
    // A file where the directory should be, and a directory where the file should be.
    let blocked = root.path().join("blocked");
    fs::create_dir_all(blocked.join("numbers.bin")).unwrap();
    for directory in [&file, &blocked] {
        let mirrors = [server.url(), server.url()];
        let error = fetch_from(&mirrors, directory, &connection())
            .0
            .unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Io {
                    action: "write",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(server.requests(), 1, "the second mirror is not asked");
    assert_eq!(
        entries(&blocked),
        [".numbers.bin.part", "numbers.bin"],
        "what was verified stays for the next time"
    );
}

#[test]
fn a_proxy_that_is_no_address_is_refused_before_anything_is_asked() {
    let directory = tempdir().unwrap();
    let connection = Connection {
        proxy: Some("::::".to_owned()),
        ..connection()
    };
    let (outcome, events) = fetch_from(&[nobody()], directory.path(), &connection);
    assert!(matches!(outcome, Err(Error::Proxy { got }) if got == "::::"));
    assert_eq!(events, [""; 0]);
}
