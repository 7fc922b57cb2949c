//! `/upload`: fault cases 64 to 76 over HTTP, against the stand-in for S3 and, where it is installed, `moto`.

pub mod form;
mod limits;
mod moto;
mod orphans;

use chrono::TimeDelta;
use form::{CONTENT_TYPE, Form, change_avatar, contains, picture, png, send, upload};
use freehunt_domain::users::Role;
use freehunt_jobs::{JobContext, collect_orphans};
use freehunt_tests::{Replica, TestApp, TestOptions, eventually, settings};
use image::ImageFormat;
use reqwest::{
    Method,
    header::{CACHE_CONTROL, CONTENT_TYPE as TYPE},
};
use serde_json::{Value, json};

use crate::kills::replica::REPLICA;

/// What a browser reads from the address: content type and bytes.
pub async fn shown(url: &Value) -> (String, Vec<u8>) {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let browser = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = browser.get(url.as_str().expect("an address")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url} is served");
    assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    let content_type = answer.headers()[TYPE].to_str().expect("text").to_owned();
    (content_type, answer.bytes().await.expect("a body").to_vec())
}

/// What the jobs of the server work with.
fn surroundings(app: &TestApp) -> JobContext {
    let state = &app.state;
    JobContext {
        pool: state.pool.clone(),
        stripe: state.stripe.clone(),
        storage: state.storage.clone(),
        clock: state.clock.clone(),
    }
}

async fn count(app: &TestApp, table: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(&app.pool)
        .await
        .expect("a count")
}

/// Fault cases 65 and 70: neither the name nor the label of a file decides on anything.
#[tokio::test]
async fn a_picture_is_stored_under_a_name_of_our_own() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let form = Form::default().text("bucketName", "freehunt-avatar");
        let form = form.file("file", "mon été.jpg", "image/gif", &png());
        let answer = upload(&bob, form).await.expect(201);
        let key = answer["key"].as_str().unwrap();
        assert!(key.starts_with(&format!("avatars/{}/", bob.user_id)) && key.ends_with(".png"), "{key}");
        assert_eq!(answer["url"], format!("{}/freehunt-avatar/{key}", app.s3.url()));
        assert_eq!(answer.as_object().unwrap().len(), 2);
        assert_eq!(shown(&answer["url"]).await.0, "image/png");
        assert_eq!(app.s3.objects(), [key]);
    })
    .await;
}

/// Fault case 66.
#[tokio::test]
async fn what_is_no_picture_is_refused_and_not_stored() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        for file in [
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..],
            b"<!doctype html><script>alert(1)</script>",
            b"%PDF-1.7\n",
            b"PK\x03\x04\x14\0\0\0",
            b"alert(1)",
            b"",
        ] {
            upload(&bob, Form::of(file)).await.expect(415);
            change_avatar(&bob, Form::of(file)).await.expect(415);
        }
        upload(&bob, Form::of(&png()[..60])).await.expect(400);
        assert!(app.s3.objects().is_empty());
        assert_eq!(count(app, "uploaded_object").await, 0);
    })
    .await;
}

/// Fault cases 67 and 69: only the picture is left of a file.
#[tokio::test]
async fn nothing_but_the_picture_survives() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let jpeg = picture(ImageFormat::Jpeg, 90);
        let mut with_place = jpeg[..2].to_vec();
        with_place.extend(b"\xff\xe1\x00\x16Exif\0\0GPS 48.85 2.35");
        with_place.extend(&jpeg[2..]);
        let files = [
            (with_place, "image/jpeg"),
            ([jpeg, b"PK\x03\x04evil".to_vec()].concat(), "image/jpeg"),
            ([png(), b"<script>evil</script>".to_vec()].concat(), "image/png"),
            ([picture(ImageFormat::Gif, 1), b"=1;evil()//".to_vec()].concat(), "image/png"),
            (picture(ImageFormat::WebP, 3), "image/png"),
        ];
        for (file, expected) in files {
            let answer = upload(&bob, Form::of(&file)).await.expect(201);
            let (content_type, bytes) = shown(&answer["url"]).await;
            assert_eq!(content_type, expected);
            for trace in [&b"Exif"[..], b"GPS", b"evil", b"PK\x03\x04", b"script"] {
                assert!(!contains(&bytes, trace), "{:?} survived", String::from_utf8_lossy(trace));
            }
        }
    })
    .await;
}

