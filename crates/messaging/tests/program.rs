//! The program itself: its metrics, its health and its end, without a database.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A program that runs; it ends with the test.
struct Program {
    process: Child,
    port: u16,
    metrics_port: u16,
}

impl Program {
    fn start() -> Self {
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, metrics_port) = (free_port(), free_port());
        let process = Command::new(env!("CARGO_BIN_EXE_freehunt-messaging"))
            .env_clear()
            .env("PORT", port.to_string())
            .env("METRICS_ADDRESS", format!("127.0.0.1:{metrics_port}"))
            .env("FRONTEND_URL", "https://freehunt.example")
            .env("AUTHENTIK_URL", "http://127.0.0.1:9")
            .env("DATABASE_URL", "postgres://freehunt:nobody@127.0.0.1:9/freehunt")
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", "300")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port, metrics_port }
    }

    async fn get(&self, port: u16, path: &str) -> Option<(u16, String)> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("http://127.0.0.1:{port}{path}")).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Asks until the answer is acceptable.
    async fn wait(&self, port: u16, path: &str, acceptable: impl Fn(&str) -> bool) -> (u16, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.get(port, path).await;
            if let Some(answer) = answer.filter(|(_, text)| acceptable(text)) {
                return answer;
            }
            assert!(Instant::now() < deadline, "no acceptable answer to {path}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Ended already when all went well.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let program = Program::start();
    let (_, metrics) = program.wait(program.metrics_port, "/metrics", |text| text.contains("listener_failures")).await;
    for line in [
        "freehunt_sockets 0",
        "freehunt_fanout_failures_total 0",
        "freehunt_listener_connected{via=\"postgres\"} 0",
        "freehunt_listener_failures_total{via=\"postgres\"}",
        "# HELP freehunt_listener_connected",
    ] {
        assert!(metrics.contains(line), "{line} is missing in:\n{metrics}");
    }
    assert_eq!(program.wait(program.port, "/health", |_| true).await, (200, "OK".to_owned()));
    assert_eq!(program.get(program.port, "/health/ready").await.unwrap().0, 503);
    // One that has not been ready yet fails the container's health check.
    assert_eq!(program.get(program.port, "/health/started").await.unwrap().0, 503);
    // Neither numbers nor, unless it is asked for, a description of the events for the public.
    assert_eq!(program.get(program.port, "/metrics").await.unwrap().0, 404);
    assert_eq!(program.get(program.port, "/asyncapi.json").await.unwrap().0, 404);
}
