//! All tensors of a pickle by name: whatever mappings, sequences and modules they are in.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use flatness_formats::{Id, Object, Pickle};

use super::arrays::OF_NUMPY;
use super::entry::{Entry, View, row_major};
use super::pytorch::{Place, number_type, storage_type};

/// Axes of the largest tensors: far more than any layer has.
const MAX_RANK: usize = 16;

/// Longest name: four times that of the deepest network. Longer ones would let a short file fill the memory.
const MAX_NAME: usize = 256;

/// Most tensors, and most objects still to visit: a thousand times those of the largest network.
const MAX_ENTRIES: usize = 1 << 18;

/// Attributes of a `torch.nn.Module` whose items it counts as its own.
const OF_MODULES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// All tensors of `pickle`; `storage` gives the number of a storage by its key.
pub(super) fn entries(
    pickle: &Pickle,
    storage: &mut dyn FnMut(&str) -> Option<usize>,
) -> Vec<Entry> {
    let mut tensors = Tensors {
        pickle,
        storage,
        held: HashMap::new(),
    };
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    // Objects to visit, what their names begin with, and what ends the keys of their items.
    let mut open = vec![(pickle.root(), String::new(), '/')];
    while let Some((id, prefix, end)) = open.pop() {
        if prefix.len() > MAX_NAME || entries.len() == MAX_ENTRIES {
            continue;
        }
        if let Some(entry) = tensors.of(id) {
            let name = match prefix.strip_suffix(end) {
                Some(name) => name.to_owned(),
                None => "tensor".to_owned(),
            };
            entries.push(Entry { name, ..entry });
            continue;
        }
        // Under whatever second name it has the same tensors; objects can also contain themselves.
        if !seen.insert(id) {
            continue;
        }
        let first = open.len();
        let holds = |&id: &Id| {
            !matches!(
                pickle.get(id),
                Object::Other | Object::Text(_) | Object::Bytes(_) | Object::Int(_)
            )
        };
        for (key, value) in pickle.items(id) {
            if !holds(&value) || open.len() > MAX_ENTRIES {
                continue;
            }
            let (owned, key) = match pickle.get(key) {
                Object::Text(text) => (
                    end == '.' && OF_MODULES.contains(&text.as_str()),
                    text.clone(),
                ),
                Object::Int(number) => (false, number.to_string()),
                _ => continue,
            };
            let prefix = match owned {
                true => prefix.clone(),
                false => format!("{prefix}{key}{end}"),
            };
            open.push((value, prefix, end));
        }
        match pickle.get(id) {
            Object::Tuple(elements) | Object::List(elements) => {
                let elements = elements
                    .iter()
                    .enumerate()
                    .filter(|(_, id)| holds(id))
                    .take(MAX_ENTRIES);
                open.extend(elements.map(|(index, &id)| (id, format!("{prefix}{index}/"), '/')));
            }
            Object::Instance(made) => {
                // Attributes, and what is in the object that it is made of.
                open.extend(made.state.map(|state| (state, prefix.clone(), '.')));
                open.push((made.arguments, prefix, '/'));
            }
            _ => {}
        }
        open[first..].reverse();
    }
    entries
}

/// What makes tensors of objects.
struct Tensors<'w> {
    pickle: &'w Pickle,
    /// The number of a storage by its key.
    storage: &'w mut dyn FnMut(&str) -> Option<usize>,
    /// The bytes of arrays, which any number of tensors may share.
    held: HashMap<Id, Option<Arc<[u8]>>>,
}