/// Fault case 70.
#[tokio::test]
async fn hostile_file_names_become_harmless() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        for (name, expected) in [
            ("../../x", "x"),
            ("a/b", "b"),
            ("%2f", "%2f"),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("mon été.png", "mon été.png"),
            ("..", "avatar"),
            (&*"n".repeat(5000), &*"n".repeat(200)),
        ] {
            let answer = change_avatar(&bob, Form::default().file("file", name, "image/png", &png())).await.expect(200);
            assert_eq!(answer["document"]["name"], expected);
            let key = answer["key"].as_str().unwrap();
            assert_eq!(key.len(), format!("avatars/{}/{}.png", bob.user_id, bob.user_id).len(), "{key}");
        }
        let nul = b"name=\"file\"; filename=\"a\0b\"\r\nContent-Type: image/png";
        let answer = change_avatar(&bob, Form::default().part(nul, &png())).await;
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
        assert!(!answer.text.contains("\\u0000"));
    })
    .await;
}

/// Fault case 71.
#[tokio::test]
async fn there_is_one_bucket() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        for form in [
            Form::of(&png()).text("bucketName", "other"),
            Form::of(&png()).text("bucketName", ""),
            Form::of(&png()).text("bucketName", "freehunt-avatar").text("bucketName", "freehunt-avatar"),
        ] {
            let refused = upload(&bob, form).await;
            assert_eq!(refused.message(), "bucketName must be one of the following values: freehunt-avatar");
            refused.expect(400);
        }
        let long = upload(&bob, Form::of(&png()).text("bucketName", &"x".repeat(300))).await;
        assert_eq!(long.message(), "Field value too long");
        assert!(app.s3.objects().is_empty());
        upload(&bob, Form::of(&png()).text("anything", "else")).await.expect(201);
    })
    .await;
}

/// Fault case 72, with the texts of the original.
#[tokio::test]
async fn broken_forms_are_refused() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let form = Form::default().file("avatar", "photo.png", "image/png", &png());
        assert_eq!(upload(&bob, form).await.message(), "Unexpected field - avatar");
        let form = Form::of(&png()).file("file", "b.png", "image/png", &png());
        assert_eq!(upload(&bob, form).await.message(), "Unexpected field - file");
        upload(&bob, Form::default()).await.expect(400);
        upload(&bob, Form::default().text("file", "field instead of file")).await.expect(400);
        upload(&bob, Form::default().text("bucketName", "freehunt-avatar")).await.expect(400);
        let many = (0..11).fold(Form::default(), |form, index| form.text(&format!("field{index}"), ""));
        assert_eq!(upload(&bob, many).await.message(), "Too many fields");

        let truncated = b"--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc".to_vec();
        for (content_type, body, status, text) in [
            ("multipart/form-data", b"x".to_vec(), 400, "Multipart: Boundary not found"),
            ("multipart/form-data; boundary=B", truncated, 400, "Multipart: Unexpected end of form"),
            ("multipart/form-data; boundary=other", Form::of(&png()).bytes(), 400, "Multipart: Unexpected end of form"),
            (
                "multipart/form-data; boundary=B",
                b"--B\r\n\0bad\r\n\r\nx".to_vec(),
                400,
                "Multipart: Malformed part header",
            ),
            ("application/json", b"{}".to_vec(), 415, "Content-Type must be multipart/form-data"),
        ] {
            let refused = send(&bob, Method::POST, "/upload", content_type, body).await;
            assert_eq!((refused.status, refused.message().as_str()), (status, text));
        }
        assert!(app.s3.objects().is_empty());
    })
    .await;
}

#[tokio::test]
async fn uploads_need_a_session_and_an_allowed_origin() {
    TestApp::run(async |app| {
        upload(&app.anonymous(), Form::of(&png())).await.expect(401);
        change_avatar(&app.anonymous(), Form::of(&png())).await.expect(401);
        app.anonymous().get("/upload").await.expect(401);
        let bob = app.user("bob", Role::Freelance).await;
        let request = app.anonymous().request(Method::POST, "/upload");
        let (client, request) = request.build_split();
        let mut request = request.unwrap();
        request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
        request.headers_mut().insert("cookie", bob.cookie.parse().unwrap());
        request.headers_mut().insert("content-type", CONTENT_TYPE.parse().unwrap());
        *request.body_mut() = Some(Form::of(&png()).bytes().into());
        assert_eq!(client.execute(request).await.unwrap().status(), 403);
        assert!(app.s3.objects().is_empty());
        assert!(settings::FRONTEND.starts_with("http://localhost"));
    })
    .await;
}

