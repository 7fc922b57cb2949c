//! Messaging servers of a test: as many replicas as it starts, over the test's database.

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use freehunt_config::{MessagingConfig, Source};
use freehunt_domain::{ids::UserId, time::Clock, users::Role};
use freehunt_messaging::{Timing, state::MessagingState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{TestApp, app::free_port};

/// One replica.
pub struct ChatServer {
    /// Without a trailing slash.
    pub url: String,
    pub state: MessagingState,
    /// Who has a socket here for the test's sake.
    canary: Option<UserId>,
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
        let server = self.serve_chat(free_port().await, settings, Timing::default());
        let can_connect = settings.iter().all(|(name, _)| *name != "DATABASE_URL");
        if can_connect { self.with_canary(server).await } else { server }
    }

    /// As [`TestApp::chat_server`], with other patience.
    pub async fn chat_server_timed(&self, timing: Timing) -> ChatServer {
        let server = self.serve_chat(free_port().await, &[], timing);
        self.with_canary(server).await
    }

    /// A replica at the address of one that was stopped.
    pub async fn chat_server_at(&self, url: &str) -> ChatServer {
        let address = url.trim_start_matches("http://");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let server = self.serve_chat(listener, &[], Timing::default());
                    return self.with_canary(server).await;
                }
                Err(error) => assert!(Instant::now() < deadline, "{address} is not free again: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Fault case 130: somebody who takes part in nothing has a socket at every replica of every test, and the end of the
    /// test looks at what it was sent.
    async fn with_canary(&self, mut server: ChatServer) -> ChatServer {
        let canary = self.canary.get_or_init(|| self.user("canary", Role::Company)).await;
        let socket = canary.chat(&server).await;
        self.canaries.lock().expect("nobody panicked with the lock").push(socket);
        server.canary = Some(canary.user_id);
        server
    }

    /// What the canaries of this test were sent: nothing, if all is well.
    pub(crate) async fn sent_to_canaries(&self) -> Vec<String> {
        let canaries = std::mem::take(&mut *self.canaries.lock().expect("nobody panicked with the lock"));
        let mut sent = Vec::new();
        for canary in &canaries {
            canary.settle_or_end().await;
            sent.extend(canary.received_all().into_iter().map(|(event, payload)| format!("{event} {payload}")));
        }
        sent
    }

    fn serve_chat(&self, listener: TcpListener, settings: &[(&str, &str)], timing: Timing) -> ChatServer {
        let (port, server) = self.build_chat_server(&listener, settings, timing);
        let (state, stop) = (server.state.clone(), self.stop.child_token());
        let serving = tokio::spawn(freehunt_messaging::serve::serve(server, listener, stop.clone()));
        self.chat_servers.lock().expect("nobody panicked with the lock").push(serving);
        ChatServer { url: format!("http://127.0.0.1:{port}"), state, canary: None, stop, runtime: Mutex::default() }
    }

    /// A replica with threads of its own, that [`ChatServer::kill`] can end like a process.
    pub async fn mortal_chat_server(&self) -> ChatServer {
        let listener = free_port().await.into_std().expect("the listener can be handed over");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener).expect("the listener can be taken over");
        let (port, server) = self.build_chat_server(&listener, &[], Timing::default());
        let (state, stop) = (server.state.clone(), self.stop.child_token());
        let _serving = runtime.spawn(freehunt_messaging::serve::serve(server, listener, stop.clone()));
        drop(entered);
        let url = format!("http://127.0.0.1:{port}");
        self.with_canary(ChatServer { url, state, canary: None, stop, runtime: Mutex::new(Some(runtime)) }).await
    }

    fn build_chat_server(
        &self,
        listener: &TcpListener,
        settings: &[(&str, &str)],
        timing: Timing,
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
        (port, freehunt_messaging::build_with(config, Clock::system(), timing).expect("the server can be built"))
    }
}

impl ChatServer {
    /// Sockets of the test itself.
    pub fn sockets(&self) -> usize {
        self.state.registry.all().iter().filter(|client| Some(client.user_id) != self.canary).count()
    }

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
