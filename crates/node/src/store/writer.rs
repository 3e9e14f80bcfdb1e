//! The one way to change the store: units of work, decided by the engine, committed in groups.
//!
//! Never decides, and never answers before the commit is durable. On SQLite one writer takes what waits
//! and commits it together (each decided alone, in order, seeing what the earlier ones changed); on
//! PostgreSQL several writers commit alone and retry on conflict, so that replicas are safe.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::{AnyConnection, Executor as _};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use tidm_space::engine::commit::{Commit, Decision, Reply, Send as Sending, Timer};
use tidm_space::engine::input::Input;
use tidm_space::engine::node::{Groups, Node, Signer};
use tidm_space::engine::view::View;
use tidm_space::engine::{decide, needs, needs_more};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::charge::Refunds;
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::DataService;

use super::{Store, StoreError, load, save};
use crate::clock::{Clock, FreshIds};

/// Units of work that wait; more and the caller waits, which slows peers down rather than memory up.
const QUEUE: usize = 4096;
/// Tries of one unit of work against other replicas.
const TRIES: u32 = 12;

/// Who the engine decides for.
pub struct Self_ {
    pub me: Did,
    pub address: String,
    pub signer: Arc<dyn Signer + Send + Sync>,
    pub groups: Arc<dyn Groups + Send + Sync>,
    pub demands_signatures: bool,
    /// Whether we have demands on evidence.
    pub attests: bool,
    /// Whether metered time comes back that a key was out for.
    pub refunds: Refunds,
    /// How our catalogue names our DSP endpoint.
    pub service: DataService,
}

/// A token that was presented with a message: usable once.
#[derive(Clone, Debug)]
pub struct Token {
    pub issuer: Did,
    pub jti: Id,
    pub until: Time,
}

/// What became durable and now wants to be done at once.
#[derive(Debug, Default)]
pub struct After {
    pub sends: Vec<Sending>,
    pub timers: Vec<Timer>,
    pub facts: bool,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Nothing was changed; the caller may try again.
    #[error("the store failed: {0}")]
    Store(String),
    #[error("the node is stopping")]
    Stopping,
}

type Statement = Arc<
    dyn for<'c> Fn(&'c mut AnyConnection) -> BoxFuture<'c, Result<(), StoreError>> + Send + Sync,
>;

enum Task {
    /// Decide and save.
    Decide { input: Box<Input>, token: Option<Token> },
    /// Remember a token: it came with a request that changes nothing else.
    Remember(Token),
    /// Rows that no decision depends on (jobs' own notes, accounts, caches).
    Note(Statement),
}

struct Unit {
    task: Task,
    done: oneshot::Sender<Result<Reply, WorkError>>,
}

/// A handle to the writers; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Unit>,
    store: Store,
    myself: Arc<Self_>,
    clock: Clock,
}

struct Shared {
    store: Store,
    myself: Arc<Self_>,
    clock: Clock,
    after: mpsc::UnboundedSender<After>,
}