#[tokio::test]
async fn an_avatar_is_made_and_replaced() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let first = change_avatar(&bob, Form::default().file("file", "a.png", "image/png", &png())).await.expect(200);
        assert_eq!(first["message"], "Avatar créé avec succès");
        assert_eq!(first["document"]["url"], first["url"]);
        assert_eq!(first["document"]["type"], "AVATAR");
        assert_eq!(first["document"]["userId"], json!(bob.user_id));
        let form = Form::default().file("file", "b.jpg", "image/jpeg", &picture(ImageFormat::Jpeg, 9));
        let second = change_avatar(&bob, form).await.expect(200);
        assert_eq!(second["message"], "Avatar mis à jour avec succès");
        assert_eq!(second["document"]["name"], "b.jpg");
        assert_ne!(second["url"], first["url"]);
        assert_eq!(shown(&second["url"]).await.0, "image/jpeg");

        let path = format!("/upload?userId={}&type=AVATAR", bob.user_id);
        assert_eq!(bob.get(&path).await.expect(200), json!([second["document"]]));
        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([second["document"]]));
        assert_eq!(bob.get(&format!("/upload?userId={}&type=INVOICE", bob.user_id)).await.expect(200), json!([]));
        let only = second["key"].as_str().unwrap();
        eventually("the old object is gone", async || app.s3.objects() == [only]).await;
    })
    .await;
}

#[tokio::test]
async fn documents_are_listed_to_their_owner_only() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let eve = app.user("eve", Role::Freelance).await;
        eve.get(&format!("/upload?userId={}", bob.user_id)).await.expect(403);
        for query in
            ["", "userId=", "userId=x", "userId[not]={self}", "userId={self}&type=PHOTO", "userId={self}&type="]
        {
            let query = query.replace("{self}", &bob.user_id.to_string());
            bob.get(&format!("/upload?{query}")).await.expect(400);
        }
        let twice = format!("/upload?userId={}&userId={}", bob.user_id, eve.user_id);
        bob.get(&twice).await.expect(400);
    })
    .await;
}

/// Fault case 73.
#[tokio::test]
async fn nobody_changes_the_avatar_of_another() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let eve = app.user("eve", Role::Freelance).await;
        let before = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let mut as_bob = bob.clone();
        as_bob.cookie.clone_from(&eve.cookie);
        change_avatar(&as_bob, Form::of(&picture(ImageFormat::Png, 1))).await.expect(403);
        send(&eve, Method::PATCH, "/upload/avatar/x", CONTENT_TYPE, Form::of(&png()).bytes()).await.expect(400);
        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([before["document"]]));
        shown(&before["url"]).await;
        assert_eq!(app.s3.objects().len(), 1);
    })
    .await;
}

/// Fault case 74: broken, hanging and refusing stores.
#[tokio::test]
async fn a_store_that_is_away_costs_nothing_but_patience() {
    use freehunt_sandbox::stand_in::Misbehaviour;
    let options = TestOptions::default().with("S3_TIMEOUT_MS", "1500");
    TestApp::run_with(options, async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let before = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let denied = Misbehaviour::Answer {
            status: http::StatusCode::FORBIDDEN,
            content_type: "application/xml",
            body: "<Error><Code>AccessDenied</Code></Error>".to_owned(),
        };
        let broken = Misbehaviour::Answer {
            status: http::StatusCode::INTERNAL_SERVER_ERROR,
            content_type: "text/plain",
            body: String::new(),
        };
        for trouble in [broken, denied, Misbehaviour::Hang(std::time::Duration::from_secs(60)), Misbehaviour::Reset] {
            app.s3.controls().misbehave_on(Method::PUT, "/", usize::MAX, trouble);
            let refused = change_avatar(&bob, Form::of(&picture(ImageFormat::Png, 7))).await;
            assert!(refused.headers.contains_key("retry-after"));
            refused.expect(503);
            upload(&bob, Form::of(&png())).await.expect(503);
            // The rest of the API does without it.
            app.anonymous().get("/health/ready").await.expect(200);
            app.s3.controls().recover();
            assert_eq!(
                bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200),
                json!([before["document"]])
            );
            shown(&before["url"]).await;
            assert_eq!((count(app, "uploaded_object").await, count(app, "\"Document\"").await), (1, 1));
        }
        change_avatar(&bob, Form::of(&png())).await.expect(200);
    })
    .await;
}

