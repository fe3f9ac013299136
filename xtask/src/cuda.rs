//! Where CUDA is on this machine: the toolkit that compiles kernels, the libraries, the driver and a device.
//!
//! A toolkit is a directory with `bin/nvcc`, installed by the system, by conda or from the wheels that PyTorch uses
//! (`nvidia/cu13`), whose libraries lie beside each other. What the linker is given are links of the names that it looks for,
//! since wheels have `libcublas.so.13` only, and the driver's `libcuda.so.1` comes with the driver.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo::workspace_root;

/// Libraries that a build with the feature `cuda` links, but for the driver's.
const LIBRARIES: [&str; 5] = ["cudart", "cublas", "cublasLt", "curand", "nvrtc"];
const DRIVER: &str = "cuda";
const CUDNN: &str = "cudnn";

/// Variables that name a toolkit.
const VARIABLES: [&str; 4] = [
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_ROOT",
    "CUDA_TOOLKIT_ROOT_DIR",
];

/// Where is looked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Directories that may have `bin/nvcc`, in order, with the reason where it is not the path.
    pub(crate) toolkits: Vec<(String, PathBuf)>,
    /// Directories of the system's libraries.
    pub(crate) libraries: Vec<PathBuf>,
    /// Files that are there where there is a device.
    pub(crate) devices: Vec<PathBuf>,
    /// Whether the generation of the device is known: `CUDA_COMPUTE_CAP`, or `nvidia-smi`, which says it.
    pub(crate) generation: bool,
}

/// What a build with CUDA takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolkit {
    /// The directory of `bin/nvcc`.
    pub(crate) root: PathBuf,
    /// Each library by the name that the linker knows.
    pub(crate) libraries: Vec<(&'static str, PathBuf)>,
    /// `cudnn`, where its library is there, else `cuda`.
    pub(crate) feature: &'static str,
}

/// The device that `name` means on this machine, and the toolkit to build with where it is one of CUDA. `auto` is CUDA
/// where everything is there.
pub(crate) fn resolve(name: &str, places: &Places) -> Result<(String, Option<Toolkit>)> {
    let index = name.strip_prefix("cuda:").map(str::parse::<usize>);
    match (name, index) {
        ("cpu", _) => Ok((name.to_owned(), None)),
        ("auto", _) => Ok(match find(places) {
            Ok(toolkit) => ("cuda".to_owned(), Some(toolkit)),
            Err(_) => ("cpu".to_owned(), None),
        }),
        ("cuda", _) | (_, Some(Ok(_))) => {
            let found = find(places);
            let toolkit = found.with_context(|| format!("--device {name} cannot be had"))?;
            Ok((name.to_owned(), Some(toolkit)))
        }
        _ => bail!("--device must be cpu, cuda, cuda:N or auto, got {name}"),
    }
}

/// The first toolkit, its libraries and a device, or one sentence about the first of them that is missing.
pub(crate) fn find(places: &Places) -> Result<Toolkit> {
    let compiler = |root: &Path| ["nvcc", "nvcc.exe"].map(|name| root.join("bin").join(name));
    let has_compiler = |root: &Path| compiler(root).iter().any(|path| path.is_file());
    let toolkits = places.toolkits.iter();
    let Some((_, root)) = toolkits.clone().find(|(_, root)| has_compiler(root)) else {
        let looked = toolkits.map(|(from, root)| match from.as_str() {
            "" => root.display().to_string(),
            _ => format!("{} ({from})", root.display()),
        });
        bail!(
            "there is no CUDA toolkit, since bin/nvcc is in none of {}; docs/CUDA.md says what to install",
            looked.collect::<Vec<_>>().join(", ")
        );
    };
    let own = own_libraries(root);
    let in_any = |directories: &[PathBuf], name| library(directories, name);
    let mut libraries = Vec::new();
    for name in LIBRARIES {
        let found = in_any(&own, name).or_else(|| in_any(&places.libraries, name));
        let Some(found) = found else {
            bail!(
                "the CUDA toolkit in {} lacks lib{name}.so, which is neither in {} nor in {}",
                root.display(),
                joined(&own),
                joined(&places.libraries)
            );
        };
        libraries.push((name, found));
    }
    let Some(driver) = in_any(&places.libraries, DRIVER) else {
        bail!(
            "there is no NVIDIA driver, since libcuda.so.1 is in none of {}",
            joined(&places.libraries)
        );
    };
    libraries.push((DRIVER, driver));
    if !places.devices.iter().any(|file| file.exists()) {
        bail!(
            "there is no NVIDIA GPU, since none of {} exists",
            joined(&places.devices)
        );
    }
    if !places.generation {
        bail!(
            "the generation of the GPU is unknown, since nvidia-smi is not on PATH; set CUDA_COMPUTE_CAP, such as 90"
        );
    }
    let cudnn = in_any(&own, CUDNN).or_else(|| in_any(&places.libraries, CUDNN));
    let feature = if cudnn.is_some() { "cudnn" } else { "cuda" };
    libraries.extend(cudnn.map(|path| (CUDNN, path)));
    let root = root.clone();
    Ok(Toolkit {
        root,
        libraries,
        feature,
    })
}

