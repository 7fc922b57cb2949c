//! Finds PostgreSQL's server programs on this machine; only when there are none, a pinned copy is downloaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::download;
use super::error::PostgresError;

/// Older servers lack `DROP DATABASE … WITH (FORCE)`.
const OLDEST_MAJOR: u32 = 13;

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// 15 for PostgreSQL 15.18.
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// Looks at what `folder` holds by asking the program itself.
    fn inspect(folder: &Path) -> Result<Self, String> {
        for program in ["initdb", "postgres"] {
            if !folder.join(program).is_file() {
                return Err(format!("it has no {program}"));
            }
        }
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("its postgres does not run: {error}"))?;
        let version = String::from_utf8_lossy(&output.stdout);
        let Some(major) = parse_major(&version) else {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("its postgres does not run: {}", complaint.lines().next().unwrap_or("no version")));
        };
        if major < OLDEST_MAJOR {
            return Err(format!("PostgreSQL {major} is too old, {OLDEST_MAJOR} or newer is needed"));
        }
        Ok(Self { folder: folder.to_owned(), major })
    }
}

/// The programs to use: `explicit` if given (then nothing else is tried), else the first found on the machine, else
/// a copy below `downloads`. `data_major` is the version that made the existing data: programs of that version win.
pub(super) async fn find(
    explicit: Option<&Path>,
    downloads: &Path,
    data_major: Option<u32>,
) -> Result<Binaries, PostgresError> {
    if let Some(folder) = explicit {
        return Binaries::inspect(folder)
            .map_err(|reason| PostgresError::BadBinaries { folder: folder.to_owned(), reason });
    }
    let mut candidates = installed();
    candidates.extend(download::Release::for_this_machine().map(|release| release.programs(downloads)));
    if let Some(found) = choose(candidates, data_major) {
        return Ok(found);
    }
    let Some(release) = download::Release::for_this_machine() else {
        let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        return Err(PostgresError::BinariesMissing { reason: format!("there is no copy for {system} on {machine}") });
    };
    let folder = release
        .fetch(downloads)
        .await
        .map_err(|error| PostgresError::BinariesMissing { reason: format!("{error:#}") })?;
    Binaries::inspect(&folder).map_err(|reason| PostgresError::BadBinaries { folder, reason })
}

/// The first usable candidate, preferring the version of existing data.
fn choose(candidates: Vec<PathBuf>, data_major: Option<u32>) -> Option<Binaries> {
    let mut first = None;
    for candidate in candidates {
        let Ok(binaries) = Binaries::inspect(&candidate) else { continue };
        if data_major.is_none_or(|major| major == binaries.major) {
            return Some(binaries);
        }
        first.get_or_insert(binaries);
    }
    first
}

/// Where an installation may be, in the order of preference.
fn installed() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(first_line_of(Command::new("pg_config").arg("--bindir")));
    folders.extend(versioned("/usr/lib/postgresql", ""));
    // The shell knows PATH; settings are not read here.
    let on_path = first_line_of(Command::new("/bin/sh").args(["-c", "command -v postgres"]));
    folders.extend(on_path.and_then(|program| program.parent().map(Path::to_owned)));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt"] {
        folders.extend(versioned(prefix, "postgresql"));
    }
    folders.extend(versioned("/Applications/Postgres.app/Contents/Versions", ""));
    folders.extend(versioned("/usr", "pgsql"));
    folders
}

/// `<parent>/<prefix>…/bin`, newest version first.
fn versioned(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_matches(|character: char| !character.is_ascii_digit());
            let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
            let bin = entry.path().join("bin");
            bin.join("postgres").exists().then_some((major, bin))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, bin)| bin).collect()
}

fn first_line_of(command: &mut Command) -> Option<PathBuf> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| PathBuf::from(line))
}

/// 15 from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, 18 from `postgres (PostgreSQL) 18beta1`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("mysql 8"), None);
    }

    /// A stand-in `postgres` that only answers `--version`.
    fn fake(parent: &Path, name: &str, version: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let folder = parent.join(name);
        fs::create_dir_all(&folder).unwrap();
        for program in ["initdb", "postgres"] {
            let path = folder.join(program);
            fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    #[test]
    fn the_first_usable_wins_and_existing_data_decides_the_version() {
        let root = tempfile::tempdir().unwrap();
        let (missing, old) = (root.path().join("missing"), fake(root.path(), "old", "9.6.1"));
        let (seventeen, fifteen) = (fake(root.path(), "a", "17.2"), fake(root.path(), "b", "15.1"));
        let all = vec![missing, old, seventeen, fifteen];
        assert_eq!(choose(all.clone(), None).unwrap().major, 17);
        assert_eq!(choose(all.clone(), Some(15)).unwrap().major, 15);
        assert_eq!(choose(all.clone(), Some(12)).unwrap().major, 17);
        assert_eq!(choose(all[..2].to_vec(), None), None);
    }

    #[tokio::test]
    async fn an_explicit_folder_without_programs_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path()), empty.path(), None).await.unwrap_err().to_string();
        assert!(error.contains(&*empty.path().to_string_lossy()) && error.contains("initdb"), "{error}");
    }
}
