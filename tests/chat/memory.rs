//! What one process of the messaging server holds for clients that want to fill its memory. It is a process of its own, so
//! that the memory is the server's alone. The program that is shipped, which has another allocator than this one:
//! `FREEHUNT_MESSAGING_PROGRAM=target/release/freehunt-messaging cargo test --workspace --test end_to_end chat::memory:: --
//! --nocapture`.

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, Replica, Serving, TestApp, TestOptions, eventually, serve_chat_replica};
use serde_json::Value;

use super::{flood, pair, transport::Transport};

/// Of all the abuse below together, in MiB: 20 sockets that read nothing hold most of it.
const MOST_GROWTH: u64 = 128;

#[test]
#[ignore = "the server of this test; on its own it does nothing"]
fn serve_until_killed() {
    serve_chat_replica(2);
}

/// Fault case 133.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_133_memory_stays_flat_under_abuse() {
    // So that the test is quick: what matters is how much waits, not how fast it comes.
    let options = TestOptions::default().with("CHAT_EVENTS_PER_SECOND", "1000");
    TestApp::run_with(options, async |app| {
        let serving = Serving::shipped_messaging().unwrap_or(Serving::Test("chat::memory::serve_until_killed"));
        let replica = Replica::start(app, serving).await;
        replica.is_serving().await;
        let pair = pair(app).await;
        flood(app, &pair, 1..=200, 40_000).await;
        pair.alice.try_chat_at(&replica.url).await.expect("a socket").settle().await;
        let before = replica.memory_in_mebibytes("VmRSS");
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(Transport::connected(&replica.url, &pair.bob).await);
        }
        let after_deaf = settled_peak(&replica).await;
        for _ in 0..20 {
            held.push(announce_attachments(&replica).await);
        }
        let after_attachments = settled_peak(&replica).await;
        send_what_grows(app, &replica, &app.user("eve", Role::Company).await).await;
        let peak = settled_peak(&replica).await;
        println!(
            "{before} MiB before; at most {after_deaf} with sockets that read nothing, {after_attachments} with \
             attachments that never end, {peak} with events that nobody fetches the answers of"
        );
        assert!(peak - before < MOST_GROWTH, "{before} MiB before, {peak} MiB at most");
        // Others are served meanwhile.
        pair.alice.try_chat_at(&replica.url).await.expect("a socket").settle().await;
        drop(held);
    })
    .await;
}

/// The most memory so far, once it no longer grows.
async fn settled_peak(replica: &Replica) -> u64 {
    let mut peaks = vec![0; 50];
    eventually("the memory no longer grows", async || {
        peaks.remove(0);
        peaks.push(replica.memory_in_mebibytes("VmHWM"));
        peaks.first() == peaks.last()
    })
    .await;
    replica.memory_in_mebibytes("VmHWM")
}

/// A program that never says who it is, and whose event lacks an attachment for ever.
async fn announce_attachments(replica: &Replica) -> Transport {
    let mut transport = Transport::open(&replica.url, None).await.expect("a transport");
    transport.send("451000-[\"x\",{\"_placeholder\":true,\"num\":0}]").await;
    for _ in 0..160 {
        if !transport.send_binary(vec![0; 60_000]).await {
            break;
        }
    }
    transport
}

/// Events of 64 KB that take a hundred times as much once they are parsed. Their answers are never fetched, so that they
/// wait in line.
async fn send_what_grows(app: &TestApp, replica: &Replica, persona: &Persona) {
    let eve = app.at(persona, &replica.url);
    let opening = eve.get("/socket.io/?EIO=4&transport=polling").await;
    let opening: Value = serde_json::from_str(&opening.text[1..]).expect("an opening");
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", opening["sid"].as_str().expect("a sid"));
    let post = async |packets: &str| {
        let request = eve.request(reqwest::Method::POST, &path);
        eve.answer(request.body(packets.to_owned())).await.status
    };
    assert_eq!(post("40").await, 200);
    let event = format!("42[\"x\",[{}0]]", "{\"\":0},".repeat(8_000));
    for _ in 0..120 {
        assert_eq!(post(&event).await, 200);
    }
}
