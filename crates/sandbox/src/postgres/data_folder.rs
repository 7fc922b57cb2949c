//! The folder that belongs to one server: its cluster, password, log and locks. Makes the cluster when there is none.
//!
//! `cluster/` is PostgreSQL's data directory; beside it lie `password` (mode 600), `server.log` and the marker file
//! `freehunt-postgres.lock`, without which a folder that holds anything is never touched.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::binaries::Binaries;
use super::error::PostgresError;
use super::user::{ServerUser, reachable_folder};

/// The superuser of every cluster made here.
pub(super) const SUPERUSER: &str = "freehunt";
const MARKER: &str = "freehunt-postgres.lock";
/// A server whose sandbox was killed is still shutting down for about this long at the most.
const ORPHAN_LIMIT: Duration = Duration::from_secs(25);

/// An existing folder of ours.
#[derive(Debug, Clone)]
pub(super) struct DataFolder {
    path: PathBuf,
    pub(super) user: ServerUser,
}

/// The right to use a folder's cluster, held by one process at a time. Ends with the process.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held open, never used")] File);

impl DataFolder {
    /// Opens or makes the folder; `wanted` may be moved elsewhere (see [`reachable_folder`]).
    pub(super) fn open(wanted: &Path) -> Result<Self, PostgresError> {
        let (path, moved) = reachable_folder(wanted)?;
        if moved {
            tracing::info!(
                wanted = %wanted.display(), used = %path.display(),
                "PostgreSQL cannot run as root, and its own user cannot reach the wanted folder"
            );
        }
        let user = ServerUser::for_folder(&path)?;
        create_folder_if_missing(&path)?;
        if !path.join(MARKER).exists() {
            let mut content = fs::read_dir(&path).map_err(PostgresError::at("read", &path))?;
            if content.next().is_some() {
                let detail = "it holds files that are not FreeHunt's".to_owned();
                return Err(PostgresError::ForeignFolder { folder: path, detail });
            }
            File::create(path.join(MARKER)).map_err(PostgresError::at("write into", &path))?;
        }
        user.own(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(PostgresError::at("close", &path))?;
        Ok(Self { path, user })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// PostgreSQL's own data directory.
    pub(super) fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Where downloaded programs go: shared by all folders beside this one.
    pub(super) fn downloads(&self) -> PathBuf {
        self.path.parent().unwrap_or(&self.path).to_owned()
    }

    /// The folder for the server's socket: this one, or a private one with a shorter name.
    pub(super) fn socket_folder(&self) -> Result<PathBuf, PostgresError> {
        // sockaddr_un holds 104 bytes on macOS, and the socket's own name takes 21.
        if self.path.as_os_str().len() <= 80 {
            return Ok(self.path.clone());
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, self.path.as_os_str().as_encoded_bytes());
        let socket = Path::new("/tmp").join(format!("freehunt-{}", &hex::encode(digest)[..12]));
        create_folder_if_missing(&socket)?;
        self.user.refuse_planted(&socket)?;
        self.user.own(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).map_err(PostgresError::at("close", &socket))?;
        Ok(socket)
    }

    /// Takes the folder for this process, waiting for a server whose sandbox was killed to finish its shutdown.
    pub(super) async fn lock(&self) -> Result<FolderLock, PostgresError> {
        let path = self.path.join(MARKER);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(&path).map_err(PostgresError::at("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(PostgresError::at("read", &path))?;
                let pid = holder.trim().parse().ok().or_else(|| self.running_server()).unwrap_or_default();
                return Err(PostgresError::AlreadyRunning { folder: self.path.clone(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(PostgresError::at("lock", &path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(PostgresError::at("write", &path))?;
        self.wait_for_orphan().await?;
        Ok(FolderLock(file))
    }

    /// Waits until no server runs on the cluster, and removes the pid file that a killed one left.
    pub(super) async fn wait_for_orphan(&self) -> Result<(), PostgresError> {
        let deadline = Instant::now() + ORPHAN_LIMIT;
        while let Some(pid) = self.running_server() {
            if Instant::now() >= deadline {
                return Err(PostgresError::AlreadyRunning { folder: self.path.clone(), pid });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The number in it may be another program's by now, which PostgreSQL would take for a running server.
        remove_if_there(&self.cluster().join("postmaster.pid"))
    }

    /// The process id of a live server on this cluster.
    pub(super) fn running_server(&self) -> Option<u32> {
        let pid_file = fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?;
        let pid: i32 = pid_file.lines().next()?.trim().parse().ok()?;
        match test_kill_process(Pid::from_raw(pid)?) {
            Err(error) if error != rustix::io::Errno::PERM => return None,
            _ => {}
        }
        let command = command_line(pid);
        let ours = command.contains("postgres") && command.contains(&*self.cluster().to_string_lossy());
        ours.then(|| u32::try_from(pid).ok()).flatten()
    }

    /// True when the server that now runs has announced that it takes connections.
    pub(super) fn is_ready(&self) -> bool {
        fs::read_to_string(self.cluster().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
    }

    /// The major version that made the cluster; `None` when there is no cluster yet.
    pub(super) fn data_major(&self) -> Result<Option<u32>, PostgresError> {
        let cluster = self.cluster();
        if !cluster.exists() {
            return Ok(None);
        }
        let version = fs::read_to_string(cluster.join("PG_VERSION")).unwrap_or_default();
        match version.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(self.unusable("its PG_VERSION file is missing or damaged")),
        }
    }

    pub(super) fn unusable(&self, detail: impl Into<String>) -> PostgresError {
        PostgresError::DataUnusable { folder: self.path.clone(), detail: detail.into() }
    }

    /// Deletes the cluster and its password, and nothing else.
    pub(super) fn erase(&self) -> Result<(), PostgresError> {
        for name in ["cluster", "cluster.new"] {
            remove_folder_if_there(&self.path.join(name))?;
        }
        remove_if_there(&self.path.join("password"))
    }

    /// The superuser's password, made at the same time as the cluster.
    pub(super) fn password(&self) -> Result<String, PostgresError> {
        let text = fs::read_to_string(self.path.join("password")).unwrap_or_default();
        match text.trim() {
            "" => Err(self.unusable("its password file is missing")),
            password => Ok(password.to_owned()),
        }
    }

    /// Makes the cluster if there is none. A half-made one of a killed process is thrown away.
    pub(super) async fn initialise(
        &self,
        binaries: &Binaries,
        password: Option<&str>,
        durable: bool,
    ) -> Result<(), PostgresError> {
        if let Some(major) = self.data_major()? {
            if major != binaries.major {
                let detail = format!("made by PostgreSQL {major}, but the installed one is {}", binaries.major);
                return Err(self.unusable(detail));
            }
            return self.password().map(drop);
        }
        let password = password.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        self.write_password(&password)?;
        let mut complaint = String::new();
        for locale in locales(binaries.major) {
            match self.initdb(binaries, locale, durable).await? {
                Ok(()) => {
                    return fs::rename(self.path.join("cluster.new"), self.cluster())
                        .map_err(PostgresError::at("create", &self.cluster()));
                }
                Err(output) => complaint = output,
            }
            if !complaint.contains("locale") {
                break;
            }
        }
        let line = complaint.lines().find(|line| line.contains("error") || line.contains("FATAL"));
        let detail = line.or(complaint.lines().last()).unwrap_or("initdb failed").to_owned();
        Err(PostgresError::StartFailed { detail, log: self.log() })
    }

    /// Runs initdb into `cluster.new`; the inner error is what it printed.
    async fn initdb(
        &self,
        binaries: &Binaries,
        locale: &[&str],
        durable: bool,
    ) -> Result<Result<(), String>, PostgresError> {
        let unfinished = self.path.join("cluster.new");
        remove_folder_if_there(&unfinished)?;
        let mut command = Command::new(binaries.initdb());
        command.arg("-D").arg(&unfinished).args(["-U", SUPERUSER, "-E", "UTF8"]);
        // In a debug build the client's half of SCRAM takes 15 ms, which tests would pay thousands of times.
        command.args(["-A", if durable { "scram-sha-256" } else { "password" }]);
        command.arg(format!("--pwfile={}", self.path.join("password").display())).args(locale);
        if !durable {
            command.arg("--no-sync");
        }
        clean_environment(&mut command);
        self.user.apply(&mut command);
        command.current_dir(&self.path).stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output().await.map_err(PostgresError::at("run", &binaries.initdb()))?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        Ok(Err([output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()))
    }

    fn write_password(&self, password: &str) -> Result<(), PostgresError> {
        let path = self.path.join("password");
        remove_if_there(&path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(password.as_bytes()))
            .map_err(PostgresError::at("write", &path))?;
        self.user.own(&path)
    }
}

/// initdb's options for a locale that knows accents, best first; the last one exists everywhere.
fn locales(major: u32) -> &'static [&'static [&'static str]] {
    if major >= 17 {
        return &[&["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], &["--locale=C"]];
    }
    &[&["--locale=C.UTF-8"], &["--locale=en_US.UTF-8"], &["--locale=C"]]
}

/// Messages in English, and nothing of the caller's own PostgreSQL settings.
pub(super) fn clean_environment(command: &mut Command) {
    for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGOPTIONS", "PGSERVICE", "PGTZ"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
}

/// The arguments of a process, as far as this user may see them.
fn command_line(pid: i32) -> String {
    if let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) {
        return String::from_utf8_lossy(&arguments).replace('\0', " ");
    }
    let output = Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), PostgresError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(PostgresError::at("delete", path)(error)),
        _ => Ok(()),
    }
}

fn remove_folder_if_there(path: &Path) -> Result<(), PostgresError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(PostgresError::at("delete", path)(error)),
        _ => Ok(()),
    }
}

fn create_folder_if_missing(path: &Path) -> Result<(), PostgresError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(PostgresError::at("create", path)(error)),
        _ => Ok(()),
    }
}
