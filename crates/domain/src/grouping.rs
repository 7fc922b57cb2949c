//! Rows put together in memory: what belongs to many rows is loaded in one statement and found by its key afterwards.

use std::{collections::HashMap, hash::Hash};

use uuid::Uuid;

/// The rows of each key, in their order.
pub(crate) fn grouped<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// Each id once.
pub(crate) fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_their_order_and_ids_come_once() {
        let groups = grouped(vec![(1, "a"), (2, "b"), (1, "c")], |row| row.0);
        assert_eq!((&groups[&1], &groups[&2]), (&vec![(1, "a"), (1, "c")], &vec![(2, "b")]));
        let ids = [Uuid::max(), Uuid::nil(), Uuid::max()];
        assert_eq!(distinct(ids.into_iter()), [Uuid::nil(), Uuid::max()]);
    }
}
