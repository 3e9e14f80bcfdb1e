//! The party that learns the intersection.
//!
//! What leaves it: its items under a one-time mask; in the malicious variant a share of a coin; and, if both are to
//! learn the result, which of the sender's masks it found.

use super::masks::{Code, Sorted, join_each};
use super::{Evaluated, Learns, Masked, Output, Set, Terms, band, ecdh, proof_of, run_binding};
use crate::fault::Fault;
use crate::field::{Gf, to_wire};
use crate::hash::{commitment, derive, domain};
use crate::okvs::band::Band;
use crate::okvs::{Binned, Hasher, Rows, Shape, Solver, decode};
use crate::session::{Session, Setting};
use crate::step::Step;
use crate::vole;

/// The receiver after set-up; any number of runs may follow, each over new vectors.
pub struct Receiver {
    terms: Terms,
    /// None where F is made of points.
    vole: Option<(vole::Security, vole::Receiver)>,
    runs: u64,
}

impl Receiver {
    /// One session from hello to result: places in the caller's list of the items that the sender has too, rising.
    pub fn once(setting: Setting<'_>, terms: &Terms, set: &Set) -> Result<Vec<u32>, Fault> {
        set.fits(terms.receiver_items)?;
        let mut session = Session::open(setting, &terms.bytes())?;
        Self::set_up(&mut session, terms)?.run(&mut session, set)
    }

    pub fn set_up(session: &mut Session<'_>, terms: &Terms) -> Result<Self, Fault> {
        terms.check()?;
        if terms.security.checked() {
            session.bind_all();
        }
        let vole = match terms.security.vectors() {
            Some(security) => Some((security, vole::Receiver::set_up(session, security)?)),
            None => None,
        };
        Ok(Self { terms: *terms, vole, runs: 0 })
    }