/// Fault case 75, when only the transaction dies between the object and its row.
#[tokio::test]
async fn what_a_crash_leaves_in_the_bucket_is_collected() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let before = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let crash = r#"ALTER TABLE "Document" ADD CONSTRAINT crash CHECK ("name" <> 'crash.png')"#;
        sqlx::query(crash).execute(&app.pool).await.unwrap();
        let form = Form::default().file("file", "crash.png", "image/png", &picture(ImageFormat::Png, 7));
        change_avatar(&bob, form).await.expect(500);
        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([before["document"]]));
        assert_eq!(app.s3.objects().len(), 2, "the new object is an orphan");

        let loose = upload(&bob, Form::of(&picture(ImageFormat::Png, 8))).await.expect(201);
        let now = app.state.clock.now();
        collect_orphans(&surroundings(app), now).await.unwrap();
        assert_eq!(app.s3.objects().len(), 3, "nothing is old yet");
        let tomorrow = now + TimeDelta::hours(25);
        collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        eventually("the loose object is gone", async || app.s3.objects().len() == 2).await;
        let avatar = before["key"].as_str().unwrap();
        orphans::a_week_passes(&app.pool).await;
        collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        assert_eq!(app.s3.objects(), [avatar], "only the avatar is left");
        shown(&before["url"]).await;
        let late = json!({ "name": "late", "type": "AVATAR", "url": loose["url"], "userId": bob.user_id });
        bob.post("/documents", late).await.expect(400);
    })
    .await;
}

/// Fault case 75: SIGKILL when the new object is in the bucket and its row is not written.
#[tokio::test]
async fn a_server_killed_between_the_object_and_its_row_costs_the_new_avatar_only() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let before = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let replica = Replica::start(app, REPLICA).await;
        replica.is_serving().await;
        // The replica gets as far as the row, and no further.
        let mut transaction = app.pool.begin().await.unwrap();
        sqlx::query(r#"LOCK TABLE "Document" IN ACCESS EXCLUSIVE MODE"#).execute(&mut *transaction).await.unwrap();
        let there = app.at(&bob, &replica.url);
        let url = format!("{}/upload/avatar/{}", replica.url, bob.user_id);
        let form = Form::of(&picture(ImageFormat::Png, 7)).bytes();
        let request =
            there.client.patch(url).header("cookie", &there.cookie).header("content-type", CONTENT_TYPE).body(form);
        let changing = tokio::spawn(request.send());
        eventually("the new object is stored", async || app.s3.objects().len() == 2).await;
        replica.kill();
        assert!(changing.await.unwrap().is_err(), "nobody answered");
        transaction.rollback().await.unwrap();

        assert_eq!(bob.get(&format!("/upload?userId={}", bob.user_id)).await.expect(200), json!([before["document"]]));
        shown(&before["url"]).await;
        let tomorrow = app.state.clock.now() + TimeDelta::hours(25);
        collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        orphans::a_week_passes(&app.pool).await;
        collect_orphans(&surroundings(app), tomorrow).await.unwrap();
        assert_eq!(app.s3.objects(), [before["key"].as_str().unwrap()], "only the avatar is left");
        change_avatar(&bob, Form::of(&picture(ImageFormat::Png, 7))).await.expect(200);
    })
    .await;
}

/// Fault case 76.
#[tokio::test]
async fn an_old_object_that_cannot_be_deleted_is_tried_again() {
    use freehunt_sandbox::stand_in::Misbehaviour;
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let old = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let broken = Misbehaviour::Answer {
            status: http::StatusCode::INTERNAL_SERVER_ERROR,
            content_type: "text/plain",
            body: String::new(),
        };
        app.s3.controls().misbehave_on(Method::DELETE, "/", usize::MAX, broken);
        let new = change_avatar(&bob, Form::of(&picture(ImageFormat::Png, 7))).await.expect(200);
        eventually("the removal failed once", async || {
            let failed: i64 =
                sqlx::query_scalar("SELECT count(*) FROM job WHERE kind = 'delete_object' AND attempts > 0")
                    .fetch_one(&app.pool)
                    .await
                    .unwrap();
            failed == 1 && !app.s3.controls().calls_to(Method::DELETE, "/").is_empty()
        })
        .await;
        shown(&old["url"]).await;
        app.s3.controls().recover();
        eventually("the removal is tried again", async || {
            // The next try comes at once instead of after its pause.
            sqlx::query("UPDATE job SET run_at = now() WHERE state = 'READY'").execute(&app.pool).await.unwrap();
            app.s3.objects() == [new["key"].as_str().unwrap()]
        })
        .await;
    })
    .await;
}
