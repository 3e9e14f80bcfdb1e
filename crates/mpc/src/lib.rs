//! Privacy computing: what two organisations, in [`many`] more, can work out together without showing each other their rows.
//!
//! **Architecture invariant:** nothing here opens a socket or a file, reads a clock, spawns a thread or draws randomness.
//! Parties talk over a [`channel::Channel`] that the caller passes in; every random choice comes from a seed that the
//! caller passes in. A party is a plain blocking function; who runs it, where and for how long is decided above.
//!
//! **Architecture invariant:** every length a peer claims is compared with what the agreed sizes allow *before* memory is
//! taken for it, and no byte of a peer makes a party panic.
//!
//! **Architecture invariant:** lengths and numbers of messages depend on the agreed sizes only, never on the items (but for
//! the proofs of matches that both parties are to learn).
//!
//! How to read it, each module on top of the ones before:
//!
//! | module | what | from |
//! |---|---|---|
//! | [`fault`], [`step`], [`limits`] | whose fault, names of the steps, every bound | |
//! | [`channel`], [`session`] | framed messages; one run bound to one identifier, with a meter and a way to stop it | |
//! | [`kernel`], [`field`] | GF(2^128) and the hot loops; the only place with `unsafe` | |
//! | [`hash`], [`random`] | domain strings, fixed-key AES, streams from seeds | GKWY20 |
//! | [`curve`] | groups: Curve25519 eight points at a time, ristretto255, SM2; hashing to them | RFC 7748, 9380, 9496 |
//! | [`base_ot`] | 256 oblivious transfers on ristretto255 | Masny, Rindal 2019 |
//! | [`extension`] | a few thousand more from symmetric primitives | IKNP03, Roy 2022 |
//! | [`tree`] | puncturable pseudo-random functions | GGM; BCGI18 |
//! | [`code`] | the expand-convolute code | RRT23 |
//! | [`vole`] | long vectors `c = a·Δ + b` from little traffic | BCGI18, WYKW21 |
//! | [`bits`] | transfers in bulk, shared bits, gates, products with shared bits | RRT23, GMW87 |
//! | [`okvs`] | two oblivious key-value stores | RR22; RB-OKVS (BPSY23) |
//! | [`psi`] | the intersection of two sets, its size, and labels of what is common | RR22, JL10 |
//! | [`opprf`] | a pseudo-random function that gives chosen values at chosen points | KMPRT17, RS21 |
//! | [`circuit`] | an intersection whose result stays in shares; its size, sums over it | PSTY19, RS21 |
//! | [`many`] | the intersection of more than two sets | KMPRT17 |
//! | [`unbalanced`] | a small set against a large one that was worked out before | JL10, JKK14 |
//! | [`partition`] | sets larger than memory, in parts that tell nothing | |
//!
//! Both sides of an intersection, here in one process:
//!
//! ```
//! use tidm_mpc::channel::memory::pair;
//! use tidm_mpc::psi::{Item, Learns, Receiver, Security, Sender, Set, Terms};
//! use tidm_mpc::random::Seed;
//! use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
//!
//! # fn main() -> Result<(), tidm_mpc::fault::Fault> {
//! let context = Item::context(b"contract 7, column id, trimmed, lower case");
//! let set = |keys: &[&str]| {
//!     Set::new(&keys.iter().map(|key| Item::of(&context, key.as_bytes())).collect::<Vec<_>>())
//! };
//! let (ours, theirs) = (set(&["ann", "bob", "eve"])?, set(&["eve", "bob", "joe", "sue"])?);
//! let (security, learns) = (Security::Malicious, Learns::Receiver);
//! let terms = Terms { security, learns, receiver_items: 3, sender_items: 4, parts: 1 };
//! let id = SessionId([7; 32]);
//! let (mut left, mut right) = pair();
//! let peer = std::thread::spawn(move || {
//!     // A real seed is drawn anew for each session.
//!     let (party, seed) = (Party::Sender, Seed::new([2; 32]));
//!     let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
//!     Sender::once(setting, &terms, &theirs)
//! });
//! let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
//! let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
//! assert_eq!(Receiver::once(setting, &terms, &ours)?, [1, 2]);
//! # peer.join().map_err(|_| tidm_mpc::fault::Fault::Cancelled)??;
//! # Ok(())
//! # }
//! ```
//!
//! Each functionality has an `ideal` twin, a function of a trusted dealer, against which tests compare the protocol: `base_ot`
//! (`extension` gives the same), `vole`, `bits`, `opprf`, `psi` (`partition` and `unbalanced` give the same), `circuit`, `many`.
//! Protocol, parameters and what leaks: `docs/psi.md`.

pub mod base_ot;
pub mod bits;
pub mod channel;
pub mod circuit;
pub mod code;
pub mod curve;
pub mod extension;
pub mod fault;
pub mod field;
pub mod hash;
pub mod kernel;
pub mod limits;
pub mod many;
pub mod okvs;
pub mod opprf;
pub mod partition;
pub mod psi;
pub mod random;
pub mod session;
pub mod step;
pub mod tree;
pub mod unbalanced;
pub mod vole;
