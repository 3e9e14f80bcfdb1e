//! The low-communication variant's middle: items in a band store of 64-bit values, over vectors whose a has 64 bits.
//!
//! ```text
//!   P encodes { x → H(x) }, 64 bits;  A = P + a       okvs, portion by portion ──►      K = b + Δ·A = c + Δ·P
//! ```
//!
//! All that an item adds up is chosen by bits, so Δ (128 bits) may be multiplied in before or after, and P needs no field
//! of its own. Only against a curious peer: a receiver that may choose P can make more items than its own decode to
//! their hash, with 2^64 work for each. What this module must never do: send P without a over it, or run under `Malicious`.

use crate::fault::Fault;
use crate::field::Gf;
use crate::kernel;
use crate::limits::BAND_PLACES_PER_MESSAGE;
use crate::okvs::band::{Band, Rows, Solver, decode};
use crate::okvs::{Binned, Hasher};
use crate::session::Session;
use crate::step::Step;
use crate::vole;

/// Bytes of a place on the wire.
const PLACE_BYTES: usize = 8;

/// Sends the receiver's items under their masks, and gives what each of them decodes to on this side.
pub(super) fn offer(
    session: &mut Session<'_>,
    vole: &mut vole::Receiver,
    (band, hasher): (&Band, &Hasher),
    binned: &Binned,
) -> Result<Vec<Gf>, Fault> {
    let (mut rows, mut solver) = (Rows::default(), Solver::new(band));
    for batch in 0..band.batches() {
        band.rows(hasher, binned.bin(batch), &mut rows);
        solver.take(&rows).map_err(|_| Fault::Unlucky { step: Step::Okvs })?;
    }
    // Encoded first: its rows and the vectors' noise need not be in memory together.
    let store = solver.solve();
    let mut places = vole.begin(session, band.places())?;
    let (portions, mut sent) = (store.len().div_ceil(BAND_PLACES_PER_MESSAGE), 0);
    let mut known = Vec::with_capacity(store.len());
    for store in store.chunks(BAND_PLACES_PER_MESSAGE) {
        let pairs = places.next(store.len())?;
        let mut message = Vec::with_capacity(store.len() * PLACE_BYTES);
        for (place, pair) in store.iter().zip(pairs) {
            let masked = (pair.a ^ Gf((*place).into())).to_bytes();
            message.extend_from_slice(&masked[..PLACE_BYTES]);
        }
        known.extend(pairs.iter().map(|pair| pair.c));
        session.send(Step::Okvs, &message)?;
        sent += 1;
        session.progress(Step::Okvs, sent, portions)?;
    }
    places.finish();
    Ok(look_up((band, hasher), &known, binned, Gf::ZERO))
}

/// What each of the sender's items decodes to, less its own hash times Δ: the receiver's c where it has the item too.
pub(super) fn evaluate(
    session: &mut Session<'_>,
    vole: &mut vole::Sender,
    (band, hasher): (&Band, &Hasher),
    binned: &Binned,
) -> Result<Vec<Gf>, Fault> {
    let mut store = vole.expand(session, band.places())?;
    let delta = vole.delta();
    let (portions, mut done) = (store.len().div_ceil(BAND_PLACES_PER_MESSAGE), 0);
    for store in store.chunks_mut(BAND_PLACES_PER_MESSAGE) {
        let message = session.receive(Step::Okvs, store.len() * PLACE_BYTES)?;
        let masked: Vec<Gf> = message.chunks_exact(PLACE_BYTES).map(Gf::from_slice).collect();
        kernel::scale_add(store, &masked, delta);
        done += 1;
        session.progress(Step::Okvs, done, portions)?;
    }
    Ok(look_up((band, hasher), &store, binned, delta))
}

/// What `store` holds for every item, plus the item's hash times `delta`.
fn look_up((band, hasher): (&Band, &Hasher), store: &[Gf], binned: &Binned, delta: Gf) -> Vec<Gf> {
    let mut values = Vec::with_capacity(binned.items().len());
    let (mut rows, mut decoded) = (Rows::default(), Vec::new());
    for batch in 0..band.batches() {
        band.rows(hasher, binned.bin(batch), &mut rows);
        decode(store, &rows, &mut decoded);
        if delta != Gf::ZERO {
            kernel::scale_add(&mut decoded, &rows.values(), delta);
        }
        values.extend_from_slice(&decoded);
    }
    values
}
