//! Rows of wallet and issuer: what is written is what is read, on both databases.

use std::time::Duration;

use sqlx::AnyConnection;

use tidm_space::identity::issuance::machine::{Input, next};
use tidm_space::identity::issuance::state::{Issuance, State};
use tidm_space::limits::{OFFERS_KEPT, PAST_REQUESTS};

use super::world::{at, did, each};
use crate::store::Store;
use crate::store::issuer::{self, Invitation, IssuedRow};
use crate::store::wallet::{self, Answered, Held};

async fn connection(store: &Store) -> AnyConnection {
    store.connect().await.unwrap()
}

fn held(id: &str, until: Option<i64>, text: &str) -> Held {
    Held {
        holder: did("did:web:h"),
        issuer: did("did:web:i"),
        id: id.to_owned(),
        until: until.map(at),
        credential: text.to_owned(),
    }
}

#[tokio::test]
async fn a_wallet_keeps_the_newest_text_until_its_end() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        for (it, now) in [
            (held("1", Some(50), "old"), 1),
            (held("2", None, "endless"), 2),
            (held("1", Some(60), "new"), 3),
        ] {
            assert!(wallet::hold(&mut conn, &it, at(now)).await.unwrap());
        }
        let texts = async || store.wallet(&did("did:web:h")).await.unwrap();
        assert_eq!(texts().await, ["new", "endless"]);
        assert!(store.wallet(&did("did:web:other")).await.unwrap().is_empty());
        wallet::drop_ended(&mut conn, at(60)).await.unwrap();
        assert_eq!(texts().await, ["endless"]);
    })
    .await;
}

#[tokio::test]
async fn offers_make_room_and_requests_are_answered_by_their_issuer_alone() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        let (holder, issuer, other) = (did("did:web:h"), did("did:web:i"), did("did:web:x"));
        for i in 0..OFFERS_KEPT + 3 {
            let now = at(i64::try_from(i).unwrap());
            wallet::keep_offer(
                &mut conn,
                &i.to_string(),
                (&holder, &issuer),
                &format!("o{i}"),
                now,
            )
            .await
            .unwrap();
        }
        let offers = store.offers(&holder).await.unwrap();
        assert_eq!(offers.len(), OFFERS_KEPT);
        assert_eq!(offers[0], (issuer.to_string(), format!("o{}", OFFERS_KEPT + 2)));

        wallet::ask(&mut conn, "a", (&issuer, "s"), at(1)).await.unwrap();
        let state = async || store.asked("a").await.unwrap().unwrap().state;
        assert!(store.joined().await.unwrap().is_empty(), "asking is no membership");
        wallet::answered(&mut conn, "a", &other, (Answered::Issued, "")).await.unwrap();
        assert_eq!(state().await, "open");
        wallet::answered(&mut conn, "a", &issuer, (Answered::Issued, "")).await.unwrap();
        assert_eq!(state().await, "issued");
        assert_eq!(store.joined().await.unwrap(), [(issuer.to_string(), "s".to_owned())]);
        assert!(store.asked("b").await.unwrap().is_none());
    })
    .await;
}

fn received(id: &str) -> Issuance {
    Issuance {
        id: id.to_owned(),
        issuer: did("did:web:i"),
        holder: did("did:web:h"),
        holder_pid: "p".to_owned(),
        wants: vec!["w".to_owned()],
        access: None,
        created: at(1),
        moved: at(1),
        state: State::Received,
    }
}

#[tokio::test]
async fn what_is_owed_to_a_wallet_is_found_when_it_is_due() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        let it = received("1");
        let (approved, step) =
            next(&it, Input::Approve { credentials: Vec::new() }, at(5)).unwrap();
        issuer::save(&mut conn, &it, None).await.unwrap();
        let due = async |now| store.due_issuances(at(now), 10).await.unwrap();
        assert!(due(100).await.is_empty());
        issuer::save(&mut conn, &approved, step.deliver).await.unwrap();
        assert!(due(4).await.is_empty());
        assert_eq!(due(5).await, ["1"]);
        assert_eq!(store.issuance("1").await.unwrap().unwrap(), approved);
        let (holder, me) = (did("did:web:h"), did("did:web:i"));
        assert_eq!(
            issuer::open(&mut conn, &me, &holder).await.unwrap(),
            std::slice::from_ref(&approved)
        );
        let (done, step) = next(&approved, Input::Delivered, at(6)).unwrap();
        issuer::save(&mut conn, &done, step.deliver).await.unwrap();
        assert!(due(100).await.is_empty());
        assert!(issuer::open(&mut conn, &me, &holder).await.unwrap().is_empty());
        assert_eq!(store.issuances_of(&me, &holder).await.unwrap(), [done]);
    })
    .await;
}

