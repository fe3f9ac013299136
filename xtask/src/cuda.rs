//! Where CUDA is on this machine: the toolkit that compiles kernels, the libraries, the driver and a device.
//!
//! A toolkit is a directory with `bin/nvcc`, installed by the system, by conda or from the wheels that PyTorch uses
//! (`nvidia/cu13`), whose libraries lie beside each other. The linker is given links of the names that it looks for, since
//! wheels have `libcublas.so.13` only, and a driver `libcuda.so.1`.

#[cfg(test)]
mod tests;

use std::env::{split_paths, var_os};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo::workspace_root;

/// Libraries that a build with the feature `cuda` links, but for the driver's.
const LIBRARIES: [&str; 5] = ["cudart", "cublas", "cublasLt", "curand", "nvrtc"];
const DRIVER: &str = "cuda";
const CUDNN: &str = "cudnn";

/// Variables that name a toolkit.
const VARIABLES: [&str; 3] = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"];

/// Where is looked.
#[derive(Debug)]
pub(crate) struct Places {
    /// Directories that may have `bin/nvcc`, in order.
    toolkits: Vec<PathBuf>,
    /// Directories of the system's libraries.
    libraries: Vec<PathBuf>,
    /// Files that are there where there is a device.
    devices: Vec<PathBuf>,
    /// Whether the generation of the device is known: `CUDA_COMPUTE_CAP`, or `nvidia-smi`, which says it.
    generation: bool,
}

/// What a build with CUDA takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolkit {
    /// The directory of `bin/nvcc`.
    pub(crate) root: PathBuf,
    /// Each library by the name that the linker knows.
    libraries: Vec<(&'static str, PathBuf)>,
    /// `cudnn`, where its library is there, else `cuda`.
    pub(crate) feature: &'static str,
    /// The generation of GPUs that kernels are built for, where it is not that of this machine.
    pub(crate) generation: Option<&'static str>,
}

/// The H100 and the H200.
const GENERATION: &str = "90";

/// The device that `name` means on this machine, and the toolkit to build with where it is one of CUDA. `auto` is CUDA
/// where everything is there.
pub(crate) fn resolve(name: &str, places: &Places) -> Result<(String, Option<Toolkit>)> {
    let index = name.strip_prefix("cuda:").map(str::parse::<u32>);
    let (device, toolkit) = match (name, index) {
        ("cpu", _) => (name, None),
        ("auto", _) => match find(places) {
            Ok(toolkit) => ("cuda", Some(toolkit)),
            Err(_) => ("cpu", None),
        },
        ("cuda", _) | (_, Some(Ok(_))) => {
            let cannot = || format!("--device {name} cannot be had");
            (name, Some(find(places).with_context(cannot)?))
        }
        _ => bail!("--device must be cpu, cuda, cuda:N or auto, got {name}"),
    };
    Ok((device.to_owned(), toolkit))
}

/// The first toolkit with its libraries, or one sentence about the first thing that is missing.
fn find(places: &Places) -> Result<Toolkit> {
    let root = root(places)?;
    let directories = [own_libraries(root), places.libraries.clone()].concat();
    let toolkit = at(root, &directories)?;
    let Some(driver) = library(&places.libraries, DRIVER) else {
        bail!(
            "there is no NVIDIA driver, since libcuda.so.1 is in none of {}",
            joined(&places.libraries)
        );
    };
    if !places.devices.iter().any(|file| file.exists()) {
        let looked = joined(&places.devices);
        bail!("there is no NVIDIA GPU, since none of {looked} exists");
    }
    if !places.generation {
        bail!(
            "nvidia-smi, which names the generation of the GPU, is not on PATH; set CUDA_COMPUTE_CAP, such as 90"
        );
    }
    Ok(toolkit.with_driver(driver))
}

/// The first toolkit with its libraries, to build for a GPU elsewhere: what it has in place of the driver is enough.
pub(crate) fn to_pack(places: &Places) -> Result<Toolkit> {
    let root = root(places)?;
    let own = own_libraries(root);
    let toolkit = at(root, &[&own[..], &places.libraries].concat())?;
    let stubs: Vec<PathBuf> = own
        .iter()
        .map(|directory| directory.join("stubs"))
        .collect();
    let Some(driver) = library(&[&stubs[..], &places.libraries].concat(), DRIVER) else {
        bail!(
            "the CUDA toolkit in {} has no stub of the driver, libcuda.so, which is in none of {}",
            root.display(),
            joined(&stubs)
        );
    };
    let generation = (!places.generation).then_some(GENERATION);
    Ok(Toolkit {
        generation,
        ..toolkit.with_driver(driver)
    })
}

/// The directory of the first toolkit.
fn root(places: &Places) -> Result<&PathBuf> {
    let mut toolkits = places.toolkits.iter();
    toolkits
        .find(|root| root.join("bin/nvcc").is_file())
        .with_context(|| {
            format!(
                "there is no CUDA toolkit, since bin/nvcc is in none of {}; set CUDA_HOME, or install one as docs/CUDA.md says",
                joined(&places.toolkits)
            )
        })
}

