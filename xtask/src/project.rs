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
}

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
        let has_library = kinds.any(|kind| kind == "lib" || kind == "proc-macro");
        Some(Self { name, has_library })
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
    fn an_answer_of_another_shape_is_refused() {
        assert!(Project::parse(&serde_json::json!({"target_directory": "target"})).is_none());
    }
}