/// Directories of the libraries of the toolkit in `root`: its own and, among wheels, those of its neighbours.
fn own_libraries(root: &Path) -> Vec<PathBuf> {
    let machine = format!("targets/{}-linux/lib", std::env::consts::ARCH);
    let mut directories: Vec<PathBuf> = ["lib64", "lib", &machine]
        .map(|name| root.join(name))
        .to_vec();
    if let Some(wheels) = root.parent().filter(|parent| parent.ends_with("nvidia")) {
        directories.extend(
            below(wheels, |_| true)
                .into_iter()
                .map(|wheel| wheel.join("lib")),
        );
    }
    directories.retain(|directory| directory.is_dir());
    directories
}

/// The file of a shared library: by its plain name, or with the lowest version behind it.
fn library(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let file = format!("lib{name}.so");
    directories.iter().find_map(|directory| {
        let versioned = format!("{file}.");
        let found = below(directory, |other| {
            other == file || other.starts_with(&versioned)
        });
        found.into_iter().next()
    })
}

/// The entries of `directory` whose name is `wanted`, sorted.
fn below(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn joined(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| path.display().to_string());
    paths.collect::<Vec<_>>().join(", ")
}

impl Places {
    /// Those of this machine: what variables say, the compiler on the search path, where systems install it, and wheels in
    /// the environments of Python at hand and in `.cuda`.
    pub(crate) fn of_this_machine() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = variable("PATH").unwrap_or_default();
        let on_path = |program: &str| {
            std::env::split_paths(&path).find(|directory| directory.join(program).is_file())
        };
        let mut toolkits: Vec<(String, PathBuf)> = Vec::new();
        for name in VARIABLES {
            toolkits.extend(variable(name).map(|root| (name.to_owned(), root.into())));
        }
        if let Some(directory) = on_path("nvcc") {
            let nvcc = directory.join("nvcc");
            let nvcc = nvcc.canonicalize().unwrap_or(nvcc);
            let root = nvcc.parent().and_then(Path::parent).unwrap_or(&directory);
            toolkits.push(("PATH".to_owned(), root.to_owned()));
        }
        let usual = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda"];
        toolkits.extend(usual.map(|root| (String::new(), root.into())));
        for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
            if let Some(environment) = variable(name).map(PathBuf::from) {
                toolkits.extend(wheels(&environment).map(|root| (name.to_owned(), root)));
                toolkits.push((name.to_owned(), environment));
            }
        }
        let root = workspace_root();
        toolkits.extend(wheels(&root.join(".venv")).map(|root| (String::new(), root)));
        toolkits.push((String::new(), root.join(".cuda/nvidia/cu13")));
        let given = variable("LD_LIBRARY_PATH").unwrap_or_default();
        let machine = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let system = [
            "/usr/local/nvidia/lib64",
            "/usr/lib/wsl/lib",
            &machine,
            "/usr/lib64",
            "/usr/lib",
        ];
        let given = std::env::split_paths(&given).filter(|directory| directory.is_absolute());
        Self {
            toolkits,
            libraries: given.chain(system.map(PathBuf::from)).collect(),
            devices: ["/dev/nvidiactl", "/dev/dxg"].map(PathBuf::from).to_vec(),
            generation: variable("CUDA_COMPUTE_CAP").is_some() || on_path("nvidia-smi").is_some(),
        }
    }
}

/// The toolkit among the wheels of an environment of Python, one for each version of it.
fn wheels(environment: &Path) -> impl Iterator<Item = PathBuf> {
    let versions = below(&environment.join("lib"), |name| name.starts_with("python3"));
    versions
        .into_iter()
        .map(|version| version.join("site-packages/nvidia/cu13"))
}

impl Toolkit {
    /// Makes `directory` hold a link for each library, by the name that the linker looks for.
    #[cfg(unix)]
    pub(crate) fn link_libraries(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        for (name, path) in &self.libraries {
            let link = directory.join(format!("lib{name}.so"));
            if link.is_symlink() {
                std::fs::remove_file(&link)?;
            }
            std::os::unix::fs::symlink(path, &link)
                .with_context(|| format!("cannot make the link {}", link.display()))?;
        }
        Ok(())
    }

    /// Nothing: the toolkit's own names are those that the linker looks for.
    #[cfg(not(unix))]
    pub(crate) fn link_libraries(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    /// Directories in which a program finds the libraries when it starts, each once.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<PathBuf> = Vec::new();
        for directory in self.libraries.iter().filter_map(|(_, path)| path.parent()) {
            if !directories.iter().any(|other| other == directory) {
                directories.push(directory.to_owned());
            }
        }
        directories
    }

