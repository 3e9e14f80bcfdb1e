//! Evidence that a node makes of its own machine. No machine of these tests has a trusted environment: a thread plays the
//! kernel's part in a folder, with a *simulated* one whose root is made here, and a TPM is the emulator swtpm, where there is
//! one.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use tidm_attest::appraise;
use tidm_attest::handshake::Ask;
use tidm_attest::limits::EVIDENCE;
use tidm_attest::policy::{Chips, LeastTcb, Policy};
use tidm_attest::simulated::{Machine, PROVIDER, SimulatedRoot};
use tidm_attest::text::{self, Text};
use tidm_crypto::hash::sha256;
use tidm_node::attest::maker::Maker;
use tidm_node::attest::tpm::{Place, Tpm};
use tidm_node::attest::tsm::Tsm;
use tidm_node::jobs::renewing;
use tidm_node::jobs::use_data::{OpenRequest, close_file, open_file, query_sealed};
use tidm_space::contract::Contract;
use tidm_space::evidence::fact::What;
use tidm_space::lease::message::Renewal;
use tidm_space::policy::usage::{Level, Use};
use tidm_space::wire::tidm::lease;

use crate::attest::{Guest, ROOT, fresh, in_a_tee, judging, machine};
use crate::files::opened;
use crate::world::{World, csv, fault};

/// What the thread does for each entry.
#[derive(Clone)]
struct Plays {
    provider: &'static str,
    machine: Machine,
    /// In the place of a report that carries what was asked for.
    instead: Option<Vec<u8>>,
    auxblob: Option<Vec<u8>>,
    /// What the generation is afterwards; 1 is right.
    generation: &'static str,
}

impl Default for Plays {
    fn default() -> Self {
        Self {
            provider: PROVIDER,
            machine: machine(),
            instead: None,
            auxblob: None,
            generation: "1",
        }
    }
}

