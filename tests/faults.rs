//! The ground gives way: no connection free, a full disk, a cut network, names that lead nowhere.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use freehunt_api::serve;
use freehunt_config::{ApiConfig, Source};
use freehunt_domain::{time::Clock, users::Role};
use freehunt_tests::{Persona, TestApp, TestOptions, eventually};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{database, money::create_payment};

fn draft(company: &Persona, description: &str) -> Value {
    json!({
        "title": "Développeur Rust", "description": description, "location": "REMOTE", "isPromoted": false,
        "averageDailyRate": 500, "seniority": 3, "companyId": company.company_id(), "totalAmount": 450.5,
    })
}

async fn readiness(app: &TestApp, url: &str) -> u16 {
    app.at(&app.anonymous(), url).get("/health/ready").await.status
}

/// Fault case 140.
#[tokio::test]
async fn without_a_free_connection_the_answer_is_503_in_two_seconds() {
    TestApp::run(async |app| {
        let (mut of_requests, mut of_transactions) = (Vec::new(), Vec::new());
        for _ in 0..app.state.connections.count().limit {
            of_requests.push(app.state.connections.acquire().await.unwrap());
        }
        for _ in 0..app.state.pool.options().get_max_connections() {
            of_transactions.push(app.state.pool.acquire().await.unwrap());
        }
        let began = Instant::now();
        let (skills, ready, live) = tokio::join!(
            async { app.anonymous().get("/skills").await },
            async { app.anonymous().get("/health/ready").await },
            async { app.anonymous().get("/health/live").await },
        );
        assert!(skills.headers.contains_key("retry-after"));
        skills.expect(503);
        assert_eq!((ready.status, live.status), (503, 200));
        // Two seconds of waiting, and what a busy machine adds.
        assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
        drop((of_requests, of_transactions));
        eventually("the server is ready again", async || readiness(app, &app.url).await == 200).await;
        app.anonymous().get("/skills").await.expect(200);
    })
    .await;
}

/// A file system of 256 KiB in memory that PostgreSQL owns. `None` where that is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    async fn mount(app: &TestApp) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&app.pool).await.ok()?;
        let owner = std::fs::metadata(data).ok()?;
        let folder = tempfile::tempdir().ok()?;
        let options = format!("size=256k,mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        mounted.ok()?.status.success().then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).output();
    }
}

/// Fault case 141: a disk that is full where postings are stored.
#[tokio::test]
async fn a_full_disk_is_a_503_and_leaves_nothing_half_written() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let Some(disk) = SmallDisk::mount(app).await else {
            // Only root may mount, and only where PostgreSQL runs on this machine.
            eprintln!("NOT RUN: no file system can be mounted here");
            return;
        };
        let name = format!("small_{}", Uuid::new_v4().simple());
        let create = format!("CREATE TABLESPACE {name} LOCATION '{}'", disk.0.path().display());
        app.execute(&create).await;
        let place = async |tablespace: &str| {
            let statement = format!(r#"ALTER TABLE "JobPosting" SET TABLESPACE {tablespace}"#);
            app.execute(&statement).await;
        };
        place(&name).await;
        let mut before = BTreeMap::new();
        let mut refused = None;
        for _ in 0..400 {
            before = database::fingerprint(&app.pool).await;
            // Random, so that it cannot be compressed.
            let text: String = (0..120).map(|_| Uuid::new_v4().simple().to_string()).collect();
            let answer = acme.post("/job-postings", draft(&acme, &text)).await;
            if answer.status != 201 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("the disk fills up");
        assert!(!refused.text.contains("space") && !refused.text.contains("disk"), "{}", refused.text);
        refused.expect(503);
        assert_eq!(database::changed(&before, &database::fingerprint(&app.pool).await), Vec::<String>::new());
        // Reading goes on, and writing does once there is room.
        app.anonymous().post("/job-postings/search", json!({ "title": "x" })).await.expect(200);
        place("pg_default").await;
        acme.post("/job-postings", draft(&acme, "Refaire le moteur")).await.expect(201);
        app.execute(&format!("DROP TABLESPACE {name}")).await;
    })
    .await;
}

/// A network between a replica and its database that can be cut: what is sent stays on the way, nothing is refused.
struct Network {
    port: u16,
    whole: watch::Sender<bool>,
}

