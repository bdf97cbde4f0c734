//! What cargo says about this workspace: its packages, and where its output goes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::cargo;

/// The workspace as `cargo metadata` describes it.
pub(crate) struct Project {
    pub(crate) packages: Vec<Package>,
    pub(crate) target: PathBuf,
}

/// One member of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) has_library: bool,
    /// Where its manifest is.
    pub(crate) folder: PathBuf,
    /// Its features, but for the default set.
    features: Vec<String>,
}

/// A feature that puts another engine in the place of the default one. What is tested with it is
/// not what most people run, so that it is tested besides.
pub(crate) const ENGINE: &str = "libsecp256k1";

/// Why the workspace could not be described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("cargo metadata did not run")]
    Spawn(#[from] std::io::Error),
    #[error("cargo metadata failed: {0}")]
    Failed(String),
    #[error("cargo metadata answered with something else than its format 1")]
    Format,
}

impl Project {
    pub(crate) fn read() -> Result<Self, ProjectError> {
        let mut command: Command = cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = command.output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(ProjectError::Failed(reason));
        }
        serde_json::from_slice(&output.stdout)
            .ok()
            .and_then(|metadata| Self::parse(&metadata))
            .ok_or(ProjectError::Format)
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let target = metadata.get("target_directory")?.as_str()?.into();
        let packages = metadata.get("packages")?.as_array()?;
        let packages = packages.iter().map(Package::parse).collect::<Option<_>>()?;
        Some(Self { packages, target })
    }

    /// All features of `packages`, or of all packages when there are none, but for other engines.
    pub(crate) fn features(&self, packages: &[String]) -> String {
        let chosen = |package: &&Package| packages.is_empty() || packages.contains(&package.name);
        let features = self.packages.iter().filter(chosen).flat_map(|package| {
            let others = package.features.iter().filter(|feature| *feature != ENGINE);
            others.map(|feature| format!("{}/{feature}", package.name))
        });
        features.collect::<Vec<_>>().join(",")
    }

    /// The packages, of these or of all, that can be built with another engine.
    pub(crate) fn with_engine(&self, packages: &[String]) -> Vec<String> {
        let chosen = |package: &&Package| packages.is_empty() || packages.contains(&package.name);
        let has_engine = |package: &&Package| package.features.iter().any(|name| name == ENGINE);
        let found = self.packages.iter().filter(chosen).filter(has_engine);
        found.map(|package| package.name.clone()).collect()
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    fn parse(package: &Value) -> Option<Self> {
        let name = package.get("name")?.as_str()?.to_owned();
        let targets = package.get("targets")?.as_array()?;
        let mut kinds =
            targets.iter().filter_map(|target| target.get("kind")?.as_array()).flatten();
        let manifest = PathBuf::from(package.get("manifest_path")?.as_str()?);
        let folder = manifest.parent()?.to_owned();
        let has_library = kinds.any(|kind| kind == "lib" || kind == "proc-macro");
        let features = package.get("features")?.as_object()?.keys();
        let features = features.filter(|name| *name != "default").cloned().collect();
        Some(Self { name, has_library, folder, features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_library_is_told_apart() {
        let project = Project::read().unwrap();
        assert!(!project.package("xtask").unwrap().has_library);
        assert!(project.package("custody-core").unwrap().has_library);
        assert!(project.package("no-such-package").is_none());
    }

    #[test]
    fn another_engine_is_left_out_of_the_features_and_named_by_itself() {
        let project = Project::read().unwrap();
        let core = ["custody-core".to_owned()];
        assert_eq!(project.features(&core), "custody-core/tokio");
        assert!(!project.features(&[]).contains(ENGINE));
        assert!(project.features(&[]).contains("custody-core/tokio"));
        assert_eq!(project.with_engine(&core), core);
        assert!(project.with_engine(&["xtask".to_owned()]).is_empty());
        assert!(project.with_engine(&[]).contains(&"custody-soft".to_owned()));
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        assert!(Project::parse(&serde_json::json!({"target_directory": "target"})).is_none());
    }
}
