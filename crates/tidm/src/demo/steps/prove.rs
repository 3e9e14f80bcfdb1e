//! Chapter 5: what an outsider can check, with two verifier keys and nothing else.
//!
//! Never asks a node whether its own evidence is good: receipts and logs are verified here, from bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use tidm_crypto::jws::Unverified;
use tidm_ledger::audit::audit;
use tidm_ledger::checkpoint::SignedCheckpoint;
use tidm_ledger::note::VerifierKey;
use tidm_ledger::policy::Policy;
use tidm_ledger::receipt::{Receipt, verify};
use tidm_ledger::tile::{TilePath, TileSource};
use tidm_node::init;
use tidm_node::keys::Keys as _;
use tidm_node::keys::directory::Directory;

use super::file::files;
use crate::demo::book::Book;
use crate::demo::client::{Api, items, segment, text};
use crate::demo::facts::Contracts;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Node, Part, World};

/// Facts travel between the nodes once a second or sooner.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    tell.chapter("5 证明", "5 Prove");
    for part in [Part::Provider, Part::Consumer] {
        receipts(tell, world, book, contracts, part).await?;
    }
    agreement(tell, world, book, contracts).await?;
    whole_log(tell, world, book).await?;
    flipped(tell, world, book).await?;
    let lang = tell.lang;
    book.unproven = lang
        .pick(
            [
                "双方都未记录的事，以及节点之外发生的事",
                "删除回执是使用方签名的陈述，不能证明不存在其他副本",
                "E0 条款只靠合约约束；E1 条款靠使用方软件执行，其机器管理员可以绕过",
            ],
            [
                "what both sides left out, and what happened outside of the nodes",
                "a deletion receipt is the consumer's signed statement, not proof that no copy exists",
                "terms at E0 rest on the contract alone; terms at E1 on the consumer's software, which its machine's administrator can get around",
            ],
        )
        .map(str::to_owned)
        .to_vec();
    Ok(())
}

/// Every fact about the three contracts on one side: its receipt, verified offline.
async fn receipts(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
    part: Part,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let node = world.node(part)?;
    let org = part.org(lang);
    let line = tell
        .step(&format!("离线验证 {org} 的全部存证回执"), &format!("all receipts of {org}, verified offline"), async {
            let (log, policy) = trust(world, node)?;
            let (mut count, mut bytes, mut witnesses) = (0, 0, BTreeSet::new());
            for id in [&contracts.query, &contracts.file, &contracts.table] {
                let listed = node.api.get(&format!("/facts?contract={}&limit=200", segment(id))).await?;
                for fact in items(&listed) {
                    let id = text(fact, "id")?;
                    let proof = node.api.bytes(&format!("/facts/{}/receipt", segment(id))).await?;
                    let receipt = Receipt::parse(&proof).map_err(|why| Trouble::unexpected(format!("receipt of {id}: {why}")))?;
                    let entry = receipt.extra().ok_or_else(|| Trouble::unexpected(format!("the receipt of {id} carries no fact")))?;
                    let report = verify(&receipt, entry, &log, &policy);
                    if !report.accepted() {
                        return Err(Trouble::unexpected(format!("the receipt of {id} does not hold: {:?}", report.claims())));
                    }
                    witnesses.extend(report.cosigned_by.iter().map(|(name, _)| name.clone()));
                    count += 1;
                    bytes += proof.len();
                }
            }
            if count == 0 {
                return Err(Trouble::unexpected("there is no fact to verify"));
            }
            let line = lang.pick(
                format!("{count} 份，平均 {} 字节；日志已签名，{} 个存证方见证", bytes / count, witnesses.len()),
                format!("{count} receipts, {} bytes on average; signed by the log, cosigned by {} custodian", bytes / count, witnesses.len()),
            );
            Ok((line.clone(), line))
        })
        .await?;
    book.proven.push(format!("{}: {line}", part.org(lang)));
    Ok(())
}

/// The log's key and who has to have seen it: all an outsider needs.
fn trust(world: &World, node: &Node) -> Result<(VerifierKey, Policy), Trouble> {
    let failed = |why: &dyn std::fmt::Display| Trouble::here("verifier keys", why);
    let log = VerifierKey::parse(&node.log_vkey).map_err(|why| failed(&why))?;
    let policy = format!(
        "witness custodian {}\nquorum custodian\n",
        world.node(Part::Custodian)?.witness_vkey
    );
    let policy = Policy::parse(policy.as_bytes()).map_err(|why| failed(&why))?;
    Ok((log, policy))
}

/// Both sides' accounts of each contract, laid side by side.
async fn agreement(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let provider = world.api(Part::Provider)?;
    let line = tell
        .step(
            "双方对三份合约的记载逐项核对",
            "both sides' accounts of the three contracts, laid side by side",
            async {
                let (mut counted, mut facts) = (0, 0);
                for id in [&contracts.query, &contracts.file, &contracts.table] {
                    facts += consistent(provider, id).await?;
                    counted += 1;
                }
                let line = lang.pick(
                    format!("{counted} 份合约、{facts} 条记载，双方一致"),
                    format!("{counted} contracts, {facts} facts: consistent"),
                );
                Ok((line.clone(), line))
            },
        )
        .await?;
    book.proven.push(line);
    Ok(())
}