impl Network {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut state) = (target.clone(), state.clone());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    loop {
                        state.wait_for(|whole| *whole).await.unwrap();
                        tokio::select! {
                            _ = copy_bidirectional(&mut near, &mut far) => return,
                            _ = state.wait_for(|whole| !*whole) => {}
                        }
                    }
                });
            }
        });
        Self { port, whole }
    }
}

/// Fault case 151.
#[tokio::test]
async fn a_replica_that_is_cut_off_from_its_database_is_not_ready_within_five_seconds() {
    TestApp::run(async |app| {
        let mut settings = app.settings().clone();
        let mut url = url::Url::parse(&settings["DATABASE_URL"]).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let network = Network::to(target).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(network.port)).unwrap();
        settings.insert("DATABASE_URL".to_owned(), url.to_string());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let replica = format!("http://{}", listener.local_addr().unwrap());
        let config = ApiConfig::load(&Source::from_map(settings, Path::new("/nonexistent"))).unwrap();
        let stop = CancellationToken::new();
        let server = freehunt_api::build(config, Clock::system()).unwrap();
        let serving = tokio::spawn(serve::serve(server, listener, stop.clone()));
        eventually("the replica is ready", async || readiness(app, &replica).await == 200).await;
        let asked_by_container = async || app.at(&app.anonymous(), &replica).get("/health/started").await.status;
        assert_eq!(asked_by_container().await, 200);

        network.whole.send(false).unwrap();
        let cut = Instant::now();
        eventually("the replica is not ready", async || readiness(app, &replica).await == 503).await;
        assert!(cut.elapsed() < Duration::from_secs(5), "{:?}", cut.elapsed());
        let asked = Instant::now();
        app.at(&app.anonymous(), &replica).get("/health/live").await.expect(200);
        // The load balancer takes it out; its container goes on.
        assert_eq!(asked_by_container().await, 200);
        assert!(asked.elapsed() < Duration::from_secs(1));
        // The other replica does not notice.
        assert_eq!(readiness(app, &app.url).await, 200);

        network.whole.send(true).unwrap();
        eventually("the replica is ready again", async || readiness(app, &replica).await == 200).await;
        stop.cancel();
        serving.await.unwrap().unwrap();
    })
    .await;
}

/// A version whose database cannot be reached from the first moment on never passes the container's health check.
#[tokio::test]
async fn a_replica_that_was_never_ready_has_not_started() {
    TestApp::run(async |app| {
        let mut settings = app.settings().clone();
        settings.insert("DATABASE_URL".to_owned(), "postgres://freehunt:nobody@127.0.0.1:9/freehunt".to_owned());
        let config = ApiConfig::load(&Source::from_map(settings, Path::new("/nonexistent"))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let replica = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let server = freehunt_api::build(config, Clock::system()).unwrap();
        let serving = tokio::spawn(serve::serve(server, listener, stop.clone()));
        let stranger = app.at(&app.anonymous(), &replica);
        eventually("the replica answers", async || stranger.get("/health/live").await.status == 200).await;
        assert_eq!(stranger.get("/health/started").await.status, 503);
        stop.cancel();
        serving.await.unwrap().unwrap();
    })
    .await;
}

/// Fault case 154.
#[tokio::test]
async fn names_that_lead_nowhere_are_services_that_are_down() {
    let nowhere = "http://nowhere.invalid:9";
    let options = TestOptions::default()
        .with("S3_URL", nowhere)
        .with("STRIPE_API_URL", nowhere)
        .with("STRIPE_TIMEOUT_MS", "2000")
        .with("AUTHENTIK_URL", nowhere);
    TestApp::run_with(options, async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        let original = app.original_user("alice", Role::Freelance).await;
        let began = Instant::now();
        original.get("/auth/getme").await.expect(503);
        app.anonymous().post("/auth/login", json!({ "email": "a@example.org", "password": "x" })).await.expect(503);
        create_payment(&acme, posting).await.expect(503);
        let storage = app.state.storage.check().await.unwrap_err().to_string();
        assert!(storage.contains("unavailable"), "{storage}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        // Everything else goes on.
        app.anonymous().get("/skills").await.expect(200);
        assert_eq!(readiness(app, &app.url).await, 200);
    })
    .await;
}
