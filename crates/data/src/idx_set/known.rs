//! The sets in IDX files, and what their splits are recognised by.

use sha2::{Digest, Sha256};

use super::{EMNIST, IdxSet, KERAS};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::set::Set;

/// Beginnings of the names that MNIST has given to all sets made to take its place.
const STEMS: [&str; 2] = ["train-", "t10k-"];

/// The first training examples of MNIST, which the fixture has.
const HEAD: (&str, &str) = (
    "4c13d7bd75c01dc52b4f93de54cbaedd79e96deca14d34dc6029afe096e0ccfa",
    "the first 10,000 training examples of MNIST",
);

/// MNIST, of which every other entry differs in what it says.
const MNIST: IdxSet = IdxSet {
    set: Set::Mnist,
    torchvision: "MNIST",
    stems: STEMS,
    archive: Some(KERAS),
    classes: Some(10),
    examples: [60_000, 10_000],
    digests: Some([
        [
            "013e0a690ea982f9f86a8aefd0c5949d3e9b12e37ad230ffe8af6604d2ef0de6",
            "c8bc4ee93cf90331d54a357054abcee1f1b0d3816fb55ef41d46d384a3f44ca5",
        ],
        [
            "5cfef7b2bb8a59ab696f81a0eaf40cb3778569d762c1ba39fc971485e040ec91",
            "7e4c50550f5632dd6ac9405ec7ba74db6bbb2d37e6e7289b3e92f14ccbcda319",
        ],
    ]),
    packed: None,
};

const fn emnist(
    set: Set,
    stems: [&'static str; 2],
    classes: usize,
    examples: [usize; 2],
    packed: [&'static str; 4],
) -> IdxSet {
    IdxSet {
        set,
        torchvision: "EMNIST",
        stems,
        archive: Some(EMNIST),
        classes: Some(classes),
        examples,
        digests: None,
        packed: Some(packed),
    }
}

static SETS: [IdxSet; 10] = [
    MNIST,
    IdxSet {
        set: Set::FashionMnist,
        torchvision: "FashionMNIST",
        archive: None,
        digests: Some([
            [
                "246b5a6ddec7d1b718132d330bd6068e63fc33b34c349c377bdee126b171400a",
                "30aee8fd059bb69b80d3b3517192e4e510f5e86f1fbfabea206cac1520463027",
            ],
            [
                "854060ae678d6e4bfcc17184b1d2828350fec8c3054ef59ce8d4f0c38ebd7bb2",
                "5dc031874cf6eccbf690a399ca536d56c98d0cf932e88efec35506ea7d12a153",
            ],
        ]),
        ..MNIST
    },
    IdxSet {
        set: Set::Kmnist,
        torchvision: "KMNIST",
        archive: None,
        digests: None,
        packed: Some([
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ]),
        ..MNIST
    },
    emnist(
        Set::EmnistBalanced,
        ["emnist-balanced-train-", "emnist-balanced-test-"],
        47,
        [112_800, 18_800],
        [
            "4041b0d6f15785d3fa35263901b5496b",
            "7a35cc7b2b7ee7671eddf028570fbd20",
            "6818d20fe2ce1880476f747bbc80b22b",
            "acd3694070dcbf620e36670519d4b32f",
        ],
    ),
    emnist(
        Set::EmnistByclass,
        ["emnist-byclass-train-", "emnist-byclass-test-"],
        62,
        [697_932, 116_323],
        [
            "712dda0bd6f00690f32236ae4325c377",
            "ee299a3ee5faf5c31e9406763eae7e43",
            "1435209e34070a9002867a9ab50160d7",
            "7a0f934bd176c798ecba96b36fda6657",
        ],
    ),
    emnist(
        Set::EmnistBymerge,
        ["emnist-bymerge-train-", "emnist-bymerge-test-"],
        47,
        [697_932, 116_323],
        [
            "4a792d4df261d7e1ba27979573bf53f3",
            "491be69ef99e1ab1f5b7f9ccc908bb26",
            "8eb5d34c91f1759a55831c37ec2a283f",
            "c13f4cd5211cdba1b8fa992dae2be992",
        ],
    ),
    emnist(
        Set::EmnistDigits,
        ["emnist-digits-train-", "emnist-digits-test-"],
        10,
        [240_000, 40_000],
        [
            "d2662ecdc47895a6bbfce25de9e9a677",
            "2223fcfee618ac9c89ef20b6e48bcf9e",
            "a159b8b3bd6ab4ed4793c1cb71a2f5cc",
            "8afde66ea51d865689083ba6bb779fac",
        ],
    ),
    emnist(
        Set::EmnistLetters,
        ["emnist-letters-train-", "emnist-letters-test-"],
        27,
        [124_800, 20_800],
        [
            "8795078f199c478165fe18db82625747",
            "c16de4f1848ddcdddd39ab65d2a7be52",
            "382093a19703f68edac6d01b8dfdfcad",
            "d4108920cd86601ec7689a97f2de7f59",
        ],
    ),
    emnist(
        Set::EmnistMnist,
        ["emnist-mnist-train-", "emnist-mnist-test-"],
        10,
        [60_000, 10_000],
        [
            "3663598a39195d030895b6304abb5065",
            "6c092f03c9bb63e678f80f8bc605fe37",
            "fb51b6430fc4dd67deaada1bf25d4524",
            "ae7f6be798a9a5d5f2bd32e078a402dd",
        ],
    ),
    IdxSet {
        set: Set::Idx,
        archive: None,
        classes: None,
        digests: None,
        ..MNIST
    },
];

/// What is known of `set`, one in IDX files.
pub(crate) fn of(set: Set) -> &'static IdxSet {
    let own = SETS.iter().find(|known| known.set == set);
    own.unwrap_or(&SETS[0])
}

/// What a split has been recognised as.
pub(super) struct Recognised {
    pub(super) set: Set,
    pub(super) extent: Extent,
    /// In words.
    pub(super) content: String,
}

/// How much of the split of a published set a split is.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    Whole,
    Reordered,
    Part,
}

