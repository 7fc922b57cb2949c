use chrono::{TimeZone, Utc};
use uuid::Uuid;

use super::*;

fn session() -> PaymentSession {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).unwrap();
    PaymentSession {
        id: PaymentSessionId(Uuid::from_u128(1)),
        job_posting_id: JobPostingId(Uuid::from_u128(2)),
        company_id: CompanyId(Uuid::from_u128(3)),
        number: 1,
        status: SessionStatus::Open,
        amount_subtotal: Cents(1999),
        amount_total: None,
        currency: "eur".to_owned(),
        live_mode: false,
        title: "T".to_owned(),
        customer_email: "a@b.fr".to_owned(),
        success_url: "http://localhost:5173/ok".to_owned(),
        cancel_url: "http://localhost:5173/no".to_owned(),
        expires_at: now + SESSION_LIFETIME,
        idempotency_key: "checkout:2:1".to_owned(),
        key_used_at: None,
        stripe_session_id: Some("cs_1".to_owned()),
        stripe_payment_intent_id: None,
        stripe_charge_id: None,
        url: Some("https://checkout.stripe.com/c/pay/cs_1".to_owned()),
        failure_code: None,
        quarantine: None,
        created_at: now,
    }
}

fn payment(session: &PaymentSession) -> ProviderPayment {
    ProviderPayment {
        session_id: "cs_1".to_owned(),
        is_paid: true,
        payment_status: "paid".to_owned(),
        amount_subtotal: Some(session.amount_subtotal),
        amount_total: Some(Cents(2399)),
        currency: Some("eur".to_owned()),
        live_mode: false,
        payment_intent: Some("pi_1".to_owned()),
        charge: Some("ch_1".to_owned()),
        named_posting: Some(session.job_posting_id.to_string()),
        named_session: Some(session.id),
    }
}

/// Fault cases 89 and 90.
#[test]
fn every_difference_contradicts_the_recorded_session() {
    let session = session();
    assert_eq!(payment(&session).contradiction(&session), None);
    let partial = ProviderPayment { named_posting: None, named_session: None, ..payment(&session) };
    assert_eq!(partial.contradiction(&session), None);
    let good = payment(&session);
    let wrong = [
        ProviderPayment { named_posting: Some(Uuid::nil().to_string()), ..good.clone() },
        ProviderPayment { named_session: Some(PaymentSessionId(Uuid::nil())), ..good.clone() },
        ProviderPayment { live_mode: true, ..good.clone() },
        ProviderPayment { currency: Some("usd".to_owned()), ..good.clone() },
        ProviderPayment { currency: None, ..good.clone() },
        ProviderPayment { amount_subtotal: Some(Cents(50)), ..good.clone() },
        ProviderPayment { amount_subtotal: None, ..good.clone() },
        ProviderPayment { amount_total: Some(Cents(1998)), ..good.clone() },
        ProviderPayment { amount_total: None, ..good },
    ];
    for payment in wrong {
        assert!(payment.contradiction(&session).is_some(), "{payment:?}");
    }
}

#[test]
fn a_session_is_handed_out_again_only_while_it_is_worth_it() {
    let open = session();
    let now = open.created_at;
    assert!(open.is_payable(Cents(1999), now));
    assert!(!open.is_payable(Cents(2000), now));
    assert!(!open.is_payable(Cents(1999), now + TimeDelta::minutes(55)));
    assert!(open.is_payable(Cents(1999), now + TimeDelta::minutes(54)));
    let creating = PaymentSession { status: SessionStatus::Creating, ..open };
    assert!(!creating.is_payable(Cents(1999), now));
}

#[test]
fn further_keys_carry_their_number() {
    assert_eq!(numbered_key("refund:pi_1", 1), "refund:pi_1");
    assert_eq!(numbered_key("refund:pi_1", 2), "refund:pi_1:2");
}

#[test]
fn an_unknown_refund_state_is_neither_success_nor_failure() {
    assert_eq!(ProviderRefundState::parse("requires_action"), ProviderRefundState::Pending);
    assert_eq!(ProviderRefundState::parse("canceled").intent_status(), RefundStatus::Failed);
}

fn dispute(status: &str, is_closed: bool, closed_by: Option<&str>) -> DisputeFacts {
    DisputeFacts {
        id: "dp_1".to_owned(),
        charge: "ch_1".to_owned(),
        status: status.to_owned(),
        amount: Cents(100),
        is_closed,
        closed_by: closed_by.map(ToOwned::to_owned),
        looked_at: None,
    }
}

/// What Stripe answers when it is asked at this minute.
fn answer(status: &str, minute: u32) -> DisputeFacts {
    let looked_at = Utc.with_ymd_and_hms(2026, 1, 1, 12, minute, 0).unwrap();
    DisputeFacts { looked_at: Some(looked_at), ..dispute(status, is_end_of_dispute(status), None) }
}

#[test]
fn stripes_word_on_a_dispute_outweighs_an_operators() {
    let open = dispute("needs_response", false, None);
    let (won, lost) = (dispute("won", true, None), dispute("lost", true, None));
    let word = dispute("won", true, Some("ops"));
    assert_eq!(open.clone().after(lost.clone()), lost);
    assert_eq!(lost.clone().after(open.clone()), lost, "told late");
    assert_eq!(lost.clone().after(won.clone()), lost, "two events of which nobody knows the order");
    assert_eq!(open.clone().after(word.clone()), word);
    assert_eq!(word.clone().after(open), word);
    assert_eq!(word.clone().after(lost.clone()), lost);
    assert_eq!(lost.clone().after(word.clone()), lost);
    assert_eq!(word.clone().after(answer("needs_response", 1)), answer("needs_response", 1));
    assert_eq!(answer("lost", 1).after(word.clone()), answer("lost", 1));
    let word = DisputeFacts { looked_at: answer("needs_response", 1).looked_at, ..word };
    assert_eq!(answer("needs_response", 1).after(word.clone()), word);
    assert_eq!(word.clone().after(answer("needs_response", 0)), word, "asked before the operator decided");
    assert_eq!(word.after(lost.clone()), lost);
}

#[test]
fn of_stripes_answers_about_a_dispute_the_later_counts() {
    for (earlier, later) in [
        ("lost", "won"),
        ("won", "lost"),
        ("lost", "under_review"),
        ("warning_needs_response", "needs_response"),
        ("warning_closed", "needs_response"),
    ] {
        assert_eq!(answer(earlier, 1).after(answer(later, 2)), answer(later, 2), "{earlier}, then {later}");
        assert_eq!(answer(later, 2).after(answer(earlier, 1)), answer(later, 2), "{earlier}, entered late");
        let event = dispute(earlier, is_end_of_dispute(earlier), None);
        assert_eq!(event.clone().after(answer(later, 2)), answer(later, 2));
        assert_eq!(answer(later, 2).after(event), answer(later, 2));
    }
}

#[test]
fn a_dispute_takes_what_the_bank_holds() {
    let told = |status| answer(status, 1);
    for (status, taken, lost) in [
        ("needs_response", 100, 0),
        ("under_review", 100, 0),
        ("lost", 100, 100),
        ("won", 0, 0),
        ("warning_needs_response", 0, 0),
        ("warning_closed", 0, 0),
        ("prevented", 0, 0),
    ] {
        assert_eq!((told(status).taken(), told(status).lost()), (Cents(taken), Cents(lost)), "{status}");
    }
    assert!(told("lost").is_lost() && told("won").is_won() && told("warning_closed").is_won());
}