/// Facts of both sides in a report without contradiction or gap; what is on its way is waited for.
pub(super) async fn consistent(provider: &Api, contract: &str) -> Result<u64, Trouble> {
    let begun = Instant::now();
    loop {
        let done = provider.get(&format!("/audit/{}", segment(contract))).await?;
        let report = done.get("report").unwrap_or(&Value::Null);
        let count = |side: &str| -> u64 {
            let text = report.get(side).and_then(|it| it.get("facts")).and_then(Value::as_str);
            text.and_then(|it| it.parse().ok()).unwrap_or(0)
        };
        match text(report, "verdict")? {
            "consistent" => return Ok(count("providerAccount") + count("consumerAccount")),
            "pending" if begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            _ => {
                return Err(Trouble::unexpected(format!(
                    "the two sides disagree about {contract}: {}",
                    report.get("findings").unwrap_or(report)
                )));
            }
        }
    }
}

/// The provider's whole log, recomputed from its entries against the cosigned checkpoint.
async fn whole_log(tell: &mut Teller, world: &World, book: &mut Book) -> Result<(), Trouble> {
    let lang = tell.lang;
    let line = tell
        .step(
            "从条目重算提供方整个日志",
            "the provider's whole log, recomputed from its entries",
            async {
                let dir = world.node(Part::Provider)?.dir.join("data/log");
                let head = head(world, &dir)?;
                let (size, root) = (head.checkpoint().size(), head.checkpoint().root());
                let done = audit(&Tiles(dir), size, root)
                    .map_err(|why| Trouble::unexpected(why.to_string()))?;
                let line = lang.pick(
                    format!("{} 个条目、{} 个哈希瓦片，与已见证的根一致", done.entries, done.tiles),
                    format!(
                        "{} entries and {} hash tiles make the cosigned root",
                        done.entries, done.tiles
                    ),
                );
                Ok((line.clone(), line))
            },
        )
        .await?;
    book.proven.push(line);
    Ok(())
}

/// One byte of one entry changes in a copy of the log: the audit must name the place.
async fn flipped(tell: &mut Teller, world: &World, book: &mut Book) -> Result<(), Trouble> {
    let line = tell
        .step(
            "日志副本中改动一个字节：被发现",
            "one flipped byte in a copy of the log: found",
            async {
                let from = world.node(Part::Provider)?.dir.join("data/log");
                let head = head(world, &from)?;
                let to = world.dir.join("log-with-a-flipped-byte");
                copy(&from, &to)?;
                let failed = |why: std::io::Error| Trouble::here("flip", why);
                // The newest bundle that the cosigned tree is made of; older partial ones are no part of it.
                let last = head.checkpoint().size().saturating_sub(1);
                let width = u16::try_from(last % 256 + 1).unwrap_or(256);
                let bundle = TilePath::entries(last / 256, width)
                    .map_err(|why| Trouble::unexpected(why.to_string()))?;
                let victim = to.join(bundle.to_string());
                let mut bytes = std::fs::read(&victim).map_err(failed)?;
                let middle = bytes.len() / 2;
                let byte =
                    bytes.get_mut(middle).ok_or_else(|| Trouble::unexpected("an empty bundle"))?;
                *byte ^= 1;
                std::fs::write(&victim, bytes).map_err(failed)?;
                let name = victim.strip_prefix(&to).unwrap_or(&victim).display().to_string();
                match audit(&Tiles(to), head.checkpoint().size(), head.checkpoint().root()) {
                    Ok(_) => Err(Trouble::unexpected("the audit did not see the flipped byte")),
                    Err(finding) => {
                        let line = format!("{name}, byte {middle}: {finding}");
                        Ok((line.clone(), line))
                    }
                }
            },
        )
        .await?;
    book.proven.push(line);
    Ok(())
}

/// The published checkpoint, its signature verified.
fn head(world: &World, log: &Path) -> Result<SignedCheckpoint, Trouble> {
    let failed = |why: &dyn std::fmt::Display| Trouble::here("checkpoint", why);
    let bytes = std::fs::read(log.join("checkpoint")).map_err(|why| failed(&why))?;
    let head = SignedCheckpoint::parse_bytes(&bytes).map_err(|why| failed(&why))?;
    let (key, _) = trust(world, world.node(Part::Provider)?)?;
    head.verify(&key).map_err(|why| failed(&why))?;
    Ok(head)
}

/// A log's files as they lie in a directory.
struct Tiles(PathBuf);

impl TileSource for Tiles {
    type Error = std::io::Error;

    fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, Self::Error> {
        match std::fs::read(self.0.join(path.to_string())) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Trouble> {
    let failed = |why: std::io::Error| Trouble::here(to.display().to_string(), why);
    for path in files(from)? {
        let Ok(inner) = path.strip_prefix(from) else { continue };
        let target = to.join(inner);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::copy(&path, &target).map_err(failed)?;
    }
    Ok(())
}

/// Verifies a compact JWS with a node's public key.
pub(super) fn signed_by(world: &World, part: Part, jws: &str) -> Result<(), Trouble> {
    let failed = |why: &dyn std::fmt::Display| Trouble::here("signature", why);
    let keys = Directory::open(&world.node(part)?.dir.join(init::KEYS), None)
        .map_err(|why| failed(&why))?;
    let token = Unverified::parse(jws).map_err(|why| failed(&why))?;
    token.verify(&keys.identity().verifying_key()).map(drop).map_err(|why| failed(&why))
}
