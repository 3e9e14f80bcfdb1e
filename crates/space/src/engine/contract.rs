//! How contracts end, what is destroyed then, and what is published before they begin.
//!
//! Never destroys anything: the tombstone is saved here, the shell's jobs erase after it is durable.

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::sign::VerifyingKey;

use crate::catalog::product::Product;
use crate::contract::{Contract, Deletion, End, State, deletion_bytes, signed_bytes};
use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease::machine::Input as LeaseEvent;
use crate::limits::DELETION_PATIENCE;
use crate::negotiation::message::{Agreement, Role, Signature};
use crate::negotiation::state::Negotiation;
use crate::transfer::message::Body as TransferBody;

use crate::policy::compile::compile;
use crate::policy::model::{Action, Policy};
use crate::policy::terms::Terms;
use crate::wire::terms::digest as terms_digest;

use super::commit::{Answer, Due, Job, Reply, Work};
use super::input::Adoption;
use super::signature::what_is_signed;
use super::{derived, gate, notice, transfer};

/// The JWS type of a deletion receipt.
pub(super) const RECEIPT_TYPE: &str = "tidm-deletion+jws";

/// We end it: revocation, time over, or as agreed.
pub(super) fn end(work: &mut Work<'_>, id: &Id, why: End, reason: String) -> Answer {
    let Some(contract) = work.view.contract.clone().filter(|it| it.id == *id) else {
        return Err(Fault::NotFound { what: "contract" });
    };
    if contract.is_over() {
        return Ok(Reply::Contract(contract.id));
    }
    if why == End::Revoked && contract.role != Role::Provider {
        return Err(Fault::refused(
            "contract.revoke",
            "only the provider revokes; a consumer ends a contract as agreed",
        ));
    }
    if contract.role == Role::Consumer && why != End::Agreed {
        return Err(Fault::refused(
            "contract.end",
            "a consumer ends a contract as agreed, nothing else",
        ));
    }
    let by = contract.role;
    let id = contract.id.clone();
    end_active(work, contract, why, by, reason)?;
    Ok(Reply::Contract(id))
}

/// This side's timer of the contract's end by the clock, where its terms have one by now.
fn timed(work: &mut Work<'_>, contract: &Contract, terms: &Terms) {
    if let Some(at) = contract.ends(terms) {
        work.timer(at, Due::ContractEnd { contract: contract.id.clone() });
    }
}

/// Its first use begins now; `None`: it began before. From it on a duty to delete within some time counts.
pub(super) fn first_used(work: &mut Work<'_>, contract: &Contract) -> Option<Contract> {
    if contract.first_use.is_some() {
        return None;
    }
    let begun = Contract { first_use: Some(work.now), ..contract.clone() };
    if let Ok(terms) = begun.terms() {
        timed(work, &begun, &terms);
    }
    Some(begun)
}

/// Either side: the time of the contract may be over, by this node's clock. Also of one that was kept before its terms had a timer.
pub(super) fn time_over(work: &mut Work<'_>, id: &Id) -> Answer {
    let found = work.view.contract.clone().filter(|it| it.id == *id);
    let contract = found.ok_or(Fault::NotFound { what: "contract" })?;
    let terms = contract.terms()?;
    let Some(at) = contract.ends(&terms).filter(|_| !contract.is_over()) else {
        return Ok(Reply::Contract(contract.id));
    };
    if at > work.now {
        timed(work, &contract, &terms);
        return Ok(Reply::Contract(contract.id));
    }
    let reason = match terms.gone_by(contract.first_use).filter(|it| *it <= work.now) {
        Some(at) => format!("all copies are to be deleted by {at}"),
        None => "its time is over".to_owned(),
    };
    // What a consumer may say of an end: it is the one that the terms name.
    let (by, id) = (contract.role, contract.id.clone());
    let why = if by == Role::Provider { End::Expired } else { End::Agreed };
    end_active(work, contract, why, by, reason)?;
    Ok(Reply::Contract(id))
}

