//! A pickle read as data, and a file known by its first bytes.

use std::error::Error;

use flatness_formats::{Pickle, magic};

fn main() -> Result<(), Box<dyn Error>> {
    // `pickle.dumps({"lr": 3})`
    let (pickle, rest) = Pickle::parse(b"\x80\x02}q\x00X\x02\x00\x00\x00lrq\x01K\x03s.")?;
    let [(key, value)] = pickle.items(pickle.root())[..] else {
        panic!("one item")
    };
    assert_eq!(
        (pickle.text(key), pickle.size(value)),
        (Some("lr"), Some(3))
    );
    assert!(rest.is_empty());
    assert_eq!(magic::name(b"\x89HDF\r\n\x1a\n"), Some("an HDF5 file"));
    println!("{:?} = {:?}", pickle.text(key), pickle.size(value));
    Ok(())
}
