//! Binding the users of the original to their accounts at Authentik: an operator's act, before the switch.
//!
//! The directory comes from the caller. A user is bound only when exactly one account has the address, that account is
//! usable and has the same user name, was not made after the user (whose own account may have been deleted, and the
//! address taken by somebody else), and account and address belong to nobody else here.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{ProviderIdentity, User, identity, queries};
use crate::{Violation, audit::AuditActor, ids::UserId};

/// The original made the account first and the user right after it; clocks may differ, and a user's first try fail.
const TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// An account at Authentik, whatever its state: one that cannot be bound still makes its address ambiguous.
#[derive(Clone, Debug)]
pub struct DirectoryEntry {
    pub uid: String,
    /// Grows from one account to the next.
    pub number: i64,
    /// Where Authentik says so.
    pub created_at: Option<DateTime<Utc>>,
    pub username: String,
    pub email: String,
    /// Active, and a person's own: only such an account is bound.
    pub is_usable: bool,
}

/// What became of each user that was bound to nobody.
#[derive(Clone, Debug, Default)]
pub struct BindOutcome {
    /// Users that were bound before and stay so.
    pub already_bound: i64,
    /// Bound now, or to be bound when it was a dry run.
    pub bound: Vec<UserId>,
    /// Several accounts or users have the address, or the account is not usable or differently named: left as they are.
    pub ambiguous: Vec<UserId>,
    /// The only account with the address was made after the user: left as they are.
    pub younger: Vec<UserId>,
    /// No account has the address.
    pub missing: Vec<UserId>,
}

pub async fn bind_identities(
    pool: &PgPool,
    directory: &[DirectoryEntry],
    dry_run: bool,
) -> Result<BindOutcome, sqlx::Error> {
    let mut accounts: HashMap<String, Vec<&DirectoryEntry>> = HashMap::new();
    for entry in directory.iter().filter(|entry| !entry.email.is_empty()) {
        accounts.entry(entry.email.to_lowercase()).or_default().push(entry);
    }
    let mut connection = pool.acquire().await?;
    let already_bound = queries::count_bound_users(&mut connection).await?;
    let unbound = queries::list_unbound_users(&mut connection).await?;
    drop(connection);
    let mut outcome = BindOutcome { already_bound, ..BindOutcome::default() };
    let only_account = |user: &User| match accounts.get(&user.email.to_lowercase()).map(Vec::as_slice) {
        // E-mails are not proven at Authentik: the user name has to agree, so that enrolling with somebody's address is
        // not enough.
        Some([entry]) if entry.is_usable && entry.username.to_lowercase() == user.username.to_lowercase() => {
            Some(*entry)
        }
        _ => None,
    };
    let pairs: Vec<(&User, &DirectoryEntry)> =
        unbound.iter().filter_map(|user| Some((user, only_account(user)?))).collect();
    let outliers = numbered_too_late(&pairs);
    for user in &unbound {
        let list = match only_account(user) {
            None if accounts.contains_key(&user.email.to_lowercase()) => &mut outcome.ambiguous,
            None => &mut outcome.missing,
            Some(entry) if is_younger(user, entry, &outliers) => &mut outcome.younger,
            Some(entry) if bind_one(pool, user.id, &user.email, &entry.uid, dry_run).await? => &mut outcome.bound,
            Some(_) => &mut outcome.ambiguous,
        };
        list.push(user.id);
    }
    Ok(outcome)
}

/// Whether the account was made after the user. Where Authentik does not say when it was made, its number tells.
fn is_younger(user: &User, entry: &DirectoryEntry, outliers: &HashSet<UserId>) -> bool {
    match entry.created_at {
        Some(created_at) => created_at > user.created_at.to_utc() + TOLERANCE,
        None => outliers.contains(&user.id),
    }
}