impl Writer {
    /// Starts the writers in `tasks`; what becomes durable is announced on `after`.
    pub async fn start(
        store: &Store,
        myself: Arc<Self_>,
        clock: Clock,
        after: mpsc::UnboundedSender<After>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, StoreError> {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let inbox = Arc::new(Mutex::new(inbox));
        let writer =
            Self { queue, store: store.clone(), myself: myself.clone(), clock: clock.clone() };
        let shared = Arc::new(Shared { store: store.clone(), myself, clock, after });
        for _ in 0..store.dialect().writers() {
            let conn = store.connect().await?;
            tasks.spawn(write(shared.clone(), inbox.clone(), conn));
        }
        Ok(writer)
    }

    /// Loads, decides, saves; answers when it is durable.
    pub async fn run(&self, input: Input) -> Result<Reply, WorkError> {
        self.send(Task::Decide { input: Box::new(input), token: None }).await
    }

    /// What [`Writer::run`] would decide at this moment, over the same rows. Nothing is saved, sent or counted.
    pub async fn weigh(&self, input: Input) -> Result<Decision, WorkError> {
        self.weigh_if(input, |_| ()).await
    }

    /// The same, if the rows were as `supposed` makes them.
    pub async fn weigh_if(
        &self,
        input: Input,
        supposed: impl FnOnce(&mut View) + Send,
    ) -> Result<Decision, WorkError> {
        let failed = |why: StoreError| WorkError::Store(why.to_string());
        let mut conn = self.store.pool().acquire().await.map_err(|why| failed(why.into()))?;
        let now = self.clock.now();
        decided(&self.myself, &mut conn, &input, now, supposed).await.map_err(failed)
    }

    /// The same for a message of a peer: its token is used up in the same transaction.
    pub async fn run_once(
        &self,
        input: Input,
        token: impl Into<Option<Token>>,
    ) -> Result<Reply, WorkError> {
        self.send(Task::Decide { input: Box::new(input), token: token.into() }).await
    }

    /// What proves nothing once has no token to use up.
    pub async fn remember(&self, token: impl Into<Option<Token>>) -> Result<(), WorkError> {
        match token.into() {
            Some(token) => self.send(Task::Remember(token)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Rows of the node's own, in the same group commit.
    pub async fn note<F>(&self, statement: F) -> Result<(), WorkError>
    where
        F: for<'c> Fn(&'c mut AnyConnection) -> BoxFuture<'c, Result<(), StoreError>>
            + Send
            + Sync
            + 'static,
    {
        self.send(Task::Note(Arc::new(statement))).await.map(drop)
    }

    async fn send(&self, task: Task) -> Result<Reply, WorkError> {
        let (done, answer) = oneshot::channel();
        self.queue.send(Unit { task, done }).await.map_err(|_| WorkError::Stopping)?;
        answer.await.map_err(|_| WorkError::Stopping)?
    }
}

async fn write(
    shared: Arc<Shared>,
    inbox: Arc<Mutex<mpsc::Receiver<Unit>>>,
    mut conn: AnyConnection,
) {
    loop {
        let mut units = Vec::new();
        {
            let mut inbox = inbox.lock().await;
            if inbox.recv_many(&mut units, shared.store.dialect().batch()).await == 0 {
                return;
            }
        }
        if units.len() > 1 {
            match together(&shared, &mut conn, &units).await {
                Ok(outcomes) => {
                    answer(&shared, units, outcomes);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, units = units.len(), "a group commit failed; trying one by one");
                }
            }
        }
        for unit in units {
            let outcome = alone(&shared, &mut conn, &unit).await;
            answer(&shared, vec![unit], vec![outcome]);
        }
    }
}

type Outcome = Result<(Reply, After), WorkError>;

fn answer(shared: &Shared, units: Vec<Unit>, outcomes: Vec<Outcome>) {
    for (unit, outcome) in units.into_iter().zip(outcomes) {
        let reply = outcome.map(|(reply, after)| {
            if !after.sends.is_empty() || !after.timers.is_empty() || after.facts {
                // Nobody listens while the node stops; the rows are durable and found at the next start.
                drop(shared.after.send(after));
            }
            reply
        });
        // The caller may have gone; what was decided stands all the same.
        drop(unit.done.send(reply));
    }
}

/// Several units in one transaction; any failure of the database undoes them all.
async fn together(
    shared: &Shared,
    conn: &mut AnyConnection,
    units: &[Unit],
) -> Result<Vec<Outcome>, StoreError> {
    let _turn = shared.store.turn().await;
    conn.execute(shared.store.dialect().begin()).await?;
    let mut outcomes = Vec::with_capacity(units.len());
    for unit in units {
        match one(shared, conn, &unit.task).await {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                roll_back(conn).await;
                return Err(error);
            }
        }
    }
    if let Err(error) = conn.execute("COMMIT").await {
        roll_back(conn).await;
        return Err(error.into());
    }
    Ok(outcomes)
}

/// One unit in its own transaction, again where another replica came first.
async fn alone(shared: &Shared, conn: &mut AnyConnection, unit: &Unit) -> Outcome {
    let mut tries = 0;
    loop {
        let unit = std::slice::from_ref(unit);
        let done = if tries == 0 {
            together(shared, conn, unit).await
        } else {
            in_turn(shared, conn, unit).await
        };
        match done {
            Ok(mut outcomes) => return outcomes.pop().unwrap_or(Err(WorkError::Stopping)),
            Err(StoreError::Database(error))
                if tries < TRIES && shared.store.dialect().is_conflict(&error) =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(u64::from(tries))).await;
            }
            Err(error) => {
                if let Ok(fresh) = shared.store.connect().await {
                    *conn = fresh;
                }
                return Err(WorkError::Store(error.to_string()));
            }
        }
    }
}

