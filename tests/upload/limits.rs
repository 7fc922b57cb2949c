//! Fault cases 64 and 68: too many bytes, too many pixels, too slow, too many at once.

use std::time::{Duration, Instant};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp, settings};
use image::ImageFormat;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::form::{CONTENT_TYPE, Form, picture, png, upload};

const LIMIT: usize = 5 * 1024 * 1024;

/// A connection of our own, with the head of an upload sent.
async fn begin(app: &TestApp, persona: &Persona, length: &str) -> TcpStream {
    let address = app.url.strip_prefix("http://").expect("an http address");
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {address}\r\nOrigin: {}\r\nCookie: {}\r\nContent-Type: {CONTENT_TYPE}\r\n{length}\r\n\r\n",
        settings::FRONTEND,
        persona.cookie,
    );
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    stream
}

/// Everything the server says until it closes the connection.
async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer also is an end.
    let _end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Fault case 64, the edge: what comes after the limit changes the answer by one byte.
#[tokio::test]
async fn five_megabytes_are_the_limit() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let mut file = png();
        file.resize(LIMIT, 0);
        upload(&bob, Form::of(&file)).await.expect(201);
        file.push(0);
        let refused = upload(&bob, Form::of(&file)).await;
        assert_eq!(refused.message(), "File too large");
        refused.expect(413);
        file.resize(LIMIT + 3_000_000, 0);
        upload(&bob, Form::of(&file)).await.expect(413);
        assert_eq!(app.s3.objects().len(), 1);
    })
    .await;
}

/// Fault case 64: ten gigabytes are refused by their announcement, or cut off soon after the limit.
#[tokio::test]
async fn endless_uploads_are_cut_off() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let mut announced = begin(app, &bob, "Content-Length: 10737418240").await;
        let answer = heard(&mut announced).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

        let mut endless = begin(app, &bob, "Transfer-Encoding: chunked").await;
        let head = "--XBOUNDARYX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        endless.write_all(format!("{:x}\r\n{head}\r\n", head.len()).as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
        let mut sent = 0;
        while sent < 1024 * LIMIT && endless.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        // What the kernel holds on both sides was written, but never read.
        assert!(sent < 8 * LIMIT, "{sent} bytes were taken");
        assert!(app.s3.objects().is_empty());
        upload(&bob, Form::of(&png())).await.expect(201);
    })
    .await;
}

/// Fault case 152, for bodies: whoever stops sending is let go, and the memory is free again.
#[tokio::test]
async fn stalled_uploads_are_let_go() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let mut stalled = Vec::new();
        for _ in 0..6 {
            stalled.push(begin(app, &bob, "Content-Length: 5242880").await);
        }
        upload(&bob, Form::of(&png())).await.expect(201);
        for mut stream in stalled {
            let answer = heard(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
    })
    .await;
}

/// Waits until the server reads the body of a request that expects `100 Continue`: it holds its memory then.
async fn reads(stream: &mut TcpStream) {
    let mut heard = [0; 25];
    let hearing = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut heard)).await.expect("in time");
    hearing.expect("an interim answer");
    assert_eq!(&heard, b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Sends `pieces` one by one, half a second apart, until the server has had enough; then what it answers, and when.
async fn trickle(mut stream: TcpStream, pieces: Vec<Vec<u8>>) -> (String, Duration) {
    let start = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut status = [0; 12];
    tokio::select! {
        () = sending => {}
        heard = reader.read_exact(&mut status) => { heard.expect("an answer"); }
    }
    (String::from_utf8_lossy(&status).into_owned(), start.elapsed())
}

/// Fault case 152, for bodies: all memory is held by uploads that never stop and never end. A slow one that will end is
/// not taken for one of them.
#[tokio::test]
async fn trickled_uploads_give_their_memory_back() {
    TestApp::run(async |app| {
        let mut file = png();
        file.resize(LIMIT, 0);
        let form = Form::of(&file).bytes();
        let head = format!("Content-Length: {}\r\nExpect: 100-continue", form.len());
        // For eight seconds twice as fast as the slowest that is borne, and then the rest.
        let (slow, rest) = form.split_at(form.len() / 80 * 16);
        let slow = slow.chunks(form.len() / 80).map(<[u8]>::to_vec).chain([rest.to_vec()]).collect();
        let first = form[..200].to_vec();
        let drops = || [first.clone()].into_iter().chain(form[200..300].chunks(1).map(<[u8]>::to_vec)).collect();

        let (carol, dave) = (app.user("carol", Role::Freelance).await, app.user("dave", Role::Freelance).await);
        let mut uploads = Vec::new();
        for (persona, pieces) in [(&carol, slow), (&carol, drops()), (&dave, drops()), (&dave, drops())] {
            let mut stream = begin(app, persona, &head).await;
            reads(&mut stream).await;
            uploads.push(tokio::spawn(trickle(stream, pieces)));
        }
        let bob = app.user("bob", Role::Freelance).await;
        upload(&bob, Form::of(&png())).await.expect(201);
        assert!(!uploads[0].is_finished(), "bob has the place of one that trickled");

        let mut answers = Vec::new();
        for upload in uploads {
            answers.push(upload.await.unwrap());
        }
        let statuses: Vec<_> = answers.iter().map(|(status, _)| &status[9..]).collect();
        assert_eq!(statuses, ["201", "408", "408", "408"]);
        let in_time = answers[1..].iter().all(|(_, time)| (4..10).contains(&time.as_secs()));
        assert!(in_time, "{answers:?}");
    })
    .await;
}

/// Fault case 68: a header that promises 900 million pixels, and a long animation.
#[tokio::test]
async fn pixel_floods_are_refused_at_once() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let mut flood = png();
        flood[16..24].copy_from_slice(&[30_000_u32.to_be_bytes(), 30_000_u32.to_be_bytes()].concat());
        let start = Instant::now();
        upload(&bob, Form::of(&flood)).await.expect(400);
        let one = picture(ImageFormat::Gif, 1);
        let frames = one[13..one.len() - 1].repeat(LIMIT / one.len() - 1);
        let animation = [&one[..13], &frames, b";"].concat();
        let answer = upload(&bob, Form::of(&animation)).await;
        assert!(matches!(answer.status, 201 | 400), "{}", answer.text);
        assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    })
    .await;
}