/// The users, of those given oldest first, whose account has a higher number than that of somebody who came later,
/// although nearly everybody's numbers grow in the order the users came in. One pair out of order says little about
/// either: who is out of order is who must be left out for as many as possible to be in order. Where either of two may
/// be, it is the one with the higher number.
fn numbered_too_late(pairs: &[(&User, &DirectoryEntry)]) -> HashSet<UserId> {
    let numbers: Vec<i64> = pairs.iter().map(|(_, account)| account.number).collect();
    let in_order = growing(&numbers);
    // The lowest number of somebody who came at least as late and may be in order.
    let mut lowest_since = vec![i64::MAX; numbers.len() + 1];
    for place in (0..numbers.len()).rev() {
        let own = if in_order[place] == Order::Against { i64::MAX } else { numbers[place] };
        lowest_since[place] = lowest_since[place + 1].min(own);
    }
    let is_too_late = |place: usize| {
        let latest = pairs[place].0.created_at.to_utc() + TOLERANCE;
        let later = pairs.partition_point(|(other, _)| other.created_at.to_utc() <= latest);
        in_order[place] != Order::Certain && lowest_since[later] < numbers[place]
    };
    (0..pairs.len()).filter(|place| is_too_late(*place)).map(|place| pairs[place].0.id).collect()
}

/// How a number stands to the longest growing subsequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// It is in all of them.
    Certain,
    /// In some.
    Possible,
    /// In none.
    Against,
}

fn growing(numbers: &[i64]) -> Vec<Order> {
    let before = lengths(numbers.iter().copied());
    // Seen from the end, with the signs turned, the same numbers grow.
    let mut after = lengths(numbers.iter().rev().map(|number| -number));
    after.reverse();
    let longest = before.iter().copied().max().unwrap_or_default();
    let is_possible = |place: usize| before[place] + after[place] == longest + 1;
    // Each of the longest has one number at each height.
    let mut at_height = vec![0_usize; longest + 1];
    for place in (0..numbers.len()).filter(|place| is_possible(*place)) {
        at_height[before[place]] += 1;
    }
    let order = |place: usize| match (is_possible(place), at_height[before[place]]) {
        (false, _) => Order::Against,
        (true, 1) => Order::Certain,
        (true, _) => Order::Possible,
    };
    (0..numbers.len()).map(order).collect()
}

/// How many numbers the longest growing subsequence has that ends with each.
fn lengths(numbers: impl Iterator<Item = i64>) -> Vec<usize> {
    // The lowest end of a subsequence of each length so far.
    let mut ends: Vec<i64> = Vec::new();
    let length = |number| {
        let shorter = ends.partition_point(|end| *end < number);
        match ends.get_mut(shorter) {
            Some(end) => *end = number,
            None => ends.push(number),
        }
        shorter + 1
    };
    numbers.map(length).collect()
}

/// `false` when the address or the account is not this user's alone.
async fn bind_one(pool: &PgPool, id: UserId, email: &str, uid: &str, dry_run: bool) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    queries::lock_text(&mut transaction, email).await?;
    let alone = queries::list_users_by_email(&mut transaction, email).await?.len() == 1;
    let free = queries::find_user_by_authentik_uid(&mut transaction, uid).await?.is_none();
    if !alone || !free || queries::has_identity(&mut transaction, id).await? {
        return Ok(false);
    }
    if dry_run {
        return Ok(true);
    }
    let account = ProviderIdentity { uid, email: Some(email), username: None, client_address: None };
    match identity::bind(&mut transaction, id, account, "operator", AuditActor::Operator).await {
        Err(error) if matches!(Violation::of(&error), Some(Violation::Unique { .. })) => return Ok(false),
        result => result?,
    }
    transaction.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Order::*, *};

    #[test]
    fn who_is_out_of_order_is_who_the_others_can_do_without() {
        assert_eq!(growing(&[]), []);
        assert_eq!(growing(&[1, 2, 3]), [Certain; 3]);
        // One account that was made anew, or one that is older than its user.
        assert_eq!(growing(&[9, 2, 3, 4]), [Against, Certain, Certain, Certain]);
        assert_eq!(growing(&[2, 3, 4, 1]), [Certain, Certain, Certain, Against]);
        // Either of two.
        assert_eq!(growing(&[1, 3, 2, 4]), [Certain, Possible, Possible, Certain]);
    }
}
