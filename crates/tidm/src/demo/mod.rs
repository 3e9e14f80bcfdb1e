//! `tidm demo`: five organisations on this machine walk through a data space, each step through public doors.
//!
//! ```text
//!   wind-farm operator ──publishes──►  catalogue  ◄──crawls── maintenance firm
//!       provider  │                   intermediary                │ consumer
//!                 ├── sealed objects ──► infrastructure ──────────┤
//!                 └── facts ──► custodian (witness) ◄── facts ────┘
//! ```
//!
//! Threat model: none of its own. The nodes are ordinary nodes with throw-away keys on loopback. It reaches
//! behind their API and says so in `docs/demo.md`: it signs the member list as the operator would, plays
//! a thief who stole another node's identity key, flips a byte in a copy of a log, and reads the nodes'
//! disks to check what they say.
//!
//! Never a success that did not happen: every step checks what it claims, and the first failure ends the walk.

mod book;
mod client;
mod facts;
mod members;
mod report;
mod steps;
mod teller;
mod trouble;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use tidm_node::lang::Lang;

use self::book::Book;
use self::teller::Teller;
use self::trouble::Trouble;
use self::world::World;

/// Where a node of the demo leaves its one-time token.
pub(crate) const SETUP_TOKEN: &str = "setup-token";

/// What `tidm demo` was asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) scada: PathBuf,
    pub(crate) cad: PathBuf,
    /// Leave the nodes running.
    pub(crate) keep: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) lang: Lang,
}

/// Walks; on a failure says whose it is and what to do next.
pub(crate) async fn run(options: Options) -> ExitCode {
    let mut tell = Teller::new(options.lang);
    let mut world = match World::new(&options) {
        Ok(world) => world,
        Err(trouble) => return lost(&tell, &trouble, None),
    };
    let walked = tokio::select! {
        walked = walk(&mut tell, &mut world, &options) => walked,
        stopped = tokio::signal::ctrl_c() => {
            world.stop().await;
            let why = stopped.err().map_or_else(|| "ctrl-c".to_owned(), |it| it.to_string());
            return lost(&tell, &Trouble::here("stopped", why), Some(&world));
        }
    };
    if options.keep {
        world.keep(&tell);
    } else {
        world.stop().await;
    }
    match walked {
        Ok(()) => {
            if !options.keep {
                world.clean(&tell);
            }
            ExitCode::SUCCESS
        }
        Err(trouble) => lost(&tell, &trouble, Some(&world)),
    }
}

async fn walk(tell: &mut Teller, world: &mut World, options: &Options) -> Result<(), Trouble> {
    let mut book = Book::default();
    steps::setting::walk(tell, world).await?;
    let products = steps::publish::walk(tell, world, &mut book, options).await?;
    steps::discover::walk(tell, world, &products).await?;
    let contracts = steps::agree::walk(tell, world, &mut book, &products).await?;
    steps::query::walk(tell, world, &mut book, &contracts, &products).await?;
    steps::parts::walk(tell, world, &mut book).await?;
    steps::file::walk(tell, world, &mut book, &contracts).await?;
    steps::revoke::walk(tell, world, &mut book, &contracts).await?;
    steps::burn::walk(tell, world, &mut book, &contracts).await?;
    steps::prove::walk(tell, world, &mut book, &contracts).await?;
    report::write(tell, world, &book)
}

fn lost(tell: &Teller, trouble: &Trouble, world: Option<&World>) -> ExitCode {
    tell.say(&format!(
        "\n{}\n  {}",
        tell.lang.pick("演示中止：", "The walk ended here:"),
        trouble.words(tell.lang)
    ));
    if let Some(world) = world {
        tell.say(&format!(
            "    {}: {}",
            tell.lang.pick("各节点的日志", "logs of the nodes"),
            world.dir.display()
        ));
    }
    ExitCode::FAILURE
}