/// The tombstone, and everything that follows from it on this side.
pub(super) fn end_active(
    work: &mut Work<'_>,
    mut contract: Contract,
    why: End,
    by: Role,
    reason: String,
) -> Result<(), Fault> {
    contract.state = State::Ended { why, by, at: work.now, reason: reason.clone() };
    work.fact(links(&contract), What::ContractEnded { why, by, reason: reason.clone() });
    work.untimer(&Due::ContractEnd { contract: contract.id.clone() });
    for lease in work.view.open_leases.clone() {
        // The lease whose own end used the contract up has ended in this very commit.
        if work.commit.leases.iter().any(|it| it.id == lease.id) {
            continue;
        }
        gate::end_lease(work, lease, LeaseEvent::Revoke)?;
    }
    for it in work.view.open_transfers.clone() {
        let ending = TransferBody::Terminate {
            code: Some("contract.ended".to_owned()),
            reason: vec![reason.clone()],
        };
        // One that waits for an acknowledgement of its own ending needs no second one.
        if let Ok(it) = transfer::say_now(work, it, ending) {
            work.commit.transfers.push(it);
        }
    }
    let job = match contract.role {
        Role::Provider => Job::DestroyKey { contract: contract.id.clone() },
        Role::Consumer => Job::Erase { contract: contract.id.clone() },
    };
    work.timer(work.now, Due::Job(job));
    if contract.role == Role::Provider && contract.terms().is_ok_and(|terms| terms.delete.is_some())
    {
        let due = Due::DeletionDue { contract: contract.id.clone() };
        work.timer(work.now.after(DELETION_PATIENCE), due);
    }
    if by == contract.role {
        notice::contract_ended(work, &contract, why, &reason);
    }
    work.commit.contracts.retain(|it| it.id != contract.id);
    work.commit.contracts.push(contract);
    Ok(())
}

/// The peer ended it.
pub(super) fn heard_end(
    work: &mut Work<'_>,
    from: &Did,
    id: &Id,
    why: End,
    reason: String,
) -> Answer {
    let contract = of_peer(work, from, id)?;
    if contract.is_over() {
        // Said again: it waits for a receipt that it never got.
        if let Some(deletion) =
            contract.deletion.clone().filter(|_| contract.role == Role::Consumer)
        {
            notice::deleted(work, &contract, &deletion);
        }
        return Ok(Reply::Contract(contract.id));
    }
    if contract.role == Role::Provider && why != End::Agreed {
        return Err(Fault::misbehaved(
            "contract.end",
            "a consumer can only end a contract as agreed",
        ));
    }
    let by = contract.role.peer();
    let id = contract.id.clone();
    end_active(work, contract, why, by, reason)?;
    Ok(Reply::Contract(id))
}

pub(super) fn of_peer(work: &Work<'_>, from: &Did, id: &Id) -> Result<Contract, Fault> {
    work.view
        .contract
        .clone()
        .filter(|it| it.id == *id && it.peer == *from)
        .ok_or(Fault::NotFound { what: "contract" })
}

