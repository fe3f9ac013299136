//! The command that lists networks; the tests of the zoo have every count.

use crate::common::refused;
use crate::json;

#[test]
fn models_lists_the_zoo_or_networks_of_any_size_by_name() {
    let all = json("models --json");
    let rows = all.as_array().expect("an array");
    assert_eq!(rows.len(), 18);
    for (row, name, count) in [(0, "logistic", 7_850), (17, "wrn-28-10", 36_546_980)] {
        assert_eq!(rows[row]["name"], name);
        assert_eq!(rows[row]["parameters"], count, "{name}");
    }

    let rows = json("models mlp-pooled-2 wrn-40-4 --json");
    let names = [&rows[0]["name"], &rows[1]["name"]];
    assert_eq!(names, ["mlp-pooled-2", "wrn-40-4"]);
    // Means over 2 x 2 pixels of 28 x 28, 2 units, 10 classes.
    assert_eq!(rows[0]["parameters"], 14 * 14 * 2 + 2 + 2 * 10 + 10);

    refused("models wrn-41-4", &["wrn-41-4"]);
}
