//! Bytes as lower-case hexadecimal digits, the form in which digests are published.

use std::fmt::Write;

/// Two digits per byte, in order.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