/// What the training split (`part` 0) or the test split (1) is by its digest, or by the MD5 of its `packed` files.
pub(super) fn recognise(
    part: usize,
    split: &Dataset,
    packed: Option<&[String; 2]>,
) -> Result<Option<Recognised>> {
    let digest = split.digest()?;
    if part == 0 && digest == HEAD.0 {
        return Ok(Some(Recognised {
            set: Set::Mnist,
            extent: Extent::Part,
            content: HEAD.1.to_owned(),
        }));
    }
    let whole = |known: &&IdxSet| {
        known
            .digests
            .is_some_and(|digests| digests[part][0] == digest)
            || packed
                .zip(known.packed)
                .is_some_and(|(packed, known)| packed[..] == known[2 * part..][..2])
    };
    let known = |known: &IdxSet, extent| {
        let count = thousands(split.len());
        let (what, title) = (["training", "test"][part], known.set.title());
        let order = match extent {
            Extent::Reordered => ", in another order",
            Extent::Whole | Extent::Part => "",
        };
        Recognised {
            set: known.set,
            extent,
            content: format!("the {count} {what} examples of {title}{order}"),
        }
    };
    if let Some(set) = SETS.iter().find(whole) {
        return Ok(Some(known(set, Extent::Whole)));
    }
    let alike = |known: &&IdxSet| known.digests.is_some() && known.examples[part] == split.len();
    if !SETS.iter().any(|set| alike(&set)) {
        return Ok(None);
    }
    let unordered = unordered_digest(split)?;
    let reordered = |known: &&IdxSet| {
        known
            .digests
            .is_some_and(|digests| digests[part][1] == unordered)
    };
    Ok(SETS
        .iter()
        .find(reordered)
        .map(|set| known(set, Extent::Reordered)))
}

