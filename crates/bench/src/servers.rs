//! The server programs as child processes on 127.0.0.1, as an operator runs them: own environment, own log file, and
//! the programs' own defaults for everything that is not an address or a secret.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use crate::load;

/// A server that does not answer by then is not coming.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_benchmarkOnly";

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub api: PathBuf,
    pub messaging: PathBuf,
    /// Where their logs go.
    pub logs: PathBuf,
}

impl Programs {
    /// Those of `folder`; without one, those beside this program.
    pub fn find(folder: Option<&Path>, logs: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let folder = match folder {
            Some(folder) => folder,
            None => own.parent().context("this program is in no folder")?,
        };
        let find = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                bail!("{} is missing: build the whole workspace first", path.display())
            }
        };
        Ok(Self { api: find("freehunt-api")?, messaging: find("freehunt-messaging")?, logs: logs.to_owned() })
    }
}

/// A running program. Dropping it kills it.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Server {
    pub async fn start_api(programs: &Programs, database: &str, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let settings = [
            ("S3_URL", "http://127.0.0.1:9"),
            ("S3_ACCESS_KEY", "benchmark"),
            ("S3_SECRET_KEY", "benchmark-secret"),
            ("STRIPE_SECRET_KEY", "sk_test_benchmarkOnly"),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("STRIPE_API_URL", "http://127.0.0.1:9"),
        ];
        Self::start(&programs.api, &programs.logs.join("api.log"), database, &[&settings, extra].concat()).await
    }

    pub async fn start_messaging(programs: &Programs, database: &str, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start(&programs.messaging, &programs.logs.join("messaging.log"), database, extra).await
    }

    async fn start(program: &Path, log: &Path, database: &str, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("DATABASE_URL", database)
            .env("PORT", address.port().to_string())
            .env("BIND_ADDRESS", "127.0.0.1")
            .env("FRONTEND_URL", FRONTEND)
            // Nobody is there: sessions are confirmed for longer than a run takes.
            .env("AUTHENTIK_URL", "http://127.0.0.1:9")
            .envs(extra.iter().copied());
        let server = Self::spawn(command, address, log)?;
        server.wait_until_ready("/health/ready").await
    }

    /// The bare handler that answers every request as the file `answer` has it: the limit of what a server can do.
    pub async fn start_bare(answer: &Path, logs: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg(address.to_string()).arg(answer);
        let server = Self::spawn(command, address, &logs.join("bare.log"))?;
        server.wait_until_ready("/").await
    }

    fn spawn(mut command: Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{:?} cannot be run", command.as_std().get_program()))?;
        Ok(Self { child, address, ready_after: Duration::ZERO })
    }

    async fn wait_until_ready(mut self, path: &str) -> anyhow::Result<Self> {
        let began = Instant::now();
        while load::get_once(self.address, path).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended at once ({status}); see its log");
            }
            if began.elapsed() > START_LIMIT {
                bail!("a server is not ready after {} seconds; see its log", START_LIMIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.ready_after = began.elapsed();
        Ok(self)
    }

    pub fn process_id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// SIGTERM, and the end of what is under way.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.process_id()?)?;
        let process = rustix::process::Pid::from_raw(id).context("a process id")?;
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The origin of every request that a browser would send.
pub const FRONTEND: &str = "http://localhost:5173";

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
