//! The command that lists networks.

use crate::common::refused;
use crate::json;

#[test]
fn models_lists_the_zoo_with_pytorchs_parameter_counts() {
    let report = json("models --json");
    let rows = report.as_array().expect("an array").iter();
    let counts: Vec<_> = rows
        .map(|row| (row["name"].as_str(), row["parameters"].as_u64()))
        .collect();
    let expected = [
        ("logistic", 7_850),
        ("mlp", 9_960),
        ("mlp-deep", 15_685),
        ("mlp-medium", 15_685),
        ("cnn", 206_922),
        ("preresnet-20", 278_132),
        ("mlp-400", 478_410),
        ("mlp-large", 535_818),
        ("preresnet-56", 613_556),
        ("preresnet-110", 1_169_972),
        ("all-cnn-c", 1_387_108),
        ("preresnet-164", 1_726_388),
        ("wrn-16-4", 2_774_276),
        ("vgg-11", 9_797_092),
        ("vgg-11-bn", 9_802_596),
        ("vgg-16", 15_291_300),
        ("vgg-16-bn", 15_299_748),
        ("wrn-28-10", 36_546_980),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (Some(name), Some(count)))
    );
}

#[test]
fn models_by_name_may_be_of_any_size() {
    let rows = json("models mlp-pooled-2 wrn-40-4 --json");
    assert_eq!(
        [&rows[0]["name"], &rows[1]["name"]],
        ["mlp-pooled-2", "wrn-40-4"]
    );
    // Means over 2 x 2 pixels of 28 x 28, 2 units, 10 classes.
    assert_eq!(rows[0]["parameters"], 14 * 14 * 2 + 2 + 2 * 10 + 10);

    refused("models wrn-41-4", &["wrn-41-4"]);
}