/// A folder in which a thread plays the kernel's part.
struct Kernel {
    root: tempfile::TempDir,
    plays: Arc<Mutex<Plays>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kernel {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (plays, stop) =
            (Arc::new(Mutex::new(Plays::default())), Arc::new(AtomicBool::new(false)));
        let (path, of, until) = (root.path().to_owned(), Arc::clone(&plays), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut known = BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                for entry in std::fs::read_dir(&path).unwrap() {
                    let entry = entry.unwrap().path();
                    if known.insert(entry.clone()) {
                        let plays = of.lock().unwrap().clone();
                        play(&entry, &plays);
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { root, plays, stop, thread: Some(thread) }
    }

    fn plays(&self, plays: Plays) {
        *self.plays.lock().unwrap() = plays;
    }

    fn maker(&self) -> Maker {
        Maker::Tsm(Tsm::new(self.root.path().to_owned()))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// One entry: attributes, then what follows from the bytes written.
fn play(entry: &Path, plays: &Plays) {
    // Whole or not at all, as an attribute of a kernel is.
    let put = |name: &str, bytes: &[u8]| {
        let fresh = entry.join(format!(".{name}"));
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(&fresh, entry.join(name)).unwrap();
    };
    put("provider", format!("{}\n", plays.provider).as_bytes());
    put("generation", b"0\n");
    put("inblob", b"");
    let until = Instant::now() + Duration::from_secs(5);
    let asked = loop {
        let asked = std::fs::read(entry.join("inblob")).unwrap();
        if asked.len() == 64 || Instant::now() > until {
            break asked;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!((asked.len(), &asked[32..]), (64, &[0; 32][..]), "a digest, then zeros");
    put("generation", format!("{}\n", plays.generation).as_bytes());
    if let Some(auxblob) = &plays.auxblob {
        put("auxblob", auxblob);
    }
    let report = plays.machine.evidence(asked[..32].try_into().unwrap());
    put("outblob", plays.instead.as_deref().unwrap_or(&report));
}

#[test]
fn a_report_is_what_was_asked_for_or_nothing() {
    let kernel = Kernel::start();
    let made = kernel.maker().make(&[7; 32], Some([1; 32])).unwrap();
    let read = Text::read(&made.write().unwrap()).unwrap();
    assert_eq!((read.evidence(None).kind.name(), read.nonce), ("simulated", Some([1; 32])));
    assert!(read.report.starts_with(b"simulated TEE: for tests only!!"));
    // The head of an SEV-SNP report of the second version, which no chip signed.
    let mut unsigned = vec![0; 1184];
    (unsigned[0], unsigned[0x34]) = (2, 1);
    unsigned[0x50..0x70].fill(7);
    let snp = Plays { provider: "sev_guest", instead: Some(unsigned), ..Plays::default() };
    let long = vec![0; EVIDENCE + 1];
    for (plays, said) in [
        (Plays { generation: "2", ..Plays::default() }, "generation 2 where 1 was due"),
        (Plays { generation: "x", ..Plays::default() }, "generation says \"x\""),
        (Plays { instead: Some(machine().evidence([8; 32])), ..Plays::default() }, "other bytes"),
        (Plays { instead: Some(long), ..Plays::default() }, "outblob is longer than"),
        (Plays { instead: Some(vec![]), ..Plays::default() }, "not usable: malformed"),
        (Plays { auxblob: Some(vec![0; 40_000]), ..Plays::default() }, "auxblob is longer than"),
        (Plays { provider: "arm_cca_guest", ..Plays::default() }, "provider is \"arm_cca_guest\""),
        (Plays { auxblob: None, ..snp.clone() }, "no certificates"),
        (Plays { auxblob: Some(vec![1; 100]), ..snp }, "table of certificates has not its form"),
    ] {
        kernel.plays(plays);
        let no = kernel.maker().make(&[7; 32], None).unwrap_err().to_string();
        assert!(no.contains(said), "{no} ({said})");
    }
}

#[test]
fn a_machine_without_the_interface_says_so_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let maker = |path: PathBuf| Maker::Tsm(Tsm::new(path));
    let no = maker(root.path().join("tsm")).make(&[7; 32], None).unwrap_err().to_string();
    assert!(no.contains("does not exist") && no.contains("6.7"), "{no}");
    // No kernel shows attributes here.
    let no = maker(root.path().to_owned()).make(&[7; 32], None).unwrap_err().to_string();
    assert!(no.contains("generation"), "{no}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "the entry is removed");
}

/// A world whose consumer makes evidence by what `kernel` hands out.
async fn world(kernel: &Kernel) -> World {
    let root = kernel.root.path().display().to_string();
    let more = |at: usize| match at {
        1 => format!("[attest]\nmaker = \"tsm\"\ntsm_root = \"{root}\"\n"),
        _ => String::new(),
    };
    let world = judging(World::of(2, |at, _| more(at)).await).await;
    world.provider().app.attest.simulate(SimulatedRoot::new(ROOT), 7);
    world
}

/// Level and codes of each appraisal at the provider, and the digest of its evidence.
async fn appraised(world: &World, contract: &Contract) -> Vec<(Option<Level>, String, String)> {
    let facts = world.provider().app.store.contract_facts(&contract.id).await.unwrap();
    let of = |it: What| match it {
        What::Appraised { level, refused, format, evidence } => {
            assert_eq!(format, "simulated");
            Some((level, refused, evidence.to_string()))
        }
        _ => None,
    };
    facts.into_iter().filter_map(|it| of(it.what)).collect()
}

/// `tidm use` of a table and of a file: the node asks for a challenge, makes the evidence and sends it, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_brings_the_evidence_that_its_terms_demand() {
    let kernel = Kernel::start();
    let world = world(&kernel).await;
    let consumer = world.consumer();
    let table = world.ready("t.csv", &csv(), in_a_tee(), Use::SealedTable).await;
    let sql = "SELECT count(*) AS n FROM data";
    let done = query_sealed(&consumer.app, &table.id, sql, None).await.unwrap();
    assert_eq!((done.rows, done.uses_left), (1, Some(1)));
    let said = appraised(&world, &table).await;
    assert!(matches!(&said[..], [(Some(Level::E3), none, _)] if none.is_empty()), "{said:?}");
    let file = world.ready("note.txt", b"a note", in_a_tee(), Use::SealedFile).await;
    let (_, code) = opened(consumer, &file, "test \"$(cat \"$1\")\" = \"a note\"").await.unwrap();
    assert_eq!(code, Some(0));

    // Evidence of something else, such as of a use before, is not sent, and costs nothing.
    let old = Plays { instead: Some(machine().evidence([8; 32])), ..Plays::default() };
    kernel.plays(old);
    let no = fault(query_sealed(&consumer.app, &table.id, sql, None).await);
    assert!(no.code() == "attest.maker" && no.to_string().contains("other bytes"), "{no}");
    // What the gate does not believe it refuses, with its reason.
    kernel.plays(Plays { machine: Machine::new(ROOT, [8; 32]), ..Plays::default() });
    let no = fault(query_sealed(&consumer.app, &table.id, sql, None).await);
    assert!(no.code() == "attest.refused" && no.to_string().contains("unknown-chip"), "{no}");
    assert_eq!(world.provider().app.store.spent(&table.id).await.unwrap().uses, 1);
}

/// Each renewal of such a lease takes a new challenge and new evidence; what was shown before renews nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_brings_new_evidence() {
    let kernel = Kernel::start();
    let world = world(&kernel).await;
    let (provider, consumer) = (world.provider(), world.consumer());
    let contract = world.ready("note.txt", b"a note", in_a_tee(), Use::SealedFile).await;
    let secret = tidm_crypto::kem::KemSecret::generate(&mut tidm_node::random::os());
    let request = OpenRequest {
        contract: contract.id.clone(),
        purpose: None,
        key: secret.public().to_bytes(),
        span: Duration::from_secs(60),
        export: false,
    };
    let lease = open_file(&consumer.app, request).await.unwrap().lease;
    let pause = || tokio::time::sleep(Duration::from_millis(1100));
    for renewals in 1..=2 {
        pause().await;
        renewing::once(&consumer.app, &contract, &lease).await.unwrap();
        let held = provider.app.store.lease(&lease).await.unwrap().unwrap();
        assert_eq!((held.renewals, held.level), (renewals, Some(Level::E3)));
    }
    let said = appraised(&world, &contract).await;
    let digests: BTreeSet<_> = said.iter().map(|(_, _, digest)| digest).collect();
    assert_eq!((said.len(), digests.len()), (3, 3), "a grant and two renewals: {said:?}");

    // Evidence that was shown for one renewal, shown again for the next.
    let guest = Guest { world: &world, contract: &contract };
    let span = Duration::from_secs(60);
    let renewal = |number| Renewal { lease: lease.clone(), number, span };
    let (challenge, who) = (guest.challenge().await, consumer.did.to_string());
    let (key, request) = (secret.public().to_bytes(), renewal(3).attested().0);
    let bound = Ask { who: &who, nonce: challenge, key, request }.bound();
    kernel.plays(Plays::default());
    let made = kernel.maker().make(&bound, Some(challenge)).unwrap().write().unwrap();
    pause().await;
    for (number, status, code) in [(3, 200, None), (4, 403, Some("used-nonce"))] {
        let posting = lease::write_attested_renewal(&fresh(), &renewal(number), &made);
        let (got, body) = guest.post(&posting.path, posting.body).await;
        assert_eq!(got, status, "{}", String::from_utf8_lossy(&body));
        if let Some(code) = code {
            let said = lease::read_refusal(&body).unwrap();
            assert_eq!((said.code.as_str(), said.reason.as_str()), ("attest.refused", code));
        }
    }

    // A machine that is not believed any more: the gate's no ends the use.
    kernel.plays(Plays { machine: Machine { debug: true, ..machine() }, ..Plays::default() });
    pause().await;
    // The guest renewed behind its node's back: the node's number is taken, and its next one is judged.
    renewing::once(&consumer.app, &contract, &lease).await.unwrap();
    let no = fault(renewing::once(&consumer.app, &contract, &lease).await);
    assert!(no.code() == "attest.refused" && no.to_string().contains("debug"), "{no}");
    assert_eq!(provider.app.store.spent(&contract.id).await.unwrap().uses, 1);
    close_file(&consumer.app, &lease, true, 6).await.unwrap();
}

/// The emulator, while this lives.
struct Emulator {
    child: Child,
    at: SocketAddr,
    home: tempfile::TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Emulator {
    /// None where the machine has no such programs.
    fn start() -> Result<Self, String> {
        for program in ["swtpm", "tpm2_createak"] {
            if Command::new(program).arg("--version").output().is_err() {
                return Err(format!(
                    "SKIPPED: quotes of an emulated TPM: there is no {program} (Debian: swtpm, tpm2-tools, libtss2-tcti-swtpm0)"
                ));
            }
        }
        let home = tempfile::tempdir().unwrap();
        // Two ports side by side: tools look for the second one behind the first.
        let (server, control) = (1..50)
            .find_map(|_| {
                let it = TcpListener::bind("127.0.0.1:0").unwrap();
                let at = it.local_addr().unwrap().port();
                TcpListener::bind(("127.0.0.1", at.checked_add(1)?)).ok()?;
                Some((at, at + 1))
            })
            .unwrap();
        let child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg(format!("--tpmstate=dir={}", home.path().display()))
            .arg(format!("--server=type=tcp,port={server}"))
            .arg(format!("--ctrl=type=tcp,port={control}"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let it = Self { child, at: SocketAddr::from(([127, 0, 0, 1], server)), home };
        let until = Instant::now() + Duration::from_secs(10);
        while !it.tool("tpm2_pcrread", &["sha256:0"]) {
            assert!(Instant::now() < until, "swtpm does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(it)
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> bool {
        let done = Command::new(name)
            .args(arguments)
            .current_dir(self.home.path())
            .env("TPM2TOOLS_TCTI", format!("swtpm:host=127.0.0.1,port={}", self.at.port()))
            .output()
            .unwrap();
        done.status.success()
    }

    /// As docs/attestation.md has it.
    fn provision(&self, kind: &str, scheme: &str, handle: &str) {
        for (name, arguments) in [
            ("tpm2_createek", &["-c", "ek.ctx", "-G", kind][..]),
            ("tpm2_flushcontext", &["-t"]),
            (
                "tpm2_createak",
                &["-C", "ek.ctx", "-c", "ak.ctx", "-G", kind, "-g", "sha256", "-s", scheme],
            ),
            ("tpm2_flushcontext", &["-t"]),
            ("tpm2_evictcontrol", &["-C", "o", "-c", "ak.ctx", handle]),
            ("tpm2_flushcontext", &["-t"]),
        ] {
            assert!(self.tool(name, arguments), "{name}");
        }
    }
}

/// The verifier takes what the emulator signs, over keys of both kinds; and it is never more than E2.
#[test]
fn a_quote_of_an_emulated_tpm_is_judged() {
    let emulator = match Emulator::start() {
        Ok(it) => it,
        Err(skipped) => {
            println!("{skipped}");
            return;
        }
    };
    let pcrs = [0xFF, 0, 1];
    assert!(emulator.tool("tpm2_pcrextend", &[&format!("16:sha256={}", "11".repeat(32))]));
    for (kind, scheme, handle) in [("ecc", "ecdsa", 0x8101_0002), ("rsa", "rsassa", 0x8101_0003)] {
        emulator.provision(kind, scheme, &format!("0x{handle:x}"));
        let place = Place::EmulatorTcp(emulator.at);
        assert!(place.to_string().starts_with("emulator:"));
        let maker = Maker::Tpm(Tpm { place: place.clone(), key: handle, pcrs });
        let made = maker.make(&[7; 32], Some([1; 32])).unwrap().write().unwrap();
        let written: serde_json::Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(written["pcrs"].as_array().unwrap().len(), 9);
        assert_eq!(written["pcrs"][0], json!("00".repeat(32)));
        let key = base64(&written["key"]);
        let values = written["pcrs"].as_array().unwrap().iter();
        let values: Vec<_> = values.map(|it| hex(it.as_str().unwrap())).collect();
        let policy = Policy {
            measurements: [sha256(&values.concat()).0.to_vec()].into(),
            report_data: vec![7; 32],
            chips: Chips::Only([sha256(&key).0.to_vec()].into()),
            least_tcb: LeastTcb { tpm: Some(0), ..LeastTcb::default() },
            tpm_pcrs: pcrs,
            ..Policy::default()
        };
        let read = Text::read(&made).unwrap();
        let appraisal = appraise(&read.evidence(None), &policy, 0);
        assert!(appraisal.is_accepted(), "{appraisal:?}");
        assert_eq!(appraisal.level, tidm_attest::appraisal::Level::AtMostE2);
        let other = Policy { report_data: vec![8; 32], ..policy };
        assert!(!appraise(&read.evidence(None), &other, 0).is_accepted());
        assert!(!maker.is_of_a_tee());
        // No key there.
        let none = Maker::Tpm(Tpm { place, key: 0x8101_0009, pcrs });
        let no = none.make(&[7; 32], None).unwrap_err().to_string();
        assert!(no.contains("the TPM says no"), "{no}");
    }
    // A key that signs whatever it is handed.
    for (name, arguments) in [
        ("tpm2_createprimary", &["-C", "o", "-c", "p.ctx"][..]),
        (
            "tpm2_create",
            &["-C", "p.ctx", "-c", "k.ctx", "-G", "ecc256:ecdsa-sha256", "-u", "k.pub", "-r", "k"],
        ),
        ("tpm2_flushcontext", &["-t"]),
        ("tpm2_evictcontrol", &["-C", "o", "-c", "k.ctx", "0x81010004"]),
        ("tpm2_flushcontext", &["-t"]),
    ] {
        assert!(emulator.tool(name, arguments), "{name}");
    }
    let place = Place::EmulatorTcp(emulator.at);
    let no = Maker::Tpm(Tpm { place, key: 0x8101_0004, pcrs }).make(&[7; 32], None).unwrap_err();
    assert!(no.to_string().contains("no restricted signing key"), "{no}");
}

fn base64(value: &serde_json::Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn hex(digits: &str) -> Vec<u8> {
    text::hex("digits", digits).unwrap()
}