/// After a conflict: behind the others who had one.
async fn in_turn(
    shared: &Shared,
    conn: &mut AnyConnection,
    unit: &[Unit],
) -> Result<Vec<Outcome>, StoreError> {
    let dialect = shared.store.dialect();
    dialect.queue_up(conn).await?;
    let done = together(shared, conn, unit).await;
    dialect.step_aside(conn).await?;
    done
}

async fn roll_back(conn: &mut AnyConnection) {
    if let Err(error) = conn.execute("ROLLBACK").await {
        tracing::debug!(%error, "rollback after a failure");
    }
}

async fn one(
    shared: &Shared,
    conn: &mut AnyConnection,
    task: &Task,
) -> Result<Outcome, StoreError> {
    let now = shared.clock.now();
    match task {
        Task::Decide { input, token } => {
            if let Some(token) = token
                && !use_up(conn, token).await?
            {
                return Ok(Err(replayed()));
            }
            let decided = decided(&shared.myself, conn, input, now, |_| ());
            let Decision { commit, reply } = decided.await?;
            save::save(conn, &commit, now, &shared.myself.service).await?;
            Ok(reply.map(|reply| (reply, after(commit, now))).map_err(WorkError::from))
        }
        Task::Remember(token) => Ok(if use_up(conn, token).await? {
            Ok((Reply::Nothing, After::default()))
        } else {
            Err(replayed())
        }),
        Task::Note(statement) => {
            statement(conn).await?;
            Ok(Ok((Reply::Nothing, After::default())))
        }
    }
}

/// Loads and decides; what is to be saved supposes nothing.
async fn decided(
    myself: &Self_,
    conn: &mut AnyConnection,
    input: &Input,
    now: Time,
    supposed: impl FnOnce(&mut View),
) -> Result<Decision, StoreError> {
    let mut view = load::load(conn, &needs(input)).await?;
    let node = Node {
        me: &myself.me,
        address: &myself.address,
        signer: myself.signer.as_ref(),
        groups: myself.groups.as_ref(),
        demands_signatures: myself.demands_signatures,
        attests: myself.attests,
        refunds: myself.refunds,
    };
    let more = needs_more(&node, &view, input);
    if !more.is_empty() {
        load::load_more(conn, &more, &mut view, now).await?;
    }
    supposed(&mut view);
    Ok(decide(&node, &view, input.clone(), now, &mut FreshIds))
}

fn replayed() -> WorkError {
    Fault::misbehaved(
        "token.replayed",
        "this token was used before; make a fresh one for every request",
    )
    .into()
}

fn after(commit: Commit, now: Time) -> After {
    After {
        sends: commit.sends.into_iter().filter(|it| it.next <= now).collect(),
        timers: commit.timers.into_iter().filter(|it| it.at <= now).collect(),
        facts: !commit.facts.is_empty(),
    }
}

/// `false`: this token was used before.
async fn use_up(conn: &mut AnyConnection, token: &Token) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO tokens (issuer, jti, until) VALUES ($1,$2,$3) ON CONFLICT (issuer, jti) DO NOTHING")
        .bind(token.issuer.as_str().to_owned())
        .bind(token.jti.as_str().to_owned())
        .bind(token.until.ms())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
