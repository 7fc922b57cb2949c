//! A Redis server of a test's own, that can be killed.

use std::{
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{app::free_port, eventually};

/// Ends with the test.
pub struct RedisServer {
    port: u16,
    process: Mutex<Option<Child>>,
    folder: TempDir,
}

impl RedisServer {
    /// `None`, with a printed reason, where the program is not installed.
    pub async fn start() -> Option<Self> {
        let listener = free_port().await;
        let port = listener.local_addr().expect("a bound listener has an address").port();
        drop(listener);
        let folder = TempDir::new().expect("a folder for Redis");
        let server = Self { port, process: Mutex::new(None), folder };
        if let Err(error) = server.spawn() {
            eprintln!("skipped: redis-server cannot be run: {error}");
            return None;
        }
        server.wait().await;
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/3", self.port)
    }

    /// As `kill -9` does.
    pub fn kill(&self) {
        let process = self.process.lock().expect("nobody panicked with the lock").take();
        end(process.expect("a server that runs"));
    }

    /// At the same address, with nothing in it.
    pub async fn restart(&self) {
        self.spawn().expect("Redis starts again");
        self.wait().await;
    }

    /// Ends the connections of all subscribers; what is published before they are back is lost to them.
    pub async fn drop_subscribers(&self) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await.expect("Redis runs");
        connection.write_all(b"CLIENT KILL TYPE pubsub\r\n").await.expect("Redis listens");
    }

    fn spawn(&self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        *self.process.lock().expect("nobody panicked with the lock") = Some(process);
        Ok(())
    }

    async fn wait(&self) {
        eventually("Redis runs", async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()).await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut()
            && let Some(process) = process.take()
        {
            end(process);
        }
    }
}

fn end(mut process: Child) {
    process.kill().expect("the process can be killed");
    process.wait().expect("the process has ended");
}
