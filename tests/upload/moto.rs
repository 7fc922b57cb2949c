//! The same avatars in a second S3 server: `moto`, where Python has it (tests/requirements.txt).

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use freehunt_domain::users::Role;
use freehunt_storage::ObjectKey;
use freehunt_tests::{TestApp, TestOptions, eventually};

use super::{
    form::{Form, change_avatar, picture, png},
    orphans::a_week_passes,
    shown, surroundings,
};

/// The process ends with the test.
struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(port: u16) -> Option<Moto> {
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !python(&["-c", "import moto.server, flask"]).status().is_ok_and(|status| status.success()) {
        return None;
    }
    let child = python(&["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]).spawn();
    Some(Moto(child.expect("python3 starts again")))
}

#[tokio::test]
async fn avatars_live_in_another_s3_as_well() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_moto) = start(port) else {
        println!("skipped: python3 with moto[server] is not installed");
        return;
    };
    let options = TestOptions::default().with("S3_URL", format!("http://127.0.0.1:{port}"));
    TestApp::run_with(options, async |app| {
        let storage = &app.state.storage;
        eventually("moto answers", async || storage.bootstrap("http://localhost:3000").await.is_ok()).await;
        let bob = app.user("bob", Role::Freelance).await;
        let first = change_avatar(&bob, Form::of(&png())).await.expect(200);
        assert_eq!(shown(&first["url"]).await.0, "image/png");
        let second = change_avatar(&bob, Form::of(&picture(image::ImageFormat::Jpeg, 3))).await.expect(200);
        assert_eq!(shown(&second["url"]).await.0, "image/jpeg");
        let objects = async || {
            let page = storage.list("avatars/", None).await.unwrap();
            page.objects.into_iter().map(|object| object.key.to_string()).collect::<Vec<_>>()
        };
        eventually("the old object is gone", async || objects().await == [second["key"].as_str().unwrap()]).await;
        let tomorrow = app.state.clock.now() + chrono::TimeDelta::hours(25);
        let orphan = ObjectKey::avatar(bob.user_id.0, "png");
        storage.put(&orphan, "image/png", png().into()).await.unwrap();
        freehunt_jobs::collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        assert_eq!(objects().await.len(), 2, "an orphan has its week");
        a_week_passes(&app.pool).await;
        freehunt_jobs::collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        assert_eq!(objects().await, [second["key"].as_str().unwrap()], "the avatar is no orphan");
    })
    .await;
}