/// A decision reads the newest decided requests of a holder, however many there were.
#[tokio::test]
async fn the_past_of_a_holder_is_bounded() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        let (holder, me) = (did("did:web:h"), did("did:web:i"));
        let most = i64::try_from(PAST_REQUESTS).unwrap();
        for number in 0..most + 3 {
            let it = Issuance { created: at(number), ..received(&format!("n{number:04}")) };
            let (approved, _) =
                next(&it, Input::Approve { credentials: Vec::new() }, at(number)).unwrap();
            let (done, _) = next(&approved, Input::Delivered, at(number)).unwrap();
            issuer::save(&mut conn, &done, None).await.unwrap();
        }
        let past = issuer::past(&mut conn, &me, &holder).await.unwrap();
        let ids: Vec<String> = past.into_iter().map(|it| it.id).collect();
        let newest: Vec<String> =
            (3..most + 3).rev().map(|number| format!("n{number:04}")).collect();
        assert_eq!(ids, newest);
    })
    .await;
}

#[tokio::test]
async fn places_are_given_out_once_and_revoked_by_space_and_holder() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        let row = |issuer: &str, holder: &str, space: &str| IssuedRow {
            issuer: did(issuer),
            issuance: "1".to_owned(),
            holder: did(holder),
            kind: "X".to_owned(),
            space: space.to_owned(),
            at: at(1),
            until: at(1000),
        };
        for (row, place) in [
            (row("did:web:i", "did:web:a", "s"), 0),
            (row("did:web:i", "did:web:b", "s"), 1),
            (row("did:web:other", "did:web:a", "s"), 0),
            (row("did:web:i", "did:web:a", "t"), 2),
            (row("did:web:i", "did:web:a", "s"), 3),
        ] {
            assert_eq!(issuer::issue(&mut conn, &row).await.unwrap(), place);
        }
        let (me, a) = (did("did:web:i"), did("did:web:a"));
        assert_eq!(issuer::revoke(&mut conn, &me, ("s", &a), at(9)).await.unwrap(), Some(2));
        assert_eq!(issuer::revoke(&mut conn, &me, ("s", &a), at(10)).await.unwrap(), Some(0));
        let nobody = issuer::revoke(&mut conn, &me, ("s", &did("did:web:nobody")), at(10)).await;
        assert_eq!(nobody.unwrap(), None);
        let mut revoked = store.revoked(&me, 0, 100).await.unwrap();
        revoked.sort_unstable();
        assert_eq!(revoked, [0, 3]);
        assert_eq!(store.revoked(&me, 1, 3).await.unwrap(), Vec::<i64>::new());
        let members = store.space_members(&me, "s").await.unwrap();
        let shown: Vec<_> = members.iter().map(|it| (it.place, it.revoked)).collect();
        assert_eq!(shown, [(3, Some(at(9))), (1, None), (0, Some(at(9)))]);
    })
    .await;
}

#[tokio::test]
async fn an_invitation_holds_once_in_its_time_for_its_holder() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = connection(&store).await;
        let (a, b) = (did("did:web:a"), did("did:web:b"));
        issuer::create_space(&mut conn, "s", "空间", at(1)).await.unwrap();
        assert_eq!(store.spaces().await.unwrap(), [("s".to_owned(), "空间".to_owned())]);
        let it = Invitation {
            space: "s".to_owned(),
            holder: a.to_string(),
            roles: "provider".to_owned(),
            country: Some("CN-32".to_owned()),
            credit_code: Some("91350100M000100Y43".to_owned()),
            until: at(10).after(Duration::ZERO),
            issuance: None,
        };
        issuer::invite(&mut conn, &it, at(1)).await.unwrap();
        for (space, holder, now, found) in
            [("s", &a, 9, true), ("s", &a, 10, false), ("s", &b, 9, false), ("t", &a, 9, false)]
        {
            let got = issuer::invitation(&mut conn, (space, holder), at(now)).await.unwrap();
            assert_eq!(got.is_some(), found, "{space} {holder} {now}");
        }
        let got = issuer::invitation(&mut conn, ("s", &a), at(9)).await.unwrap();
        assert_eq!(got.as_ref(), Some(&it));
        issuer::use_invitation(&mut conn, &it, "1").await.unwrap();
        assert!(issuer::invitation(&mut conn, ("s", &a), at(9)).await.unwrap().is_none());
        issuer::invite(&mut conn, &it, at(2)).await.unwrap();
        assert!(issuer::invitation(&mut conn, ("s", &a), at(9)).await.unwrap().is_some());
        issuer::revoke(&mut conn, &did("did:web:i"), ("s", &a), at(3)).await.unwrap();
        assert!(issuer::invitation(&mut conn, ("s", &a), at(9)).await.unwrap().is_none());
    })
    .await;
}
