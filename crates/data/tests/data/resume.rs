//! Downloads that continue what an earlier one left, and two at once.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use flatness_data::{Error, cifar100};
use tempfile::tempdir;

use crate::fetch::{check_stored, connection, content, entries, fetch_from};
use crate::server::{Reply, Server, nobody};

const PART: &str = ".numbers.bin.part";

/// The first 400 bytes.
fn head() -> Vec<u8> {
    content()[..400].to_vec()
}

/// The bytes after the head.
fn rest() -> Vec<u8> {
    content()[400..].to_vec()
}

/// The bytes with the last one changed.
fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

/// A server that answers its first request in one way and all others in another.
fn first_then(first: Reply, then: Reply) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => first.clone(),
        _ => then.clone(),
    })
}

/// With `part` left by an earlier download, a fetch from `server` stores the file after requests with
/// these ranges and failures for these reasons; the events.
fn check_completed(part: &[u8], server: &Server, ranges: &[&str], reasons: &[&str]) -> Vec<String> {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join(PART), part).unwrap();
    let (outcome, events) = fetch_from(&[server.url()], directory.path(), &connection());
    outcome.unwrap();
    check_stored(&directory);
    assert_eq!(server.ranges(), ranges, "{events:?}");
    let failures: Vec<&String> = events
        .iter()
        .filter(|event| event.starts_with("failed "))
        .collect();
    assert_eq!(failures.len(), reasons.len(), "{events:?}");
    for (failure, reason) in failures.iter().zip(reasons) {
        assert!(
            failure.contains(reason),
            "{reason:?} is missing in: {failure}"
        );
    }
    events
}

/// With the head left by an earlier download, a fetch from `mirror` fails and leaves `left`.
fn check_left(mirror: String, reason: &str, left: &[u8]) {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join(PART), head()).unwrap();
    let (outcome, _) = fetch_from(&[mirror], directory.path(), &connection());
    let message = outcome.unwrap_err().to_string();
    assert!(
        message.contains(reason),
        "{reason:?} is missing in: {message}"
    );
    assert_eq!(entries(directory.path()), [PART]);
    assert_eq!(fs::read(directory.path().join(PART)).unwrap(), left);
}

#[test]
fn a_download_cut_in_the_middle_continues_there_the_next_time() {
    let directory = tempdir().unwrap();
    let cut = Server::start(|_| Reply::CutOff(768, head()));
    let (outcome, events) = fetch_from(&[cut.url()], directory.path(), &connection());
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("400 of 768 bytes are kept"), "{message}");
    assert_eq!(events.last().unwrap().split(' ').next(), Some("failed"));
    assert_eq!(entries(directory.path()), [PART]);
    assert_eq!(fs::read(directory.path().join(PART)).unwrap(), head());

    let whole = Server::start(|_| Reply::Ranges(content()));
    let (outcome, events) = fetch_from(&[whole.url()], directory.path(), &connection());
    outcome.unwrap();
    check_stored(&directory);
    assert_eq!(whole.ranges(), ["bytes=400-"]);
    assert_eq!(events[1], "continuing 400 of 768");
    assert_eq!(events[events.len() - 2], "received 768 of 768");
    assert_eq!(events[events.len() - 1], "stored numbers.bin");
}

#[test]
fn the_next_mirror_continues_what_the_one_before_began() {
    let directory = tempdir().unwrap();
    let cut = Server::start(|_| Reply::CutOff(768, head()));
    let whole = Server::start(|_| Reply::Ranges(content()));
    let mirrors = [cut.url(), whole.url()];
    let (outcome, _) = fetch_from(&mirrors, directory.path(), &connection());
    outcome.unwrap();
    check_stored(&directory);
    assert_eq!(cut.ranges(), ["whole"]);
    assert_eq!(whole.ranges(), ["bytes=400-"]);
}

#[test]
fn whatever_has_arrived_the_rest_is_asked_for() {
    for count in [1, 400, 767] {
        let server = Server::start(|_| Reply::Ranges(content()));
        let range = format!("bytes={count}-");
        let events = check_completed(&content()[..count], &server, &[&range], &[]);
        assert_eq!(events[1], format!("continuing {count} of 768"));
    }

    let of_unknown = Server::start(|_| Reply::Partial(Some("bytes 400-767/*"), rest()));
    check_completed(&head(), &of_unknown, &["bytes=400-"], &[]);

    let redirects = Server::start(|path| match path {
        "/numbers.bin" => Reply::Redirect("/elsewhere".to_owned()),
        _ => Reply::Ranges(content()),
    });
    check_completed(&head(), &redirects, &["bytes=400-"; 2], &[]);
}

#[test]
fn a_server_without_ranges_delivers_everything_anew() {
    for reply in [Reply::Body(content()), Reply::Unannounced(content())] {
        let server = Server::start(move |_| reply.clone());
        for part in [head(), damaged(head())] {
            let directory = tempdir().unwrap();
            fs::write(directory.path().join(PART), part).unwrap();
            let (outcome, events) = fetch_from(&[server.url()], directory.path(), &connection());
            outcome.unwrap();
            check_stored(&directory);
            assert!(!events.iter().any(|event| event.starts_with("failed ")));
        }
        assert_eq!(server.ranges(), ["bytes=400-"; 2]);
    }
}

