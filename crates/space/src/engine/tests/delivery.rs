//! What is delivered, by whom, and how it goes on after a suspension.

use super::side::{Side, agreed, settle};
use crate::catalog::delivery::{HTTP_ADDRESS, S3_ADDRESS};
use crate::engine::commit::Reply;
use crate::engine::input::{TransferWish, Wish};
use crate::engine::transfer::RENEW;
use crate::evidence::fact::What;
use crate::id::Id;
use crate::transfer::message::{Body, DataAddress};
use crate::transfer::state::{State, Transfer};
use crate::wire::samples::at;

fn address(endpoint_type: &str, token: &str) -> DataAddress {
    DataAddress {
        endpoint_type: endpoint_type.to_owned(),
        endpoint: Some("https://consumer.example/in".to_owned()),
        properties: vec![("authorization".to_owned(), token.to_owned())],
    }
}

fn it(side: &Side) -> &Transfer {
    side.transfers.values().next().unwrap()
}

fn states(provider: &Side, consumer: &Side) -> (&'static str, &'static str) {
    (it(provider).state.name().token(), it(consumer).state.name().token())
}

/// A transfer asked for and laid ready; `token` is that of the provider's address.
fn started(push_to: Option<DataAddress>, token: &str) -> (Side, Side) {
    let (mut provider, mut consumer) = agreed(None);
    let contract = consumer.contract().id;
    let format = "tidm:sealed-table".to_owned();
    let wish = TransferWish { id: None, contract, address: None, format, push_to };
    consumer.wish(Wish::Fetch(Box::new(wish)), at(3)).unwrap();
    settle(&mut provider, &mut consumer, at(4));
    assert!(provider.has_timer("provide "));
    provide(&mut provider, token, 5);
    settle(&mut provider, &mut consumer, at(6));
    assert_eq!(states(&provider, &consumer), ("STARTED", "STARTED"));
    (provider, consumer)
}

fn provide(provider: &mut Side, token: &str, ms: i64) {
    let transfer = it(provider).id.clone();
    let content = tidm_crypto::hash::sha256(b"content");
    let pull = it(provider).push_to.is_none().then(|| address(HTTP_ADDRESS, token));
    let wish = Wish::Provided { transfer, address: pull, bytes: 7, content };
    provider.wish(wish, at(ms)).unwrap();
}

fn say(side: &mut Side, body: Body, ms: i64) {
    let transfer = it(side).id.clone();
    side.wish(Wish::SayTransfer { transfer, body }, at(ms)).unwrap();
}

fn suspend(code: Option<&str>) -> Body {
    Body::Suspend { code: code.map(str::to_owned), reason: vec!["a pause".to_owned()] }
}

fn resume(side: &mut Side, ms: i64) -> Result<Reply, crate::fault::Fault> {
    let transfer = it(side).id.clone();
    side.wish(Wish::ResumeTransfer { transfer }, at(ms))
}

fn token(side: &Side) -> Option<&str> {
    match &it(side).state {
        State::Started { address } => address.as_ref()?.property("authorization"),
        State::Initial
        | State::Requested
        | State::Suspended { .. }
        | State::Completed { .. }
        | State::Terminated { .. } => None,
    }
}

#[test]
fn a_suspension_stops_the_job_at_once_and_a_resumption_begins_it_anew() {
    let (mut provider, mut consumer) = started(None, "first");
    assert!(consumer.has_timer("fetch ") && it(&provider).delivers());
    say(&mut provider, suspend(None), 7);
    assert!(!it(&provider).delivers(), "before the consumer has heard of it");
    settle(&mut provider, &mut consumer, at(8));
    assert!(!consumer.has_timer("fetch ") && !it(&consumer).delivers());
    assert_eq!(states(&provider, &consumer), ("SUSPENDED", "SUSPENDED"));

    resume(&mut consumer, 9).unwrap();
    assert!(!consumer.has_timer("fetch "), "not before the provider took it");
    settle(&mut provider, &mut consumer, at(10));
    assert_eq!(states(&provider, &consumer), ("STARTED", "STARTED"));
    assert!(consumer.has_timer("fetch "));
    assert_eq!(token(&consumer), Some("first"), "where it was");

    say(&mut consumer, suspend(None), 11);
    settle(&mut provider, &mut consumer, at(12));
    resume(&mut provider, 13).unwrap();
    assert_eq!(states(&provider, &consumer), ("SUSPENDED", "SUSPENDED"), "laid ready first");
    provide(&mut provider, "second", 14);
    assert!(it(&provider).delivers(), "the consumer may come before its answer");
    settle(&mut provider, &mut consumer, at(15));
    assert_eq!(token(&consumer), Some("second"));
    assert!(consumer.has_timer("fetch "));
}

