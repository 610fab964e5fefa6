//! What is linked into the static binary: the notices that its licences ask for, and the list of it in
//! the form of CycloneDX. Both are read off the sources that were built; `generated.rs` holds them
//! current, so a dependency that changes asks for `make generate`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::repository::dependencies::{Package, linked};
use crate::support::command::repository;

/// What no crate brings: its name, its version, the file with its notice in `packaging/third-party`.
/// The versions are those of the zig that `scripts/static-requirements.txt` names.
const OF_THE_TOOLCHAIN: [(&str, &str, &str); 4] = [
    ("musl", "1.2.5", "musl.txt"),
    ("LLVM's libc++, libc++abi and libunwind", "22.1.8", "llvm.txt"),
    ("zig's compiler-rt", "0.17.1", "zig.txt"),
    ("Rust's standard library", "as in `version --detailed`", "rust.txt"),
];

/// Libraries in C and C++ within a crate: a name, the file there that has the version, what the version
/// comes after, and the package's address with `VERSION` in it.
const IN_C: [(&str, &str, &str, &str, &str); 6] = [
    (
        "grpc",
        "grpcio-sys",
        "grpc/CMakeLists.txt",
        "set(PACKAGE_VERSION       \"",
        "pkg:github/grpc/grpc@vVERSION",
    ),
    (
        "abseil-cpp",
        "grpcio-sys",
        "grpc/bazel/grpc_deps.bzl",
        "strip_prefix = \"abseil-cpp-",
        "pkg:github/abseil/abseil-cpp@VERSION",
    ),
    (
        "re2",
        "grpcio-sys",
        "grpc/bazel/grpc_deps.bzl",
        "strip_prefix = \"re2-",
        "pkg:github/google/re2@VERSION",
    ),
    (
        "upb",
        "grpcio-sys",
        "grpc/bazel/grpc_deps.bzl",
        "strip_prefix = \"upb-",
        "pkg:github/protocolbuffers/upb@VERSION",
    ),
    (
        "c-ares",
        "grpcio-sys",
        "grpc/third_party/cares/cares/include/ares_version.h",
        "#define ARES_VERSION_STR \"",
        "pkg:generic/c-ares@VERSION",
    ),
    (
        "zlib",
        "libz-sys",
        "src/zlib/zlib.h",
        "#define ZLIB_VERSION \"",
        "pkg:github/madler/zlib@vVERSION",
    ),
];

/// Folders whose code is not linked, whatever licence lies in them.
const NOT_LINKED: [&str; 8] =
    ["contrib", "fuzzing", "lunit", "src/zlib-ng", "target", "test", "tests", "toolchains"];

/// The file of notices.
pub(crate) fn notices() -> String {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |text: &str, owner: String| {
        let text = text.replace('\r', "").trim_matches('\n').to_owned();
        owners.entry(text).or_default().push(owner);
    };
    for package in linked().into_iter().filter(|package| !package.is_ours()) {
        for (path, text) in licences(package) {
            let place = path.parent().map_or(String::new(), |folder| folder.display().to_string());
            let place = if place.is_empty() { place } else { format!(": {place}") };
            add(&text, format!("{} {}{place}", package.name, package.version));
        }
    }
    for (name, version, file) in OF_THE_TOOLCHAIN {
        let folder = repository().join("packaging/third-party");
        add(&fs::read_to_string(folder.join(file)).unwrap(), format!("{name} {version}"));
    }

    let mut notices: Vec<_> = owners.into_iter().map(|(text, owners)| (owners, text)).collect();
    notices.sort();
    let mut file = "The program kuma-prometheus-sd is linked statically. These are the notices of all that \
                    is in it\nbesides its own code. Each stands below the names of what it is for.\n"
        .to_owned();
    for (owners, text) in notices {
        let rule = "=".repeat(80);
        file.push_str(&format!("\n{rule}\n{}\n{rule}\n\n{text}\n", owners.join("\n")));
    }
    file
}