#[test]
fn an_answer_that_is_not_the_rest_is_refused_and_the_whole_is_asked_for() {
    let cases = [
        (Some("bytes 399-766/768"), rest(), "range expected"),
        (Some("bytes 0-767/768"), content(), "range expected"),
        (
            Some("bytes 400-499/768"),
            rest()[..100].to_vec(),
            "range expected",
        ),
        (Some("bytes 400-899/900"), vec![0; 500], "range expected"),
        (Some("items 400-767/768"), rest(), "range expected"),
        (
            None,
            rest(),
            "range expected bytes 400-767/768, got nothing",
        ),
        (
            Some("bytes 400-767/768"),
            content(),
            "rest expected 368 bytes, got 768",
        ),
    ];
    for (range, body, reason) in cases {
        let server = first_then(Reply::Partial(range, body), Reply::Ranges(content()));
        check_completed(&head(), &server, &["bytes=400-", "whole"], &[reason]);
    }
    let beyond = first_then(
        Reply::Status("416 Range Not Satisfiable"),
        Reply::Ranges(content()),
    );
    check_completed(
        &head(),
        &beyond,
        &["bytes=400-", "whole"],
        &["no bytes from 400 on"],
    );
}

#[test]
fn a_damaged_or_too_large_part_is_downloaded_anew() {
    let reason = "continued at byte 400";
    for (part, ranges, reasons) in [
        (damaged(head()), vec!["bytes=400-", "whole"], vec![reason]),
        (damaged(content()), vec!["whole"], vec![]),
        ([content(), vec![0]].concat(), vec!["whole"], vec![]),
        (vec![0; 10_000], vec!["whole"], vec![]),
        (vec![], vec!["whole"], vec![]),
    ] {
        let server = Server::start(|_| Reply::Ranges(content()));
        check_completed(&part, &server, &ranges, &reasons);
    }
}

#[test]
fn a_part_is_downloaded_anew_once_only() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join(PART), head()).unwrap();
    let server = Server::start(|_| Reply::Ranges(damaged(content())));
    let (outcome, _) = fetch_from(&[server.url()], directory.path(), &connection());
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("md5 expected"), "{message}");
    assert_eq!(server.ranges(), ["bytes=400-", "whole"]);
    assert_eq!(entries(directory.path()), [""; 0]);
}

#[test]
fn a_whole_part_is_stored_without_asking() {
    let server = Server::start(|_| Reply::Ranges(content()));
    let events = check_completed(&content(), &server, &[], &[]);
    assert_eq!(events, ["stored numbers.bin"]);
}

#[test]
fn a_mirror_that_refuses_leaves_the_part_as_it_is() {
    let longer = [content(), vec![0]].concat();
    for (reply, reason) in [
        (Reply::Status("404 Not Found"), "404"),
        (Reply::Status("503 Service Unavailable"), "503"),
        (Reply::Body(longer), "size expected 768, got 769"),
        (Reply::Nothing, "disconnected"),
    ] {
        let server = Server::start(move |_| reply.clone());
        check_left(server.url(), reason, &head());
        assert_eq!(server.requests(), 1);
    }
    check_left(nobody(), "refused", &head());
}

#[test]
fn a_second_download_into_a_directory_is_refused_while_the_first_one_runs() {
    let directory = tempdir().unwrap();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let server = Server::start(move |_| {
        released.lock().unwrap().recv().unwrap();
        Reply::Body(content())
    });
    let mirrors = [server.url()];
    thread::scope(|scope| {
        let first = scope.spawn(|| fetch_from(&mirrors, directory.path(), &connection()).0);
        while server.requests() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let (second, events) = fetch_from(&mirrors, directory.path(), &connection());
        release.send(()).unwrap();
        first.join().unwrap().unwrap();

        let error = second.unwrap_err();
        assert!(matches!(&error, Error::Busy { .. }), "{error}");
        let message = error.to_string();
        let expected = directory.path().display().to_string();
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
        assert_eq!(events, [""; 0]);
    });
    check_stored(&directory);
    assert_eq!(server.requests(), 1);

    let (third, events) = fetch_from(&mirrors, directory.path(), &connection());
    third.unwrap();
    assert_eq!(events, ["present numbers.bin"]);
}

#[test]
fn a_complete_directory_is_not_written_to() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("numbers.bin"), content()).unwrap();
    let (outcome, _) = fetch_from(&[nobody()], directory.path(), &connection());
    outcome.unwrap();
    let names = fs::read_dir(directory.path()).unwrap();
    assert_eq!(names.count(), 1, "not even a file to be locked");
}

#[test]
fn readers_do_not_take_a_part_for_the_file() {
    let directory = tempdir().unwrap();
    let part = format!(".{}.part", cifar100::ARCHIVE_NAME);
    fs::write(directory.path().join(part), head()).unwrap();
    let found = cifar100::find(Some(directory.path()), None);
    assert!(matches!(found, Err(Error::Absent { .. })), "{found:?}");
}