/// The toolkit in `root` with its libraries, which are in `directories`, but for the driver's.
fn at(root: &Path, directories: &[PathBuf]) -> Result<Toolkit> {
    let mut libraries = Vec::new();
    for name in LIBRARIES {
        let Some(found) = library(directories, name) else {
            bail!(
                "the CUDA toolkit in {} lacks lib{name}.so, which is in none of {}",
                root.display(),
                joined(directories)
            );
        };
        libraries.push((name, found));
    }
    let cudnn = library(directories, CUDNN).map(|path| (CUDNN, path));
    let feature = if cudnn.is_some() { "cudnn" } else { "cuda" };
    libraries.extend(cudnn);
    Ok(Toolkit {
        root: root.to_owned(),
        libraries,
        feature,
        generation: None,
    })
}

/// Directories of the libraries of the toolkit in `root`: its own and, among wheels, those of its neighbours.
fn own_libraries(root: &Path) -> Vec<PathBuf> {
    let own = ["lib64", "lib"].map(|name| root.join(name));
    let wheels = root.parent().filter(|parent| parent.ends_with("nvidia"));
    let wheels = wheels.map_or_else(Vec::new, |wheels| below(wheels, |_| true));
    let neighbours = wheels.into_iter().map(|wheel| wheel.join("lib"));
    own.into_iter().chain(neighbours).collect()
}

/// The file of a shared library: by its plain name, or with a version behind it.
fn library(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let file = format!("lib{name}.so");
    let is_version = |of: &str| {
        of.strip_prefix(&file)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let found = directories
        .iter()
        .map(|directory| below(directory, is_version));
    found.flatten().next()
}

/// The entries of `directory` whose name is `wanted`, sorted.
fn below(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
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
        let path = var_os("PATH").unwrap_or_default();
        let on_path = |program| split_paths(&path).map(move |directory| directory.join(program));
        let named = |name: &&str| {
            var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let mut toolkits: Vec<PathBuf> = VARIABLES.iter().filter_map(named).collect();
        let compilers = on_path("nvcc").filter_map(|nvcc| nvcc.canonicalize().ok());
        toolkits.extend(compilers.filter_map(|nvcc| Some(nvcc.parent()?.parent()?.to_owned())));
        toolkits.extend(["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda"].map(PathBuf::from));
        let root = workspace_root();
        let given = ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(named);
        for environment in given.chain([root.join(".venv")]) {
            let versions = below(&environment.join("lib"), |name| name.starts_with("python3"));
            let wheels = versions
                .into_iter()
                .map(|of| of.join("site-packages/nvidia/cu13"));
            toolkits.extend(wheels.chain([environment]));
        }
        toolkits.push(root.join(".cuda/nvidia/cu13"));
        let given = var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let machine = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let system = [
            "/usr/local/nvidia/lib64",
            "/usr/lib/wsl/lib",
            &machine,
            "/usr/lib64",
            "/usr/lib",
        ];
        let given = split_paths(&given).filter(|directory| directory.is_absolute());
        Self {
            toolkits,
            libraries: given.chain(system.map(PathBuf::from)).collect(),
            devices: ["/dev/nvidiactl", "/dev/dxg"].map(PathBuf::from).to_vec(),
            generation: var_os("CUDA_COMPUTE_CAP").is_some()
                || on_path("nvidia-smi").any(|program| program.is_file()),
        }
    }
}

impl Toolkit {
    fn with_driver(mut self, driver: PathBuf) -> Self {
        self.libraries.push((DRIVER, driver));
        self
    }

    /// Makes `directory` hold a link for each library, by the name that the linker looks for.
    pub(crate) fn link_libraries(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        for (name, path) in &self.libraries {
            let link = directory.join(format!("lib{name}.so"));
            if link.is_symlink() {
                std::fs::remove_file(&link)?;
            }
            #[cfg(unix)]
            std::os::unix::fs::symlink(path, &link)
                .with_context(|| format!("cannot make the link {}", link.display()))?;
        }
        Ok(())
    }

    /// Directories in which a program finds the libraries when it starts, each once.
    pub(crate) fn directories(&self) -> Vec<&Path> {
        let parents = self.libraries.iter().filter_map(|(_, path)| path.parent());
        parents.fold(Vec::new(), |mut directories, parent| {
            if !directories.contains(&parent) {
                directories.push(parent);
            }
            directories
        })
    }
}

/// The list of directories in `variable`, with `directory` in front.
pub(crate) fn in_front(variable: &str, directory: &Path) -> Result<OsString> {
    let list = var_os(variable).unwrap_or_default();
    let others = split_paths(&list).filter(|other| !other.as_os_str().is_empty());
    Ok(std::env::join_paths(
        [directory.to_owned()].into_iter().chain(others),
    )?)
}
