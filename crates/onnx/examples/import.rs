//! A network as `torch.onnx.export` wrote it.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/lenet.onnx");
    let imported = flatness_onnx::read(path.as_ref(), &[])?;
    let names = imported
        .network
        .layout()
        .parameters()
        .iter()
        .map(|parameter| &parameter.name);
    assert_eq!(imported.network.input_shape(), [1, 12, 12]);
    assert_eq!(
        names.take(2).collect::<Vec<_>>(),
        ["conv1.weight", "conv1.bias"]
    );
    println!("{} parameters", imported.network.layout().dim());
    Ok(())
}