/// The consumer's deletion receipt: checked, kept, never called proof that no copy exists.
pub(super) fn heard_deletion(
    work: &mut Work<'_>,
    from: &Did,
    key: Option<&VerifyingKey>,
    id: &Id,
    deletion: Deletion,
) -> Answer {
    let mut contract = of_peer(work, from, id)?;
    if contract.role != Role::Provider {
        return Err(Fault::misbehaved(
            "deletion.role",
            "a deletion receipt comes from the consumer",
        ));
    }
    if contract.deletion.is_some() {
        return Ok(Reply::Contract(contract.id));
    }
    let key = key.ok_or_else(|| Fault::misbehaved("deletion.key", "your key is not known"))?;
    let expected = deletion_bytes(id, from, &deletion.files, deletion.at);
    let parsed = tidm_crypto::jws::Unverified::parse(&deletion.receipt.0)
        .map_err(|_| Fault::misbehaved("deletion.receipt", "the receipt is not a JWS"))?;
    if !parsed.verify(key).is_ok_and(|payload| *payload == *expected) {
        return Err(Fault::misbehaved(
            "deletion.receipt",
            "the receipt's signature does not verify",
        ));
    }
    let what = What::CopiesDeleted {
        files: deletion.files.clone(),
        receipt: sha256(deletion.receipt.0.as_bytes()),
        checked: false,
    };
    work.fact(links(&contract), what);
    work.untimer(&Due::DeletionDue { contract: contract.id.clone() });
    contract.deletion = Some(deletion);
    let id = contract.id.clone();
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// Provider: its person consents to uses under this contract, once and for all of them. Who did is in the log of people.
pub(super) fn consent(work: &mut Work<'_>, id: &Id) -> Answer {
    let found = work.view.contract.clone().filter(|it| it.id == *id);
    let mut contract = found.ok_or(Fault::NotFound { what: "contract" })?;
    let asks = contract.terms().is_ok_and(|terms| !terms.consent(true).is_empty());
    if contract.role != Role::Provider || !asks {
        let why = "only the provider consents, and only where the terms ask for it";
        return Err(Fault::refused("contract.consent", why));
    }
    if contract.is_over() {
        return Err(Fault::refused("contract.over", "the contract has ended"));
    }
    if contract.consented.is_none() {
        contract.consented = Some(work.now);
        work.fact(links(&contract), What::Consented);
        work.commit.contracts.push(contract.clone());
    }
    Ok(Reply::Contract(contract.id))
}

/// Provider: the receipt of a deletion that is owed did not come in time. It may still come; that it was late stays.
pub(super) fn deletion_due(work: &mut Work<'_>, id: &Id) -> Answer {
    let found = work.view.contract.clone();
    let owing = |it: &Contract| it.id == *id && it.deletion.is_none() && it.missed.is_none();
    if let Some(mut contract) = found.filter(|it| it.is_over() && owing(it)) {
        work.fact(links(&contract), What::DutyMissed { duty: Action::Delete.name().to_owned() });
        contract.missed = Some(work.now);
        work.commit.contracts.push(contract);
    }
    Ok(Reply::Nothing)
}

/// Provider: every copy is to be destroyed, and each is to be accounted for.
///
/// Ends what stands; of what ended already, a consumer that has not signed for its copies is told once more.
pub(super) fn recall(work: &mut Work<'_>, id: &Id, reason: String) -> Answer {
    let found = work.view.contract.clone().filter(|it| it.id == *id);
    let contract = found.ok_or(Fault::NotFound { what: "contract" })?;
    if contract.role != Role::Provider {
        return Err(Fault::refused(
            "contract.recall",
            "only the provider recalls what it delivered",
        ));
    }
    match &contract.state {
        State::Active | State::Suspended { .. } => end(work, id, End::Revoked, reason),
        State::Ended { why, reason, .. } => {
            if contract.deletion.is_none() {
                notice::contract_ended(work, &contract, *why, reason);
            }
            Ok(Reply::Contract(contract.id))
        }
    }
}

/// Provider's job: the wrapping key is erased.
pub(super) fn key_destroyed(work: &mut Work<'_>, id: &Id) -> Answer {
    let Some(contract) = work.view.contract.clone().filter(|it| it.id == *id) else {
        return Err(Fault::NotFound { what: "contract" });
    };
    if !contract.is_over() {
        return Err(Fault::ApiMisuse("a key was destroyed without its tombstone"));
    }
    work.untimer(&Due::Job(Job::DestroyKey { contract: id.clone() }));
    work.fact(links(&contract), What::KeyDestroyed);
    Ok(Reply::Contract(contract.id))
}

/// Consumer's job: ciphertext and caches are deleted, and were looked for afterwards in vain; sign for it and tell the provider.
pub(super) fn erased(work: &mut Work<'_>, id: &Id, files: Vec<Digest>) -> Answer {
    let Some(mut contract) =
        work.view.contract.clone().filter(|it| it.id == *id && it.role == Role::Consumer)
    else {
        return Err(Fault::NotFound { what: "contract" });
    };
    work.untimer(&Due::Job(Job::Erase { contract: id.clone() }));
    if contract.deletion.is_some() {
        return Ok(Reply::Contract(contract.id));
    }
    let payload = deletion_bytes(id, work.node.me, &files, work.now);
    let receipt = Signature(work.node.signer.sign(RECEIPT_TYPE, &payload));
    let signed = sha256(receipt.0.as_bytes());
    let what = What::CopiesDeleted { files: files.clone(), receipt: signed, checked: true };
    work.fact(links(&contract), what);
    let deletion = Deletion { at: work.now, files, receipt };
    notice::deleted(work, &contract, &deletion);
    contract.deletion = Some(deletion);
    let id = contract.id.clone();
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// FINALIZED: the contract stands on this side.
pub(super) fn conclude(
    work: &mut Work<'_>,
    it: &Negotiation,
    agreement: &Agreement,
    consumer_signature: Option<Signature>,
) -> Result<(), Fault> {
    let digest = sha256(&what_is_signed(work, it, agreement));
    let contract = Contract {
        id: agreement.id.clone(),
        role: it.role,
        peer: it.peer.clone(),
        address: it.address.clone(),
        negotiation: it.id.clone(),
        product: it.product.clone(),
        policy: agreement.policy.clone(),
        digest,
        provider_signature: agreement.signature.clone(),
        consumer_signature,
        signed_at: agreement.at,
        first_use: None,
        consented: None,
        group: None,
        state: State::Active,
        changes: 0,
        deletion: None,
        missed: None,
        rules: it.rules.clone(),
    };
    timed(work, &contract, &contract.terms()?);
    let what = What::Concluded {
        signed: digest,
        provider_signed: contract.provider_signature.is_some(),
        consumer_signed: contract.consumer_signature.is_some(),
    };
    work.fact(super::negotiation::links(it), what);
    work.commit.contracts.push(contract);
    Ok(())
}

/// A contract concluded elsewhere is kept here from now on; its facts say that nobody signed it here.
pub(super) fn adopt(work: &mut Work<'_>, it: Adoption) -> Answer {
    if let Some(known) = &work.view.contract {
        return Err(Fault::conflict(
            "contract.exists",
            format!("the contract {} is known already", known.id),
        ));
    }
    if it.role == Role::Provider {
        derived::within(work.view.product.as_ref(), &it.product, &it.policy)?;
    }
    let terms = signable(&it.policy)?;
    let (provider, consumer) = match it.role {
        Role::Provider => (work.node.me, &it.peer),
        Role::Consumer => (&it.peer, work.node.me),
    };
    let (policy, at) = (terms_digest(&it.policy), it.signed_at);
    let digest = sha256(&signed_bytes(&it.id, provider, consumer, &it.product, policy, at));
    let contract = Contract {
        id: it.id.clone(),
        role: it.role,
        peer: it.peer,
        address: it.address.trim_end_matches('/').to_owned(),
        negotiation: it.id,
        product: it.product,
        policy: it.policy,
        digest,
        provider_signature: None,
        consumer_signature: None,
        signed_at: at,
        first_use: None,
        consented: None,
        group: None,
        state: State::Active,
        changes: 0,
        deletion: None,
        missed: None,
        rules: it.rules,
    };
    timed(work, &contract, &terms);
    let what = What::Concluded { signed: digest, provider_signed: false, consumer_signed: false };
    work.fact(links(&contract), what);
    let id = contract.id.clone();
    work.commit.contracts.push(contract);
    Ok(Reply::Contract(id))
}

/// What this node may put its name to.
pub(super) fn signable(policy: &Policy) -> Result<Terms, Fault> {
    compile(policy).map_err(|refused| {
        let terms: Vec<String> = refused.iter().map(ToString::to_string).collect();
        Fault::refused(
            "policy.unknown-terms",
            format!("this node cannot honour: {}", terms.join("; ")),
        )
    })
}

/// Provider: what only evidence can meet is signed where somebody here judges evidence.
pub(super) fn provable(work: &Work<'_>, policy: &Policy) -> Result<(), Fault> {
    let unmet = !work.node.attests && compile(policy).is_ok_and(|it| it.need_attestation());
    if !unmet {
        return Ok(());
    }
    Err(Fault::refused(
        "attest.not-configured",
        "the terms demand a trusted execution environment, and this node has no demands on evidence by which it could \
         be proven",
    ))
}

/// A product version enters the catalogue.
///
/// Its number and its time are given here: of two publications that race, each is a version of its own.
pub(super) fn publish(work: &mut Work<'_>, product: Product) -> Answer {
    if work.view.product.is_some() {
        return Err(Fault::conflict(
            "product.exists",
            "a product version is immutable: publish a new version",
        ));
    }
    for offer in &product.offers {
        provable(work, offer.policy())?;
    }
    let links = Links { product: Some(product.id.clone()), ..Links::default() };
    let (Some(content), Some(origin), Some(bytes)) =
        (product.content, product.origin, product.bytes)
    else {
        return Err(Fault::refused(
            "product.origin",
            "a product names the digest of its content, of its origin, and its size",
        ));
    };
    let product = derived::made(work, product.follows(work.view.newest.as_ref(), work.now))?;
    let what = What::Published { content, origin, rows: product.rows, bytes };
    work.fact(links, what);
    derived::told(work, &product);
    let id = product.id.clone();
    work.commit.products.push(product);
    Ok(Reply::Product(id))
}

/// Something happened to a product version of ours.
pub(super) fn of_product(work: &mut Work<'_>, product: Id, what: What) -> Answer {
    if work.view.product.is_none() {
        return Err(Fault::NotFound { what: "product" });
    }
    work.fact(Links { product: Some(product.clone()), ..Links::default() }, what);
    Ok(Reply::Product(product))
}

pub(super) fn links(it: &Contract) -> Links {
    Links {
        peer: Some(it.peer.clone()),
        product: Some(it.product.clone()),
        negotiation: Some(it.negotiation.clone()),
        contract: Some(it.id.clone()),
        ..Links::default()
    }
}
