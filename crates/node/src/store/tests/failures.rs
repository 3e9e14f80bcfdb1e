//! Databases that fail, processes that die: either all of a unit of work is there or nothing.

use std::time::Duration;

use futures::FutureExt as _;
use sqlx::{AnyConnection, Executor as _};

use tidm_space::engine::commit::Commit;
use tidm_space::time::Time;

use super::world::{Node, ask, at, contract, did, each, id, number, product, request, service};
use crate::store::save;
use crate::store::writer::{Token, WorkError};

/// One unit of a group fails: the others stand, each decided in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_unit_takes_no_other_with_it() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let it = contract("urn:agreement:1", &consumer, 100);
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let asked = futures::future::join_all(
            (0..40).map(|nonce| node.ask(&consumer, request(&it.id, nonce))),
        );
        let broken = node.writer.note(|conn: &mut AnyConnection| {
            async move {
                conn.execute("INSERT INTO settings (name, value) VALUES ('broken', '1')").await?;
                conn.execute("INSERT INTO no_such_table (name) VALUES (1)").await?;
                Ok(())
            }
            .boxed()
        });
        let (answers, broken) = tokio::join!(asked, broken);
        assert!(matches!(broken, Err(WorkError::Store(_))), "{broken:?}");
        for answer in answers {
            answer.unwrap();
        }
        assert_eq!(node.store.spent(&it.id).await.unwrap().uses, 40);
        assert_eq!(number(&node.store, "SELECT COUNT(*) FROM settings").await, 0);
    })
    .await;
}

/// The database cannot take the fact: no lease, no debit, the token is still good; later it works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_database_changes_nothing() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let it = contract("urn:agreement:1", &consumer, 100);
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let rename = async |sql: &'static str| {
            node.store.connect().await.unwrap().execute(sql).await.unwrap();
        };
        let token = Token {
            issuer: consumer.clone(),
            jti: id("urn:token:1"),
            until: Time::from_ms(i64::MAX),
        };
        rename("ALTER TABLE facts RENAME TO facts_gone").await;
        for _ in 0..3 {
            let once = ask(&consumer, request(&it.id, 1));
            let failed = node.writer.run_once(once, token.clone()).await;
            assert!(matches!(failed, Err(WorkError::Store(_))), "{failed:?}");
        }
        for sql in ["SELECT COUNT(*) FROM leases", "SELECT COUNT(*) FROM tokens"] {
            assert_eq!(number(&node.store, sql).await, 0, "{sql}");
        }
        assert_eq!(node.store.spent(&it.id).await.unwrap().uses, 0);
        rename("ALTER TABLE facts_gone RENAME TO facts").await;
        node.writer.run_once(ask(&consumer, request(&it.id, 1)), token).await.unwrap();
    })
    .await;
}