/// The files with licences of a package, by their paths in it.
fn licences(package: &Package) -> Vec<(PathBuf, String)> {
    let folder = package.manifest_path.parent().unwrap();
    let mut found = Vec::new();
    find_licences(folder, folder, &mut found);
    // Of several licences to choose from, MIT's is the shortest.
    let is_of_root = |path: &Path| path.parent() == Some(Path::new(""));
    let has = |path: &Path, words: &[&str]| {
        let name = path.to_string_lossy().to_uppercase();
        words.iter().any(|word| name.contains(word))
    };
    let licence = package.license.as_deref().unwrap_or_default();
    let is_a_choice = licence.contains("MIT") && licence.contains([' ', '/']);
    if is_a_choice && found.iter().any(|path| is_of_root(path) && has(path, &["MIT"])) {
        let words = ["MIT", "COPYRIGHT", "NOTICE", "THIRD-PARTY"];
        found.retain(|path| !is_of_root(path) || has(path, &words));
    }
    found.sort();
    assert!(!found.is_empty(), "{} has no file with a licence", package.name);
    let read = |path: PathBuf| {
        let text = fs::read(folder.join(&path)).unwrap();
        (path, String::from_utf8_lossy(&text).into_owned())
    };
    found.into_iter().map(read).collect()
}

fn find_licences(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let inside = path.strip_prefix(root).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().to_uppercase();
        if path.is_dir() {
            if !NOT_LINKED.iter().any(|folder| inside.ends_with(folder)) {
                find_licences(root, &path, found);
            }
            continue;
        }
        let is_text = ["", "TXT", "MD"].contains(&name.split_once('.').map_or("", |(_, end)| end));
        let starts = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
        if starts.iter().any(|start| name.starts_with(start)) && (is_text || name.contains("2.0")) {
            found.push(inside.to_owned());
        }
    }
}

/// The list of all that is in the binary.
pub(crate) fn bill_of_materials() -> String {
    let (ours, crates): (Vec<_>, Vec<_>) =
        linked().into_iter().partition(|package| package.is_ours());
    let mut components: Vec<Value> = crates.into_iter().map(of_cargo).collect();
    for (name, krate, file, before, address) in IN_C {
        let version = version_in(krate, file, before);
        components.push(component(name, &version, &address.replace("VERSION", &version)));
    }
    let (musl, version, _) = OF_THE_TOOLCHAIN[0];
    components.push(component(musl, version, &format!("pkg:generic/musl@{version}")));
    let mut daemon = of_cargo(ours[0]);
    daemon["type"] = json!("application");
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": daemon},
        "components": components,
    });
    serde_json::to_string_pretty(&bill).unwrap() + "\n"
}

fn component(name: &str, version: &str, address: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
    })
}

fn of_cargo(package: &Package) -> Value {
    let Package { name, version, .. } = package;
    let address = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
    let mut component = component(name, version, &address);
    let licence = package.license.as_deref().unwrap_or_default().replace('/', " OR ");
    component["licenses"] = json!([{"expression": licence}]);
    component
}

/// What stands in a file of a crate between a text and the next quotation mark.
fn version_in(name: &str, file: &str, before: &str) -> String {
    let packages = linked();
    let package = packages.iter().find(|package| package.name == name).unwrap();
    let path = package.manifest_path.with_file_name(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{path:?}: no {before}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_notices_of_the_toolchain_are_those_of_the_pinned_zig() {
    let file = repository().join("scripts/static-requirements.txt");
    let requirements = fs::read_to_string(file).unwrap();
    // With another zig come another musl and LLVM: look at OF_THE_TOOLCHAIN again.
    assert!(requirements.contains("ziglang==0.17.1"), "{requirements}");
}

#[test]
fn every_library_that_grpc_brings_has_its_notice() {
    let notices = notices();
    for library in [
        "grpc",
        "grpc/third_party/abseil-cpp",
        "grpc/third_party/address_sorting",
        "grpc/third_party/cares/cares",
        "grpc/third_party/re2",
        "grpc/third_party/upb",
        "grpc/third_party/utf8_range",
        "grpc/third_party/xxhash",
    ] {
        let named = notices
            .lines()
            .any(|line| line.starts_with("grpcio-sys ") && line.ends_with(&format!(": {library}")));
        assert!(named, "{library}");
    }
    for name in ["\nmusl 1.2.5\n", ": src/zlib\n", "\nring 0.17", ": third_party/fiat\n"] {
        assert!(notices.contains(name), "{name:?}");
    }
}
