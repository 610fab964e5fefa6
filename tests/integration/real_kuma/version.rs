//! The control planes of the folder, and what each version of Kuma has.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kuma_stand_in::KumaVersion;

/// A version of Kuma, as in `kuma-cp-2.6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

impl Version {
    /// MADS of API version v1, and the port as `port` in `/config`.
    pub(crate) const V1: Version = Version(1, 2);

    /// No `metrics` of a Mesh, no tags, and zone proxies that are dataplanes.
    pub(crate) const V3: Version = Version(3, 0);

    /// HTTPS of the API server.
    pub(crate) fn has_api_tls(self) -> bool {
        self >= Version(1, 0)
    }

    /// TLS of MADS.
    pub(crate) fn has_mads_tls(self) -> bool {
        self >= Version(2, 0)
    }

    /// The policy MeshMetric.
    pub(crate) fn has_mesh_metric(self) -> bool {
        self >= Version(2, 6)
    }

    /// `metrics` of a Mesh.
    pub(crate) fn has_metrics_of_mesh(self) -> bool {
        self < Version::V3
    }

    /// Itself, where the stand-in plays it.
    pub(crate) fn stand_in(self) -> Option<KumaVersion> {
        let is_this = |kuma: &KumaVersion| parse(kuma.name()) == Some(self);
        KumaVersion::ALL.into_iter().find(is_this)
    }
}

fn parse(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some(Version(major.parse().ok()?, minor.parse().ok()?))
}

/// The control planes of the folder, oldest first.
pub(crate) struct Folder {
    programs: Vec<(Version, PathBuf)>,
    /// One control plane runs at a time, whatever the number of test threads.
    _turn: MutexGuard<'static, ()>,
}

impl Folder {
    /// The folder that `KUMA_CP_DIR` names. Without it, tells on standard error that a test is not
    /// tried: what is printed in the usual way, nobody sees of a test that passes.
    pub(crate) fn open(test: &str) -> Option<Folder> {
        static TURN: Mutex<()> = Mutex::new(());
        let Some(folder) = env::var_os("KUMA_CP_DIR").filter(|folder| !folder.is_empty()) else {
            let line =
                format!("{test}: not tried: KUMA_CP_DIR names no folder of control planes\n");
            io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let programs = programs(Path::new(&folder));
        assert!(
            !programs.is_empty(),
            "KUMA_CP_DIR={}: there is no kuma-cp-VERSION",
            folder.display()
        );
        Some(Folder { programs, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) })
    }

    /// Its versions, oldest first.
    pub(crate) fn versions(&self) -> Vec<Version> {
        self.programs.iter().map(|(version, _)| *version).collect()
    }

    /// The program of one of its versions.
    pub(crate) fn program(&self, version: Version) -> &Path {
        let found = self.programs.iter().find(|(known, _)| *known == version);
        &found.expect("it is one of the folder's versions").1
    }
}

fn programs(folder: &Path) -> Vec<(Version, PathBuf)> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("KUMA_CP_DIR={}: {error}", folder.display()));
    let mut programs: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.expect("a folder can be read").path();
            let name = path.file_name()?.to_str()?;
            let version = parse(name.strip_prefix("kuma-cp-")?)?;
            Some((version, path))
        })
        .collect();
    programs.sort();
    programs
}
