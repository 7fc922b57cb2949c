use serde_json::json;

use super::*;

const NOW: i64 = 1_795_344_822;
const SECRET: &str = "whsec_local";

fn secrets(secrets: &[&str]) -> Vec<SecretString> {
    secrets.iter().map(|secret| SecretString::from(*secret)).collect()
}

fn check(payload: &[u8], header: &str) -> Result<(), SignatureError> {
    verify(payload, Some(header), &secrets(&[SECRET]), NOW)
}

/// A message and header recorded between the original backend and its tests.
#[test]
fn a_recorded_signature_is_accepted() {
    let body = br#"{"id":"evt_1","object":"event","api_version":"2025-04-30.basil","created":1700000000,"type":"customer.created","data":{"object":{}}}"#;
    let header = "t=1795344822,v1=77f83036ad6f25050cb48d4deaa092cf02d08006d9804f9256543e2c166294f8";
    assert_eq!(verify(body, Some(header), &secrets(&["whsec_other"]), NOW), Ok(()));
    assert_eq!(sign(body, "whsec_other", NOW), header);
    assert_eq!(check(body, header), Err(SignatureError::NoMatch));
}

/// Fault case 83.
#[test]
fn bad_absent_garbled_and_v0_signatures_are_refused() {
    let body = b"{}";
    let good = sign(body, SECRET, NOW);
    let signature = good.split_once("v1=").unwrap().1;
    let cases = [
        ("garbage", SignatureError::UnableToExtract),
        ("t=,v1=aa", SignatureError::UnableToExtract),
        ("t=12abc,v1=aa", SignatureError::UnableToExtract),
        ("t=-12,v1=aa", SignatureError::UnableToExtract),
        ("t=99999999999999999999,v1=aa", SignatureError::UnableToExtract),
        (&format!("v1={signature}"), SignatureError::UnableToExtract),
        ("t=12", SignatureError::NoSignaturesWithExpectedScheme),
        (&format!("t={NOW},v0={signature}"), SignatureError::NoSignaturesWithExpectedScheme),
        (&format!("t={NOW},v1={}", &signature[..62]), SignatureError::NoMatch),
        (&format!("t={NOW},v1=zz{}", &signature[2..]), SignatureError::NoMatch),
        (&format!("t={NOW},v1="), SignatureError::NoMatch),
        (&format!("t={},v1={signature}", NOW - 1), SignatureError::NoMatch),
        (&sign(body, "whsec_other", NOW), SignatureError::NoMatch),
        ("", SignatureError::NoHeader),
    ];
    for (header, reason) in cases {
        assert_eq!(check(body, header), Err(reason), "{header}");
    }
    assert_eq!(verify(body, None, &secrets(&[SECRET]), NOW), Err(SignatureError::NoHeader));
    assert_eq!(check(body, &good), Ok(()));
}

/// Fault case 84.
#[test]
fn the_time_may_be_300_seconds_off_in_either_direction() {
    let body = b"{}";
    for offset in [-300, -299, 0, 299, 300] {
        assert_eq!(check(body, &sign(body, SECRET, NOW + offset)), Ok(()), "{offset}");
    }
    for offset in [-301, 301, -86_400, 4_000] {
        let refused = check(body, &sign(body, SECRET, NOW + offset));
        assert_eq!(refused, Err(SignatureError::TimestampOutsideTolerance), "{offset}");
    }
    assert_eq!(check(body, &sign(body, SECRET, i64::MAX)), Err(SignatureError::TimestampOutsideTolerance));
    assert_eq!(check(body, &sign(body, SECRET, 0)), Err(SignatureError::TimestampOutsideTolerance));
}

/// Fault case 85: an empty secret must never sign anything, should one get this far.
#[test]
fn an_empty_secret_is_never_used() {
    let body = b"{}";
    let forged = sign(body, "", NOW);
    for configured in [&[][..], &[""], &["", SECRET]] {
        assert_eq!(verify(body, Some(&forged), &secrets(configured), NOW), Err(SignatureError::NoMatch));
    }
}