/// Name of the examples in whatever order: the sum, in each of four numbers of 64 bits, of SHA-256 of the pixels of an example
/// and its label, in hexadecimal, little-endian.
fn unordered_digest(split: &Dataset) -> Result<String> {
    let size = split.example_shape().iter().product();
    let mut sums = [0_u64; 4];
    let labels = split.with_labels(<[u8]>::to_vec)?;
    split.with_pixels(|pixels| {
        for (image, label) in pixels.chunks(size).zip(labels) {
            let digest = Sha256::new().chain_update(image).chain_update([label]);
            let digest = digest.finalize();
            for (sum, number) in sums.iter_mut().zip(digest.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(u64::from_le_bytes(*number));
            }
        }
    })?;
    Ok(sums
        .map(|sum| format!("{:016x}", sum.swap_bytes()))
        .concat())
}

/// With commas between the thousands.
fn thousands(count: usize) -> String {
    match count {
        0..1000 => count.to_string(),
        _ => format!("{},{:03}", thousands(count / 1000), count % 1000),
    }
}

/// Size and SHA-256 of each file, and addresses before their names.
#[cfg(feature = "fetch")]
type Published = (&'static [(u64, &'static str)], &'static [&'static str]);

/// What to download for `set`.
#[cfg(feature = "fetch")]
pub(super) fn published(set: Set) -> Option<Published> {
    Some(match set {
        Set::Mnist => (
            &[
                (
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                (
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                (
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                (
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            ],
            &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
        ),
        Set::FashionMnist => (
            &[
                (
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                (
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                (
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                (
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            ],
            &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        ),
        Set::Kmnist => (
            &[
                (
                    18_165_135,
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                ),
                (
                    29_497,
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                ),
                (
                    3_041_136,
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                ),
                (
                    5_120,
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                ),
            ],
            &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        ),
        Set::EmnistBalanced
        | Set::EmnistByclass
        | Set::EmnistBymerge
        | Set::EmnistDigits
        | Set::EmnistLetters
        | Set::EmnistMnist => (
            &[(
                561_753_746,
                "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
            )],
            &[
                "https://biometrics.nist.gov/cs_links/EMNIST/",
                "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
            ],
        ),
        Set::Idx | Set::Cifar10 | Set::Cifar100 => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalization::Normalization;

    fn of(pixels: Vec<u8>, labels: Vec<u8>) -> Dataset {
        let normalization = Normalization::mnist();
        Dataset::from_bytes("test", [1, 1, 2], pixels, labels, 10, normalization).unwrap()
    }

    #[test]
    fn published_files_are_known_by_their_md5_where_both_are_of_one_set_and_split() {
        let split = of(vec![1, 2], vec![3]);
        let name = |part: usize, packed: [&str; 2]| {
            let packed = packed.map(str::to_owned);
            let known = recognise(part, &split, Some(&packed)).unwrap();
            known.map(|known| (known.set, known.content))
        };
        let [Some(a), Some(b)] = [Set::Kmnist, Set::EmnistLetters].map(|set| super::of(set).packed)
        else {
            panic!("both are known by their files");
        };
        let known = Some((
            Set::EmnistLetters,
            "the 1 test examples of EMNIST Letters".to_owned(),
        ));
        assert_eq!(name(1, [b[2], b[3]]), known);
        for mixed in [[a[2], b[3]], [b[0], b[1]], [b[3], b[2]]] {
            assert_eq!(name(1, mixed), None, "{mixed:?}");
        }
    }

    /// By Python's hashlib: the sum over the two examples of SHA-256 of (1, 2, 3) and (4, 5, 6).
    #[test]
    fn the_digest_without_order_is_that_of_python() {
        let digest = "7b0cd2542c6688633c8896b8ba20c7f202c259bb9cefffab60400da35ec42ff4";
        for (pixels, labels) in [([1, 2, 4, 5], [3, 6]), ([4, 5, 1, 2], [6, 3])] {
            let split = of(pixels.to_vec(), labels.to_vec());
            assert_eq!(unordered_digest(&split).unwrap(), digest);
        }
        let other = of(vec![4, 5, 1, 2], vec![3, 6]);
        assert_ne!(unordered_digest(&other).unwrap(), digest);
    }

    #[test]
    fn thousands_have_commas() {
        let texts = [7, 999, 1_000, 60_007, 1_000_000].map(thousands);
        assert_eq!(texts, ["7", "999", "1,000", "60,007", "1,000,000"]);
    }
}
