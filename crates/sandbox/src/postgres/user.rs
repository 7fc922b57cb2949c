//! Which system user runs PostgreSQL, and a folder that this user can reach.
//!
//! PostgreSQL refuses to run as root. So root hands it to `postgres` or `nobody`; everybody else runs it as
//! themselves. Knows nothing of PostgreSQL's files.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PostgresError;

/// The system user that owns the data and runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerUser {
    uid: u32,
    gid: u32,
    /// True when this process is root and has to become that user.
    switch: bool,
}

impl ServerUser {
    /// The user for `folder`: root becomes the folder's owner if that is not root (data made earlier by somebody else
    /// stays theirs), else `postgres`, else `nobody`.
    pub(super) fn for_folder(folder: &Path) -> Result<Self, PostgresError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw(), switch: false });
        }
        if let Ok(metadata) = fs::metadata(folder)
            && metadata.uid() != 0
        {
            return Ok(Self { uid: metadata.uid(), gid: metadata.gid(), switch: true });
        }
        let users = fs::read_to_string("/etc/passwd").map_err(PostgresError::io("cannot read /etc/passwd"))?;
        ["postgres", "_postgres", "nobody"]
            .iter()
            .find_map(|name| find_user(&users, name))
            .map(|(uid, gid)| Self { uid, gid, switch: true })
            .ok_or_else(|| PostgresError::StartFailed {
                detail: "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as"
                    .into(),
                log: folder.to_owned(),
            })
    }

    /// Makes `command` run as this user, without root's supplementary groups.
    pub(super) fn apply(self, command: &mut Command) {
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives one file or folder to this user.
    pub(super) fn own(self, path: &Path) -> Result<(), PostgresError> {
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid)).map_err(PostgresError::at("change the owner of", path))?;
        }
        Ok(())
    }

    /// Anybody may create names in /tmp and /var/tmp: only a real folder of ours, closed to others' writing, will do.
    pub(super) fn refuse_planted(self, folder: &Path) -> Result<(), PostgresError> {
        let metadata = fs::symlink_metadata(folder).map_err(PostgresError::at("read", folder))?;
        let ours = [self.uid, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
        if metadata.is_dir() && ours && metadata.mode() & 0o022 == 0 {
            return Ok(());
        }
        Err(PostgresError::ForeignFolder { folder: folder.to_owned(), detail: "it belongs to somebody else".into() })
    }

    /// Can this user pass through every folder above `path`?
    fn can_reach(self, path: &Path) -> bool {
        !self.switch
            || path.ancestors().skip(1).filter_map(|folder| fs::metadata(folder).ok()).all(|folder| {
                let mode = folder.mode();
                (folder.uid() == self.uid && mode & 0o100 != 0)
                    || (folder.gid() == self.gid && mode & 0o010 != 0)
                    || mode & 0o001 != 0
            })
    }
}

/// (uid, gid) of `name` in the text of /etc/passwd.
fn find_user(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(|number| number.parse::<i64>());
    let uid = numbers.next()?.ok()?;
    let gid = numbers.next()?.ok()?;
    // macOS writes nobody's -2; the kernel means its unsigned reading.
    let unsigned = |number: i64| u32::try_from(number & i64::from(u32::MAX)).ok();
    Some((unsigned(uid)?, unsigned(gid)?))
}

/// Where the data of `wanted` really goes: `wanted` itself (absolute), or, when root's stand-in user cannot reach it
/// (a checkout below /root), the same name in a folder below /var/tmp that is derived from the wanted path. The flag
/// is true in the second case.
pub(super) fn reachable_folder(wanted: &Path) -> Result<(PathBuf, bool), PostgresError> {
    let wanted = std::path::absolute(wanted).map_err(PostgresError::at("resolve", wanted))?;
    let parent = wanted.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(PostgresError::at("create", parent))?;
    // Symbolic links (macOS's /tmp) would make the path in a server's command line differ from ours.
    let parent = fs::canonicalize(parent).map_err(PostgresError::at("resolve", parent))?;
    let name = wanted.file_name().unwrap_or("postgres".as_ref());
    let wanted = parent.join(name);
    if ServerUser::for_folder(&wanted)?.can_reach(&wanted) {
        return Ok((wanted, false));
    }
    let shared = Path::new("/var/tmp");
    let shared = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let digest = ring::digest::digest(&ring::digest::SHA256, parent.as_os_str().as_encoded_bytes());
    let stand_in = shared.join(format!("freehunt-{}", &hex::encode(digest)[..12]));
    match fs::create_dir(&stand_in) {
        Ok(()) => fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755))
            .map_err(PostgresError::at("set the mode of", &stand_in))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            ServerUser::for_folder(&wanted)?.refuse_planted(&stand_in)?;
        }
        Err(error) => return Err(PostgresError::at("create", &stand_in)(error)),
    }
    Ok((stand_in.join(name), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_the_passwd_file() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# nobody\nnobody:*:-2:-2:Unprivileged:/:/usr/bin/false\npostgres:x:101:104:::";
        assert_eq!(find_user(users, "postgres"), Some((101, 104)));
        assert_eq!(find_user(users, "nobody"), Some((4_294_967_294, 4_294_967_294)));
        assert_eq!(find_user(users, "post"), None);
    }

    #[test]
    fn a_folder_behind_a_closed_one_goes_elsewhere_when_root() {
        let closed = tempfile::Builder::new().prefix("closed").tempdir().unwrap();
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let wanted = closed.path().join("target/postgres");
        let (real, moved) = reachable_folder(&wanted).unwrap();
        assert_eq!(moved, rustix::process::geteuid().is_root());
        if rustix::process::geteuid().is_root() {
            assert!(!real.starts_with(closed.path()), "{}", real.display());
            assert_eq!(real, reachable_folder(&wanted).unwrap().0, "the same checkout finds the same folder");
            fs::remove_dir(real.parent().unwrap()).unwrap();
        } else {
            assert!(real.ends_with("target/postgres"));
        }
    }
}