impl Tensors<'_> {
    /// The tensor that `id` is, without a name; none where it is something else.
    fn of(&mut self, id: Id) -> Option<Entry> {
        let pickle = self.pickle;
        let mut made = pickle.instance(id)?;
        // What is wrapped around a plain tensor: parameters, and subclasses with attributes.
        for _ in 0..3 {
            let inner = match (
                pickle.global(made.callable)?,
                pickle.elements(made.arguments)?,
            ) {
                (
                    ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"),
                    &[data, ..],
                ) => pickle.instance(data)?,
                (("torch._tensor", "_rebuild_from_type_v2"), &[callable, _, arguments, ..]) => {
                    return self.rebuilt(callable, arguments);
                }
                _ => break,
            };
            made = inner;
        }
        self.rebuilt(made.callable, made.arguments)
    }

    /// The tensor that a function of torch makes of its arguments.
    fn rebuilt(&mut self, callable: Id, arguments: Id) -> Option<Entry> {
        let pickle = self.pickle;
        let refused = |reason| {
            Some(Entry {
                name: String::new(),
                shape: Vec::new(),
                kind: Cow::Borrowed("unknown"),
                view: View::Refused(reason),
            })
        };
        let (module, name) = pickle.global(callable)?;
        let arguments = pickle.elements(arguments).unwrap_or_default();
        // Behind the first six arguments stand the number type, in the third version, and flags.
        let (dtype, flags) = match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => (None, arguments.get(6)),
            ("torch._utils", "_rebuild_tensor_v3") => (arguments.get(6), arguments.get(7)),
            ("torch._utils", "_rebuild_tensor") => (None, None),
            ("torch._utils", "_rebuild_qtensor") => return refused("is quantised"),
            ("torch._utils", "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor") => {
                return refused("is sparse");
            }
            ("torch._utils", "_rebuild_meta_tensor_no_storage") => return refused("has no values"),
            ("torch._utils", "_rebuild_device_tensor_from_numpy" | "_rebuild_xla_tensor") => {
                let array = arguments.first().and_then(|&array| self.of_array(array));
                return array.or_else(|| refused("is an array of a kind that is not read"));
            }
            ("torch._utils" | "torch._tensor", other) if other.starts_with("_rebuild_") => {
                return refused("is of a kind that is not read");
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                return refused("is a NumPy array");
            }
            _ => return None,
        };
        if flags.is_some_and(|&flags| !pickle.items(flags).is_empty()) {
            return refused("has its negative or its conjugate bit set");
        }
        let malformed = "is not described as torch.save does";
        let described = (|| {
            let &[place, offset, size, stride, ..] = arguments else {
                return None;
            };
            let &Object::Persistent(place) = pickle.get(place) else {
                return None;
            };
            let sizes = |id| {
                let sizes = pickle.elements(id)?.iter().map(|&id| pickle.size(id));
                sizes.collect::<Option<Vec<usize>>>()
            };
            let (shape, strides) = (sizes(size)?, sizes(stride)?);
            let fits = shape.len() == strides.len() && shape.len() <= MAX_RANK;
            fits.then_some((
                Place::of(pickle, place)?,
                pickle.size(offset)?,
                shape,
                strides,
            ))
        })();
        let Some((place, offset, shape, strides)) = described else {
            return refused(malformed);
        };
        let kind = match dtype {
            Some(&dtype) => number_type(pickle.global(dtype).map_or("unknown", |(_, name)| name)),
            None => match storage_type(place.class) {
                Some((kind, _)) => Cow::Borrowed(kind),
                None => Cow::Owned(place.class.to_owned()),
            },
        };
        let view = match (self.storage)(place.key) {
            Some(storage) => View::Strided {
                storage,
                offset,
                strides,
            },
            None => View::Refused("has no elements in the file"),
        };
        Some(Entry {
            name: String::new(),
            shape,
            kind,
            view,
        })
    }

    /// The tensor that a device without storages of its own saves as an array.
    fn of_array(&mut self, id: Id) -> Option<Entry> {
        let array = self.pickle.array(id)?;
        let mut types = OF_NUMPY.into_iter();
        let (_, kind, _) = types.find(|(numpy, ..)| *numpy == array.elements)?;
        let elements = self.held.entry(array.bytes).or_insert_with(|| {
            let bytes = self.pickle.bytes(array.bytes)?;
            Some(bytes.into())
        });
        let mut strides = row_major(&array.shape);
        if array.is_column_major {
            let reversed: Vec<usize> = array.shape.iter().rev().copied().collect();
            strides = row_major(&reversed).into_iter().rev().collect();
        }
        Some(Entry {
            name: String::new(),
            kind: Cow::Borrowed(kind),
            view: View::Held {
                elements: elements.clone()?,
                strides,
            },
            shape: array.shape,
        })
    }
}