#[test]
fn a_token_that_ran_out_is_replaced_by_itself() {
    let (mut provider, mut consumer) = started(None, "first");
    say(&mut consumer, suspend(Some(RENEW)), 7);
    settle(&mut provider, &mut consumer, at(8));
    assert!(provider.has_timer("provide "));
    provide(&mut provider, "second", 9);
    settle(&mut provider, &mut consumer, at(10));
    assert_eq!(states(&provider, &consumer), ("STARTED", "STARTED"));
    assert_eq!(token(&consumer), Some("second"));
    // A pause without that word is a person's, and lasts.
    say(&mut consumer, suspend(None), 11);
    settle(&mut provider, &mut consumer, at(12));
    assert!(!provider.has_timer("provide "));
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let (mut provider, mut consumer) = started(None, "first");
    for side in [&mut provider, &mut consumer] {
        assert_eq!(resume(side, 7).unwrap_err().code(), "transfer.not-now");
    }
    say(&mut provider, suspend(None), 8);
    settle(&mut provider, &mut consumer, at(9));
    let contract = provider.contract().id;
    let (why, reason) = (crate::contract::End::Revoked, "over".to_owned());
    provider.wish(Wish::EndContract { contract, why, reason }, at(10)).unwrap();
    settle(&mut provider, &mut consumer, at(10));
    for side in [&mut provider, &mut consumer] {
        assert!(resume(side, 11).is_err());
    }
}

#[test]
fn the_provider_pushes_and_completes() {
    for kind in [HTTP_ADDRESS, S3_ADDRESS] {
        let (mut provider, mut consumer) = started(Some(address(kind, "secret")), "none");
        assert!(provider.has_timer("push ") && !consumer.has_timer("fetch "));
        assert_eq!(
            it(&provider).push_to.as_ref().unwrap().property("authorization"),
            Some("secret")
        );
        let told = it(&consumer).push_to.as_ref().unwrap();
        assert_eq!((told.property("authorization"), told.endpoint.is_some()), (None, true));
        assert!(it(&consumer).takes());

        say(&mut consumer, suspend(None), 7);
        assert!(!it(&consumer).takes(), "nothing is taken before the provider has heard of it");
        settle(&mut provider, &mut consumer, at(8));
        assert!(!provider.has_timer("push "));
        resume(&mut consumer, 9).unwrap();
        settle(&mut provider, &mut consumer, at(10));
        assert!(provider.has_timer("push "));

        let delivered = |it: &What| matches!(it, What::Delivered { .. });
        assert_eq!((provider.count(delivered), consumer.count(delivered)), (0, 0));
        let content = tidm_crypto::hash::sha256(b"content");
        let id = |side: &Side| -> Id { it(side).id.clone() };
        let wish = Wish::Arrived { transfer: id(&consumer), bytes: 7, content };
        consumer.wish(wish, at(11)).unwrap();
        let wish = Wish::Pushed { transfer: id(&provider), bytes: 7, content };
        provider.wish(wish.clone(), at(12)).unwrap();
        provider.wish(wish, at(12)).unwrap();
        settle(&mut provider, &mut consumer, at(13));
        assert_eq!(states(&provider, &consumer), ("COMPLETED", "COMPLETED"));
        assert_eq!((provider.count(delivered), consumer.count(delivered)), (1, 1));
        assert!(!provider.has_timer("push ") && !it(&consumer).takes());
    }
}

/// A run that found nothing to do ends its job, unless the transfer moved since.
#[test]
fn a_job_that_rests_loses_no_other_run() {
    let (_, mut consumer) = started(None, "first");
    let (transfer, moved) = (it(&consumer).id.clone(), it(&consumer).moved);
    let rests = |seen| Wish::TransferRests { transfer: transfer.clone(), seen };
    consumer.wish(rests(at(0)), at(7)).unwrap();
    assert!(consumer.has_timer("fetch "));
    consumer.wish(rests(moved), at(8)).unwrap();
    assert!(!consumer.has_timer("fetch "));
}

/// Of a delivery that broke off, what had arrived is cleared away by its job.
#[test]
fn an_ended_delivery_owes_its_clearing() {
    let (mut provider, mut consumer) = started(None, "first");
    say(&mut provider, Body::Terminate { code: None, reason: vec!["over".to_owned()] }, 7);
    settle(&mut provider, &mut consumer, at(8));
    assert_eq!(states(&provider, &consumer), ("TERMINATED", "TERMINATED"));
    assert!(consumer.has_timer("fetch ") && !provider.has_timer("push "));
}
