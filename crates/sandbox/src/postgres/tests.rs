//! Against a real server: what a start, a kill, a broken folder and several processes do.
//!
//! `helper_process` is not a test: the tests run this program again with it, to have something to kill.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::*;

/// A folder that PostgreSQL's own user can reach when the tests run as root.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap()
}

fn settings(data_dir: &Path) -> PostgresSettings {
    PostgresSettings { durable: false, ..PostgresSettings::new(data_dir) }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn postmaster(data_dir: &Path) -> Option<u32> {
    fs::read_to_string(data_dir.join("cluster/postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// A second process: it takes the command on its standard input, answers in one line, and stays until killed.
struct Helper {
    child: Child,
    answer: String,
}

impl Helper {
    fn spawn(command: &str, folder: &Path) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::tests::helper_process", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{command} {}", folder.display()).unwrap();
        child
    }

    fn wait(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let answer = lines.find_map(|line| line.split_once("answer: ").map(|(_, text)| text.to_owned())).unwrap();
        Self { child, answer }
    }

    fn kill(mut self) {
        // SIGKILL, so that nothing of it runs any more.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "a helper of the other tests"]
async fn helper_process() {
    let mut input = std::io::stdin().lines();
    let Some(Ok(line)) = input.next() else { return };
    let (command, folder) = line.split_once(' ').unwrap();
    match command {
        "server" => {
            let server = PostgresServer::start(settings(folder.as_ref())).await.unwrap();
            println!("answer: {}", server.port());
            input.next();
        }
        "cluster" => {
            let folder = Some(folder.into());
            let cluster = TestCluster::join(TestClusterSettings { folder, ..Default::default() }).await.unwrap();
            let (template, prepared) = template(&cluster).await;
            let database = cluster.fresh_database(&template).await.unwrap();
            println!("answer: {} {prepared} {}", database.options.get_port(), database.name);
            input.next();
        }
        other => panic!("{other}"),
    }
}

/// The template of these tests: its name, and whether this call made it.
async fn template(cluster: &TestCluster) -> (String, bool) {
    let mut prepared = false;
    let prepare = async |options| {
        prepared = true;
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql("CREATE TABLE note (text text); INSERT INTO note VALUES ('été')")
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    };
    let name = cluster.template("first", prepare).await.unwrap();
    (name, prepared)
}

#[tokio::test]
async fn a_restart_keeps_the_data_and_a_broken_folder_is_one_clear_line() {
    let root = folder();
    let data_dir = root.path().join("postgres");
    let started = Instant::now();
    let server = PostgresServer::start(settings(&data_dir)).await.unwrap();
    println!("first start {:?}", started.elapsed());
    let pid = postmaster(&data_dir).unwrap();
    if let Ok(process) = fs::metadata(format!("/proc/{pid}")) {
        assert_ne!(process.uid(), 0, "PostgreSQL must not run as root");
    }
    assert_eq!(fs::metadata(data_dir.join("password")).unwrap().mode() & 0o777, 0o600);
    server.create_database_if_missing("freehunt").await.unwrap();
    server.create_database_if_missing("freehunt").await.unwrap();
    let mut connection = PgConnection::connect(&server.url("freehunt")).await.unwrap();
    sqlx::raw_sql("CREATE TABLE note AS SELECT upper('é') AS text").execute(&mut connection).await.unwrap();

    // A second one on the same folder.
    let error = PostgresServer::start(settings(&data_dir)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");

    // Stops although a connection is open.
    let port = server.port();
    server.stop().await.unwrap();
    assert!(!listens(port));

    // The pid file of a killed server, whose number belongs to another program by now: this one.
    fs::write(data_dir.join("cluster/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    let started = Instant::now();
    let server = PostgresServer::start(settings(&data_dir)).await.unwrap();
    println!("next start {:?}", started.elapsed());
    let mut connection = PgConnection::connect_with(&server.connect_options("freehunt")).await.unwrap();
    let text: String = sqlx::query_scalar("SELECT text FROM note").fetch_one(&mut connection).await.unwrap();
    assert_eq!(text, "É");
    drop(server);

    fs::write(data_dir.join("cluster/global/pg_control"), "broken").unwrap();
    let error = PostgresServer::start(settings(&data_dir)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, PostgresError::DataUnusable { .. }), "{error:?}");
    assert!(error.to_string().contains(&*data_dir.to_string_lossy()) && error.to_string().contains("--fresh"));
    let left = data_folder::DataFolder::open(&data_dir).unwrap().running_server();
    assert_eq!(left, None, "nothing is left running");
    fs::write(data_dir.join("cluster/PG_VERSION"), "").unwrap();
    let error = PostgresServer::start(settings(&data_dir)).await.unwrap_err().to_string();
    assert!(error.contains("PG_VERSION"), "{error}");

    PostgresServer::erase(&data_dir).await.unwrap();
    assert!(!data_dir.join("cluster").exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let root = folder();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = PostgresSettings { port: Some(port), ..settings(&root.path().join("postgres")) };
    let error = PostgresServer::start(settings).await.unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} is already in use")), "{error}");
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_never_touched() {
    let root = folder();
    fs::write(root.path().join("thesis.txt"), "mine").unwrap();
    let error = PostgresServer::start(settings(root.path())).await.unwrap_err();
    assert!(matches!(error, PostgresError::ForeignFolder { .. }), "{error}");
    let error = PostgresServer::erase(root.path()).await.unwrap_err();
    assert!(matches!(error, PostgresError::ForeignFolder { .. }), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_killed_process_leaves_no_server_behind() {
    let root = folder();
    let data_dir = root.path().join("postgres");
    let helper = Helper::wait(Helper::spawn("server", &data_dir));
    let port: u16 = helper.answer.parse().unwrap();
    assert!(listens(port));
    helper.kill();
    // A new start has to get over the old server's last moments.
    let server = PostgresServer::start(settings(&data_dir)).await.unwrap();
    assert_ne!(server.port(), 0);
    server.stop().await.unwrap();
    wait_until("the killed process's server ends", || !listens(port));
    assert_eq!(postmaster(&data_dir), None);
}

#[tokio::test]
async fn processes_share_one_server_that_ends_after_the_last_one() {
    let root = folder();
    let data_dir = root.path().join("test-postgres");
    let helpers = [(); 3].map(|()| Helper::spawn("cluster", &data_dir)).map(Helper::wait);
    let answers: Vec<Vec<&str>> = helpers.iter().map(|helper| helper.answer.split(' ').collect()).collect();
    let port: u16 = answers[0][0].parse().unwrap();
    assert!(answers.iter().all(|answer| answer[0] == answers[0][0]), "one port: {answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer[1] == "true").count(), 1, "one template: {answers:?}");
    let [first, second, third] = helpers;
    first.kill();
    second.kill();

    let join = async || {
        let settings = TestClusterSettings { folder: Some(data_dir.clone()), ..Default::default() };
        TestCluster::join(settings).await.unwrap()
    };
    let cluster = join().await;
    third.kill();
    let (template, prepared) = template(&cluster).await;
    assert!(!prepared);
    let started = Instant::now();
    let database = cluster.fresh_database(&template).await.unwrap();
    println!("a copy {:?}", started.elapsed());
    assert_eq!(database.options.get_port(), port, "still the first server");
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    let text: String = sqlx::query_scalar("SELECT text FROM note").fetch_one(&mut connection).await.unwrap();
    assert_eq!(text, "été");
    database.drop_now().await.unwrap();

    drop(cluster);
    wait_until("the server ends after its last user", || postmaster(&data_dir).is_none() && !listens(port));
    let started = Instant::now();
    let cluster = join().await;
    println!("started again with clean-up {:?}", started.elapsed());
    let mut connection = PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE 'freehunt%'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(names, [template], "the killed processes' databases are gone, the template is not");
    drop((connection, cluster));
    wait_until("the server ends", || postmaster(&data_dir).is_none());
}

#[tokio::test]
async fn an_external_server_is_used_as_it_is() {
    let root = folder();
    let server = PostgresServer::start(settings(&root.path().join("postgres"))).await.unwrap();
    let external_url = Some(server.url("postgres"));
    let cluster = TestCluster::join(TestClusterSettings { external_url, ..Default::default() }).await.unwrap();
    let (template, _) = template(&cluster).await;
    let database = cluster.fresh_database(&template).await.unwrap();
    assert_eq!(database.options.get_port(), server.port());
    database.drop_now().await.unwrap();
    server.stop().await.unwrap();
}
