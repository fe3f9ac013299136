//! Sums of tensors where they lie: every process adds one slice of all, in the order of the ranks, and hands it to the others.

use candle_core::{Result, Tensor};

/// What processes send to each other.
pub(super) trait Links {
    /// How many there are.
    fn ranks(&self) -> usize;

    /// Row `r` of `rows` goes to rank `r`: what each rank has for this one, a row each.
    fn exchange(&self, rows: &Tensor) -> Result<Tensor>;

    /// The `row` of every rank.
    fn gather(&self, row: &Tensor) -> Result<Tensor>;
}

/// The sum of `values` over the ranks, with the same bits on each.
pub(super) fn sum(values: &Tensor, links: &impl Links) -> Result<Tensor> {
    let (count, ranks) = (values.elem_count(), links.ranks());
    let width = count.div_ceil(ranks);
    let flat = values
        .flatten_all()?
        .pad_with_zeros(0, 0, width * ranks - count)?;
    let addends = links.exchange(&flat.reshape((ranks, width))?)?;
    let mut sum = addends.get(0)?;
    for rank in 1..ranks {
        sum = (sum + addends.get(rank)?)?;
    }
    let sums = links.gather(&sum)?.flatten_all()?;
    sums.narrow(0, 0, count)?.reshape(values.shape())
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};
    use std::thread;

    use candle_core::{DType, Device};

    use super::*;

    /// Threads that lay down what they send.
    struct Table {
        places: Vec<Mutex<Option<Tensor>>>,
        all: Barrier,
    }

    struct Seat<'a> {
        table: &'a Table,
        rank: usize,
    }

    impl Seat<'_> {
        fn see(&self, own: &Tensor, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
            *self.table.places[self.rank].lock().unwrap() = Some(own.clone());
            self.table.all.wait();
            let seen = (self.table.places.iter())
                .map(|place| of(place.lock().unwrap().as_ref().unwrap()))
                .collect::<Result<Vec<_>>>()?;
            self.table.all.wait();
            Tensor::stack(&seen, 0)
        }
    }

    impl Links for Seat<'_> {
        fn ranks(&self) -> usize {
            self.table.places.len()
        }

        fn exchange(&self, rows: &Tensor) -> Result<Tensor> {
            self.see(rows, |rows| rows.get(self.rank))
        }

        fn gather(&self, row: &Tensor) -> Result<Tensor> {
            self.see(row, |row| Ok(row.clone()))
        }
    }

    #[test]
    fn every_rank_has_the_sums_in_the_order_of_the_ranks() {
        for ranks in 1..=4 {
            for shape in [vec![1], vec![7], vec![2, 3, 2], vec![64]] {
                let value = |rank: usize, index: usize| 1.0 / (1.0 + (rank * 64 + index) as f32);
                let count = shape.iter().product();
                let table = Table {
                    places: (0..ranks).map(|_| Mutex::default()).collect(),
                    all: Barrier::new(ranks),
                };
                let (table, shape) = (&table, &shape);
                let expected: Vec<f32> = (0..count)
                    .map(|index| (0..ranks).fold(0.0, |sum, rank| sum + value(rank, index)))
                    .collect();
                thread::scope(|scope| {
                    for rank in 0..ranks {
                        let expected = &expected;
                        scope.spawn(move || {
                            let own = (0..count).map(|index| value(rank, index)).collect();
                            let own = Tensor::from_vec(own, &shape[..], &Device::Cpu).unwrap();
                            let sums = sum(&own, &Seat { table, rank }).unwrap();
                            assert_eq!((sums.dims(), sums.dtype()), (&shape[..], DType::F32));
                            let sums = sums.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                            assert_eq!(sums, *expected, "rank {rank} of {ranks}");
                        });
                    }
                });
            }
        }
    }
}
