//! What a party of a job of many is told on its stdin: one JSON object.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidm_mpc::fault::Fault;
use tidm_mpc::limits::MAX_PARTIES;
use tidm_mpc::many::{self, MemberKey, PublicKey, Terms};
use tidm_mpc::random::Seed;
use tidm_mpc::session::SessionId;
use zeroize::Zeroize as _;

use super::super::connect::Way;
use super::super::failure::Failure;
use super::super::limits::{BASE_BYTES, MANY_BYTES_PER_ITEM, MAX_MANY_ITEMS};
use super::super::order::{List, Results, hex, unhex};
use crate::keys::{Mapping, Rule};

/// One party's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub side: Side,
    /// 64 hexadecimal digits that all parties have from whoever arranged the job; never used again.
    pub job: String,
    /// Upper bound, as all others are.
    pub leader_items: u64,
    /// In the order that gives each its number.
    pub members: Vec<Member>,
    pub rule: Rule,
    pub mapping: Mapping,
    pub source: List,
    pub memory: u64,
    /// As in [`crate::job::order::Order`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jail: Vec<tidm_jail::Layer>,
    /// Seconds without a byte of a peer after which a connection is lost.
    pub silence: f64,
    /// Seconds for which a peer that is not there yet is called or waited for.
    pub patience: f64,
}

/// Who this party is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Leader {
        #[serde(default)]
        results: Results,
        /// One for each member.
        connect: Vec<Way>,
    },
    Member {
        number: usize,
        seed: KeySeed,
        connect: Way,
    },
}

/// A member as all parties know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// 64 hexadecimal digits. Whose it is was verified by whoever gives the order.
    pub key: String,
    pub items: u64,
}

/// What a member's secret key is made from; hidden, and erased when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeySeed([u8; 32]);

impl KeySeed {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Another one for each secret and each thing it is about, and the same again.
    pub fn of(secret: &[u8; 32], about: &[u8; 32]) -> Self {
        Self(tidm_mpc::hash::derive("tidm compute 1 member seed", &[secret, about]))
    }

    pub(super) fn key(&self) -> MemberKey {
        MemberKey::from_seed(&Seed::new(self.0))
    }

    /// The public key of a member with this seed.
    pub fn public_key(&self) -> [u8; 32] {
        self.key().public().0
    }

    /// As an order names it.
    pub fn public(&self) -> String {
        hex(&self.public_key())
    }
}

impl fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeed(hidden)")
    }
}

impl Drop for KeySeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl TryFrom<String> for KeySeed {
    type Error = &'static str;

    fn try_from(mut text: String) -> Result<Self, Self::Error> {
        let seed = bytes32(&text).map(Self).ok_or("a seed is 64 hexadecimal digits");
        text.zeroize();
        seed
    }
}

impl From<KeySeed> for String {
    fn from(it: KeySeed) -> Self {
        hex(&it.0)
    }
}

fn bytes32(text: &str) -> Option<[u8; 32]> {
    unhex(text)?.try_into().ok()
}

/// Memory of a party whose largest function has so many items: the larger of both sets.
pub fn memory(items: u64) -> u64 {
    items.saturating_mul(MANY_BYTES_PER_ITEM).saturating_add(BASE_BYTES)
}

