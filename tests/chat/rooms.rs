//! What clients send.

use freehunt_domain::users::Role;
use freehunt_tests::TestApp;
use serde_json::json;

use super::{conversation, pair, say};

#[tokio::test]
async fn a_room_is_joined_and_left_and_the_partner_hears_of_it() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        let room = json!({ "roomId": pair.conversation });
        alice.emit("joinRoom", room.clone());
        assert_eq!(alice.wait_for("joinedRoom", 1).await, std::slice::from_ref(&room));
        let notice =
            json!({ "message": "Un nouvel utilisateur a rejoint la conversation", "roomId": pair.conversation });
        assert_eq!(bob.wait_for("userJoinedRoom", 1).await, [notice]);
        assert_eq!(alice.ask("leaveRoom", room.clone()).await, json!({ "ok": true }));
        assert_eq!(alice.received("leftRoom"), std::slice::from_ref(&room));
        let notice = json!({ "message": "Un utilisateur a quitté la conversation", "roomId": pair.conversation });
        assert_eq!(bob.wait_for("userLeftRoom", 1).await, [notice]);
        assert_eq!(alice.ask("leaveRoom", room).await, json!({ "ok": false, "message": "Not in this room" }));
        assert!(alice.received("userJoinedRoom").is_empty());
    })
    .await;
}

/// Fault cases 127 and 130.
#[tokio::test]
async fn strangers_join_nothing_and_receive_nothing() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let eve = app.user("eve", Role::Freelance).await.chat(&server).await;
        let alice = pair.alice.chat(&server).await;
        let rooms = [json!(pair.conversation), json!(alice.sid), json!("x".repeat(20_000)), json!(5), json!(null)];
        for room in &rooms {
            let refused = eve.ask("joinRoom", json!({ "roomId": room })).await;
            assert_eq!(refused["ok"], false, "{room}");
        }
        for payload in [json!(null), json!({}), json!([])] {
            assert_eq!(eve.ask("joinRoom", payload).await["ok"], false);
        }
        let exceptions = eve.received("exception");
        assert_eq!(exceptions.len(), rooms.len() + 3);
        let expected = json!({
            "status": "error", "message": "Conversation not found", "cause": { "pattern": "joinRoom" }
        });
        assert_eq!(exceptions[0], expected);
        let typing = json!({ "conversationId": pair.conversation, "isTyping": true });
        assert_eq!(eve.ask("typing", typing).await["ok"], false);
        say(&pair.alice, &pair.conversation, "secret").await;
        alice.wait_for("newMessage", 1).await;
        eve.settle().await;
        assert!(eve.received_all().iter().all(|(name, _)| name == "exception"), "{:?}", eve.received_all());
        assert!(!alice.is_closed() && alice.received("userTyping").is_empty());
    })
    .await;
}

/// Fault case 135.
#[tokio::test]
async fn typing_is_told_to_the_partner_in_the_session_s_name() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        let spoofed = json!({ "conversationId": pair.conversation, "userId": pair.bob.user_id, "isTyping": true });
        assert_eq!(alice.ask("typing", spoofed).await, json!({ "ok": true }));
        let expected = json!({ "userId": pair.alice.user_id, "isTyping": true, "conversationId": pair.conversation });
        assert_eq!(bob.wait_for("userTyping", 1).await, [expected]);
        let mut accepted = 0;
        for _ in 0..8 {
            let answer = alice.ask("typing", json!({ "roomId": pair.conversation, "isTyping": false })).await;
            accepted += usize::from(answer["ok"] == true);
        }
        assert!((1..=3).contains(&accepted), "two a second: {accepted}");
        bob.wait_for("userTyping", 1 + accepted).await;
        assert!(alice.received("userTyping").is_empty());
    })
    .await;
}

#[tokio::test]
async fn identify_user_changes_nothing() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let alice = pair.alice.chat(&server).await;
        assert_eq!(alice.ask("identifyUser", json!({ "userId": pair.alice.user_id })).await, json!({ "ok": true }));
        assert_eq!(alice.ask("identifyUser", json!({ "userId": "" })).await, json!({ "ok": true }));
        assert_eq!(alice.ask("identifyUser", json!({ "userId": pair.bob.user_id })).await["ok"], false);
        assert_eq!(alice.received("exception").len(), 1);
        let eve = app.user("eve", Role::Company).await;
        let other = conversation(&eve, &pair.bob).await;
        say(&eve, &other, "for bob").await;
        alice.settle().await;
        assert!(alice.received("newMessage").is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_only_the_server_sends_is_not_relayed() {
    TestApp::run(async |app| {
        let server = app.chat_server().await;
        let pair = pair(app).await;
        let (alice, bob) = (pair.alice.chat(&server).await, pair.bob.chat(&server).await);
        for event in ["newConversation", "deleteMessage", "updateMessage", "getMessages"] {
            let forged = json!({ "id": pair.conversation, "conversationId": pair.conversation });
            assert_eq!(alice.ask(event, forged).await["ok"], false, "{event}");
        }
        assert!(alice.received("exception").is_empty());
        assert_eq!(alice.ask("userConnected", json!({})).await["ok"], false);
        assert_eq!(alice.received("exception").len(), 1);
        bob.settle().await;
        // The server's own word on the new conversation may come as late as this; it names its participants.
        let relayed = |(_, payload): &(String, serde_json::Value)| payload.get("senderId").is_none();
        assert_eq!(bob.received_all().into_iter().filter(relayed).collect::<Vec<_>>(), []);
    })
    .await;
}
