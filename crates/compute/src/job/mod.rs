//! A job of private set intersection as a process: parts on disk, a journal, workers, connections that notice a dead peer.
//!
//! ```text
//!   order ──► greet the peer ──► read the list, cut it into parts ──► run parts ──► write the result ──► report
//!             (once per job:      (in memory, or in sealed files)      (here, or in      (from the journal)
//!              nonces, parts)                                           K workers)
//! ```
//!
//! A party that was killed is started again with the same order: it reads its list again (which must be the same), cuts it
//! as before, and runs what *both* have not kept. `docs/psi/jobs.md` has the design and what an attacker sees.
//!
//! | module | what |
//! |---|---|
//! | [`order`], [`failure`], [`progress`] | what goes in and what comes out |
//! | [`link`], [`connect`], `call` | connections with a heartbeat, and where they come from |
//! | `jail` | what a process gives up before it hears the peer |
//! | [`journal`], [`kept`] | what a party remembers |
//! | [`what`], [`more`] | what is worked out, and its way through the parts |
//! | [`room`], [`store`], [`work`] | parts, how much of one is held, and one process's way through them |
//! | [`visit`], [`party`], [`workers`] | one connection, one party, its processes |
//! | [`main`], [`local`] | the program; both parties on one machine |
//! | [`many`] | more than two parties |
//!
//! Never on a disk: an item, a key of a list, the key of the parts. Never on a command line or in the environment: any secret.

mod call;
pub mod connect;
mod entries;
pub mod failure;
pub(crate) mod jail;
pub mod journal;
pub mod kept;
pub mod limits;
pub mod link;
pub mod local;
pub mod main;
pub mod many;
pub mod more;
pub mod order;
pub mod party;
pub mod progress;
pub mod room;
pub mod store;
pub mod visit;
pub mod what;
pub mod work;
pub mod workers;

pub use main::worker_main;
pub use workers::Host;
