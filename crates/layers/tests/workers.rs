//! Shares cover the items once, in order, for any number of threads.

use std::ops::Range;

use flatness_layers::{Error, Workers};

#[test]
fn shares_cover_all_items_once_in_order_and_evenly() {
    for threads in 1..=5 {
        let workers = Workers::new(threads).unwrap();
        assert_eq!(workers.threads(), threads);
        for items in (0..=17).chain([1_000_003]) {
            let shares = workers.shares(items, Ok::<Range<usize>, ()>).unwrap();
            assert_eq!(shares.len(), threads.min(items.max(1)));
            let mut next = 0;
            for share in &shares {
                assert_eq!(share.start, next);
                next = share.end;
            }
            assert_eq!(next, items);
            let lengths = shares.iter().map(Range::len);
            let (least, most) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
            assert!(most - least <= 1, "{threads} threads, {items} items");
        }
    }
}

#[test]
fn the_first_error_in_the_order_of_the_shares_is_returned() {
    for threads in 1..=4 {
        let workers = Workers::new(threads).unwrap();
        // Later shares fail at once, the first one late.
        let result = workers.shares(8, |share| {
            if share.start == 0 {
                std::thread::yield_now();
            }
            Err::<(), usize>(share.start)
        });
        assert_eq!(result.unwrap_err(), 0);
        let late = workers.shares(8, |share| {
            let whole = share.end < 8;
            whole.then_some(()).ok_or(share.end)
        });
        assert_eq!(late.unwrap_err(), 8);
    }
}

#[test]
fn no_threads_are_an_error() {
    let error = Workers::new(0).unwrap_err();
    let none = matches!(error, Error::Workers { threads: 0, .. });
    assert!(none, "{error}");
}
