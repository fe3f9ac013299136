//! What can be wrong with a pickle, an archive or an array.

/// Every failure of this crate, in the words that follow the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pickle that ends before its program does.
    #[error("its pickle ends early")]
    PickleEnd,
    /// A byte that is none of the instructions of any protocol.
    #[error("its pickle has the unknown opcode {0:#04x}")]
    Opcode(u8),
    /// An instruction that finds something else than it needs.
    #[error("its pickle {0}")]
    Pickle(&'static str),
    /// No zip archive, or one without an end.
    #[error("its archive is damaged ({0})")]
    Archive(String),
    /// Bytes that are no array of NumPy, or one that is not read.
    #[error("is not an array that is read: {0}")]
    Array(String),
    /// A member that cannot be read.
    #[error("its {name} cannot be read: {reason}")]
    Member {
        /// Name in the archive.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