/// Fault case 86.
#[test]
fn a_rewritten_body_is_refused() {
    let header = sign(br#"{"id":"evt_1","type":"a"}"#, SECRET, NOW);
    assert_eq!(check(br#"{"id": "evt_1", "type": "a"}"#, &header), Err(SignatureError::NoMatch));
    assert_eq!(check(b"{\"id\":\"evt_1\",\"type\":\"a\"}\n", &header), Err(SignatureError::NoMatch));
}

/// Fault case 87.
#[test]
fn a_body_of_600_kilobytes_and_of_any_bytes_is_verified() {
    let big = json!({"id": "evt_1", "type": "a", "data": {"object": {"x": "é".repeat(300_000)}}}).to_string();
    assert!(big.len() > 600_000);
    assert_eq!(check(big.as_bytes(), &sign(big.as_bytes(), SECRET, NOW)), Ok(()));
    assert_eq!(Event::parse(big.as_bytes()).unwrap().id, "evt_1");
    let bytes = [0xff, 0x00, b'.', b','];
    assert_eq!(check(&bytes, &sign(&bytes, SECRET, NOW)), Ok(()));
}

#[test]
fn any_secret_and_any_of_several_signatures_will_do() {
    let body = b"{}";
    let old_and_new = secrets(&["whsec_old", SECRET]);
    for secret in ["whsec_old", SECRET] {
        assert_eq!(verify(body, Some(&sign(body, secret, NOW)), &old_and_new, NOW), Ok(()));
    }
    let good = sign(body, SECRET, NOW);
    let (time, signature) = good.split_once(',').unwrap();
    assert_eq!(check(body, &format!("{time},v0=aa,v1=aa,{signature},v2=bb")), Ok(()));
    let many = "v1=aa,".repeat(MOST_SIGNATURES);
    assert_eq!(check(body, &format!("{time},{many}{signature}")), Err(SignatureError::NoMatch));
}

#[test]
fn an_empty_body_is_refused_even_when_signed() {
    assert_eq!(check(b"", &sign(b"", SECRET, NOW)), Err(SignatureError::NoPayload));
    // As recorded from the original.
    assert_eq!(check(b"", "t=12,v1=aa"), Err(SignatureError::NoMatch));
}

#[test]
fn the_texts_are_the_originals() {
    assert_eq!(
        SignatureError::NoMatch.to_string(),
        "No signatures found matching the expected signature for payload. Are you passing the raw request body you \
         received from Stripe? \n If a webhook request is being forwarded by a third-party tool, ensure that the exact \
         request body, including JSON formatting and new line style, is preserved.\n\nLearn more about webhook signing \
         and explore webhook integration examples for various frameworks at \
         https://docs.stripe.com/webhooks/signature\n"
    );
    assert!(SignatureError::NoMatch.to_string().contains("from Stripe? \n If a"));
    assert_eq!(SignatureError::UnableToExtract.to_string(), "Unable to extract timestamp and signatures from header");
    assert_eq!(SignatureError::NoSignaturesWithExpectedScheme.to_string(), "No signatures found with expected scheme");
    assert_eq!(SignatureError::TimestampOutsideTolerance.to_string(), "Timestamp outside the tolerance zone");
    assert_eq!(SignatureError::NoPayload.to_string(), "No webhook payload was provided.");
}

#[test]
fn events_of_any_version_and_type_are_read() {
    let full = json!({
        "id": "evt_1", "type": "checkout.session.completed", "created": 1_700_000_000, "livemode": true,
        "api_version": "2019-01-01", "data": {"object": {"id": "cs_1"}, "previous_attributes": {}},
    });
    let event = Event::parse(full.to_string().as_bytes()).unwrap();
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("evt_1", "checkout.session.completed"));
    assert_eq!((event.created, event.livemode), (1_700_000_000, Some(true)));
    assert_eq!(event.api_version.as_deref(), Some("2019-01-01"));
    assert_eq!(event.object, json!({"id": "cs_1"}));

    let bare = Event::parse(br#"{"id":"evt_2","type":"made.up.later","api_version":null}"#).unwrap();
    assert_eq!((bare.created, bare.livemode, bare.api_version, bare.object), (0, None, None, Value::Null));
}

#[test]
fn what_is_not_an_event_is_told_apart() {
    assert_eq!(Event::parse(b"{"), Err(EventError::NotJson));
    assert_eq!(Event::parse(b"\xff"), Err(EventError::NotJson));
    for body in ["{}", "[]", "null", r#"{"id":"evt_1"}"#, r#"{"type":"a"}"#, r#"{"id":"","type":"a"}"#] {
        assert_eq!(Event::parse(body.as_bytes()), Err(EventError::NotAnEvent), "{body}");
    }
}