/// The disk is full in the middle of a commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_and_no_damage() {
    each(async |place| {
        if !place.is_sqlite() {
            println!("SKIPPED: a full disk on PostgreSQL: the server's disk is not ours to fill");
            return;
        }
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let it = contract("urn:agreement:1", &consumer, 100);
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let full = node.writer.note(|conn: &mut AnyConnection| {
            async move {
                // A limit below the present size means the present size.
                conn.execute("PRAGMA max_page_count = 1").await?;
                Ok(())
            }
            .boxed()
        });
        full.await.unwrap();
        let big = node.writer.note(|conn: &mut AnyConnection| {
            async move {
                sqlx::query("INSERT INTO settings (name, value) VALUES ('small', '1')")
                    .execute(&mut *conn)
                    .await?;
                sqlx::query("INSERT INTO settings (name, value) VALUES ('big', $1)")
                    .bind("x".repeat(1 << 20))
                    .execute(&mut *conn)
                    .await?;
                Ok(())
            }
            .boxed()
        });
        match big.await {
            Err(WorkError::Store(why)) => assert!(why.contains("full"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(number(&node.store, "SELECT COUNT(*) FROM settings").await, 0);
        // The writer took a fresh connection, whose disk is not full.
        node.ask(&consumer, request(&it.id, 1)).await.unwrap();
    })
    .await;
}

/// Every kind of row is written, and the process dies before the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_committed_never_was() {
    each(async |place| {
        let store = place.store().await;
        let peer = did("did:web:peer.example");
        let commit = Commit {
            contracts: vec![contract("urn:agreement:1", &peer, 1)],
            products: vec![product("urn:product:1", 1)],
            ..Commit::default()
        };
        let mut conn = store.connect().await.unwrap();
        conn.execute(store.dialect().begin()).await.unwrap();
        save::save(&mut conn, &commit, at(0), &service()).await.unwrap();
        drop(conn);
        let again = place.store().await;
        assert!(again.contracts(None, 10).await.unwrap().rows.is_empty());
        assert!(again.products(None, 10).await.unwrap().rows.is_empty());
        // Nothing is locked by the dead.
        super::world::put(&again, &commit).await;
        assert_eq!(store.contracts(None, 10).await.unwrap().rows.len(), 1);
    })
    .await;
}

/// The node stops while a unit is under way: the caller hears that, and the next node starts clean.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_writer_leaves_nothing_half_done() {
    each(async |place| {
        let mut node = Node::start(&place, "provider").await;
        let writer = node.writer.clone();
        let stuck = tokio::spawn(async move {
            let stuck = writer.note(|conn: &mut AnyConnection| {
                async move {
                    conn.execute("INSERT INTO settings (name, value) VALUES ('half', '1')").await?;
                    std::future::pending::<()>().await;
                    Ok(())
                }
                .boxed()
            });
            stuck.await
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        node.tasks.shutdown().await;
        assert!(matches!(stuck.await.unwrap(), Err(WorkError::Stopping)));
        let next = Node::start(&place, "provider").await;
        assert_eq!(number(&next.store, "SELECT COUNT(*) FROM settings").await, 0);
        let consumer = did("did:web:consumer.example");
        let it = contract("urn:agreement:1", &consumer, 1);
        next.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        next.ask(&consumer, request(&it.id, 1)).await.unwrap();
    })
    .await;
}

/// The codes that mean "decide again" are what the databases really answer.
#[tokio::test]
async fn conflicts_are_known_by_their_codes() {
    each(async |place| {
        let store = place.store().await;
        let dialect = store.dialect();
        let mut a = store.connect().await.unwrap();
        let mut b = store.connect().await.unwrap();
        let insert = "INSERT INTO settings (name, value) VALUES ('x', '1')";
        a.execute(insert).await.unwrap();
        let twice = b.execute(insert).await.unwrap_err();
        // PostgreSQL may say so of a concurrent insert; on SQLite it can only be a fault of ours.
        assert_eq!(dialect.is_conflict(&twice), !place.is_sqlite(), "{twice}");
        if place.is_sqlite() {
            b.execute("PRAGMA busy_timeout = 0").await.unwrap();
            a.execute(dialect.begin()).await.unwrap();
            let busy = b.execute(dialect.begin()).await.unwrap_err();
            assert!(dialect.is_conflict(&busy), "{busy}");
            a.execute("ROLLBACK").await.unwrap();
        }
        let stale = if place.is_sqlite() { "BEGIN" } else { dialect.begin() };
        a.execute(dialect.begin()).await.unwrap();
        a.fetch_all("SELECT value FROM settings").await.unwrap();
        if place.is_sqlite() {
            a.execute("ROLLBACK").await.unwrap();
        }
        b.execute(stale).await.unwrap();
        b.fetch_all("SELECT value FROM settings").await.unwrap();
        a.execute("UPDATE settings SET value = '2'").await.unwrap();
        if !place.is_sqlite() {
            a.execute("COMMIT").await.unwrap();
        }
        let late = b.execute("UPDATE settings SET value = '3'").await.unwrap_err();
        assert!(dialect.is_conflict(&late), "{late}");
    })
    .await;
}
