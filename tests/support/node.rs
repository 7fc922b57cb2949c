use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The folder below `target` where the packages of `sources` (a folder of the tests, with a lock file) are installed;
/// `None`, with the reason printed, where Node.js or the packages are not to be had.
pub async fn node_packages(sources: &str, target: &str) -> Option<PathBuf> {
    match install(sources, target).await {
        Ok(folder) => Some(folder),
        Err(reason) => {
            eprintln!("skipped: the packages of tests/{sources} cannot be installed: {reason}");
            None
        }
    }
}

async fn install(name: &str, target: &str) -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let folder = Path::new(target).join(name);
    std::fs::create_dir_all(&folder).map_err(text)?;
    // Several test processes may install at once.
    let lock = std::fs::File::create(folder.join("lock")).map_err(text)?;
    let lock =
        tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.map_err(|error| error.to_string())?;
    let _locked = lock.map_err(text)?;
    let wanted = std::fs::read(sources.join("package-lock.json")).map_err(text)?;
    if std::fs::read(folder.join("installed")).unwrap_or_default() == wanted {
        return Ok(folder);
    }
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(sources.join(file), folder.join(file)).map_err(text)?;
    }
    let output = Command::new("npm").arg("ci").current_dir(&folder).output().await;
    let output = output.map_err(|error| format!("npm cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::write(folder.join("installed"), wanted).map_err(text)?;
    Ok(folder)
}
