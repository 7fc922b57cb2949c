//! Messaging servers of a test: as many replicas as it starts, over the test's database.

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use freehunt_config::{MessagingConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_messaging::state::MessagingState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{TestApp, app::free_port};

/// One replica.
pub struct ChatServer {
    /// Without a trailing slash.
    pub url: String,
    pub state: MessagingState,
    stop: CancellationToken,
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
}

impl TestApp {
    /// Starts a replica; it stops with the test.
    pub async fn chat_server(&self) -> ChatServer {
        self.chat_server_with(&[]).await
    }

    /// As [`TestApp::chat_server`], with other settings.
    pub async fn chat_server_with(&self, settings: &[(&str, &str)]) -> ChatServer {
        self.serve_chat(free_port().await, settings)
    }

    /// A replica at the address of one that was stopped.
    pub async fn chat_server_at(&self, url: &str) -> ChatServer {
        let address = url.trim_start_matches("http://");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return self.serve_chat(listener, &[]),
                Err(error) => assert!(Instant::now() < deadline, "{address} is not free again: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn serve_chat(&self, listener: TcpListener, settings: &[(&str, &str)]) -> ChatServer {
        let (port, server) = self.build_chat_server(&listener, settings);
        let (state, stop) = (server.state.clone(), self.stop.child_token());
        let serving = tokio::spawn(freehunt_messaging::serve::serve(server, listener, stop.clone()));
        self.chat_servers.lock().expect("nobody panicked with the lock").push(serving);
        ChatServer { url: format!("http://127.0.0.1:{port}"), state, stop, runtime: Mutex::new(None) }
    }

    /// A replica with threads of its own, that [`ChatServer::kill`] can end like a process.
    pub async fn mortal_chat_server(&self) -> ChatServer {
        let listener = free_port().await.into_std().expect("the listener can be handed over");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener).expect("the listener can be taken over");
        let (port, server) = self.build_chat_server(&listener, &[]);
        let (state, stop) = (server.state.clone(), self.stop.child_token());
        let _serving = runtime.spawn(freehunt_messaging::serve::serve(server, listener, stop.clone()));
        drop(entered);
        ChatServer { url: format!("http://127.0.0.1:{port}"), state, stop, runtime: Mutex::new(Some(runtime)) }
    }

    fn build_chat_server(
        &self,
        listener: &TcpListener,
        settings: &[(&str, &str)],
    ) -> (u16, freehunt_messaging::Server) {
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let mut values = self.settings().clone();
        values.insert("PORT".to_owned(), port.to_string());
        values.insert("DATABASE_MAX_CONNECTIONS".to_owned(), "4".to_owned());
        values.insert("SHUTDOWN_DELAY_MS".to_owned(), "0".to_owned());
        values.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let source = Source::from_map(values, Path::new("/nonexistent"));
        let config = MessagingConfig::load(&source);
        let config = config.unwrap_or_else(|problems| panic!("the tests' settings are wrong: {problems}"));
        (port, freehunt_messaging::build(config, Clock::system()).expect("the server can be built"))
    }
}

impl ChatServer {
    /// As SIGTERM does: sockets are closed so that clients reconnect elsewhere.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// As `kill -9` does: whatever was under way is gone. Only for a mortal server.
    pub fn kill(&self) {
        let runtime = self.runtime.lock().expect("nobody panicked with the lock").take();
        runtime.expect("a mortal server dies once").shutdown_background();
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        if let Ok(mut runtime) = self.runtime.lock()
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_background();
        }
    }
}