    pub fn run(&mut self, session: &mut Session<'_>, set: &Set) -> Result<Vec<u32>, Fault> {
        set.fits(self.terms.receiver_items)?;
        let Masked { run, masks, proofs, origin } = self.masked(session, set.items())?;
        let bits = self.terms.mask_bits();
        let own = Sorted::new(&masks, bits);
        let count = usize::try_from(self.terms.sender_items).unwrap_or(usize::MAX);
        let code = Code::new(count, bits);
        let theirs = code.read(&session.receive(Step::Masks, code.bytes())?)?;
        let mut found = Vec::new();
        join_each(own.iter(), &theirs, |index, their_index| {
            found.push((their_index, index as usize));
        });
        if self.terms.learns == Learns::Both {
            let proofs = self.terms.security.checked().then_some(proofs.as_slice());
            tell(session, &run, &mut found, proofs, count)?;
        }
        if self.terms.security.checked() {
            session.confirm()?;
        }
        let place = |index: &usize| set.place(origin[*index] as usize);
        let mut places: Vec<u32> = found.iter().map(|(_, index)| place(index)).collect();
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// The masks of the items.
    fn masked(&mut self, session: &mut Session<'_>, items: &[u128]) -> Result<Masked, Fault> {
        if self.vole.is_none() {
            let run = self.next_run(session);
            let masks = ecdh::part::ask(session, &self.terms, &run, items)?;
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

    /// Everything up to where the function of each item is known: the coin, the store, and what it decodes to.
    pub(crate) fn prf(
        &mut self,
        session: &mut Session<'_>,
        items: &[u128],
    ) -> Result<Evaluated, Fault> {
        let run = self.next_run(session);
        let missing = Fault::ApiMisuse("this variant has no vectors to make values from");
        let (security, vole) = self.vole.as_mut().ok_or(missing)?;
        let security = *security;
        let committed = match self.terms.security.checked() {
            true => Some(session.receive(Step::CoinCommitment, 32)?),
            false => None,
        };
        let hasher = Hasher::new(&run);
        let (values, binned) = match security {
            vole::Security::SemiHonestLow => {
                let band = Band::of(self.terms.receiver_items, self.terms.parts);
                let binned = band.sort(&hasher, items);
                (band::offer(session, vole, (&band, &hasher), &binned)?, binned)
            }
            vole::Security::SemiHonest | vole::Security::Malicious => {
                let shape = Shape::of(self.terms.receiver_items, self.terms.parts);
                let binned = hasher.sort(&shape, items);
                (encode(session, vole, (&shape, &hasher), &binned)?, binned)
            }
        };
        let coin = match committed {
            Some(committed) => toss(session, &run, &committed)?,
            None => [0; 32],
        };
        let output = Output::new(security, &self.terms, &run, &coin);
        Ok(Evaluated { run, binned, values, output })
    }
}

/// Sends the items under their masks, bin by bin, and gives what each of them decodes to on this side.
fn encode(
    session: &mut Session<'_>,
    vole: &mut vole::Receiver,
    (shape, hasher): (&Shape, &Hasher),
    binned: &Binned,
) -> Result<Vec<Gf>, Fault> {
    let mut places = vole.begin(session, shape.places())?;
    let mut values = Vec::with_capacity(binned.items().len());
    let (mut rows, mut solver) = (Rows::default(), Solver::default());
    let mut store = vec![Gf::ZERO; shape.bin_places()];
    let mut decoded = Vec::new();
    for bin in 0..shape.bins() {
        let pairs = places.next(shape.bin_places())?;
        hasher.rows(shape, binned.bin(bin), &mut rows);
        let unlucky = |_| Fault::Unlucky { step: Step::Okvs };
        solver.encode(shape, &rows, &mut store).map_err(unlucky)?;
        for (place, pair) in store.iter_mut().zip(pairs) {
            *place ^= pair.a;
        }
        session.send(Step::Okvs, &to_wire(&store))?;
        for (place, pair) in store.iter_mut().zip(pairs) {
            *place = pair.c;
        }
        decode(shape, &store, &rows, &mut decoded);
        values.extend_from_slice(&decoded);
        session.progress(Step::Okvs, bin as usize + 1, shape.bins() as usize)?;
    }
    places.finish();
    Ok(values)
}

/// The coin of both: the sender committed to its share before it could see anything, and opens after ours is said.
fn toss(session: &mut Session<'_>, run: &[u8; 32], committed: &[u8]) -> Result<[u8; 32], Fault> {
    let share = session.stream(b"coin").bytes32();
    session.send(Step::CoinShare, &share)?;
    let opening = session.receive(Step::CoinOpening, 64)?;
    let (theirs, nonce) = opening.split_at(32);
    let mut opened = [0; 32];
    opened.copy_from_slice(nonce);
    if commitment(run, theirs, &opened) != committed {
        return Err(Fault::misbehaved(Step::CoinOpening, "the coin is not the one committed to"));
    }
    Ok(derive(domain::COIN, &[run, &share, theirs]))
}

/// One bit per mask of the sender; in the malicious variant a proof that the second half of F is known for each bit that is set.
fn tell(
    session: &mut Session<'_>,
    run: &[u8; 32],
    found: &mut [(usize, usize)],
    proofs: Option<&[u128]>,
    count: usize,
) -> Result<(), Fault> {
    found.sort_unstable();
    let mut bits = vec![0u8; count.div_ceil(8)];
    let mut proven = Vec::new();
    let mut last = None;
    for (their_index, index) in found.iter() {
        bits[their_index / 8] |= 1 << (their_index % 8);
        if last != Some(*their_index) {
            proven.extend(proofs.and_then(|proofs| proofs.get(*index)));
        }
        last = Some(*their_index);
    }
    session.send(Step::Matches, &bits)?;
    match proofs {
        Some(_) => session.send(Step::MatchProofs, &proof_of(run, proven.into_iter())),
        None => Ok(()),
    }
}