    /// `variable`, a list of directories, with `directory` in front.
    pub(crate) fn in_front(variable: &str, directory: &Path) -> Result<OsString> {
        let list = std::env::var_os(variable).unwrap_or_default();
        let others = std::env::split_paths(&list).filter(|other| !other.as_os_str().is_empty());
        Ok(std::env::join_paths(
            std::iter::once(directory.to_owned()).chain(others),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    /// A machine below `root` with these empty files, and `nvidia` wheels, a toolkit and system directories to look in.
    fn machine(root: &Path, files: &[&str]) -> Places {
        for file in files {
            let path = root.join(file);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, "").unwrap();
        }
        let toolkit = |name: &str| (String::new(), root.join(name));
        Places {
            toolkits: vec![
                ("CUDA_HOME".to_owned(), root.join("home")),
                toolkit("local"),
                toolkit("site/nvidia/cu13"),
            ],
            libraries: vec![root.join("usr/lib")],
            devices: vec![root.join("dev/nvidiactl")],
            generation: true,
        }
    }

    const LOCAL: [&str; 8] = [
        "local/bin/nvcc",
        "local/lib64/libcudart.so",
        "local/lib64/libcublas.so",
        "local/lib64/libcublasLt.so",
        "local/lib64/libcurand.so",
        "local/lib64/libnvrtc.so",
        "usr/lib/libcuda.so.1",
        "dev/nvidiactl",
    ];

    const WHEELS: [&str; 9] = [
        "site/nvidia/cu13/bin/nvcc",
        "site/nvidia/cu13/lib/libcudart.so.13",
        "site/nvidia/cu13/lib/libcublas.so.13",
        "site/nvidia/cu13/lib/libcublasLt.so.13",
        "site/nvidia/cu13/lib/libcurand.so.10",
        "site/nvidia/cu13/lib/libnvrtc.so.13",
        "site/nvidia/cudnn/lib/libcudnn.so.9",
        "usr/lib/libcuda.so.1",
        "dev/nvidiactl",
    ];

    #[test]
    fn a_toolkit_of_the_system_and_one_of_wheels_are_found() {
        for (files, root, feature) in [
            (&LOCAL[..], "local", "cuda"),
            (&WHEELS[..], "site/nvidia/cu13", "cudnn"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let places = machine(directory.path(), files);
            for name in ["cuda", "cuda:1", "auto"] {
                let (device, toolkit) = resolve(name, &places).unwrap();
                assert_eq!(device, if name == "auto" { "cuda" } else { name });
                let toolkit = toolkit.unwrap();
                assert_eq!(toolkit.root, directory.path().join(root));
                assert_eq!(toolkit.feature, feature);
                // Every file but compiler and device is a library.
                assert_eq!(toolkit.libraries.len(), files.len() - 2);
                for (name, path) in &toolkit.libraries {
                    let file = path.file_name().unwrap().to_str().unwrap();
                    assert!(file.starts_with(&format!("lib{name}.so")), "{file}");
                }
            }
        }
    }

    #[test]
    fn what_is_missing_is_one_sentence_with_the_places_and_auto_is_the_cpu() {
        for (missing, expected) in [
            ("local/bin/nvcc", "bin/nvcc is in none of "),
            (
                "local/lib64/libcublas.so",
                "lacks libcublas.so, which is neither in ",
            ),
            ("usr/lib/libcuda.so.1", "libcuda.so.1 is in none of "),
            ("dev/nvidiactl", "none of "),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let files: Vec<&str> = LOCAL.into_iter().filter(|file| *file != missing).collect();
            let places = machine(directory.path(), &files);
            let said = format!("{:#}", resolve("cuda", &places).unwrap_err());
            assert!(said.starts_with("--device cuda cannot be had: "), "{said}");
            let parent = directory.path().join(missing);
            let place = if missing.ends_with("nvcc") {
                "home (CUDA_HOME), ".to_owned()
            } else {
                parent.parent().unwrap().display().to_string()
            };
            assert!(said.contains(expected) && said.contains(&place), "{said}");
            assert_eq!(resolve("auto", &places).unwrap(), ("cpu".to_owned(), None));
        }
        let unknown = Places {
            generation: false,
            ..machine(tempfile::tempdir().unwrap().path(), &[])
        };
        assert!(find(&unknown).is_err());
        for name in ["tpu", "cuda:x", "cuda:"] {
            let said = resolve(name, &unknown).unwrap_err().to_string();
            assert!(said.contains("must be cpu, cuda, cuda:N or auto"), "{said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_linker_finds_every_library_by_its_plain_name() {
        let directory = tempfile::tempdir().unwrap();
        let places = machine(directory.path(), &WHEELS);
        let toolkit = find(&places).unwrap();
        let links = directory.path().join("links");
        // A second time too, over the links of the first.
        for _ in 0..2 {
            toolkit.link_libraries(&links).unwrap();
            for name in LIBRARIES.into_iter().chain([DRIVER, CUDNN]) {
                assert!(links.join(format!("lib{name}.so")).is_file(), "{name}");
            }
        }
        let directories = ["site/nvidia/cu13/lib", "usr/lib", "site/nvidia/cudnn/lib"];
        assert_eq!(
            toolkit.directories(),
            directories.map(|name| directory.path().join(name))
        );
    }
}
