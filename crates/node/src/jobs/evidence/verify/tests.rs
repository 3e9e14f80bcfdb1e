use tidm_crypto::hash::sha256;
use tidm_ledger::checkpoint::Checkpoint;
use tidm_ledger::note::NoteSigner;
use tidm_ledger::tile::{Edge, MemoryTiles, append_plan};
use tidm_space::evidence::encode::encode;
use tidm_space::evidence::fact::{Links, What};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;

use super::*;

fn fact(number: i64) -> Vec<u8> {
    encode(&Fact {
        id: Id::parse(&format!("urn:fact:{number}")).unwrap(),
        at: Time::from_ms(1_000 * number),
        by: Did::parse("did:web:a.example").unwrap(),
        links: Links::default(),
        what: What::Delivered { bytes: 7, content: sha256(b"x") },
    })
}

struct World {
    log: NoteSigner,
    witness: NoteSigner,
    tiles: MemoryTiles,
    head: SignedCheckpoint,
    entries: Vec<Vec<u8>>,
}

fn world(count: i64) -> World {
    let log = NoteSigner::ed25519("a.example/evidence", &[1; 32]).unwrap();
    let witness = NoteSigner::cosigner("w.example/witness", &[2; 32]).unwrap();
    let entries: Vec<Vec<u8>> = (0..count).map(fact).collect();
    let (edge, writes) = append_plan(&Edge::new(), &entries).unwrap();
    let mut tiles = MemoryTiles::new();
    tiles.write(writes);
    let mut head = Checkpoint::new("a.example/evidence", edge.size(), edge.root())
        .unwrap()
        .sign(&log)
        .unwrap();
    head.add(cosignature::sign(&witness, 1_700_000_000, &head).unwrap()).unwrap();
    World { log, witness, tiles, head, entries }
}

impl World {
    fn proof(&self, index: u64) -> String {
        let source = TileReader::new(self.head.checkpoint().size(), &self.tiles);
        let extra = self.entries[usize::try_from(index).unwrap()].clone();
        Receipt::build(index, self.head.clone(), &source)
            .unwrap()
            .with_extra(extra)
            .unwrap()
            .to_string()
    }

    fn policy(&self) -> Policy {
        policy_of(&[self.witness.verifier().clone()], 1).unwrap()
    }

    fn write(&self, dir: &Path) {
        for (path, bytes) in self.tiles.iter() {
            let path = dir.join(path.to_string());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(dir.join("checkpoint"), self.head.to_string()).unwrap();
    }
}

#[test]
fn one_file_and_public_keys_are_enough() {
    let world = world(300);
    let proof = world.proof(257);
    let report =
        verify_file(proof.as_bytes(), &[world.log.verifier().clone()], &world.policy()).unwrap();
    assert!(report.accepted());
    assert_eq!(report.fact.as_ref().unwrap().id.as_str(), "urn:fact:257");
    let (zh, en) = (report.text(Lang::Zh), report.text(Lang::En));
    assert!(
        en.contains("257 / 300") && en.contains("w.example/witness, 2023-11-14T22:13:20.000Z"),
        "{en}"
    );
    assert!(en.contains("[NOT PROVEN] that nothing else happened"), "{en}");
    assert!(zh.contains("未证明") && zh.contains("交付 7 字节"), "{zh}");
}

#[test]
fn each_flaw_is_named_for_what_it_is() {
    let world = world(300);
    let keys = [world.log.verifier().clone()];
    let proof = world.proof(257);
    let other_entry =
        verify_with(proof.as_bytes(), Some(&fact(3)), &keys, &world.policy()).unwrap();
    assert!(
        !other_entry.proof.included
            && other_entry.proof.log_signature_ok
            && !other_entry.accepted()
    );
    let stranger = NoteSigner::ed25519("a.example/evidence", &[9; 32]).unwrap();
    let other_key =
        verify_file(proof.as_bytes(), &[stranger.verifier().clone()], &world.policy()).unwrap();
    assert!(other_key.proof.included && !other_key.proof.log_signature_ok && !other_key.accepted());
    let nobody = NoteSigner::cosigner("n.example/witness", &[7; 32]).unwrap();
    let other_witness =
        verify_file(proof.as_bytes(), &keys, &policy_of(&[nobody.verifier().clone()], 1).unwrap())
            .unwrap();
    assert!(
        other_witness.proof.log_signature_ok
            && !other_witness.proof.quorum_met
            && !other_witness.accepted()
    );
    let none = verify_file(proof.as_bytes(), &keys, &policy_of(&[], 0).unwrap()).unwrap();
    assert!(
        none.accepted() && none.text(Lang::En).contains("split view"),
        "{}",
        none.text(Lang::En)
    );
    for bad in ["", "c2sp.org/tlog-proof@v1\n", "\u{0}"] {
        assert!(matches!(
            verify_file(bad.as_bytes(), &keys, &world.policy()),
            Err(VerifyError::Receipt(_))
        ));
    }
    assert!(matches!(
        verify_file(proof.as_bytes(), &[], &world.policy()),
        Err(VerifyError::NoKey(_))
    ));
}

#[test]
fn one_flipped_byte_in_a_log_is_found_and_named() {
    let world = world(300);
    let dir = tempfile::tempdir().unwrap();
    world.write(dir.path());
    let check = || verify_dir(dir.path(), world.log.verifier(), &world.policy()).unwrap();
    assert!(check().accepted(), "{}", check().text(Lang::En));
    // Entry 5 lies in the first bundle, after five others with their lengths.
    let bundle = dir.path().join("tile/entries/000");
    let mut bytes = fs::read(&bundle).unwrap();
    let at = world.entries[..5].iter().map(|it| it.len() + 2).sum::<usize>() + 2 + 30;
    bytes[at] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    let report = check();
    assert!(matches!(report.result, Err(Finding::Entry { index: 5, .. })), "{:?}", report.result);
    assert!(
        !report.accepted() && report.text(Lang::En).contains("entry 5"),
        "{}",
        report.text(Lang::En)
    );
    bytes[at] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    assert!(check().accepted());
    fs::write(dir.path().join("checkpoint"), world.head.to_string().replace("300", "299")).unwrap();
    assert!(matches!(
        verify_dir(dir.path(), world.log.verifier(), &world.policy()),
        Err(VerifyError::Checkpoint(_))
    ));
}
