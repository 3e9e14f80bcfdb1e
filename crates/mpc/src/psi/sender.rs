//! The party whose items are looked for.
//!
//! What leaves it: its items under the pseudo-random function, filled up to the agreed number with random ones, sorted.

use subtle::ConstantTimeEq as _;

use super::masks::{Code, Sorted};
use super::{Evaluated, Learns, Masked, Output, Set, Terms, band, ecdh, proof_of, run_binding};
use crate::fault::Fault;
use crate::field::{GF_BYTES, Gf, from_wire};
use crate::hash::{commitment, derive, domain};
use crate::kernel;
use crate::okvs::band::Band;
use crate::okvs::{Binned, Hasher, Rows, Shape, decode};
use crate::random::Stream;
use crate::session::{Session, Setting};
use crate::step::Step;
use crate::vole;

/// The sender after set-up.
pub struct Sender {
    terms: Terms,
    /// None where F is made of points.
    vole: Option<(vole::Security, vole::Sender)>,
    own: Stream,
    runs: u64,
}

impl Sender {
    /// One session from hello to end. The places of the items that the receiver has too, if both are to learn them.
    pub fn once(setting: Setting<'_>, terms: &Terms, set: &Set) -> Result<Option<Vec<u32>>, Fault> {
        set.fits(terms.sender_items)?;
        let mut session = Session::open(setting, &terms.bytes())?;
        Self::set_up(&mut session, terms)?.run(&mut session, set)
    }

    pub fn set_up(session: &mut Session<'_>, terms: &Terms) -> Result<Self, Fault> {
        terms.check()?;
        if terms.security.checked() {
            session.bind_all();
        }
        let vole = match terms.security.vectors() {
            Some(security) => Some((security, vole::Sender::set_up(session, security)?)),
            None => None,
        };
        let own = session.stream(b"psi sender");
        Ok(Self { terms: *terms, vole, own, runs: 0 })
    }

    pub fn run(&mut self, session: &mut Session<'_>, set: &Set) -> Result<Option<Vec<u32>>, Fault> {
        set.fits(self.terms.sender_items)?;
        let checked = self.terms.security.checked();
        let Masked { run, mut masks, proofs, origin } = self.masked(session, set.items())?;
        let count = usize::try_from(self.terms.sender_items).unwrap_or(usize::MAX);
        let (missing, keep) = (count - masks.len(), self.terms.keep());
        masks.extend(self.own.blocks(missing).into_iter().map(|mask| mask & keep));
        let bits = self.terms.mask_bits();
        let sorted = Sorted::new(&masks, bits);
        session.send(
            Step::Masks,
            &Code::new(count, bits).write_each(sorted.iter().map(|(mask, _)| mask)),
        )?;
        let found = match self.terms.learns {
            Learns::Receiver => None,
            Learns::Both => {
                Some(hear(session, &run, &sorted, checked.then_some(proofs.as_slice()))?)
            }
        };
        if checked {
            session.confirm()?;
        }
        let Some(found) = found else { return Ok(None) };
        // A filler that the receiver claims to have found is a mask nobody can know: false but by chance.
        let real = |index: &u32| origin.get(*index as usize).copied();
        let places: Option<Vec<u32>> = found
            .iter()
            .map(|index| real(index).map(|origin| set.place(origin as usize)))
            .collect();
        let mut places = places.ok_or_else(|| {
            Fault::misbehaved(Step::Matches, "the receiver claims to have found what nobody has")
        })?;
        places.sort_unstable();
        Ok(Some(places))
    }

    /// The masks of the items; where F is made of points, those of the fillers too.
    fn masked(&mut self, session: &mut Session<'_>, items: &[u128]) -> Result<Masked, Fault> {
        if self.vole.is_none() {
            let run = self.next_run(session);
            let masks = ecdh::part::answer(session, &self.terms, &run, items)?;
            let origin = (0u32..).zip(items).map(|(index, _)| index).collect();
            return Ok(Masked { run, masks, proofs: Vec::new(), origin });
        }
        let Evaluated { run, binned, values, output } = self.prf(session, items)?;
        let (masks, proofs) = output.masks(values, binned.items());
        Ok(Masked { run, masks, proofs, origin: binned.origin().to_vec() })
    }