impl Order {
    /// From JSON, with everything checked that can be checked before a file is opened.
    pub fn of_json(json: &str) -> Result<Self, Failure> {
        let order: Self =
            serde_json::from_str(json).map_err(|why| Failure::Order(why.to_string()))?;
        order.check()?;
        Ok(order)
    }

    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::Order(what));
        self.rule.check()?;
        self.id()?;
        let terms = self.terms()?;
        if !(2..MAX_PARTIES).contains(&self.members.len()) {
            return wrong(format!("members are 2 to {}", MAX_PARTIES - 1));
        }
        for seconds in [self.silence, self.patience] {
            if !(seconds > 0.0 && seconds < 1e7) {
                return wrong("silence and patience are seconds above 0".to_owned());
            }
        }
        for count in self.members.iter().map(|it| it.items).chain([self.leader_items]) {
            if count > MAX_MANY_ITEMS {
                let what = "items of one party among many";
                return Err(Fault::TooMany { what, count, most: MAX_MANY_ITEMS }.into());
            }
        }
        match &self.side {
            Side::Leader { results, connect } => {
                if connect.len() != self.members.len() {
                    return wrong("a leader has one connection for each member".to_owned());
                }
                if results.labels.is_some() {
                    return wrong("members give nothing with a row".to_owned());
                }
            }
            Side::Member { number, seed, .. } => {
                let key = terms.members.get(*number).map(|it| it.key);
                if key != Some(seed.key().public()) {
                    return wrong("the seed is not that of the member of this number".to_owned());
                }
            }
        }
        let needs = memory(self.largest_run());
        if needs > self.memory {
            let has = self.memory;
            return wrong(format!("these sizes take {needs} bytes of memory, and {has} are given"));
        }
        Ok(())
    }

    /// Items of the largest function that this party works out, its own included.
    fn largest_run(&self) -> u64 {
        let members = self.members.iter().map(|it| it.items);
        match &self.side {
            Side::Leader { .. } => members.fold(self.leader_items, u64::max),
            Side::Member { .. } => self.leader_items.max(self.own_items()),
        }
    }

    pub(super) fn id(&self) -> Result<SessionId, Failure> {
        let wrong = || Failure::Order("job is 64 hexadecimal digits".to_owned());
        bytes32(&self.job).map(SessionId).ok_or_else(wrong)
    }

    pub(super) fn terms(&self) -> Result<Terms, Failure> {
        let member = |it: &Member| {
            let key = bytes32(&it.key).map(PublicKey);
            let key = key.ok_or_else(|| Failure::Order("a key is 64 hexadecimal digits".into()));
            Ok(many::Member { key: key?, items: it.items })
        };
        let members: Result<Vec<_>, Failure> = self.members.iter().map(member).collect();
        Ok(Terms { leader_items: self.leader_items, members: members? })
    }

    /// Most items of this party.
    pub(super) fn own_items(&self) -> u64 {
        match &self.side {
            Side::Leader { .. } => self.leader_items,
            Side::Member { number, .. } => self.members.get(*number).map_or(0, |it| it.items),
        }
    }

    pub(super) fn silence(&self) -> Duration {
        Duration::from_secs_f64(self.silence)
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let seed = "0b".repeat(32);
        let key = |byte: u8| KeySeed::new([byte; 32]).public();
        let mut order = serde_json::json!({
            "side": { "member": { "number": 1, "seed": seed, "connect": { "listen": "unix:s" } } },
            "job": "0a".repeat(32),
            "leader_items": 100,
            "members": [{ "key": key(1), "items": 5 }, { "key": key(0x0b), "items": 6 }],
            "rule": { "parts": [{ "role": "id", "form": "text" }], "equals": "first" },
            "mapping": { "id": "number" },
            "source": { "path": "a.csv", "format": "csv" },
            "memory": 512 << 20, "silence": 20, "patience": 60,
        });
        change(&mut order);
        order.to_string()
    }

    #[test]
    fn orders_are_read_with_their_bounds_and_refused_beyond() {
        let order = Order::of_json(&json(|_| {})).unwrap();
        assert_eq!(order.own_items(), 6);
        assert!(!format!("{order:?}").contains("0b0b"), "{order:?}");
        let again = serde_json::to_string(&order).unwrap();
        assert_eq!(Order::of_json(&again).unwrap().members, order.members);
        let leader = |ways: usize| {
            let ways = vec![serde_json::json!({ "dial": "unix:s" }); ways];
            serde_json::json!({ "leader": { "connect": ways } })
        };
        assert!(Order::of_json(&json(|it| it["side"] = leader(2))).is_ok());
        let wrong: [(&str, serde_json::Value, &str); 9] = [
            ("job", "0a".into(), "job.order"),
            ("side", leader(1), "job.order"),
            ("memory", 1000.into(), "job.order"),
            ("silence", 0.into(), "job.order"),
            ("unknown", 1.into(), "job.order"),
            ("members", serde_json::json!([]), "job.order"),
            ("members", serde_json::json!([{ "key": "é".repeat(32), "items": 1 }]), "job.order"),
            ("leader_items", (MAX_MANY_ITEMS + 1).into(), "mpc.too-many"),
            ("leader_items", u64::MAX.into(), "mpc.too-many"),
        ];
        for (name, value, code) in wrong {
            let refused = Order::of_json(&json(|it| it[name] = value.clone()));
            assert_eq!(refused.unwrap_err().code(), code, "{name} {value}");
        }
        // The key of another member, or of none.
        for number in [0, 2, u64::MAX] {
            let refused =
                Order::of_json(&json(|it| it["side"]["member"]["number"] = number.into()));
            assert_eq!(refused.unwrap_err().code(), "job.order", "{number}");
        }
    }
}
