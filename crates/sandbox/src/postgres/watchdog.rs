//! The guard: a small `sh` between this process and PostgreSQL, so that the server never outlives its users.
//!
//! The guard holds the reading end of a pipe whose writing ends ("leases") belong to the users. When the last one is
//! gone, however it went (`kill -9` included), it asks the server for a fast shutdown. Whoever takes a lease on a
//! named pipe writes one line, so the guard can tell "somebody came" from "nobody is left".

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};

use super::user::ServerUser;

/// Longest wait for a fast shutdown before the server is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// `$1` seconds without users before stopping, `$2` the file that says the server is ready ("" = none), then the
/// server's command. The ready file is taken away before the last look for users: a user who still sees the file
/// after taking a lease is safe.
const SCRIPT: &str = r#"
grace=$1 ready=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
  while :; do
    while read -r _; do :; done
    if [ "$grace" != 0 ]; then
      sleep "$grace" </dev/null
      read -r _ && continue
    fi
    [ -n "$ready" ] || break
    mv "$ready" "$ready.closing" 2>/dev/null
    read -r _ || break
    mv "$ready.closing" "$ready" 2>/dev/null
  done
  kill -INT "$server" 2>/dev/null
  left=20
  while [ $left -gt 0 ]; do sleep 1 </dev/null; left=$((left - 1)); done
  kill -KILL "$server" 2>/dev/null
) <&3 3<&- &
guard=$!
exec 3<&-
wait "$server"
status=$?
[ -z "$ready" ] || rm -f "$ready" "$ready.closing"
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// What the guard listens to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifeline<'a> {
    /// One user: this process.
    Own,
    /// Any number of processes: the reading end of a named pipe, the seconds to linger after the last one, and the
    /// file that tells others that the server is ready.
    Shared { pipe: &'a File, grace_seconds: u32, ready_file: &'a Path },
}

/// A guarded server. Dropping it stops the server and waits for that, unless it was detached.
#[derive(Debug)]
pub(super) struct Guarded {
    child: Child,
    lease: Option<ChildStdin>,
    detached: bool,
}

impl Guarded {
    /// Starts `server` under a guard, as `user`, with its output going to `log`.
    pub(super) fn spawn(server: &Command, user: ServerUser, log: File, lifeline: Lifeline<'_>) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("freehunt-postgres-guard");
        match lifeline {
            Lifeline::Own => command.arg("0").arg("").stdin(Stdio::piped()),
            Lifeline::Shared { pipe, grace_seconds, ready_file } => {
                command.arg(grace_seconds.to_string()).arg(ready_file).stdin(pipe.try_clone()?)
            }
        };
        command.arg(server.get_program()).args(server.get_args());
        if let Some(folder) = server.get_current_dir() {
            command.current_dir(folder);
        }
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // A group of its own: Ctrl-C in the terminal reaches us first, and we decide when the database goes.
        command.process_group(0).stdout(log.try_clone()?).stderr(log);
        user.apply(&mut command);
        let mut child = command.spawn()?;
        let lease = child.stdin.take();
        Ok(Self { child, lease, detached: false })
    }

    /// The exit status if the server has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Leaves the server to its leases: dropping this no longer stops it.
    pub(super) fn detach(mut self) {
        self.detached = true;
    }

    /// Fast shutdown (open transactions are rolled back); kills the server if that takes too long.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        drop(self.lease.take());
        let deadline = Instant::now() + STOP_LIMIT;
        while self.ended()?.is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Best effort: ESRCH only says that everything is gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        let own = self.lease.take().is_some();
        let deadline = Instant::now() + if own { STOP_LIMIT } else { Duration::ZERO };
        loop {
            match self.ended() {
                Ok(Some(_)) => return,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                _ => return self.kill(),
            }
        }
    }
}

/// A user's hold on a shared server: as long as it is open (at the latest until the process dies), the server stays.
#[derive(Debug)]
pub(super) struct Lease(#[expect(dead_code, reason = "held open, never used")] File);

impl Lease {
    /// Takes a lease if a guard listens at `path`; `None` if there is none.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let no_guard = |error: &io::Error| {
            error.kind() == io::ErrorKind::NotFound
                || error.kind() == io::ErrorKind::BrokenPipe
                || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
        };
        let opened = OpenOptions::new().write(true).custom_flags(nonblocking()).open(path);
        match opened.and_then(|mut pipe| pipe.write_all(b"\n").map(|()| pipe)) {
            Ok(pipe) => Ok(Some(Self(pipe))),
            Err(error) if no_guard(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A fresh named pipe at `path` for a guard that is about to start: its reading end, and a first lease on it.
pub(super) fn create_pipe(path: &Path) -> io::Result<(File, Lease)> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR)?;
    // Opened without waiting for a writer, then made blocking again for the guard's `read`.
    let reader = OpenOptions::new().read(true).custom_flags(nonblocking()).open(path)?;
    let flags = rustix::fs::fcntl_getfl(&reader)?;
    rustix::fs::fcntl_setfl(&reader, flags & !OFlags::NONBLOCK)?;
    let lease = Lease::take(path)?.ok_or_else(|| io::Error::other("the pipe has no reader"))?;
    Ok((reader, lease))
}

fn nonblocking() -> i32 {
    // The flags' bits are those of `open(2)`; they fit, and the sign is not theirs.
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default()
}