    fn next_run(&mut self, session: &Session<'_>) -> [u8; 32] {
        self.runs += 1;
        run_binding(session.binding(), self.runs)
    }

    /// The other side of [`super::Receiver::prf`]: the function of any items of this party.
    pub(crate) fn prf(
        &mut self,
        session: &mut Session<'_>,
        items: &[u128],
    ) -> Result<Evaluated, Fault> {
        let run = self.next_run(session);
        let missing = Fault::ApiMisuse("this variant has no vectors to make values from");
        let (security, vole) = self.vole.as_mut().ok_or(missing)?;
        let security = *security;
        let checked = self.terms.security.checked();
        let (share, nonce) = (self.own.bytes32(), self.own.bytes32());
        if checked {
            session.send(Step::CoinCommitment, &commitment(&run, &share, &nonce))?;
        }
        let hasher = Hasher::new(&run);
        let (values, binned) = match security {
            vole::Security::SemiHonestLow => {
                let band = Band::of(self.terms.receiver_items, self.terms.parts);
                let binned = band.sort(&hasher, items);
                (band::evaluate(session, vole, (&band, &hasher), &binned)?, binned)
            }
            vole::Security::SemiHonest | vole::Security::Malicious => {
                let shape = Shape::of(self.terms.receiver_items, self.terms.parts);
                let binned = hasher.sort(&shape, items);
                (evaluate(session, vole, (&shape, &hasher), &binned)?, binned)
            }
        };
        let mut coin = [0; 32];
        if checked {
            let theirs = session.receive(Step::CoinShare, 32)?;
            session.send(Step::CoinOpening, &[share, nonce].concat())?;
            coin = derive(domain::COIN, &[&run, &theirs, &share]);
        }
        let output = Output::new(security, &self.terms, &run, &coin);
        Ok(Evaluated { run, binned, values, output })
    }
}

/// What each of the sender's items decodes to, less its own hash times Δ: the receiver's c where it has the item too.
fn evaluate(
    session: &mut Session<'_>,
    vole: &mut vole::Sender,
    (shape, hasher): (&Shape, &Hasher),
    binned: &Binned,
) -> Result<Vec<Gf>, Fault> {
    let mut b = vole.expand(session, shape.places())?;
    let delta = vole.delta();
    let mut values = Vec::with_capacity(binned.items().len());
    let (mut rows, mut decoded) = (Rows::default(), Vec::new());
    for (bin, store) in (0..shape.bins()).zip(b.chunks_exact_mut(shape.bin_places())) {
        let masked = session.receive(Step::Okvs, shape.bin_places() * GF_BYTES)?;
        kernel::scale_add(store, &from_wire(&masked), delta);
        hasher.rows(shape, binned.bin(bin), &mut rows);
        decode(shape, store, &rows, &mut decoded);
        kernel::scale_add(&mut decoded, &rows.values, delta);
        values.extend_from_slice(&decoded);
        session.progress(Step::Okvs, bin as usize + 1, shape.bins() as usize)?;
    }
    Ok(values)
}

/// Numbers of the masks that the receiver found; where there are `proofs`, its proof of them is compared.
fn hear(
    session: &mut Session<'_>,
    run: &[u8; 32],
    sorted: &Sorted<'_>,
    proofs: Option<&[u128]>,
) -> Result<Vec<u32>, Fault> {
    let bits = session.receive(Step::Matches, sorted.len().div_ceil(8))?;
    let set = |place: usize| bits.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
    if (sorted.len()..bits.len() * 8).any(set) {
        return Err(Fault::misbehaved(Step::Matches, "bits are set behind the last mask"));
    }
    let found: Vec<u32> = sorted
        .iter()
        .enumerate()
        .filter(|(place, _)| set(*place))
        .map(|(_, (_, index))| index)
        .collect();
    let Some(proofs) = proofs else { return Ok(found) };
    let given = session.receive(Step::MatchProofs, 32)?;
    let wrong = || Fault::misbehaved(Step::MatchProofs, "the matches are not proven");
    // Fillers have no proof: nothing the receiver says can be right.
    let known: Option<Vec<u128>> =
        found.iter().map(|index| proofs.get(*index as usize).copied()).collect();
    let expected = proof_of(run, known.ok_or_else(wrong)?.into_iter());
    if bool::from(given.ct_eq(&expected)) { Ok(found) } else { Err(wrong()) }
}
