//! Examples that are floats already.

use candle_core::{DType, Device, Tensor};
use flatness_data::{Examples, LabelledTensors, class_labels};

fn inputs() -> Tensor {
    let values: Vec<f64> = (0..24).map(f64::from).collect();
    Tensor::from_vec(values, (4, 2, 3), &Device::Cpu).expect("24 values")
}

fn labelled(labels: &[i64], classes: usize) -> flatness_data::Result<LabelledTensors> {
    let labels = Tensor::new(labels, &Device::Cpu).expect("labels");
    LabelledTensors::new("floats", &inputs(), &labels, classes)
}

#[test]
fn batches_and_gathers_are_the_rows_asked_for() {
    let data = labelled(&[0, 2, 1, 0], 3).expect("they fit");
    assert_eq!((data.len(), data.example_shape()), (4, vec![2, 3]));
    let batch = data
        .batch(1..3, DType::F32, &Device::Cpu)
        .expect("in range");
    let values = batch
        .images
        .flatten_all()
        .and_then(|images| images.to_vec1::<f32>());
    assert_eq!(
        values.expect("f32"),
        (6..18).map(|value| value as f32).collect::<Vec<_>>()
    );
    assert_eq!(batch.labels.to_vec1::<u32>().expect("u32"), [2, 1]);

    let batch = data
        .gather(&[3, 0, 3], DType::F64, &Device::Cpu)
        .expect("in range");
    let firsts = batch
        .images
        .narrow(1, 0, 1)
        .and_then(|images| images.narrow(2, 0, 1));
    let firsts = firsts
        .and_then(|images| images.flatten_all())
        .and_then(|images| images.to_vec1::<f64>());
    assert_eq!(firsts.expect("f64"), [18.0, 0.0, 18.0]);
    assert_eq!(batch.labels.to_vec1::<u32>().expect("u32"), [0, 0, 0]);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let data = labelled(&[0, 2, 1, 0], 3).expect("they fit");
    for range in [0..5, 4..5, 2..2, usize::MAX..usize::MAX] {
        assert!(
            data.batch(range.clone(), DType::F32, &Device::Cpu).is_err(),
            "{range:?}"
        );
    }
    for indices in [&[][..], &[4], &[0, u32::MAX]] {
        assert!(
            data.gather(indices, DType::F32, &Device::Cpu).is_err(),
            "{indices:?}"
        );
    }
    let cpu = &Device::Cpu;
    let int = |labels: &[i64]| Tensor::new(labels, cpu).expect("labels");
    let float = |labels: &[f64]| Tensor::new(labels, cpu).expect("labels");
    for (labels, part) in [
        (
            int(&[0, 3, -1, 0]),
            "floats: label 1 must be in 0..3, got 3",
        ),
        (
            int(&[0, 2, -1, 7]),
            "floats: label 2 must be in 0..3, got -1",
        ),
        (
            int(&[i64::MAX, 0, 0, 0]),
            "label 0 must be in 0..3, got 9223372036854775807",
        ),
        (int(&[0, 1, 2]), "labels must be 4 in one axis"),
        (
            float(&[0.9, 1.0, 2.0, 0.0]),
            "labels must be of an integer type",
        ),
        (float(&[f64::NAN, 1.0, 2.0, 0.0]), "got F64"),
        (
            float(&[0.0, 1.0, 2.0, 0.0]),
            "refused even where they are whole",
        ),
    ] {
        let made = LabelledTensors::new("floats", &inputs(), &labels, 3);
        let message = made.expect_err(part).to_string();
        assert!(
            message.contains(part) && !message.contains('\n'),
            "{message}"
        );
    }
    for dtype in [DType::U8, DType::U32, DType::I16, DType::I32, DType::I64] {
        let labels = int(&[0, 2, 1, 0]).to_dtype(dtype).expect("an integer type");
        let labels =
            class_labels("any", &labels, 3).and_then(|labels| Ok(labels.to_vec1::<u32>()?));
        assert_eq!(labels.expect("below 3"), [0, 2, 1, 0]);
    }
    let integers = inputs().to_dtype(DType::U8).expect("u8");
    let labels = Tensor::new(&[0i64, 0, 0, 0], &Device::Cpu).expect("labels");
    assert!(LabelledTensors::new("integers", &integers, &labels, 3).is_err());
}
